"""Telemetry in, scores out: the door's jobs and the tasks that do them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F
from django.test import Client

from kit import otlp
from kit.scorers import Fake, length, panel_of
from kit.traffic import chat
from stanchion_server.costs import settle
from stanchion_server.kernel import clock
from stanchion_server.quality import jobs, rollups
from stanchion_server.quality.models import Score, ScoreJob, ScoreRollup, ScorerSetting
from stanchion_server.quality.panels import panels
from stanchion_server.routes import scoring, telemetry
from stanchion_server.tenants import access, services
from stanchion_server.tenants.models import Project, Scope

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _empty_caches() -> Iterator[None]:
    access.forget_everything()
    yield
    access.forget_everything()
    panels.forget()


@pytest.fixture
def project() -> Project:
    return services.create_project(services.create_organisation("Acme"), "Shop")


def send(project: Project, *spans: dict[str, Any]) -> None:
    key = services.create_key(project, "app", [Scope.INGEST])
    answer = Client(headers={"x-api-key": key}).post(
        "/v1/traces", otlp.as_protobuf(otlp.traces(spans)), content_type="application/x-protobuf"
    )
    assert answer.status_code == 200


def test_a_call_that_was_accepted_has_a_job_and_the_task_scores_it(project: Project) -> None:
    panels.hold({}, panel_of(Fake("length", length))({}))
    send(project, chat(clock.now() - timedelta(seconds=3), answer="Today."))
    job = ScoreJob.objects.get(project_id=project.pk)
    assert (job.lane, job.attempts, job.reason) == (0, 0, "arrived")
    settle.run(clock.now())
    ScoreJob.objects.update(not_before=F("not_before") - timedelta(seconds=5))
    scoring.score_fast()
    assert not ScoreJob.objects.filter(project_id=project.pk).exists()
    assert Score.objects.get(project_id=project.pk).score == 0.6
    scoring.sum_scores()
    rollups.run(clock.now() + rollups.HOURS_WAIT)
    sums = ScoreRollup.objects.filter(project_id=project.pk).order_by("grain_minutes")
    assert [(row.grain_minutes, row.scores, row.flagged, row.histogram[12]) for row in sums] == [
        (1, 1, 1, 1),
        (60, 1, 1, 1),
    ]


def test_a_call_that_turns_out_to_be_a_second_record_drops_out_of_the_sums_of_its_scores(project: Project) -> None:
    """The record that says so comes later and is not scored yet."""
    panels.hold({}, panel_of(Fake("length", length))({}))
    at, trace_id, outer = clock.now() - timedelta(minutes=3), otlp.new_trace_id(), otlp.new_span_id()
    told = {"gen_ai.response.id": "r"}
    send(project, chat(at, trace_id=trace_id, span_id=outer, attributes=told))
    telemetry.settle()
    ScoreJob.objects.update(not_before=F("not_before") - timedelta(seconds=5))
    scoring.score_fast()
    rollups.run(clock.now(), project.pk)
    assert ScoreRollup.objects.filter(project_id=project.pk).count() == 2
    send(project, chat(at + timedelta(seconds=70), trace_id=trace_id, parent=outer, attributes=told))
    telemetry.settle()
    rollups.run(clock.now(), project.pk)
    assert Score.objects.filter(project_id=project.pk).count() == 1
    assert ScoreRollup.objects.filter(project_id=project.pk).count() == 0


class Broken(Fake):
    """What a scorer may do that nobody foresaw."""

    @property
    def version(self) -> str:
        raise RuntimeError("ours")

    @version.setter
    def version(self, value: str) -> None:
        pass


def test_each_project_gets_its_turn_and_one_that_fails_stops_no_other(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer = Fake("length", length)
    panels.hold({}, panel_of(scorer)({}))
    broken, second = (services.create_project(project.organisation, name) for name in ("Broken", "Second"))
    for one in (project, broken, second):
        send(one, *(chat(clock.now() - timedelta(seconds=3), answer="Today.") for _ in range(3)))
    settle.run(clock.now())
    ScoreJob.objects.update(not_before=F("not_before") - timedelta(seconds=5))
    given = {"length": {"words": 3}}
    ScorerSetting.objects.create(
        project=broken, scorer="length", parameters=given["length"], changed_at=clock.now(), changed_by="t"
    )
    panels.hold(given, panel_of(Broken("length", length))(given))
    monkeypatch.setattr(jobs, "BATCH", {"fast": 1, "slow": 1})
    scoring.score_fast()
    served = [example.key.project_id for example in scorer.seen]
    assert served == [project.pk, second.pk] * 3
    assert ScoreJob.objects.filter(project_id=broken.pk).count() == 3
