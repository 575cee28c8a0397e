"""Plan, compare, report: each step once, however many schedulers and workers there are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from kit import drifting
from kit.drifting import Traffic
from stanchion_server.drift import runs, services
from stanchion_server.drift.models import DriftMonitor, DriftResult, DriftRun
from stanchion_server.kernel import clock
from stanchion_server.routes import drift
from stanchion_server.tenants import services as tenants
from stanchion_server.tenants.models import Project

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime(2026, 11, 24, 0, 15, tzinfo=UTC)
AT = datetime(2026, 11, 24, tzinfo=UTC)
DAY = timedelta(days=1)


def later(monkeypatch: pytest.MonkeyPatch, minutes: int) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW + timedelta(minutes=minutes))


@pytest.fixture
def project(monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    later(monkeypatch, 0)
    yield tenants.create_project(tenants.create_organisation("Acme"), "Shop")


def at_once(count: int, work: Callable[[], Any]) -> list[Any]:
    def alone() -> Any:
        try:
            return work()
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        return [future.result() for future in [pool.submit(alone) for _number in range(count)]]


def test_a_new_project_is_watched_without_anybody_doing_anything(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    drifting.store(project.pk, drifting.calls(AT - 8 * DAY, AT - DAY, 300, 1))
    drifting.store(project.pk, drifting.calls(AT - DAY, AT, 100, 2, Traffic(latency_ratio=3)))
    drift.plan_drift()
    later(monkeypatch, 10)
    drift.plan_drift()
    drift.run_drift()
    drift.make_drift_report()
    run = DriftRun.objects.get(project=project)
    assert (run.monitor.name, run.state, run.verdict) == ("all-calls", "done", "drift")
    assert run.results.get(column="latency_ms").verdict == "drift"
    assert run.report.state == "unavailable"


def test_two_schedulers_make_one_monitor_and_one_run(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once(4, drift.plan_drift)
    later(monkeypatch, 10)
    at_once(4, drift.plan_drift)
    assert DriftMonitor.objects.filter(project=project).count() == 1
    assert DriftRun.objects.filter(project=project).count() == 1


def test_many_workers_share_the_runs_and_write_each_once(project: Project) -> None:
    drifting.store(project.pk, drifting.calls(AT - 4 * DAY, AT, 300, 1))
    for number in range(5):
        wanted = services.Wanted(f"m{number}", reference_hours=72, columns=("latency_ms", "model"))
        services.create(project, wanted, "ada")
    runs.plan(NOW + timedelta(minutes=10))
    done = at_once(4, lambda: sum(1 for _step in iter(runs.step, False)))
    assert sum(done) == 5
    assert set(DriftRun.objects.values_list("state", "attempts")) == {("done", 1)}
    assert DriftResult.objects.count() == 10
