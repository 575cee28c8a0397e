"""Reads of maintenance windows: which there are, which is on, and when each comes next."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from stanchion_server.alerts import outbox, quieting
from stanchion_server.alerts.models import MaintenanceWindow
from stanchion_server.kernel import clock

SHOWN_AHEAD = 3


@dataclass(frozen=True, slots=True)
class Ahead:
    """A window, the occurrence that is on (None where none is), and the next three that have not begun. In UTC."""

    row: MaintenanceWindow
    running: tuple[datetime, datetime] | None
    upcoming: tuple[tuple[datetime, datetime], ...]


def windows(project_id: int) -> tuple[Ahead, ...]:
    """By name."""
    now = clock.now()
    rows = MaintenanceWindow.objects.filter(project_id=project_id, archived_at=None).order_by("name")
    return tuple(ahead(row, now) for row in rows)


def window(project_id: int, number: int) -> Ahead | None:
    row = MaintenanceWindow.objects.filter(project_id=project_id, archived_at=None, pk=number).first()
    return None if row is None else ahead(row, clock.now())


def ahead(row: MaintenanceWindow, now: datetime) -> Ahead:
    found = outbox.window_of(row)
    coming = [one for one in quieting.upcoming(found, now, SHOWN_AHEAD + 2) if one[0] > now]
    return Ahead(row, quieting.running(found, now), tuple(coming[:SHOWN_AHEAD]))
