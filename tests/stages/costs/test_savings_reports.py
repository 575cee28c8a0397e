"""The savings advisor over stored calls: what it reads, what it keeps, and one report for each project."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from celery.exceptions import SoftTimeLimitExceeded

from kit import drifting, traffic
from kit.calls import content_of
from kit.drifting import Traffic
from kit.stored import deliver
from stanchion_server.costs import savings
from stanchion_server.costs.caching import sweep
from stanchion_server.costs.models import SavingsReport
from stanchion_server.ingest import messages
from stanchion_server.kernel import clock
from stanchion_server.reports import savings as looking
from stanchion_server.routes.savings import look_for_savings, plan_savings
from stanchion_server.tenants import services as tenants
from stanchion_server.tenants.models import Project

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def project() -> Project:
    return tenants.create_project(tenants.create_organisation("Acme"), "Shop")


@pytest.fixture
def other() -> Project:
    return tenants.create_project(tenants.create_organisation("Elsewhere"), "Other")


@pytest.fixture(autouse=True)
def _noon(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(clock, "now", lambda: NOW)
    yield


def seed(project: Project, count: int = 60, like: Traffic | None = None) -> None:
    drifting.store(project.pk, drifting.calls(NOW - 2 * DAY, NOW, count, 1, like))


def test_a_report_tells_its_window_its_calls_and_what_each_finding_rests_on(project: Project, other: Project) -> None:
    seed(project)
    seed(other, 200)
    savings.request(project.pk, "ada")
    look_for_savings()
    report = SavingsReport.objects.get(project=project)
    assert (report.state, report.calls, report.known_calls, report.error) == ("done", 60, 60, "")
    assert (report.start, report.end, report.requested_by) == (NOW - 30 * DAY, NOW, "ada")
    assert 1.5 < report.body["days"] <= 2
    assert report.body["cache"]["questions"] == 60
    assert {"cheaper_model"} <= {one["kind"] for one in report.body["findings"]}
    for one in report.body["findings"]:
        assert one["assumptions"] and one["confidence"] in ("medium", "low") and one["how"]
        assert abs(Decimal(one["usd_per_month"]) - Decimal(one["usd"]) * Decimal(30 / report.body["days"])) < Decimal(
            "0.00001"
        )
    assert not SavingsReport.objects.filter(project=other).exists()


def test_a_project_without_calls_gets_an_empty_report_and_not_a_fault(project: Project) -> None:
    savings.request(project.pk, "ada")
    look_for_savings()
    report = SavingsReport.objects.get(project=project)
    assert (report.state, report.calls, report.body) == ("done", 0, {})
    look_for_savings()


def test_asking_again_replaces_the_report_and_keeps_the_last_until_then(project: Project) -> None:
    seed(project)
    savings.request(project.pk, "ada")
    assert savings.request(project.pk, "ann").requested_by == "ada"
    look_for_savings()
    before = SavingsReport.objects.get(project=project).body
    again = savings.request(project.pk, "ann")
    assert (again.state, again.requested_by, again.body) == ("queued", "ann", before)
    look_for_savings()
    assert SavingsReport.objects.filter(project=project).count() == 1


def test_each_night_every_project_is_looked_at_once(project: Project, other: Project) -> None:
    savings.plan(NOW)
    assert not SavingsReport.objects.exists(), "none was there last night"
    Project.objects.update(created_at=NOW - DAY)
    savings.plan(NOW)
    savings.plan(NOW)
    assert SavingsReport.objects.filter(state="queued").count() == 2
    while (row := savings.claim()) is not None:
        savings.save(row, looking.look(row.project_id, NOW))
    savings.plan(NOW + timedelta(hours=1))
    assert not SavingsReport.objects.filter(state="queued").exists()
    savings.plan(NOW + DAY)
    assert SavingsReport.objects.filter(state="queued").count() == 2


def test_the_first_look_starts_by_itself_once_there_is_a_day_of_calls(project: Project, other: Project) -> None:
    drifting.store(other.pk, drifting.calls(NOW - DAY / 2, NOW, 20, 1))
    seed(project)
    plan_savings()
    assert not SavingsReport.objects.exists(), "calls are summed first"
    traffic.settle_all(NOW)
    plan_savings()
    plan_savings()
    (report,) = SavingsReport.objects.all()
    assert (report.project_id, report.state, report.requested_by) == (project.pk, "queued", "")


def test_a_first_look_at_nothing_is_made_again_once_there_is_a_day_of_calls(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    savings.request(project.pk, "ada")
    look_for_savings()
    plan_savings()
    assert SavingsReport.objects.get().state == "done"
    seed(project)
    traffic.settle_all(NOW)
    monkeypatch.setattr(clock, "now", lambda: NOW + timedelta(hours=2))
    plan_savings()
    look_for_savings()
    plan_savings()
    report = SavingsReport.objects.get()
    assert (report.state, report.calls) == ("done", 60)


def test_a_worker_that_lost_its_lease_writes_nothing_and_three_deaths_put_a_report_aside(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    savings.request(project.pk, "ada")
    late = savings.claim()
    assert late is not None and savings.claim() is None
    for number in (1, 2):
        monkeypatch.setattr(clock, "now", lambda number=number: NOW + number * timedelta(hours=1))
        assert savings.claim() is not None
    assert not savings.save(late, savings.Made(NOW, NOW, 1, 1, {}))
    monkeypatch.setattr(clock, "now", lambda: NOW + timedelta(hours=3))
    assert savings.claim() is None
    report = SavingsReport.objects.get(project=project)
    assert (report.state, report.calls) == ("quarantined", 0) and "3 workers died" in report.error
    assert savings.request(project.pk, "ada").state == "queued"


def test_a_look_ends_before_its_lease_does() -> None:
    limits = (look_for_savings.soft_time_limit, look_for_savings.time_limit)
    assert 0 < limits[0] < limits[1] < savings.LEASE.total_seconds()


def raised(error: Exception) -> Callable[..., savings.Made]:
    def look(*_given: object) -> savings.Made:
        raise error

    return look


def test_a_look_that_takes_too_long_says_so_and_is_put_aside_after_three(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    savings.request(project.pk, "ada")
    monkeypatch.setattr(looking, "look", raised(SoftTimeLimitExceeded()))
    for state in ("queued", "queued", "quarantined"):
        look_for_savings()
        report = SavingsReport.objects.get(project=project)
        assert (report.state, report.error) == (state, "looking at the calls took longer than 12 minutes")


def test_a_report_that_came_after_its_lease_is_dropped_and_told_in_the_log(
    project: Project, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def late(project_id: int, now: datetime) -> savings.Made:
        monkeypatch.setattr(clock, "now", lambda: NOW + timedelta(hours=1))
        assert savings.claim() is not None
        return savings.Made(now, now, 7, 7, {})

    savings.request(project.pk, "ada")
    monkeypatch.setattr(looking, "look", late)
    look_for_savings()
    report = SavingsReport.objects.get(project=project)
    assert (report.state, report.attempts, report.calls) == ("running", 2, 0)
    assert f"savings of project {project.pk} took longer than the lease" in caplog.text


def test_failed_calls_are_found_with_the_calls_behind_them(project: Project) -> None:
    seed(project, 80, Traffic(error_ratio=0.6, feature="search"))
    made = looking.look(project.pk, NOW)
    (failed,) = [one for one in made.body["findings"] if one["kind"] == "failures"]
    assert failed["where"] == {"feature": "search", "status": "error"} and failed["calls"] >= 20


def ask(project: Project, *asked: tuple[str, str], minutes: int = 5, prompt: str = "answer", **values: Any) -> None:
    """Calls so many minutes apart, as (instructions, question); their answers tell nothing."""
    found = []
    for place, record in enumerate(drifting.calls(NOW - DAY, NOW, len(asked), 3, Traffic(error_ratio=0))):
        at = NOW - DAY + place * timedelta(minutes=minutes)
        begun_ns = (at - drifting.EPOCH) // timedelta(microseconds=1) * 1000
        named = {"prompt_name": prompt, "prompt_version": "3" if prompt else "", "start_time": at, "start_ns": begun_ns}
        found.append(replace(record, **{**named, **values}))
    contents = [
        content_of(record, body=messages.pack({
            "system": [messages.text_part(system)] if system else [],
            "input": [messages.message("user", [messages.text_part(said)])],
        }).body)
        for record, (system, said) in zip(found, asked, strict=True)
    ]  # fmt: skip
    deliver(project.pk, *found, contents=tuple(contents))


def caches_of(project: Project) -> tuple[dict[str, Any], dict[str, Any]]:
    """As replayed with likeness, and with equality alone."""
    like, equal, *_rest = looking.look(project.pk, NOW).body["cache"]["settings"]
    return like, equal


def test_repeated_questions_are_served_and_only_like_ones_are_pairs_to_read(project: Project) -> None:
    ask(
        project,
        *[("Be brief.", "Where is my order of last Monday?")] * 4,
        ("Be brief.", "Where is my order of last Mondays?"),
    )
    like, equal = caches_of(project)
    assert (equal["hits"], equal["equal_hits"]) == (3, 3)
    assert (like["hits"], like["equal_hits"]) == (4, 3)
    (pair,) = looking.look(project.pk, NOW).body["cache"]["pairs"]
    assert (
        all(len(pair[side]["trace_id"]) == 32 for side in ("asked", "answered")) and pair["asked"] != pair["answered"]
    )
    # Cosines and thresholds are compared in float32, in which 0.9 is a little less.
    assert float(np.float32(0.9)) <= pair["similarity"] < 0.9999


def test_questions_that_differ_only_far_on_are_served_to_nobody(project: Project) -> None:
    long = "the contract says " * 200
    ask(project, ("", f"{long} what is paid in May?"), ("", f"{long} what is paid in June?"))
    assert [one["hits"] for one in caches_of(project)] == [0, 0]


def test_one_prompt_filled_in_differently_is_served_to_nobody(project: Project) -> None:
    ask(project, ("The customer is Ann.", "what do I owe?"), ("The customer is Bob.", "what do I owe?"))
    assert [one["hits"] for one in caches_of(project)] == [0, 0]


def test_upkeep_is_that_of_whole_questions(project: Project) -> None:
    ask(project, ("", "a " * 20_000), ("", "b " * 20_000))
    like, _equal = caches_of(project)
    assert Decimal(like["upkeep_usd"]) == 2 * sweep.LOOKUP_USD + 20_000 * sweep.EMBEDDING_USD_PER_MTOK / 1_000_000


def talk(project: Project, session: str, turns: int) -> None:
    """A conversation whose calls send all that was said before."""
    like = Traffic(models=("gpt-4o",), error_ratio=0)
    told: list[messages.Message] = []
    for turn, record in enumerate(drifting.calls(NOW - DAY, NOW, turns, 7, like)):
        at = NOW - DAY + turn * timedelta(minutes=1)
        told = [*told, messages.message("user", [messages.text_part(f"question {turn} of {session}")])]
        answer = messages.message("assistant", [messages.text_part(f"answer {turn} to {session}")])
        call = replace(record, session_id=session, start_time=at)
        body = messages.pack({"input": told, "output": [answer]}).body
        deliver(project.pk, call, contents=(content_of(call, body=body),))
        told = [*told, answer]


def test_history_is_found_where_stored_inputs_hold_it_and_not_by_sessions_alone(
    project: Project, other: Project
) -> None:
    for number in range(5):
        talk(project, f"s{number}", 6)
    (found,) = [one for one in looking.look(project.pk, NOW).body["findings"] if one["kind"] == "history"]
    assert (found["calls"], found["confidence"], found["where"]) == (15, "low", {"feature": "support"})
    strangers = drifting.calls(NOW - DAY, NOW, 60, 5, Traffic(error_ratio=0))
    drifting.store(other.pk, [replace(one, session_id=f"s{place % 5}") for place, one in enumerate(strangers)])
    assert "history" not in {one["kind"] for one in looking.look(other.pk, NOW).body["findings"]}
