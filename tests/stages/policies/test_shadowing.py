"""Shadows cost the caller no time, and what they do not judge is counted."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from kit.guarding import CANARY, document, policy_in_force
from stanchion_guard.records import Part, Subject
from stanchion_server.kernel import clock
from stanchion_server.policies import engine, selectors, services, shadowing
from stanchion_server.policies.decisions import Origin
from stanchion_server.policies.engine import Beside, Judgement, Manner
from stanchion_server.policies.recording import recorder
from stanchion_server.policies.shadowing import shadower
from stanchion_server.routes import guard_check
from stanchion_server.tenants import services as tenants
from stanchion_server.tenants.models import Project
from stanchion_server.traces.models import GuardDecision

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def project() -> Iterator[Project]:
    engine.forget_everything()
    found = tenants.create_project(tenants.create_organisation("Acme"), "Shop")
    policy = policy_in_force(found, "chat", document("another"), document())
    services.set_shadow(found.pk, policy.pk, 2, "tester")
    yield found
    engine.forget_everything()


def check(project: Project, text: str = CANARY) -> engine.Checked:
    caller = guard_check.Caller(project.pk, 1, "kit")
    origin = Origin(uuid.uuid4().hex, "rest", uuid.uuid4())
    return guard_check.check(caller, "chat", Subject((Part("input", text),)), origin, Manner())


def shadows() -> list[GuardDecision]:
    assert recorder.flush()
    return list(GuardDecision.objects.filter(mode="shadow"))


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """No shadow ends before the gate is open."""
    opened, judge = threading.Event(), engine.judge_beside

    def slow(beside: Beside) -> Judgement:
        opened.wait(60)
        return judge(beside)

    monkeypatch.setattr(engine, "judge_beside", slow)
    yield opened
    opened.set()
    shadower.flush()


def test_a_slow_shadow_does_not_hold_up_the_answer_and_is_recorded(project: Project, gate: threading.Event) -> None:
    assert check(project).verdict.action == "allow"
    assert shadows() == []
    gate.set()
    shadower.flush()
    [row] = shadows()
    assert (row.policy_version, row.action, row.is_complete) == ("2", 5, True)


def test_beyond_the_bound_a_shadow_is_recorded_as_not_judged_and_is_not_compared(
    project: Project, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shadowing, "MAX_WAITING_OF_ONE", 3)
    for _ in range(20):
        check(project)
    gate.set()
    shadower.flush()
    rows = shadows()
    left = [row for row in rows if row.is_complete is not True]
    assert len(rows) == 20
    assert 20 - shadowing.THREADS - 3 <= len(left) < 20
    assert {tuple(map(tuple, row.not_run)) for row in left} == {(("policy", shadowing.TOO_MANY),)}
    now = clock.now()
    found = selectors.disagreement(project.pk, "chat", "2", now - timedelta(hours=1), now + timedelta(hours=1))
    assert found is not None
    assert (found.checks, found.not_compared) == (20 - len(left), len(left))
    assert found.pairs == (("allow", "block", 20 - len(left)),)


@pytest.mark.parametrize("bound", ["MAX_WAITING", "MAX_WAITING_CHARACTERS"])
def test_all_shadows_together_are_bounded_in_number_and_size(
    project: Project, gate: threading.Event, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    monkeypatch.setattr(shadowing, bound, 0)
    check(project)
    [row] = shadows()
    assert row.not_run == [["policy", shadowing.TOO_MANY]]


def test_an_error_nobody_foresaw_is_recorded_and_the_next_shadow_judges(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = engine.judge_beside

    def broken(beside: Beside) -> Judgement:
        if beside.subject.parts[0].text == "break":
            raise RuntimeError("no")
        return judge(beside)

    monkeypatch.setattr(engine, "judge_beside", broken)
    check(project, "break")
    shadower.flush()
    check(project)
    shadower.flush()
    assert sorted(row.not_run[0][1] if row.not_run else "" for row in shadows()) == ["", "not judged: RuntimeError"]


def test_what_waits_when_the_process_ends_is_recorded_as_not_judged(project: Project) -> None:
    ending = shadowing.Shadower()
    subject = Subject((Part("input", CANARY),))
    [beside] = engine.check(project.pk, "chat", subject, key="k", manner=Manner()).shadows
    origin = Origin("c-1", "rest", uuid.uuid4())
    item = shadowing.Waiting(beside, 1, "kit", origin, 7, clock.now_ns())
    assert ending._taken_in(item) and ending._taken_in(replace(item, span_id=8))
    ending._finish()
    assert [row.not_run for row in shadows()] == [[["policy", shadowing.ENDED]]] * 2
