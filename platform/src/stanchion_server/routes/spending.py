"""Budgets: hours of attributes are remembered, and what is spent is stopped where its budget says so.

What is due is found in the database; a lost tick loses nothing.
"""

from __future__ import annotations

from celery import shared_task

from stanchion_server.costs import remembering, stops
from stanchion_server.kernel import clock, turns

BUDGET_S = 5.0


@shared_task
@turns.at_most(1)
def remember() -> None:
    """Every half minute, for at most five seconds."""
    deadline_s = clock.monotonic_s() + BUDGET_S
    for _number in remembering.work(clock.now()):
        if clock.monotonic_s() > deadline_s:
            return


@shared_task
@turns.at_most(1)
def stop_spent() -> None:
    """Every ten seconds."""
    stops.look(clock.now())


@shared_task
def expire_spending() -> None:
    """Every hour: the end of old hours."""
    remembering.expire(clock.now())
