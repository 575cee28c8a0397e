"""Alerts: rules -> readings -> incidents -> outbox. Each tick finds what is due in the database; a lost one loses
nothing.

Sending is another flow's: it finds its work in the outbox.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType

from celery import shared_task

from stanchion_server.alerts import judging, rounds, services, sources
from stanchion_server.alerts.sources import gaps
from stanchion_server.alerts.sources.asking import Reader
from stanchion_server.kernel import clock, turns
from stanchion_server.kernel.db import AWAY
from stanchion_server.reports import guardrails

EVERY = timedelta(seconds=10)
READERS: Mapping[str, Reader] = MappingProxyType({**sources.READERS, "guard_gaps": gaps.reader(guardrails.open_gaps)})

log = logging.getLogger(__name__)


@shared_task(time_limit=300)
@turns.at_most(1)
def judge() -> None:
    """Every ten seconds, once whoever asks: new projects get the starter pack, then every project is judged."""
    services.ensure_defaults()
    now = clock.now()
    if (opened := rounds.begin(now, EVERY)) is not None:
        rounds.finish(opened, work(now))


def work(now: datetime) -> judging.Tick:
    """All projects with something to judge or to tell, each in a transaction of its own."""
    total = judging.Tick()
    for project_id in rounds.projects():
        total = rounds.added(total, _project(project_id, now))
    return total


def _project(project_id: int, now: datetime) -> judging.Tick:
    # One project's fault must not keep the others unwatched; it is counted, and its own rules show when they last ran.
    try:
        return judging.tick(project_id, READERS, now) or judging.Tick()
    except AWAY:
        raise
    except Exception:
        log.exception("judging the rules of project %s failed", project_id)
        return judging.Tick(failed=1)


@shared_task
def expire_watch() -> None:
    """Every hour: the end of old evaluations and rounds."""
    rounds.expire(clock.now())
