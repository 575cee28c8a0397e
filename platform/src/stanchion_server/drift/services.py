"""Makes and changes monitors, and asks for runs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from stanchion_server.drift import columns, judging, sampling, sides
from stanchion_server.drift.models import DriftMonitor, DriftReport, DriftRun, Reference
from stanchion_server.drift.records import Window
from stanchion_server.kernel import clock
from stanchion_server.kernel.errors import SenderError
from stanchion_server.tenants.models import Project

DEFAULT_NAME = "all-calls"
SYSTEM = "stanchion"
MOST_MONITORS = 50
MOST_HOURS = 24 * 90
MOST_COLUMNS = 60
MOST_OPEN_RUNS = 5
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person says of a monitor. Times are for a fixed or frozen reference."""

    name: str
    feature: str = ""
    reference: str = Reference.TRAILING
    reference_hours: int = 168
    reference_start: datetime | None = None
    reference_end: datetime | None = None
    current_hours: int = 24
    every_hours: int = 6
    columns: tuple[str, ...] = ()
    alpha: float = 0.05


CHANGEABLE = frozenset({"current_hours", "every_hours", "columns", "alpha", "is_paused", "reference_hours"})


def create(project: Project, wanted: Wanted, actor: str) -> DriftMonitor:
    """Raises SenderError for what cannot be. A frozen reference is read now and kept."""
    _check(wanted)
    rows = DriftMonitor.objects.filter(project=project)
    if rows.filter(archived_at=None).count() >= MOST_MONITORS:
        raise SenderError("too_many_monitors", f"A project has at most {MOST_MONITORS} monitors. Archive one.", 409)
    if rows.filter(name=wanted.name).exists():
        raise SenderError(
            "name_taken", f"There is, or was, a monitor called “{wanted.name}”. Choose another name.", 409
        )
    now = clock.now()
    values = {item.name: getattr(wanted, item.name) for item in fields(wanted)}
    values["columns"] = list(wanted.columns)
    return DriftMonitor.objects.create(
        project=project, frozen=_frozen(project.pk, wanted), created_at=now, created_by=actor, changed_at=now,
        changed_by=actor, **values,
    )  # fmt: skip


def ensure_defaults() -> None:
    """Every project that never had a monitor gets one: all calls of the last day against the week before them."""
    now = clock.now()
    rows = [
        DriftMonitor(
            project=project, name=DEFAULT_NAME, created_at=now, created_by=SYSTEM, changed_at=now, changed_by=SYSTEM
        )
        for project in Project.objects.filter(drift_monitors=None)
    ]
    DriftMonitor.objects.bulk_create(rows, ignore_conflicts=True)


@transaction.atomic
def change(project_id: int, monitor_id: int, changes: Mapping[str, Any], actor: str) -> DriftMonitor:
    """Only what is named in `changes`; what the past was compared by stays as it is with each run."""
    monitor = _locked(project_id, monitor_id)
    for name in changes:
        if name not in CHANGEABLE:
            raise SenderError("bad_field", f"{name} of a monitor cannot be changed. Make another monitor.")
        setattr(monitor, name, list(changes[name]) if name == "columns" else changes[name])
    _check(_wanted_of(monitor))
    monitor.changed_at, monitor.changed_by = clock.now(), actor
    monitor.save()
    return monitor


@transaction.atomic
def archive(project_id: int, monitor_id: int, actor: str) -> DriftMonitor:
    """Out of the lists and of the schedule; its runs stay."""
    monitor = _locked(project_id, monitor_id)
    if monitor.archived_at is None:
        monitor.archived_at = monitor.changed_at = clock.now()
        monitor.changed_by = actor
        monitor.save(update_fields=["archived_at", "changed_at", "changed_by"])
    return monitor


@transaction.atomic
def run_now(project_id: int, monitor_id: int, actor: str) -> DriftRun:
    """A run beside the schedule, of the time up to now; asked twice within a second it is one."""
    monitor = _locked(project_id, monitor_id)
    if monitor.archived_at is not None:
        raise SenderError("archived", f"The monitor “{monitor.name}” is archived.", 409)
    waiting = monitor.runs.filter(state__in=(DriftRun.State.QUEUED, DriftRun.State.RUNNING)).count()
    if waiting >= MOST_OPEN_RUNS:
        raise SenderError("too_many_runs", f"{waiting} runs of this monitor are waiting already.", 409)
    at = clock.now().replace(microsecond=0)
    run, _is_new = DriftRun.objects.get_or_create(
        project_id=project_id, monitor=monitor, scheduled_for=at, defaults={"requested_by": actor}
    )
    return run


