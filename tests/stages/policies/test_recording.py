"""Decisions on their way to the database: what waits, what is lost and counted, and what holds nobody up."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from stanchion_guard import Guard, named
from stanchion_guard.records import Part, Subject
from stanchion_server.kernel import clock
from stanchion_server.policies import recording
from stanchion_server.policies.decisions import Origin, record
from stanchion_server.policies.engine import Judgement
from stanchion_server.policies.recording import Recorder, Waiting
from stanchion_server.reports import intake
from stanchion_server.tenants import services as tenants
from stanchion_server.tenants.models import Project
from stanchion_server.traces.models import GuardDecision
from stanchion_server.web.pages import hints

pytestmark = pytest.mark.django_db(transaction=True)
GUARD = Guard(named("default"))


class WithoutThread(Recorder):
    """Writes when it is told to, so that a test knows when."""

    def _start(self) -> None:
        pass


@pytest.fixture
def recorder() -> Recorder:
    return WithoutThread()


@pytest.fixture
def project() -> Project:
    return tenants.create_project(tenants.create_organisation("Acme"), "Shop")


def decision(project: Project, text: str = "good morning", **told: Any) -> Waiting:
    subject = Subject((Part("input", text),))
    judgement = Judgement("default", None, "live", GUARD.judge(subject))
    origin = Origin(uuid.uuid4().hex, "rest", uuid.uuid4())
    made = record(judgement, subject, origin, uuid.uuid4().int >> 65, clock.now_ns())
    if told:
        made = replace(made, decision=replace(made.decision, told=replace(made.decision.told, **told)))
    return Waiting(project.pk, 7, "shop/1", made)


@contextmanager
def database_away() -> Iterator[None]:
    """The server does not answer on its address."""
    settings = connection.settings_dict
    host = settings["HOST"]
    connection.close()
    settings["HOST"] = "/nonexistent"
    try:
        yield
    finally:
        settings["HOST"] = host
        connection.close()


def stored(project: Project) -> int:
    return GuardDecision.objects.filter(project_id=project.pk).count()


def ledger(project: Project) -> intake.Intake:
    return intake.intake(project.pk, clock.now() - timedelta(hours=1))


def test_while_the_database_is_away_decisions_wait_and_none_is_lost(recorder: Recorder, project: Project) -> None:
    recorder.add([decision(project)])
    with database_away():
        recorder.add([decision(project)])
        assert not recorder.flush()
    assert recorder.flush()
    found = ledger(project)
    assert (stored(project), found.sent, found.stored, found.rejected) == (2, 2, 2, 0)


def test_what_finds_no_room_is_counted_in_the_ledger_the_log_and_the_page(
    recorder: Recorder, project: Project, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(recording, "MAX_WAITING", 3)
    with database_away():
        recorder.add([decision(project) for _ in range(5)])
        assert not recorder.flush()
    assert "guard decisions are being lost (decision_dropped): 1 so far" in caplog.text
    assert recorder.flush()
    found = ledger(project)
    assert (stored(project), found.sent, found.stored, found.rejected) == (3, 5, 3, 2)
    assert found.reasons == (("decision_dropped", 2),)
    assert "too long" in found.refusals[0].detail
    assert "database was away" in hints.hint_for("decision_dropped")


def test_long_decisions_are_bounded_by_their_size(
    recorder: Recorder, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = decision(project, "mail a.b@example.org " * 50)
    monkeypatch.setattr(recording, "MAX_WAITING_BYTES", long.size_bytes + 1)
    recorder.add([long, replace(long, recorded=decision(project).recorded), decision(project)])
    assert recorder.flush()
    assert (stored(project), ledger(project).reasons) == (2, (("decision_dropped", 1),))
    recorder.add([decision(project)])
    assert recorder.flush()
    assert stored(project) == 3, "there is room again once it is written"


def test_a_project_that_lost_everything_is_told_too(
    recorder: Recorder, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another project's decisions had filled the room."""
    other = tenants.create_project(project.organisation, "Other")
    monkeypatch.setattr(recording, "MAX_WAITING", 1)
    recorder.add([decision(other), decision(project)])
    assert recorder.flush()
    assert (stored(project), ledger(project).reasons) == (0, (("decision_dropped", 1),))
    assert (stored(other), ledger(other).reasons) == (1, ())


@pytest.mark.parametrize("broken", [{"elapsed_us": 2**40}, {"check_id": "nul \0"}, {"action": "sideways"}])
def test_a_decision_that_the_database_refuses_is_counted_and_holds_up_no_other(
    recorder: Recorder, project: Project, broken: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    rows = [decision(project) for _ in range(5)]
    recorder.add([*rows[:2], decision(project, **broken), *rows[2:]])
    assert recorder.flush()
    found = ledger(project)
    assert (stored(project), found.sent, found.stored) == (5, 6, 5)
    assert found.reasons == (("decision_unwritable", 1),)
    assert "a guard decision was refused by the database" in caplog.text


def test_decisions_of_an_attempt_that_failed_further_on_are_stored_once(recorder: Recorder, project: Project) -> None:
    rows = [decision(project), decision(project)]
    recorder.add(rows[:1])
    assert recorder.flush()
    recorder.add(rows)
    assert recorder.flush()
    assert (stored(project), ledger(project).duplicate) == (2, 1)


def test_what_the_end_of_the_process_loses_stands_in_the_log(
    recorder: Recorder, project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    recorder.add([decision(project), decision(project)])
    with database_away(), caplog.at_level(logging.ERROR):
        recorder._finish()
    assert "2 guard decisions are lost with this process" in caplog.text
