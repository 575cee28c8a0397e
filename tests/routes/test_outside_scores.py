"""Scores that others made: as telemetry through the door, and as items of the API."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from kit import otlp, scored
from kit.scorers import Fake, length, panel_of
from kit.traffic import chat
from stanchion_server.costs import settle
from stanchion_server.kernel import clock
from stanchion_server.quality import evaluations, outside
from stanchion_server.quality.models import Score, ScoreCount
from stanchion_server.quality.outside import Fate
from stanchion_server.tenants import access, services
from stanchion_server.tenants.models import Project, Scope

pytestmark = pytest.mark.django_db
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture(autouse=True)
def _empty_caches() -> Iterator[None]:
    access.forget_everything()
    yield
    access.forget_everything()


@pytest.fixture
def project() -> Project:
    return services.create_project(services.create_organisation("Acme"), "Shop")


def send(project: Project, signal: str, request: dict[str, Any]) -> None:
    key = services.create_key(project, "app", [Scope.INGEST])
    answer = Client(headers={"x-api-key": key}).post(
        f"/v1/{signal}", otlp.as_protobuf(request), content_type="application/x-protobuf"
    )
    assert answer.status_code == 200


def result(value: object = 0.8, name: str = "Relevance", **more: Any) -> dict[str, Any]:
    return {evaluations.NAME: name, evaluations.VALUE: value, **more}


def call(**more: Any) -> dict[str, Any]:
    more.setdefault("attributes", {"stanchion.feature": "support"})
    return chat(clock.now() - timedelta(seconds=3), trace_id=TRACE, span_id=SPAN, answer="Today.", **more)


def judged(**more: Any) -> dict[str, Any]:
    where = {"trace_id": TRACE, "span_id": SPAN, "time_ns": clock.now_ns(), **more.pop("where", {})}
    return otlp.logs([otlp.log(evaluations.EVENT, attributes=result(**more), **where)])


def kept(project: Project) -> list[tuple[str, float, str]]:
    rows = Score.objects.filter(project_id=project.pk).order_by("scorer")
    return [(row.scorer, row.score, row.source) for row in rows]


def test_an_evaluation_on_the_calls_own_span_is_a_score_however_often_it_is_sent(project: Project) -> None:
    request = otlp.traces([call(events=[otlp.event(evaluations.EVENT, result())])])
    send(project, "traces", request)
    send(project, "traces", request)
    assert kept(project) == [("Relevance", 0.8, "telemetry")]
    assert Score.objects.get(project_id=project.pk).feature == "support"


def test_an_evaluation_on_a_log_record_after_the_call_is_a_score(project: Project) -> None:
    send(project, "traces", otlp.traces([call()]))
    request = judged(value=4, **{evaluations.RANGE: [1, 5]})
    send(project, "logs", request)
    send(project, "logs", request)
    assert kept(project) == [("Relevance", 0.75, "telemetry")]


def test_an_evaluation_that_came_before_its_call_is_kept_when_the_call_is_scored(project: Project) -> None:
    send(project, "logs", judged())
    assert kept(project) == []
    send(project, "traces", otlp.traces([call()]))
    settle.run(clock.now())
    scored.score(panel_of(Fake("length", length)), project.pk)
    assert kept(project) == [("Relevance", 0.8, "telemetry"), ("length", 0.6, "worker")]


def test_an_evaluation_that_names_the_response_finds_its_call(project: Project) -> None:
    send(project, "traces", otlp.traces([call(attributes={"gen_ai.response.id": "resp-1"})]))
    send(project, "logs", judged(where={"trace_id": "", "span_id": ""}, **{evaluations.RESPONSE_ID: "resp-1"}))
    assert kept(project) == [("Relevance", 0.8, "telemetry")]


def test_an_agents_span_that_is_no_call_can_be_evaluated(project: Project) -> None:
    agent = otlp.span(
        "invoke_agent x", trace_id=TRACE, span_id=SPAN, start_ns=clock.now_ns() - 10**9,
        attributes={"gen_ai.operation.name": "invoke_agent"}, events=[otlp.event(evaluations.EVENT, result())],
    )  # fmt: skip
    send(project, "traces", otlp.traces([agent]))
    assert kept(project) == [("Relevance", 0.8, "telemetry")]


def test_an_evaluation_off_the_scale_is_refused_and_counted_with_the_remedy(project: Project) -> None:
    send(project, "traces", otlp.traces([call(events=[otlp.event(evaluations.EVENT, result(4))])]))
    assert kept(project) == []
    counted = ScoreCount.objects.get(project_id=project.pk)
    assert (counted.outcome, counted.calls) == ("refused", 1)
    assert "Relevance: value=4" in counted.detail and "[1, 5]" in counted.detail


def test_items_of_the_api_are_kept_once_and_contradictions_are_told(project: Project) -> None:
    send(project, "traces", otlp.traces([call()]))

    def keep(**values: Any) -> Fate:
        item = {"trace_id": TRACE, "span_id": SPAN, "name": "faithfulness", "value": 0.5, **values}
        (fate,) = outside.keep_external(project.pk, [evaluations.of_item(item)], clock.now())
        return fate

    assert [keep(), keep(), keep(value=0.6)] == [Fate.NEW, Fate.SAME, Fate.CONTRADICTS]
    assert keep(value=0.6, version="2") is Fate.NEW
    assert keep(span_id="00000000000000aa") is Fate.NO_SUCH_CALL
    assert kept(project) == [("faithfulness", 0.5, "api"), ("faithfulness", 0.6, "api")]
    other = services.create_project(services.create_organisation("Other"), "Other")
    item = evaluations.of_item({"trace_id": TRACE, "span_id": SPAN, "name": "x", "value": 1})
    assert outside.keep_external(other.pk, [item], clock.now()) == [Fate.NO_SUCH_CALL]
