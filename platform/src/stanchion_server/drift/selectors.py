"""Reads of monitors and runs: the project first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import zstandard
from django.db.models import OuterRef, Subquery

from stanchion_server.drift.models import DriftMonitor, DriftReport, DriftResult, DriftRun
from stanchion_server.drift.reports import MAX_HTML_BYTES
from stanchion_server.traces.selectors import reading

MOST_LISTED = 100


@dataclass(frozen=True, slots=True)
class Watched:
    """A monitor with its newest finished run, None before the first, and how many of its runs were put aside."""

    monitor: DriftMonitor
    last: DriftRun | None
    columns: tuple[str, ...]
    quarantined: int


def monitors(project_id: int) -> tuple[Watched, ...]:
    """By name; archived ones are left out. `columns` are those that drifted in the last run, worst first."""
    newest = DriftRun.objects.filter(project_id=project_id, monitor=OuterRef("pk"), state=DriftRun.State.DONE)
    rows = DriftMonitor.objects.filter(project_id=project_id, archived_at=None).defer("frozen").order_by("name")
    found = list(rows.annotate(last_id=Subquery(newest.order_by("-scheduled_for").values("pk")[:1])))
    runs = DriftRun.objects.in_bulk([row.last_id for row in found if row.last_id])
    drifted = DriftResult.objects.filter(project_id=project_id, run_id__in=runs, verdict="drift").order_by("position")
    columns: dict[int, list[str]] = {}
    for run_id, column in drifted.values_list("run_id", "column"):
        columns.setdefault(run_id, []).append(column)
    aside = DriftRun.objects.filter(project_id=project_id, state=DriftRun.State.QUARANTINED)
    put_aside = list(aside.values_list("monitor_id", flat=True))
    return tuple(
        Watched(row, runs.get(row.last_id), tuple(columns.get(row.last_id, ())), put_aside.count(row.pk))
        for row in found
    )


def monitor(project_id: int, monitor_id: int) -> DriftMonitor | None:
    """Archived ones too: their runs stay readable."""
    if monitor_id >= 2**63:
        return None
    return DriftMonitor.objects.filter(project_id=project_id, pk=monitor_id).defer("frozen").first()


def runs(
    project_id: int,
    monitor_id: int | None = None,
    verdict: str | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> reading.Page[DriftRun]:
    """The newest first. `cursor` is `next_cursor` of the page before."""
    rows = DriftRun.objects.filter(project_id=project_id).select_related("monitor").defer("monitor__frozen")
    if monitor_id is not None:
        rows = rows.filter(monitor_id=monitor_id)
    if verdict is not None:
        rows = rows.filter(verdict=verdict)
    if cursor:
        when, number = _place(cursor)
        rows = rows.filter(scheduled_for__lte=when).exclude(scheduled_for=when, pk__gte=number)
    found = list(rows.order_by("-scheduled_for", "-pk")[: limit + 1])
    last = found[limit - 1] if len(found) > limit else None
    next_cursor = reading.encode_cursor(last.scheduled_for, str(last.pk)) if last else None
    return reading.Page(tuple(found[:limit]), next_cursor)


def _place(cursor: str) -> tuple[datetime, int]:
    when, number = reading.decode_text_cursor(cursor)
    return when, int(number) if number.isdecimal() and len(number) < 19 else 0


def run(project_id: int, run_id: int) -> DriftRun | None:
    if run_id >= 2**63:
        return None
    rows = DriftRun.objects.filter(project_id=project_id, pk=run_id).select_related("monitor")
    return rows.defer("monitor__frozen").first()


def results(project_id: int, run_id: int) -> Sequence[DriftResult]:
    """Worst first."""
    return list(DriftResult.objects.filter(project_id=project_id, run_id=run_id).order_by("position"))


def report(project_id: int, run_id: int) -> DriftReport | None:
    """Without the page itself."""
    return DriftReport.objects.filter(project_id=project_id, run_id=run_id).defer("html", "rows").first()


def report_html(project_id: int, run_id: int) -> bytes | None:
    """Evidently's page, None where there is none."""
    rows = DriftReport.objects.filter(project_id=project_id, run_id=run_id, state=DriftReport.State.READY)
    kept = rows.values_list("html", flat=True).first()
    return None if kept is None else zstandard.decompress(bytes(kept), max_output_size=MAX_HTML_BYTES)
