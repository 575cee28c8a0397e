"""Maintenance windows: made, changed, ended before their time, deleted. Each is one transaction."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from datetime import time
from functools import cache
from typing import Any
from zoneinfo import available_timezones

from django.db import IntegrityError, transaction

from stanchion_server.alerts import history, outbox, quieting
from stanchion_server.alerts.models import MaintenanceWindow
from stanchion_server.alerts.quiet_services import checked_matchers, told
from stanchion_server.kernel import clock
from stanchion_server.kernel.errors import SenderError
from stanchion_server.tenants.models import Project

MOST_WINDOWS = 100
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
SCHEDULE = frozenset({"time_zone", "weekdays", "starts", "length_min"})
TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")


@transaction.atomic
def add(project: Project, values: Mapping[str, Any], actor: str) -> MaintenanceWindow:
    """`values`: name, weekdays, starts (HH:MM), length_min; time_zone is UTC and matchers are none where they are left
    out. SenderError names the value and what to write instead."""
    columns = _checked({"time_zone": "UTC", "matchers": (), **values})
    if MaintenanceWindow.objects.filter(project=project, archived_at=None).count() >= MOST_WINDOWS:
        raise SenderError("too_many_windows", f"A project has at most {MOST_WINDOWS} windows. Delete one.", 409)
    now = clock.now()
    row = MaintenanceWindow(project=project, created_at=now, created_by=actor[:150], **columns)
    _save(row)
    _note(row, "created", actor)
    outbox.settle(project.pk, now)
    return row


@transaction.atomic
def change(project_id: int, number: int, values: Mapping[str, Any], actor: str) -> MaintenanceWindow:
    """What is named is changed. Another schedule may be on at once, also where the last one was ended."""
    row = _locked(project_id, number)
    columns, before = _checked(values), _said(row)
    if any(getattr(row, name) != columns[name] for name in SCHEDULE & columns.keys()):
        row.ended_at = None
    for name, value in columns.items():
        setattr(row, name, value)
    _save(row)
    _note(row, "changed", actor, history.difference(before, _said(row)))
    outbox.settle(project_id, clock.now())
    return row


@transaction.atomic
def end(project_id: int, number: int, actor: str) -> MaintenanceWindow:
    """The occurrence that is on is over now; the next comes as planned. What it kept quiet is told if still true."""
    row, now = _locked(project_id, number), clock.now()
    if not quieting.is_on(outbox.window_of(row), now):
        raise SenderError("not_on", f"The window “{row.name}” is not on at present; there is nothing to end.", 409)
    row.ended_at = now
    row.save(update_fields=["ended_at"])
    _note(row, "ended for now", actor)
    outbox.settle(project_id, now)
    return row


@transaction.atomic
def delete(project_id: int, number: int, actor: str) -> MaintenanceWindow:
    """Out of the lists, and over where it is on. The row stays."""
    row, now = _locked(project_id, number), clock.now()
    row.archived_at = now
    row.save(update_fields=["archived_at"])
    _note(row, "deleted", actor)
    outbox.settle(project_id, now)
    return row


def _note(row: MaintenanceWindow, action: str, actor: str, detail: history.Detail | None = None) -> None:
    history.note(row.project_id, history.Kind.WINDOW, row.pk, row.name, action, actor, detail)


def _said(row: MaintenanceWindow) -> dict[str, Any]:
    """What a person says of it, as JSON."""
    return {
        "name": row.name, "weekdays": list(row.weekdays), "starts": f"{row.starts:%H:%M}", "length_min": row.length_min,
        "time_zone": row.time_zone, "matchers": told(row.matchers),
    }  # fmt: skip


def _checked(values: Mapping[str, Any]) -> dict[str, Any]:
    """Columns of what is named."""
    readers = {"name": _name, "weekdays": _weekdays, "starts": _starts, "length_min": _length, "time_zone": _zone,
               "matchers": checked_matchers}  # fmt: skip
    return {name: readers[name](value) for name, value in values.items()}


def _name(text: Any) -> str:
    name = " ".join(str(text).split())
    if not 1 <= len(name) <= 80 or not name.isprintable():
        raise SenderError("bad_name", f"name is {name[:80]!r}: it must be 1 to 80 printable characters.")
    return name


def _weekdays(days: Any) -> list[int]:
    found = sorted(set(days))
    if not found or not set(found) <= set(range(7)):
        raise SenderError(
            "bad_weekdays",
            f"weekdays is {list(days)[:10]}: it must name at least one day, as numbers from 0 (Monday) to 6 (Sunday).",
        )
    return found


def _starts(text: Any) -> time:
    found = TIME.fullmatch(str(text).strip())
    if found is None:
        raise SenderError("bad_starts", f"starts is {str(text)[:40]!r}: it must be a time of day such as 02:30.")
    return time(int(found[1]), int(found[2]))


def _length(minutes: Any) -> int:
    if not 1 <= minutes <= 1440:
        raise SenderError(
            "bad_length", f"length_min is {minutes}: it must be 1 to 1440 minutes. Two windows may follow each other."
        )
    return int(minutes)


def _zone(text: Any) -> str:
    name = str(text).strip()
    if name not in zones():
        near = difflib.get_close_matches(name[:64], zones(), 1, 0.6)
        raise SenderError(
            "bad_time_zone",
            f"time_zone is {name[:80]!r}: it must be a name of the IANA list, such as {near[0] if near else 'UTC'}.",
        )
    return name


@cache
def zones() -> tuple[str, ...]:
    """Names that people choose from, by the alphabet."""
    return tuple(sorted(name for name in available_timezones() if len(name) <= 64))


def _save(row: MaintenanceWindow) -> None:
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError as error:
        message = f"There is a window called “{row.name}” already. Choose another name."
        raise SenderError("name_taken", message, 409) from error


def _locked(project_id: int, number: int) -> MaintenanceWindow:
    rows = MaintenanceWindow.objects.select_for_update().filter(project_id=project_id, archived_at=None, pk=number)
    row = rows.first()
    if row is None:
        raise SenderError("not_found", f"Your project has no maintenance window {number}.", 404)
    return row