def retry(project_id: int, run_id: int) -> bool:
    """A run that was put aside starts again. False when it was not put aside."""
    rows = DriftRun.objects.filter(project_id=project_id, pk=run_id, state=DriftRun.State.QUARANTINED)
    return rows.update(state=DriftRun.State.QUEUED, attempts=0, error="", leased_until=None) == 1


def retry_report(project_id: int, run_id: int) -> bool:
    """A report that failed is made again, where its rows are still there."""
    rows = DriftReport.objects.filter(project_id=project_id, run_id=run_id, rows__isnull=False)
    again = rows.filter(state__in=(DriftReport.State.FAILED, DriftReport.State.UNAVAILABLE))
    return again.update(state=DriftReport.State.WAITING, attempts=0, reason="", leased_until=None) == 1


def _locked(project_id: int, monitor_id: int) -> DriftMonitor:
    monitor = DriftMonitor.objects.select_for_update().filter(project_id=project_id, pk=monitor_id).first()
    if monitor is None:
        raise SenderError("not_found", f"Your project has no drift monitor {monitor_id}.", 404)
    return monitor


def _wanted_of(monitor: DriftMonitor) -> Wanted:
    values = {item.name: getattr(monitor, item.name) for item in fields(Wanted)}
    return Wanted(**{**values, "columns": tuple(monitor.columns)})


def _check(wanted: Wanted) -> None:
    if not _NAME.fullmatch(wanted.name):
        raise SenderError(
            "bad_name",
            "A monitor's name has 1 to 63 letters, digits, dots, dashes or underscores, a letter or digit first.",
        )
    if wanted.reference not in Reference.values:
        raise SenderError("bad_reference", f"The reference is one of {', '.join(Reference.values)}.")
    for name in ("reference_hours", "current_hours", "every_hours"):
        if not 1 <= getattr(wanted, name) <= MOST_HOURS:
            raise SenderError("bad_hours", f"{name} is 1 to {MOST_HOURS} hours, not {getattr(wanted, name)}.")
    if not judging.LEAST_ALPHA <= wanted.alpha <= judging.MOST_ALPHA:
        raise SenderError(
            "bad_alpha",
            f"alpha is {judging.LEAST_ALPHA} to {judging.MOST_ALPHA}, not {wanted.alpha}: the share of false alarms.",
        )
    _check_columns(wanted.columns)
    if wanted.reference != Reference.TRAILING:
        _fixed_window(wanted)


def _check_columns(names: tuple[str, ...]) -> None:
    if len(names) > MOST_COLUMNS:
        raise SenderError("too_many_columns", f"At most {MOST_COLUMNS} columns; {len(names)} came.")
    for name in names:
        if not columns.is_known(name) or len(name) > 120 or "\0" in name:
            raise SenderError(
                "bad_column",
                f"“{name[:80]}” is no column. Known: {', '.join(columns.NAMES)}, and {columns.SCORE}<scorer>.",
            )


def _fixed_window(wanted: Wanted) -> Window:
    start, end = wanted.reference_start, wanted.reference_end
    if start is None or end is None:
        raise SenderError("bad_window", "A fixed or frozen reference needs reference_start and reference_end.")
    if not timedelta(0) < end - start <= timedelta(hours=MOST_HOURS):
        raise SenderError(
            "bad_window", f"The reference ends after it starts and spans at most {MOST_HOURS // 24} days."
        )
    return Window(start, end)


def _frozen(project_id: int, wanted: Wanted) -> bytes | None:
    if wanted.reference != Reference.FROZEN:
        return None
    side = sampling.read(project_id, _fixed_window(wanted), wanted.feature)
    if len(side.keys) < judging.FEWEST_ROWS:
        raise SenderError(
            "too_few_calls",
            f"The reference holds {len(side.keys)} calls; a frozen one needs at least {judging.FEWEST_ROWS}.",
        )
    return sides.pack(side)
