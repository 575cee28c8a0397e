"""Reports of savings: asked for, planned each night, claimed by one worker at a time, written whole."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet

from stanchion_server.costs.models import SavingsReport
from stanchion_server.kernel import clock
from stanchion_server.tenants.models import Project

LEASE = timedelta(minutes=15)
"""Longer than a worker may take (`routes.savings`)."""
MAX_ATTEMPTS = 3
NIGHT = timedelta(hours=2, minutes=30)
"""After midnight UTC."""
PAUSE = timedelta(hours=1)
State = SavingsReport.State


@dataclass(frozen=True, slots=True)
class Made:
    start: datetime
    end: datetime
    calls: int
    known_calls: int
    body: Mapping[str, Any]


def of(project_id: int) -> SavingsReport | None:
    return SavingsReport.objects.filter(project_id=project_id).first()


def request(project_id: int, actor: str) -> SavingsReport:
    """A new report; one that is waiting or being made already is that one. What was found last stays until then."""
    now = clock.now()
    with transaction.atomic():
        row, is_new = SavingsReport.objects.select_for_update().get_or_create(
            project_id=project_id, defaults={"requested_at": now, "requested_by": actor}
        )
        if not is_new and row.state in (State.DONE, State.QUARANTINED):
            _queue(row, now, actor)
    return row


def _queue(row: SavingsReport, now: datetime, actor: str) -> None:
    row.state, row.attempts, row.leased_until, row.error = State.QUEUED, 0, None, ""
    row.requested_at, row.requested_by = now, actor
    row.save(update_fields=["state", "attempts", "leased_until", "error", "requested_at", "requested_by"])


def plan(now: datetime) -> None:
    """A report for each project that has none since last night's half past two, UTC. Planned twice it is one."""
    night = _last_night(now)
    _begin(now, Project.objects.filter(created_at__lt=night))
    old = SavingsReport.objects.filter(state__in=(State.DONE, State.QUARANTINED), requested_at__lt=night)
    _again(old, now)


def waiting(now: datetime) -> list[int]:
    """Projects that wait for their first look: without a report, or with one that found no calls an hour ago."""
    none = Project.objects.exclude(pk__in=SavingsReport.objects.values("project_id"))
    empty = SavingsReport.objects.filter(state=State.DONE, calls=0, requested_at__lt=now - PAUSE)
    return [*none.values_list("pk", flat=True), *empty.values_list("project_id", flat=True)]


def plan_first(now: datetime, projects: Collection[int]) -> None:
    """For those of `waiting` whose calls are enough: at once, as the night may be most of a day away."""
    _begin(now, Project.objects.filter(pk__in=projects))
    _again(SavingsReport.objects.filter(state=State.DONE, calls=0, project_id__in=projects), now)


def _begin(now: datetime, projects: QuerySet[Project]) -> None:
    new = projects.exclude(pk__in=SavingsReport.objects.values("project_id"))
    rows = [SavingsReport(project=project, requested_at=now) for project in new]
    SavingsReport.objects.bulk_create(rows, ignore_conflicts=True, batch_size=1_000)


def _again(reports: QuerySet[SavingsReport], now: datetime) -> None:
    reports.update(state=State.QUEUED, attempts=0, leased_until=None, error="", requested_at=now, requested_by="")


def _last_night(now: datetime) -> datetime:
    at = now.replace(hour=0, minute=0, second=0, microsecond=0) + NIGHT
    return at if at <= now else at - timedelta(days=1)


@transaction.atomic
def claim() -> SavingsReport | None:
    """The one that has waited longest, for as long as the lease; None when there is none."""
    now = clock.now()
    free = Q(state=State.QUEUED) | Q(state=State.RUNNING, leased_until__lt=now)
    row = SavingsReport.objects.select_for_update(skip_locked=True).filter(free).order_by("requested_at", "pk").first()
    if row is None:
        return None
    if row.attempts >= MAX_ATTEMPTS:
        row.state, row.error = State.QUARANTINED, row.error or f"{MAX_ATTEMPTS} workers died at it"
        row.save(update_fields=["state", "error"])
        return None
    row.state, row.leased_until, row.attempts = State.RUNNING, now + LEASE, row.attempts + 1
    row.save(update_fields=["state", "leased_until", "attempts"])
    return row


def save(row: SavingsReport, made: Made) -> bool:
    """False, and nothing written, when the lease went to another worker meanwhile."""
    saved = _mine(row).update(
        state=State.DONE, error="", finished_at=clock.now(), start=made.start, end=made.end, calls=made.calls,
        known_calls=made.known_calls, body=dict(made.body),
    )  # fmt: skip
    return saved == 1


def fail(row: SavingsReport, reason: str) -> None:
    """Tried again, and put aside after the last attempt."""
    is_last = row.attempts >= MAX_ATTEMPTS
    _mine(row).update(state=State.QUARANTINED if is_last else State.QUEUED, error=reason[:1_000])


def _mine(row: SavingsReport) -> QuerySet[SavingsReport]:
    return SavingsReport.objects.filter(pk=row.pk, state=State.RUNNING, leased_until=row.leased_until)
