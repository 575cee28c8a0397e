"""Settles the minutes that new data touched: which record of each call is charged, then the sums of those minutes.

Everything is decided again from what is stored, so it does not matter in which order data arrived or how often. One
transaction takes marks away and writes what follows from them: a process that dies in between loses no mark.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from stanchion_server.costs import charging, hours, peaks, selectors, stored
from stanchion_server.costs.charging import RECORDS_PER_RESPONSE, RESPONSE_WINDOW, Key
from stanchion_server.costs.pricing import ROLLUP_FALLBACK
from stanchion_server.kernel import clock, db
from stanchion_server.traces import labels, partitions, previews, rollups

MINUTES_AT_ONCE = 200

Step = Callable[[db.CursorType, int, Iterable[datetime]], None]
"""What follows in the same transaction: a project, and the minutes with calls that are charged otherwise now."""

_LOCK = 0x5354_4E02
_ROUNDS = 5


@dataclass(frozen=True, slots=True)
class SettleReport:
    """`duration_s` lets the caller leave the database at least as much time as it took. `is_more`: marks were left."""

    minutes: int
    changed_calls: int
    is_more: bool
    duration_s: float


@dataclass
class _Neighbourhood:
    """The traces that records of the touched calls reach, and the few that need a decision."""

    known: set[UUID] = field(default_factory=set)
    responses: Counter[int] = field(default_factory=Counter)
    pairs: Counter[int] = field(default_factory=Counter)
    rows: list[tuple[Any, ...]] = field(default_factory=list)


def run(
    now: datetime, limit: int = MINUTES_AT_ONCE, project_id: int | None = None, steps: Sequence[Step] = ()
) -> SettleReport:
    """Settles up to `limit` minutes of each project (or of one), newest first. A project that another process is
    settling is left to it."""
    began = clock.monotonic_s()
    oldest = _oldest_day()
    minutes = changed = 0
    is_more = False
    for marked in [project_id] if project_id is not None else _marked_projects():
        done = _settle_project(marked, limit, oldest, steps)
        if done is not None:
            minutes += done[0]
            changed += done[1]
            is_more |= done[0] >= limit
    return SettleReport(minutes, changed, is_more, clock.monotonic_s() - began)


def _marked_projects() -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT project_id FROM dirty_minutes ORDER BY 1")
        return [row[0] for row in cursor.fetchall()]


def _oldest_day() -> datetime | None:
    """Sums of days whose calls were dropped must stay as they are."""
    days = partitions.days_of("llm_calls")
    return datetime(days[0].year, days[0].month, days[0].day, tzinfo=UTC) if days else None


def _settle_project(
    project_id: int, limit: int, oldest: datetime | None, steps: Sequence[Step]
) -> tuple[int, int] | None:
    with transaction.atomic(), db.raw_cursor() as cursor:
        cursor.execute("SET LOCAL jit = off")
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", (_LOCK, project_id & 0x7FFF_FFFF))
        if not _first(cursor):
            return None
        claimed = _claim(cursor, project_id, limit)
        minutes = {minute for minute in claimed if oldest is not None and minute >= oldest}
        if not minutes:
            return len(claimed), 0
        previews.fill(cursor, project_id, minutes)
        changed = _charge(cursor, project_id, minutes)
        touched = minutes | {stored.minute_of(key) for key in changed}
        labels.settle(cursor, project_id, touched)
        rollups.recompute(cursor, project_id, touched)
        hours.mark(cursor, project_id, touched)
        peaks.mark(cursor, project_id, touched)
        recharged = {stored.minute_of(key) for key, is_recharged in changed.items() if is_recharged}
        for step in steps if recharged else ():
            step(cursor, project_id, recharged)
    return len(claimed), len(changed)


def _first(cursor: db.CursorType) -> Any:
    row = cursor.fetchone()
    return row[0] if row else None


def _claim(cursor: db.CursorType, project_id: int, limit: int) -> set[datetime]:
    cursor.execute(
        "DELETE FROM dirty_minutes WHERE project_id = %(project_id)s AND minute IN ("
        " SELECT DISTINCT minute FROM dirty_minutes WHERE project_id = %(project_id)s ORDER BY minute DESC"
        " LIMIT %(limit)s) RETURNING minute",
        {"project_id": project_id, "limit": limit},
    )
    return {row[0].astimezone(UTC) for row in cursor.fetchall()}


def _charge(cursor: db.CursorType, project_id: int, minutes: set[datetime]) -> dict[Key, bool]:
    """Decides anew for every trace that the touched calls reach; which calls changed, and whether their charge did."""
    window = {"first": min(minutes) - RESPONSE_WINDOW, "last": max(minutes) + RESPONSE_WINDOW}
    traces = _undecided(cursor, project_id, minutes, window)
    if not traces:
        return {}
    book = selectors.book(project_id)
    calls = stored.load(
        cursor,
        project_id,
        "AND c.trace_id = ANY (%(traces)s::uuid[]) AND c.start_time BETWEEN %(first)s AND %(last)s",
        {"traces": list(traces), **window},
        book,
    )
    parents = _parents(cursor, project_id, {call.facts.trace_id for call in calls if call.facts.is_rollup}, window)
    decisions = charging.decide([call.facts for call in calls], parents)
    changes = [(call, stored.changes_of(call, decisions[call.facts.key], book)) for call in calls]
    changes = [(call, changed) for call, changed in changes if changed]
    stored.write(cursor, project_id, changes)
    return {call.facts.key: "charge" in changed for call, changed in changes}


def _undecided(
    cursor: db.CursorType, project_id: int, minutes: set[datetime], window: Mapping[str, datetime]
) -> set[UUID]:
    found = _Neighbourhood()
    new = _touched_traces(cursor, project_id, minutes)
    for _round in range(_ROUNDS):
        if not new:
            break
        found.known |= new
        rows = _narrow_rows(cursor, project_id, new, window)
        found.rows += rows
        found.responses.update(row[1] for row in rows if row[1] is not None)
        found.pairs.update(row[2] for row in rows if row[2] is not None)
        new = _linked_traces(cursor, project_id, rows, window) - found.known
    return _interesting(found)


def _touched_traces(cursor: db.CursorType, project_id: int, minutes: set[datetime]) -> set[UUID]:
    cursor.execute(
        "SELECT DISTINCT trace_id FROM unnest(%(minutes)s::timestamptz[]) AS wanted(minute) JOIN llm_calls"
        " ON project_id = %(project_id)s AND start_time >= minute AND start_time < minute + interval '1 minute'"
        " AND start_time >= %(first)s AND start_time < %(last)s",
        {
            "project_id": project_id,
            "minutes": sorted(minutes),
            "first": min(minutes),
            "last": max(minutes) + timedelta(minutes=1),
        },
    )
    return {row[0] for row in cursor.fetchall()}


def _narrow_rows(
    cursor: db.CursorType, project_id: int, traces: set[UUID], window: Mapping[str, datetime]
) -> list[tuple[Any, ...]]:
    """(trace, response key, pair key, was decided before, input tokens, output tokens) of all calls of the traces."""
    cursor.execute(
        "SELECT trace_id, response_key, pair_key, charge <> 0 OR filled IS NOT NULL OR cost_rule LIKE %(fallback)s,"
        " input_tokens, output_tokens FROM llm_calls WHERE project_id = %(project_id)s"
        " AND trace_id = ANY (%(traces)s::uuid[]) AND start_time BETWEEN %(first)s AND %(last)s",
        {"project_id": project_id, "traces": list(traces), "fallback": ROLLUP_FALLBACK + "%", **window},
    )
    return cursor.fetchall()


def _linked_traces(
    cursor: db.CursorType, project_id: int, rows: Sequence[tuple[Any, ...]], window: Mapping[str, datetime]
) -> set[UUID]:
    """Other traces with the same response or pair keys, unless the key is so common that it means nothing."""
    linked: set[UUID] = set()
    for column, position in (("response_key", 1), ("pair_key", 2)):
        keys = {row[position] for row in rows if row[position] is not None}
        if keys:
            cursor.execute(
                f"SELECT array_agg(DISTINCT trace_id) FROM llm_calls WHERE project_id = %(project_id)s"  # noqa: S608
                f" AND {column} = ANY (%(keys)s::bigint[]) AND start_time BETWEEN %(first)s AND %(last)s"
                f" GROUP BY {column} HAVING count(*) BETWEEN 2 AND %(most)s".encode(),
                {"project_id": project_id, "keys": list(keys), "most": 4 * RECORDS_PER_RESPONSE, **window},
            )
            linked.update(trace for row in cursor.fetchall() for trace in row[0])
    return linked


def _interesting(found: _Neighbourhood) -> set[UUID]:
    """Traces with a decision to make or to revise: a shared key, an earlier decision, or calls that look alike."""
    alike: Counter[tuple[Any, ...]] = Counter()
    without_response: set[tuple[Any, ...]] = set()
    for trace, response, _pair, _decided, used, made in found.rows:
        if used is not None:
            alike[trace, used, made] += 1
            if response is None:
                without_response.add((trace, used, made))
    traces = {key[0] for key in without_response if alike[key] > 1}
    sizes = Counter(row[0] for row in found.rows)
    bare = (row for row in found.rows if row[1] is None and row[4] is None and row[5] is None)
    traces |= {row[0] for row in bare if sizes[row[0]] > 1}  # a wrapper around a call tells neither id nor usage
    for trace, response, pair, decided, _used, _made in found.rows:
        if decided or found.responses[response] > 1 or found.pairs[pair] > 1:
            traces.add(trace)
    return traces


def _parents(
    cursor: db.CursorType, project_id: int, traces: Iterable[UUID], window: Mapping[str, datetime]
) -> dict[UUID, dict[int, int | None]]:
    wanted = list(traces)
    if not wanted:
        return {}
    cursor.execute(
        "SELECT trace_id, span_id, parent_span_id FROM spans WHERE project_id = %(project_id)s"
        " AND trace_id = ANY (%(traces)s::uuid[]) AND start_time BETWEEN %(first)s AND %(last)s",
        {"project_id": project_id, "traces": wanted, **window},
    )
    parents: dict[UUID, dict[int, int | None]] = {trace: {} for trace in wanted}
    for trace, span, parent in cursor.fetchall():
        parents[trace][span] = parent
    return parents
