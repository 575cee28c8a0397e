"""Rounds of the watcher over all projects: begun once per moment, counted, and forgotten after a while."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef, Q

from stanchion_server.alerts import timing
from stanchion_server.alerts.judging import Tick
from stanchion_server.alerts.models import Evaluation, Incident, Rule, WatchRound
from stanchion_server.kernel import clock
from stanchion_server.tenants.models import Project

KEEP_EVALUATIONS = timedelta(days=1)
KEEP_ROUNDS = timedelta(days=2)
LATE_AFTER = timedelta(minutes=2)


def begin(now: datetime, every: timedelta) -> int | None:
    """The new round's id; None when somebody has begun it already."""
    row, is_new = WatchRound.objects.get_or_create(scheduled_for=timing.floor(now, every), defaults={"started_at": now})
    return row.pk if is_new else None


def finish(round_id: int, tick: Tick) -> None:
    WatchRound.objects.filter(pk=round_id).update(
        finished_at=clock.now(), rules=tick.evaluations, failed=tick.failed, skipped=tick.skipped
    )


def added(one: Tick, other: Tick) -> Tick:
    return Tick(
        one.evaluations + other.evaluations, one.failed + other.failed, one.skipped + other.skipped,
        one.late + other.late,
    )  # fmt: skip


def projects() -> list[int]:
    """Those with rules, or with an incident that has something left to tell."""
    rules = Rule.objects.filter(project=OuterRef("pk"), archived_at=None, is_paused=False)
    unsettled = Incident.objects.filter(project=OuterRef("pk"), is_settled=False)
    rows = Project.objects.filter(Q(Exists(rules)) | Q(Exists(unsettled)))
    return list(rows.order_by("pk").values_list("pk", flat=True))


def is_late(now: datetime) -> bool:
    """Whether no round was finished of late: then nothing that pages say of alerts is of now."""
    newest = WatchRound.objects.exclude(finished_at=None).order_by("-scheduled_for").first()
    return newest is not None and now - newest.scheduled_for > LATE_AFTER


def expire(now: datetime) -> None:
    Evaluation.objects.filter(made_at__lt=now - KEEP_EVALUATIONS).delete()
    WatchRound.objects.filter(scheduled_for__lt=now - KEEP_ROUNDS).delete()
