"""Readings of the watcher itself: is it late, does it fail?"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from datetime import datetime

from django.db.models import Sum

from stanchion_server.alerts.models import Standing, WatchRound
from stanchion_server.alerts.records import Ask, Sample
from stanchion_server.alerts.sources.asking import Answer


def read(project_id: int, asks: Sequence[Ask], now: datetime) -> Mapping[Ask, Answer]:
    return {ask: {(): _sample(project_id, ask)} for ask in asks}


def _sample(project_id: int, ask: Ask) -> Sample:
    if ask.measure == "late_s":
        return Sample(longest_gap_s(ask.window.start, ask.window.end), 1)
    standings = Standing.objects.filter(project_id=project_id, rule__archived_at=None, rule__is_paused=False)
    if ask.measure == "failed_rules":
        return Sample(float(standings.exclude(error="").count()), 1)
    skipped = WatchRound.objects.filter(scheduled_for__gte=ask.window.start, scheduled_for__lt=ask.window.end)
    return Sample(float(skipped.aggregate(total=Sum("skipped"))["total"] or 0), 1)


def longest_gap_s(start: datetime, end: datetime) -> float:
    """The longest time without a round in the window; a watcher that was down notices when it is back. Before its
    first round ever it was not late."""
    first = WatchRound.objects.filter(scheduled_for__lt=end).order_by("scheduled_for").first()
    if first is None:
        return 0.0
    inside = WatchRound.objects.filter(scheduled_for__gte=start, scheduled_for__lt=end).order_by("scheduled_for")
    times = [max(start, first.scheduled_for), *inside.values_list("scheduled_for", flat=True), end]
    return max((later - sooner).total_seconds() for sooner, later in itertools.pairwise(times))
