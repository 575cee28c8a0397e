"""Peaks of each minute beside the rate limits that they are held against, counted from single calls.

Minutes are marked when their calls changed, and counted again whole: marks are taken and rows replaced in one
transaction, under one lock per project, so that it does not matter in which order calls arrived or how often. A new
limit is counted back step by step, newest first; `RateLimit.counted_from` says how far. Projects without a limit pay
for none of it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from django.db import connection, transaction

from stanchion_server.costs import peak_sums
from stanchion_server.costs.limited import RateLimit
from stanchion_server.costs.peak_sums import LONGEST_CALL
from stanchion_server.costs.periods import DAY
from stanchion_server.kernel import db

KEEP = 15 * DAY
"""The fourteen complete days that a trend is told from, and today."""
MINUTE = timedelta(minutes=1)
MINUTES_AT_ONCE = 60
CALLS_AT_ONCE = 20_000
_RACED = timedelta(minutes=10)
_LOCK = 0x5354_4E13


@dataclass(frozen=True, slots=True)
class Backlog:
    """Minutes whose calls changed since they were counted, or that are to be: peaks before `settled_until` are whole,
    None where all are."""

    minutes: int = 0
    settled_until: datetime | None = None


def backlog(project_id: int, now: datetime) -> Backlog:
    """Of minutes that have begun. Also those that wait for charges, after which they are marked."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*), min(minute) FROM (SELECT minute FROM costs_dirtypeak WHERE project_id = %(project_id)s"
            " AND minute >= %(oldest)s AND minute <= %(now)s UNION SELECT minute FROM dirty_minutes"
            " WHERE project_id = %(project_id)s AND minute >= %(oldest)s AND minute <= %(now)s) waiting",
            {"project_id": project_id, "oldest": _oldest(now), "now": now},
        )
        minutes, first = cursor.fetchone()
    return Backlog(minutes, first and first.astimezone(UTC))


def mark(cursor: db.CursorType, project_id: int, minutes: Iterable[datetime]) -> None:
    """Minutes in which calls began that changed, for projects that have a rate limit."""
    cursor.execute(
        "INSERT INTO costs_dirtypeak (project_id, minute) SELECT %s, unnest(%s::timestamptz[])"
        " WHERE EXISTS (SELECT 1 FROM costs_ratelimit WHERE project_id = %s)",
        (project_id, sorted(set(minutes)), project_id),
    )


def work(now: datetime) -> Iterator[int]:
    """A bounded number of minutes of one project per step, and its number; ends when all are counted."""
    while True:
        done = [project_id for project_id in _projects(now) if _step(project_id, now)]
        yield from done
        if not done:
            return


def expire(now: datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM costs_callpeak p USING costs_ratelimit l WHERE p.project_id = l.project_id"
            " AND p.rate_limit_id = l.id AND p.minute < %s",
            [_oldest(now)],
        )


def _oldest(now: datetime) -> datetime:
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - KEEP + DAY


def _floor(time: datetime) -> datetime:
    return time.astimezone(UTC).replace(second=0, microsecond=0)


def _projects(now: datetime) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT project_id FROM costs_dirtypeak UNION SELECT project_id FROM costs_ratelimit"
            " WHERE counted_from IS NULL OR counted_from > %s",
            [_oldest(now)],
        )
        return [row[0] for row in cursor.fetchall()]


def _step(project_id: int, now: datetime) -> bool:
    """Whether anything was done; a project that another process is counting is left to it."""
    with transaction.atomic(), db.raw_cursor() as cursor:
        cursor.execute("SET LOCAL jit = off")
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", (_LOCK, project_id & 0x7FFF_FFFF))
        if not (cursor.fetchone() or (False,))[0]:
            return False
        limits = list(RateLimit.objects.select_for_update(no_key=True).filter(project_id=project_id).order_by("pk"))
        if marked := _claim(cursor, project_id):
            _count(cursor, project_id, limits, {minute for minute in marked if minute >= _oldest(now)})
            return True
        return _begin(cursor, project_id, limits, now) or _go_back(cursor, project_id, limits, now)


def _claim(cursor: db.CursorType, project_id: int) -> set[datetime]:
    """The newest marked minutes, as many as together have about CALLS_AT_ONCE."""
    cursor.execute(
        "DELETE FROM costs_dirtypeak WHERE project_id = %(project_id)s AND minute IN (SELECT minute FROM ("
        "  SELECT marked.minute, sum(coalesce(calls, 0)) OVER (ORDER BY marked.minute DESC) - coalesce(calls, 0)"
        "   AS before FROM (SELECT DISTINCT minute FROM costs_dirtypeak WHERE project_id = %(project_id)s"
        "    ORDER BY minute DESC LIMIT %(limit)s) marked"
        "  LEFT JOIN call_totals t ON t.project_id = %(project_id)s AND grain_minutes = 1 AND bucket = marked.minute"
        " ) summed WHERE before < %(most)s) RETURNING minute",
        {"project_id": project_id, "limit": MINUTES_AT_ONCE, "most": CALLS_AT_ONCE},
    )
    return {row[0].astimezone(UTC) for row in cursor.fetchall()}


