"""A guardrail span through the door becomes one decision row, however often it arrives."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import pytest
from django.test import Client

from kit import otlp
from stanchion_server.ingest.records import SpanKind
from stanchion_server.kernel import clock
from stanchion_server.tenants import access, services
from stanchion_server.tenants.models import Project, Scope
from stanchion_server.traces.models import GuardDecision, LlmCall, Span
from stanchion_wire.decisions import ACTIONS, PREFIX, SCOPE, Decision, to_attributes

pytestmark = pytest.mark.django_db

DECISION = Decision(
    check_id="c-1", policy="default", policy_version="3", mode="shadow", source="sdk", stage="input", action="block",
    characters=41, guarded_characters=40, is_complete=False, elapsed_us=312, text_digest=-5,
    rules=("pii", "injection"), labels=("EMAIL",),
    findings=({"detector": "pii", "label": "EMAIL", "score": 1.0, "part": 0, "start": 3, "end": 9, "reason": "shape"},),
    checks=({"rule": "pii", "outcome": "ran", "score": 1.0, "elapsed_us": 20},), not_run=(("judge", "late"),),
    limits=(("toxic", "language de not covered"),),
)  # fmt: skip


@pytest.fixture(autouse=True)
def _empty_caches() -> Iterator[None]:
    access.forget_everything()
    yield
    access.forget_everything()


@pytest.fixture
def project() -> Project:
    return services.create_project(services.create_organisation("Acme"), "Shop")


def send(project: Project, *spans: dict[str, Any], scope: str = SCOPE) -> None:
    key = services.create_key(project, "app", [Scope.INGEST])
    answer = Client(headers={"x-api-key": key}).post(
        "/v1/traces", otlp.as_protobuf(otlp.traces(spans, scope=scope)), content_type="application/x-protobuf"
    )
    assert answer.status_code == 200, answer.content


def guardrail(**changes: Any) -> dict[str, Any]:
    attributes = {**to_attributes(DECISION), "stanchion.feature": "support", "stanchion.session": "s-1", **changes}
    return otlp.span("guard default", start_ns=clock.now_ns() - 10**9, attributes=attributes)


def test_a_decision_is_stored_with_everything_it_told(project: Project) -> None:
    send(project, guardrail())
    row = GuardDecision.objects.get()
    told = asdict(DECISION)
    for name in ("check_id", "policy", "policy_version", "mode", "source", "stage", "characters", "guarded_characters",
                 "is_complete", "elapsed_us", "text_digest"):  # fmt: skip
        assert getattr(row, name) == told[name], name
    assert (ACTIONS[row.action], row.rules, row.labels) == ("block", ["pii", "injection"], ["EMAIL"])
    assert row.findings == [dict(DECISION.findings[0])]
    assert row.checks == [dict(DECISION.checks[0])]
    assert row.not_run == [["judge", "late"]]
    assert row.limits == [["toxic", "language de not covered"]]
    assert (row.project_id, row.feature, row.session_id) == (project.pk, "support", "s-1")


def test_its_span_is_a_guardrail_and_no_call(project: Project) -> None:
    send(project, guardrail())
    assert Span.objects.get().kind == SpanKind.GUARDRAIL
    assert not LlmCall.objects.exists()


def test_a_repeated_delivery_adds_nothing(project: Project) -> None:
    span = guardrail()
    send(project, span)
    send(project, span)
    assert GuardDecision.objects.count() == 1


def test_a_span_of_another_scope_cannot_pose_as_a_decision(project: Project) -> None:
    send(project, guardrail(), scope="somebody.else")
    assert Span.objects.count() == 1
    assert not GuardDecision.objects.exists()


def test_a_sender_that_tells_of_no_limits_leaves_them_unknown(project: Project) -> None:
    send(project, guardrail(**{PREFIX + "detail": '{"not_run": []}'}))
    assert GuardDecision.objects.get().limits is None


def test_hostile_limits_are_stored_clean_and_bounded(project: Project) -> None:
    rows = [["a\0\ud800", "b" * 9_999], {"rule": "x"}, "xy", ["alone"], *[["r", "s"]] * 500]
    send(project, guardrail(**{PREFIX + "detail": json.dumps({"limits": rows})}))
    limits = GuardDecision.objects.get().limits
    assert limits[0] == ["a\ufffd?", "b" * 200] and len(limits) <= 100
    assert {len(pair) for pair in limits} == {2}


def test_hostile_detail_is_stored_clean_and_bounded(project: Project) -> None:
    send(project, guardrail(**{PREFIX + "detail": '{"findings": [{"label": "a\\u0000\\ud800", "score": 1e999}]}'}))
    assert GuardDecision.objects.get().findings == [{"label": "a�?"}]
