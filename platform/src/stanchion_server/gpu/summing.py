"""Closed slots from stored points. Marks are taken and sums written in one transaction: who dies loses nothing, and
who runs twice replaces."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection, transaction

from stanchion_server.gpu import identity, windows
from stanchion_server.gpu.models import EngineWindow, GpuDevice, GpuWindow
from stanchion_server.gpu.windows import LONGEST_GAP, SLOT, Point
from stanchion_server.kernel import db
from stanchion_server.traces import partitions

GRACE = timedelta(seconds=30)
"""How long a slot waits for the points of its last seconds."""
KEEP = timedelta(days=400)
_LOCK = 0x5354_4E11
_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Summed:
    """One project's slots, all of one hour."""

    project_id: int
    slots: tuple[datetime, ...]


def step(now: datetime) -> Summed | None:
    """Sums the due slots of the newest marked hour of one project; None when nothing is due. Must be called in a
    transaction when something is to be committed with it."""
    for project_id in _projects(now):
        with transaction.atomic(), db.raw_cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", (_LOCK, project_id & 0x7FFF_FFFF))
            if not (cursor.fetchone() or (False,))[0]:
                continue
            slots = _claim(cursor, project_id, now)
            oldest = _oldest()
            kept = [slot for slot in slots if oldest is not None and slot >= oldest]
            if kept:
                _sum(cursor, project_id, kept)
            return Summed(project_id, tuple(kept))
    return None


def expire(now: datetime) -> int:
    """Sums outlive their samples and go after KEEP."""
    deleted = 0
    for model in (GpuWindow, EngineWindow):
        deleted += model.objects.filter(start__lt=now - KEEP).delete()[0]
    return deleted


def _oldest() -> datetime | None:
    """Sums of days whose points were dropped stay as they are."""
    days = partitions.days_of("metric_points")
    return datetime(days[0].year, days[0].month, days[0].day, tzinfo=UTC) if days else None


def _projects(now: datetime) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT project_id FROM gpu_dirtyslot WHERE slot <= %s GROUP BY 1 ORDER BY random()", [now - SLOT - GRACE]
        )
        return [row[0] for row in cursor.fetchall()]


def _claim(cursor: db.CursorType, project_id: int, now: datetime) -> list[datetime]:
    cursor.execute(
        "DELETE FROM gpu_dirtyslot WHERE project_id = %(project)s AND slot <= %(due)s AND slot >= ("
        " SELECT date_trunc('hour', max(slot), 'UTC') FROM gpu_dirtyslot"
        " WHERE project_id = %(project)s AND slot <= %(due)s) RETURNING slot",
        {"project": project_id, "due": now - SLOT - GRACE},
    )
    return sorted({row[0].astimezone(UTC) for row in cursor.fetchall()})


def _sum(cursor: db.CursorType, project_id: int, slots: Sequence[datetime]) -> None:
    cards, engines = _points(cursor, project_id, slots[0] - LONGEST_GAP, slots[-1] + SLOT)
    known = dict(GpuDevice.objects.filter(project_id=project_id, hw_id__in=cards).values_list("hw_id", "pk"))
    GpuWindow.objects.filter(project_id=project_id, start__in=slots).delete()
    EngineWindow.objects.filter(project_id=project_id, start__in=slots).delete()
    rows = [
        GpuWindow(project_id=project_id, device_id=known[hw_id], **asdict(window))
        for hw_id, points in cards.items()
        for slot in slots
        if hw_id in known and (window := windows.device(_near(points, slot), slot)) is not None
    ]
    GpuWindow.objects.bulk_create(rows, batch_size=1_000)
    EngineWindow.objects.bulk_create(
        [
            EngineWindow(project_id=project_id, host=host, engine=kind, endpoint=endpoint, **asdict(summed))
            for (host, kind, endpoint), points in engines.items()
            for slot in slots
            if (summed := windows.engine(_near(points, slot), slot)) is not None
        ],
        batch_size=1_000,
    )


def _near(points: Sequence[Point], slot: datetime) -> list[Point]:
    return [point for point in points if slot - LONGEST_GAP <= point.time <= slot + SLOT]


_Engine = tuple[str, str, str]


def _points(
    cursor: db.CursorType, project_id: int, start: datetime, end: datetime
) -> tuple[dict[str, list[Point]], dict[_Engine, list[Point]]]:
    """By card, and by host, kind and endpoint of an engine."""
    cursor.execute(
        "SELECT p.series_id, p.name, p.time, p.start_time, p.temporality, p.value, p.attributes, r.attributes"
        " FROM metric_points p LEFT JOIN resources r USING (project_id, resource_id)"
        " WHERE p.project_id = %s AND left(p.name, 200) = ANY (%s::text[]) AND p.time >= %s AND p.time <= %s"
        " AND p.value IS NOT NULL ORDER BY p.time",
        (project_id, [*identity.OF_CARDS, *identity.OF_ENGINES], start, end),
    )
    cards: dict[str, list[Point]] = defaultdict(list)
    engines: dict[_Engine, list[Point]] = defaultdict(list)
    known: dict[int, _Series] = {}
    for number, name, time, began, temporality, value, attributes, resource in cursor.fetchall():
        series = known.get(number)
        if series is None:
            series = known[number] = _series(name, _object(attributes), _object(resource))
        point = Point(number, name, time.astimezone(UTC), began, temporality, value, series.attributes)
        if series.device:
            cards[series.device].append(point)
        elif series.engine:
            engines[series.engine].append(point)
    return cards, engines


@dataclass(frozen=True, slots=True)
class _Series:
    """What all points of a series share: its number is a digest of all that."""

    attributes: dict[str, Any]
    device: str
    engine: _Engine | None


def _series(name: str, own: dict[str, Any], around: dict[str, Any]) -> _Series:
    merged = {**around, **own}
    host = identity.host_of(around)
    engine = identity.engine_of(name, merged)
    return _Series(merged, identity.device_of(name, merged, host), (host, *engine) if engine else None)


def _object(value: Any) -> dict[str, Any]:
    """jsonb as psycopg hands it over: text, or already read."""
    found = json.loads(value) if isinstance(value, str | bytes) else value
    return found if isinstance(found, dict) else {}
