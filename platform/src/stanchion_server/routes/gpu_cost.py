"""GPU sample to cost: points -> closed windows -> hours split among those who used them.

Points lie in `metric_points` and mark their slots; slots mark their hours; settled calls mark theirs, too. Each step
takes its marks and writes its rows in one transaction, so a lost wake-up or a killed worker loses nothing.
"""

from __future__ import annotations

from celery import shared_task
from django.db import transaction

from stanchion_server.costs import hours
from stanchion_server.gpu import summing
from stanchion_server.kernel import clock, db, turns

BUDGET_S = 5.0


@shared_task
@turns.at_most(1)
def sum_windows() -> None:
    """Every few seconds, for at most five: sums of slots that have closed, or got late points."""
    deadline_s = clock.monotonic_s() + BUDGET_S
    while clock.monotonic_s() < deadline_s and sum_some():
        pass


def sum_some() -> bool:
    """The due slots of one hour; False when nothing is due."""
    with transaction.atomic():
        done = summing.step(clock.now())
        if done is not None:
            with db.raw_cursor() as cursor:
                hours.mark(cursor, done.project_id, done.slots)
    return done is not None


@shared_task
@turns.at_most(1)
def allocate() -> None:
    """Every few seconds, for at most five: closed hours are split, newest first, and those with late data again."""
    hours.plan(clock.now())
    deadline_s = clock.monotonic_s() + BUDGET_S
    while clock.monotonic_s() < deadline_s and hours.step(clock.now()) is not None:
        pass


@shared_task
def expire_windows() -> None:
    """Every hour: the end of old sums and splits."""
    summing.expire(clock.now())
    hours.expire(clock.now())
