"""Scores of recorded calls: from the jobs that the door wrote to scores, their sums, and their end.

due -> claim -> gather -> score -> store, project by project in turn, so that none waits for another's backlog. A tick
that is lost loses nothing: the next one finds the same jobs.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from celery import shared_task

from stanchion_server.kernel import clock, turns
from stanchion_server.kernel.db import AWAY
from stanchion_server.quality import jobs, retention, rollups, sampling, scoring
from stanchion_server.quality.jobs import Due
from stanchion_server.quality.panels import panels
from stanchion_server.quality.records import Lane

BUDGET_S = {"fast": 4.0, "slow": 10.0}
TIME_LIMIT_S = {"fast": 120, "slow": 900}

log = logging.getLogger(__name__)
_last_served: dict[Lane, int] = {}


@shared_task(time_limit=TIME_LIMIT_S["fast"])
@turns.at_most(1)
def score_fast() -> None:
    """Every second: what light scorers have to do."""
    work("fast")


@shared_task(time_limit=TIME_LIMIT_S["slow"])
@turns.at_most(1)
def score_slow() -> None:
    """Every two seconds: embeddings, judges and other heavy scorers."""
    work("slow")


def work(lane: Lane) -> None:
    """Takes a slice of each project in turn until nothing is due or the time is over."""
    deadline_s = clock.monotonic_s() + BUDGET_S[lane]
    while clock.monotonic_s() < deadline_s and _round(lane, deadline_s):
        pass


def _round(lane: Lane, deadline_s: float) -> int:
    """One slice for each project with work, as far as the time goes; returns how many jobs were taken."""
    now = clock.now()
    taken = 0
    for due in _in_turn(lane, jobs.due(lane, now)):
        _last_served[lane] = due.project_id
        taken += _slice(lane, due)
        if clock.monotonic_s() >= deadline_s:
            break
    return taken


def _in_turn(lane: Lane, found: Sequence[Due]) -> list[Due]:
    """Beginning after the project that was served last."""
    last = _last_served.get(lane, 0)
    return [due for due in found if due.project_id > last] + [due for due in found if due.project_id <= last]


def _slice(lane: Lane, due: Due) -> int:
    # One project's fault must not stop the others: its jobs keep their attempts and come again.
    now = clock.now()
    try:
        return scoring.step(panels.of, lane, due.project_id, sampling.shed_of(now - due.since), now)
    except AWAY:
        raise
    except Exception:
        log.exception("scoring calls of project %s failed", due.project_id)
        return 0


@shared_task
@turns.at_most(1)
def sum_scores() -> None:
    """Every five seconds, for at most one: sums of the minutes whose scores changed, later those of their hours."""
    deadline_s = clock.monotonic_s() + 1
    while rollups.run(clock.now()) and clock.monotonic_s() < deadline_s:
        pass


@shared_task
def expire_scores() -> None:
    """Every hour: the end of what is past its retention."""
    retention.run(clock.now())
