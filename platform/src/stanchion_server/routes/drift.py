"""Drift: plan -> compare -> report -> expire. Each step finds its work in the database; lost wake-ups lose nothing."""

from __future__ import annotations

from celery import shared_task

from stanchion_server.drift import reports, runs, services
from stanchion_server.kernel import clock, turns

BUDGET_S = 20.0


@shared_task
def plan_drift() -> None:
    """Every minute: a run for each monitor that is due, and a first monitor for each new project."""
    services.ensure_defaults()
    runs.plan(clock.now())


@shared_task
@turns.at_most(1)
def run_drift() -> None:
    """Every few seconds: comparisons until the budget is used up; what is left waits for the next tick."""
    deadline_s = clock.monotonic_s() + BUDGET_S
    while clock.monotonic_s() < deadline_s and runs.step():
        pass


@shared_task
@turns.at_most(1)
def make_drift_report() -> None:
    """Every few seconds: one page of Evidently's, in a process of its own."""
    reports.step()


@shared_task
def expire_drift() -> None:
    """Every hour: the end of old runs, and of words whose contents are gone."""
    runs.expire(clock.now())