def _begin(cursor: db.CursorType, project_id: int, limits: Sequence[RateLimit], now: datetime) -> bool:
    """New limits are counted back from this minute. Calls that were being settled while the limit was made have left no
    mark, so the last minutes are marked here."""
    new = [row.pk for row in limits if row.counted_from is None]
    if new:
        next_minute = _floor(now) + MINUTE
        RateLimit.objects.filter(pk__in=new).update(counted_from=next_minute)
        raced = [next_minute - place * MINUTE for place in range(1, _RACED // MINUTE + 1)]
        mark(cursor, project_id, [*raced, *_ahead(cursor, project_id, next_minute)])
    return bool(new)


def _ahead(cursor: db.CursorType, project_id: int, start: datetime) -> list[datetime]:
    """Minutes from `start` on with calls, which clocks that are ahead have sent: going back does not come to them."""
    cursor.execute(
        "SELECT bucket FROM call_totals WHERE project_id = %s AND grain_minutes = 1 AND bucket >= %s",
        (project_id, start),
    )
    return [row[0].astimezone(UTC) for row in cursor.fetchall()]


def _go_back(cursor: db.CursorType, project_id: int, limits: Sequence[RateLimit], now: datetime) -> bool:
    """Those that were counted back least, as far as the next ones; from there they go on together."""
    reached = {row.counted_from for row in limits if row.counted_from is not None}
    behind = sorted((one for one in reached if one > _oldest(now)), reverse=True)
    if not behind:
        return False
    newest, *others = behind
    goal = max([*others[:1], _oldest(now)])
    minutes = _with_calls(cursor, project_id, goal, newest)
    chosen = [row for row in limits if row.counted_from == newest]
    _count(cursor, project_id, chosen, set(minutes))
    RateLimit.objects.filter(pk__in=[row.pk for row in chosen]).update(counted_from=min(minutes, default=goal))
    return True


def _with_calls(cursor: db.CursorType, project_id: int, start: datetime, end: datetime) -> list[datetime]:
    """The newest minutes with calls that together have about CALLS_AT_ONCE; empty where none is left."""
    cursor.execute(
        "SELECT bucket FROM (SELECT bucket, sum(calls) OVER (ORDER BY bucket DESC) - calls AS before FROM ("
        "  SELECT bucket, calls FROM call_totals WHERE project_id = %(project_id)s AND grain_minutes = 1"
        "  AND bucket >= %(start)s AND bucket < %(end)s ORDER BY bucket DESC LIMIT 1440) newest) summed"
        " WHERE before < %(most)s",
        {"project_id": project_id, "start": start, "end": end, "most": CALLS_AT_ONCE},
    )
    return [row[0].astimezone(UTC) for row in cursor.fetchall()]


def _count(cursor: db.CursorType, project_id: int, limits: Sequence[RateLimit], began: set[datetime]) -> None:
    """Replaces the peaks of every minute in which calls that began in these ones were running."""
    if not limits or not began:
        return
    touched = sorted(_touched(cursor, project_id, began))
    values: dict[str, Any] = {
        "project_id": project_id, "ids": [row.pk for row in limits], "providers": [row.provider for row in limits],
        "models": [row.model for row in limits],
    }  # fmt: skip
    for run in runs(touched, LONGEST_CALL):
        read = sorted({*run, *_reaching(cursor, project_id, run)})
        around = {"minutes": run, "read": read, "first": read[0], "last": run[-1] + MINUTE}
        cursor.execute(peak_sums.DELETE.encode(), {**values, **around})
        cursor.execute(peak_sums.INSERT.encode(), {**values, **around})


def runs(minutes: Sequence[datetime], gap: timedelta) -> list[list[datetime]]:
    """Ascending minutes cut where two lie further apart than `gap`."""
    found = [list(minutes[:1])]
    for before, minute in pairwise(minutes):
        if minute - before > gap:
            found.append([])
        found[-1].append(minute)
    return found


def _touched(cursor: db.CursorType, project_id: int, began: set[datetime]) -> set[datetime]:
    """Calls that are no longer charged touch theirs, too: they may have been counted there."""
    cursor.execute(
        peak_sums.ENDS.encode(),
        {"project_id": project_id, "minutes": sorted(began), "first": min(began), "last": max(began) + MINUTE},
    )
    found = set(began)
    for minute, ends in cursor.fetchall():
        minute = minute.astimezone(UTC)
        found.update(minute + place * MINUTE for place in range(-((minute - ends) // MINUTE)))
    return found


def _reaching(cursor: db.CursorType, project_id: int, run: Sequence[datetime]) -> list[datetime]:
    """Earlier minutes with a charged call so long that it may be running in one of these."""
    cursor.execute(
        "SELECT bucket, bucket + interval '1 minute' + least(duration_ms_max + 1, %(longest_ms)s)"
        " * interval '1 millisecond' FROM call_totals WHERE project_id = %(project_id)s AND grain_minutes = 1"
        " AND bucket >= %(first)s AND bucket < %(last)s",
        {"project_id": project_id, "first": run[0] - LONGEST_CALL - MINUTE, "last": run[-1],
         "longest_ms": LONGEST_CALL / timedelta(milliseconds=1)},
    )  # fmt: skip
    rows = [(bucket.astimezone(UTC), ends) for bucket, ends in cursor.fetchall()]
    return [bucket for bucket, ends in rows if (place := bisect_right(run, bucket)) < len(run) and run[place] < ends]
