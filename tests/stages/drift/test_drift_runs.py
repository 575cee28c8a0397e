"""Monitors and their runs against the real database: planned once, counted once, honest about too little data."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import zstandard
from django.db import connection

from kit import drifting
from kit.drifting import Traffic
from stanchion_server.drift import reports, runs, services
from stanchion_server.drift.models import DriftMonitor, DriftReport, DriftResult, DriftRun
from stanchion_server.kernel import clock
from stanchion_server.kernel.errors import SenderError
from stanchion_server.tenants import services as tenants
from stanchion_server.tenants.models import Project

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 24, 0, 10, tzinfo=UTC)
AT = datetime(2026, 11, 24, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def project() -> Project:
    return tenants.create_project(tenants.create_organisation("Acme"), "Shop")


@pytest.fixture(autouse=True)
def _noon(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(clock, "now", lambda: NOW)
    yield


def monitor_of(project: Project, **values: object) -> DriftMonitor:
    wanted = services.Wanted(**{"name": "daily", "reference_hours": 72, "every_hours": 24, **values})  # type: ignore[arg-type]
    return services.create(project, wanted, "ada")


def seed(project: Project, like: Traffic | None = None, before: int = 600, now: int = 200) -> None:
    drifting.store(project.pk, drifting.calls(AT - 4 * DAY, AT - DAY, before, 1))
    drifting.store(project.pk, drifting.calls(AT - DAY, AT, now, 2, like))


def finished(project: Project) -> DriftRun:
    planned()
    while runs.step():
        pass
    return DriftRun.objects.get(project=project)


def planned() -> None:
    """As if every monitor had been there for a day."""
    DriftMonitor.objects.update(created_at=NOW - DAY)
    runs.plan(NOW)


def verdicts(run: DriftRun) -> dict[str, str]:
    return dict(run.results.values_list("column", "verdict"))


def test_calls_of_one_kind_do_not_drift(project: Project) -> None:
    monitor_of(project)
    seed(project)
    run = finished(project)
    assert (run.state, run.verdict, run.calls_reference, run.calls_current) == ("done", "no_drift", 600, 200)
    assert {"prompt", "language", "topic", "latency_ms", "calls_per_user", "new_users", "hour"} <= set(verdicts(run))


@pytest.mark.parametrize(
    ("like", "column"),
    [
        (Traffic(topics=(*drifting.POEMS, *drifting.PARCELS)), "prompt"),
        (Traffic(topics=(*drifting.GERMAN, *drifting.PARCELS)), "language"),
        (Traffic(latency_ratio=1.8), "latency_ms"),
        (Traffic(token_ratio=1.5), "input_tokens"),
        (Traffic(models=("gpt-4o",)), "model"),
        (Traffic(error_ratio=0.3), "outcome"),
        (Traffic(users=tuple(f"new{number}" for number in range(400))), "new_users"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_shift_is_found_in_its_column(project: Project, like: Traffic, column: str) -> None:
    monitor_of(project)
    seed(project, like)
    run = finished(project)
    assert verdicts(run)[column] == "drift"
    assert run.verdict == "drift" and run.drifted >= 1


def test_a_finding_names_the_calls_that_carry_it(project: Project) -> None:
    monitor_of(project)
    drifting.store(project.pk, drifting.calls(AT - 4 * DAY, AT - DAY, 300, 1))
    drifting.store(project.pk, drifting.calls(AT - 4 * DAY, AT - DAY, 150, 5, Traffic(feature="search")))
    drifting.store(project.pk, drifting.calls(AT - DAY, AT, 200, 2))
    slow = drifting.calls(AT - DAY, AT, 100, 3, Traffic(feature="search", latency_ratio=4))
    drifting.store(project.pk, slow)
    found = DriftResult.objects.get(run=finished(project), column="latency_ms")
    assert found.verdict == "drift"
    assert (found.segments[0]["dimension"], found.segments[0]["value"]) == ("feature", "search")
    assert found.segments[0]["contribution_ratio"] > 0.5
    ids = {record.trace_id.hex for record in slow}
    assert found.examples and all(example["trace_id"] in ids for example in found.examples)


def test_few_calls_are_not_enough_data_and_never_no_drift(project: Project) -> None:
    monitor_of(project)
    seed(project, now=20)
    run = finished(project)
    assert run.verdict == "not_enough_data"
    assert set(verdicts(run).values()) == {"not_enough_data"}


def test_a_project_without_calls_is_not_enough_data(project: Project) -> None:
    monitor_of(project)
    run = finished(project)
    assert (run.verdict, run.results.count()) == ("not_enough_data", 0)


def test_scores_that_fall_are_drift_of_the_model(project: Project) -> None:
    monitor_of(project)
    draw = random.Random(1)
    for window, count, mean in ((AT - 4 * DAY, 200, 0.2), (AT - DAY, 150, 0.4)):
        end = AT - DAY if mean == 0.2 else AT
        records = drifting.calls(window, end, count, count)
        drifting.store(project.pk, records)
        drifting.score(project.pk, records, [min(1, max(0, draw.gauss(mean, 0.1))) for _ in records])
    assert verdicts(finished(project))["score:toxicity"] == "drift"


def test_scores_of_another_version_of_the_scorer_are_not_compared(project: Project) -> None:
    monitor_of(project)
    for start, end, version in ((AT - 4 * DAY, AT - DAY, "1"), (AT - DAY, AT, "2")):
        records = drifting.calls(start, end, 150, int(version))
        drifting.store(project.pk, records)
        drifting.score(project.pk, records, [int(version) / 3] * 150, version=version)
    assert verdicts(finished(project))["score:toxicity"] == "not_enough_data"


def test_a_run_is_planned_once_however_often_it_is_planned(project: Project) -> None:
    monitor_of(project)
    planned()
    for minutes in (0, 1, 60, 300):
        runs.plan(NOW + timedelta(minutes=minutes))
    assert DriftRun.objects.filter(project=project).count() == 1
    runs.plan(NOW + DAY)
    assert DriftRun.objects.filter(project=project).count() == 2


def test_a_paused_or_archived_monitor_is_not_planned(project: Project) -> None:
    services.change(project.pk, monitor_of(project).pk, {"is_paused": True}, "ada")
    services.archive(project.pk, monitor_of(project, name="old").pk, "ada")
    planned()
    assert not DriftRun.objects.filter(project=project).exists()


def test_a_new_monitor_waits_ten_minutes_for_what_is_just_arriving(project: Project) -> None:
    monitor_of(project)
    runs.plan(NOW + timedelta(minutes=9))
    assert not DriftRun.objects.filter(project=project).exists()
    runs.plan(NOW + timedelta(minutes=10))
    assert DriftRun.objects.filter(project=project).count() == 1


def test_a_run_that_fails_three_times_is_put_aside_with_its_reason_and_can_start_again(project: Project) -> None:
    monitor_of(project)
    seed(project)
    planned()
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE kept AS SELECT * FROM contents")
        cursor.execute("UPDATE contents SET body = 'no such body'")
    for _attempt in range(3):
        with pytest.raises(ValueError, match="not a stored content"):
            runs.step()
    assert not runs.step()
    run = DriftRun.objects.get(project=project)
    assert (run.state, run.attempts) == ("quarantined", 3) and "ValueError" in run.error
    with connection.cursor() as cursor:
        cursor.execute("UPDATE contents c SET body = k.body FROM kept k WHERE k.span_id = c.span_id")
        cursor.execute("DROP TABLE kept")
    assert services.retry(project.pk, run.pk) and not services.retry(project.pk + 1, run.pk)
    assert finished(project).state == "done"


def test_a_run_whose_workers_die_is_put_aside_after_the_third(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monitor_of(project)
    planned()
    for attempt in range(3):
        monkeypatch.setattr(clock, "now", lambda attempt=attempt: NOW + attempt * timedelta(minutes=11))
        assert runs._claim() is not None
    monkeypatch.setattr(clock, "now", lambda: NOW + timedelta(minutes=33))
    assert runs._claim() is None
    assert DriftRun.objects.get(project=project).error == "3 workers died at it"


def test_a_worker_that_lost_its_lease_writes_nothing(project: Project) -> None:
    monitor_of(project)
    seed(project)
    planned()
    run = runs._claim()
    assert run is not None
    compared = runs.compare(run.monitor, run.scheduled_for)
    DriftRun.objects.filter(pk=run.pk).update(leased_until=NOW + timedelta(hours=1))
    runs._save(run, compared)
    assert not DriftResult.objects.filter(run=run).exists()


def test_two_workers_do_not_get_the_same_run(project: Project) -> None:
    monitor_of(project)
    planned()
    assert runs._claim() is not None
    assert runs._claim() is None


def test_a_frozen_reference_outlives_its_calls_and_keeps_no_text(project: Project) -> None:
    seed(project, Traffic(topics=(*drifting.POEMS, *drifting.PARCELS)))
    monitor = monitor_of(
        project,
        reference="frozen",
        reference_start=AT - 4 * DAY,
        reference_end=AT - DAY,
        columns=("prompt", "latency_ms"),
    )
    kept = zstandard.decompress(bytes(monitor.frozen or b""))
    assert b"courier" not in kept and b"parcel" not in kept
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM llm_calls WHERE start_time < %s", [AT - DAY])
    run = finished(project)
    assert verdicts(run) == {"prompt": "drift", "latency_ms": "no_drift"}
    told = DriftResult.objects.get(run=run, column="prompt").words
    assert "poem" in told["more"] or "story" in told["more"] or "song" in told["more"]
    assert run.sampled_reference == 600


def test_a_monitor_of_a_feature_sees_its_calls_alone(project: Project) -> None:
    monitor_of(project, feature="support")
    seed(project)
    drifting.store(project.pk, drifting.calls(AT - DAY, AT, 200, 9, Traffic(feature="search", latency_ratio=9)))
    run = finished(project)
    assert (run.verdict, run.calls_current) == ("no_drift", 200)


def test_no_project_sees_anothers_calls(project: Project) -> None:
    other = tenants.create_project(tenants.create_organisation("Else"), "Other")
    monitor_of(project)
    seed(project)
    drifting.store(other.pk, drifting.calls(AT - DAY, AT, 200, 9, Traffic(latency_ratio=9)))
    assert finished(project).verdict == "no_drift"


def test_many_calls_are_sampled_the_same_way_each_time(project: Project) -> None:
    from stanchion_server.drift import sampling
    from stanchion_server.drift.records import Window

    seed(project)
    sides = [sampling.read(project.pk, Window(AT - 4 * DAY, AT), "", most=100) for _ in range(2)]
    assert sides[0].keys == sides[1].keys and sides[0].counted == 800
    assert 60 < len(sides[0].keys) < 140


def test_every_project_gets_one_monitor_and_an_archived_one_does_not_come_back(project: Project) -> None:
    services.ensure_defaults()
    services.ensure_defaults()
    monitor = DriftMonitor.objects.get(project=project)
    assert (monitor.feature, monitor.current_hours, monitor.reference_hours) == ("", 24, 168)
    services.archive(project.pk, monitor.pk, "ada")
    services.ensure_defaults()
    assert DriftMonitor.objects.filter(project=project).count() == 1


def test_words_go_with_the_contents_they_came_from_and_runs_after_half_a_year(project: Project) -> None:
    monitor_of(project, columns=("prompt",))
    seed(project, Traffic(topics=drifting.POEMS))
    run = finished(project)
    runs.expire(NOW + timedelta(days=29))
    assert run.results.get().words["more"]
    runs.expire(NOW + timedelta(days=31))
    assert (run.results.get().words, run.results.get().verdict) == ({}, "drift")
    runs.expire(NOW + timedelta(days=181))
    assert not DriftRun.objects.filter(project=project).exists()


def test_without_evidently_the_run_says_how_to_get_the_report(project: Project) -> None:
    monitor_of(project)
    seed(project)
    report = DriftReport.objects.get(run=finished(project))
    assert (report.state, report.reason) == ("unavailable", "not available: pip install 'stanchion[drift]'")


def test_a_report_that_fails_says_so_and_can_be_made_again(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package is said to be there, and is not: the process that imports it ends."""
    monkeypatch.setattr(reports, "PACKAGE", "django")
    monitor_of(project)
    seed(project)
    run = finished(project)
    assert reports.step() and not reports.step()
    report = DriftReport.objects.get(run=run)
    assert report.state == "failed" and "No module named" in report.reason
    assert run.verdict == "no_drift"
    assert services.retry_report(project.pk, run.pk) and not services.retry_report(project.pk + 1, run.pk)
    assert DriftReport.objects.get(run=run).state == "waiting"


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"name": "../x"}, "letters, digits"),
        ({"alpha": 0.5}, "not 0.5"),
        ({"alpha": 0.001}, "not 0.001"),
        ({"current_hours": 0}, "current_hours"),
        ({"columns": ("nonsense",)}, "nonsense"),
        ({"reference": "fixed"}, "reference_start"),
        ({"reference": "fixed", "reference_start": AT, "reference_end": AT - DAY}, "ends after"),
        ({"reference": "frozen", "reference_start": AT - DAY, "reference_end": AT}, "0 calls"),
        ({"reference": "sideways"}, "trailing"),
    ],
)
def test_a_monitor_that_cannot_be_says_what_to_change(project: Project, values: dict[str, object], says: str) -> None:
    with pytest.raises(SenderError, match=says):
        monitor_of(project, **values)


def test_a_name_is_taken_once(project: Project) -> None:
    first = monitor_of(project)
    services.archive(project.pk, first.pk, "ada")
    with pytest.raises(SenderError, match="Choose another"):
        monitor_of(project)


def test_only_what_may_change_changes(project: Project) -> None:
    monitor = monitor_of(project)
    assert services.change(project.pk, monitor.pk, {"alpha": 0.1}, "bob").changed_by == "bob"
    with pytest.raises(SenderError, match="cannot be changed"):
        services.change(project.pk, monitor.pk, {"name": "x"}, "bob")
    with pytest.raises(SenderError, match=r"not 0\.9"):
        services.change(project.pk, monitor.pk, {"alpha": 0.9}, "bob")
    with pytest.raises(SenderError, match="no drift monitor"):
        services.change(project.pk + 1, monitor.pk, {"alpha": 0.1}, "bob")
