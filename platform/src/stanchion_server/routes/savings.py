"""Savings: plan -> look -> keep. What is to do is in the table; lost wake-ups lose nothing."""

from __future__ import annotations

import logging

from celery import shared_task
from celery.exceptions import SoftTimeLimitExceeded

from stanchion_server.costs import savings
from stanchion_server.kernel import clock, turns
from stanchion_server.kernel.errors import SenderError
from stanchion_server.reports import savings as looking
from stanchion_server.reports import savings_read

SOFT_LIMIT_S, TIME_LIMIT_S = 720, 780
"""Below the lease, so that no report is made twice at a time; the soft one leaves time to write why. A pool of threads
heeds neither: there a worker that is late finds its lease gone."""

log = logging.getLogger(__name__)


@shared_task
def plan_savings() -> None:
    """Every few minutes: a report for each project that has none since last night, and a first one as soon as there are
    calls enough."""
    now = clock.now()
    savings.plan(now)
    savings.plan_first(now, savings_read.with_enough(savings.waiting(now), now))


@shared_task(time_limit=TIME_LIMIT_S, soft_time_limit=SOFT_LIMIT_S)
@turns.at_most(1)
def look_for_savings() -> None:
    """Every few seconds: one report. A fault of ours puts it aside after three attempts, and is raised again."""
    row = savings.claim()
    if row is None:
        return
    try:
        if not savings.save(row, looking.look(row.project_id, row.requested_at)):
            log.warning("savings of project %s took longer than the lease; what was found is dropped", row.project_id)
    except SenderError as error:
        savings.fail(row, error.message)
    except SoftTimeLimitExceeded:
        log.warning("savings of project %s took longer than %s s", row.project_id, SOFT_LIMIT_S)
        savings.fail(row, f"looking at the calls took longer than {SOFT_LIMIT_S // 60} minutes")
    except Exception as error:
        savings.fail(row, f"{type(error).__name__}; see the server's log")
        raise
