"""Savings: plan -> look -> keep. What is to do is in the table; lost wake-ups lose nothing."""

from __future__ import annotations

from celery import shared_task

from stanchion_server.costs import savings
from stanchion_server.kernel import clock
from stanchion_server.kernel.errors import SenderError
from stanchion_server.reports import savings as looking


@shared_task
def plan_savings() -> None:
    """Every hour: a report for each project that has none since last night."""
    savings.plan(clock.now())


@shared_task
def look_for_savings() -> None:
    """Every few seconds: one report. A fault of ours puts it aside after three attempts, and is raised again."""
    row = savings.claim()
    if row is None:
        return
    try:
        savings.save(row, looking.look(row.project_id, row.requested_at))
    except SenderError as error:
        savings.fail(row, error.message)
    except Exception as error:
        savings.fail(row, f"{type(error).__name__}; see the server's log")
        raise
