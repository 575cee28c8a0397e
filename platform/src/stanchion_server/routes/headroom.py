"""Rate limits: the peaks of minutes whose calls changed are counted again, and new limits counted back.

What is due is found in the database; a lost tick loses nothing.
"""

from __future__ import annotations

from celery import shared_task

from stanchion_server.costs import peaks
from stanchion_server.kernel import clock, turns

BUDGET_S = 4.0


@shared_task
@turns.at_most(1)
def count_peaks() -> None:
    """Every ten seconds, for at most four; what is left waits for the next tick."""
    deadline_s = clock.monotonic_s() + BUDGET_S
    for _project in peaks.work(clock.now()):
        if clock.monotonic_s() > deadline_s:
            return


@shared_task
def expire_peaks() -> None:
    """Every hour: the end of what no trend looks back to."""
    peaks.expire(clock.now())
