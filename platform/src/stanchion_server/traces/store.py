"""Writes one accepted request, in one transaction: all of it is in the database when `store` returns, or none of it.

The common case is a plain COPY into the partitioned tables. Rows that are there already make it fail; then the batch
goes through staging tables, which is slower and counts what was new. Rows are always written in the order of their key,
so that two deliveries of the same batch wait for each other instead of dead-locking.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
from django.db import transaction

from stanchion_server.ingest.ledger import LedgerEntry
from stanchion_server.ingest.records import (
    Batch,
    CallRecord,
    ContentRecord,
    KeyMapping,
    LogRecord,
    PointRecord,
    RawResource,
    SpanRecord,
)
from stanchion_server.kernel import clock, copy, db
from stanchion_server.kernel.errors import Unavailable
from stanchion_server.traces import labels, partitions
from stanchion_server.traces.columns import CALLS, CONTENTS, DECISIONS, LOGS, POINTS, SPANS, Frame, Table

_ATTEMPTS = 4
_LONGEST_CALL = timedelta(days=1)
_NAMES_KEPT = 50_000

_known_names: set[tuple[str, int, int]] = set()


@dataclass(frozen=True, slots=True)
class StoreResult:
    """`stored` items are new rows; `duplicate` items were there already, in the store or earlier in the request."""

    stored: int
    duplicate: int


CallPlace = tuple[UUID, int, datetime]
"""Trace, span and start of a call."""


@dataclass(frozen=True, slots=True)
class Written:
    """What a transaction has just written of a project: `calls` are new or have a longer version, `retold` are calls
    stored before whose texts arrived on log records. With `is_new` every row was new so far: a step that then raises
    UniqueViolation is asked again, without it, after all has been written anew."""

    project_id: int
    received_at: datetime
    calls: Sequence[CallRecord]
    retold: Sequence[CallPlace]
    batch: Batch
    is_new: bool


Then = Callable[[db.CursorType, Written], None]
"""A next step that is committed with the rows, or not at all; it may be called again after a collision."""


@dataclass(frozen=True, slots=True)
class _Load:
    """The distinct rows of one table, in key order, and how many items of the batch they stand for."""

    table: Table
    records: Sequence[Any]
    sent: int


def store(project_id: int, batch: Batch, ledger: LedgerEntry, then: Sequence[Then] = ()) -> StoreResult:
    """Raises Unavailable when the database is away, overloaded or cannot settle a conflict; nothing is kept then."""
    loads = [
        _distinct(SPANS, batch.spans),
        _distinct(CALLS, batch.calls),
        _distinct(CONTENTS, batch.contents),
        _distinct(LOGS, batch.logs),
        _distinct(POINTS, batch.points),
        _distinct(DECISIONS, batch.decisions),
    ]
    is_new = True
    for _attempt in range(_ATTEMPTS):
        with db.away_is_unavailable():
            try:
                return _store_once(project_id, batch, ledger, loads, then, is_new=is_new)
            except psycopg.errors.UniqueViolation:
                is_new = False
            except psycopg.errors.CheckViolation as error:
                if "partition" not in str(error):
                    raise
                partitions.forget()
            except psycopg.errors.DeadlockDetected:
                continue
    raise Unavailable("the batch kept colliding with other deliveries")


def refuse(project_id: int, ledger: LedgerEntry) -> None:
    """Writes the ledger row of a request that was refused as a whole."""
    with db.away_is_unavailable():
        try:
            _refuse_once(project_id, ledger)
        except psycopg.errors.CheckViolation:
            partitions.forget()
            _refuse_once(project_id, ledger)


def _refuse_once(project_id: int, ledger: LedgerEntry) -> None:
    now = clock.now()
    partitions.ensure([now.date()])
    with transaction.atomic(), db.raw_cursor() as cursor:
        _write_ledger(cursor, project_id, now, ledger, StoreResult(0, 0), "refused")


def _store_once(
    project_id: int, batch: Batch, ledger: LedgerEntry, loads: Sequence[_Load], then: Sequence[Then], *, is_new: bool
) -> StoreResult:
    now = clock.now()
    partitions.ensure(_days(batch, now))
    frame = Frame(copy.bigint(project_id), copy.timestamptz(now))
    names = _unknown_names(project_id, batch)
    with transaction.atomic(), db.raw_cursor() as cursor:
        _write_names(cursor, project_id, names, now)
        write = _copy if is_new else _merge
        fresh = {load.table.name: write(cursor, frame, load) for load in loads if load.records}
        result = _count(loads, fresh)
        retold = _retold(cursor, project_id, batch.contents) if batch.logs and fresh.get("contents") else []
        _mark_dirty(cursor, project_id, batch, retold)
        if then:
            calls = batch.calls if is_new else _fresh_calls(cursor, project_id, batch.calls, now)
            for step in then:
                step(cursor, Written(project_id, now, calls, retold, batch, is_new))
        _write_ledger(cursor, project_id, now, ledger, result, "stored")
    if len(_known_names) > _NAMES_KEPT:
        _known_names.clear()
    _known_names.update(names)
    return result


def _distinct(table: Table, records: Iterable[Any]) -> _Load:
    """Of several versions of a row the longest one stands, the first among equals."""
    kept: dict[tuple[Any, ...], Any] = {}
    sent = 0
    for record in records:
        sent += 1
        key = table.identity(record)
        other = kept.get(key)
        if other is None or (table.is_replaced and other.duration_ns < record.duration_ns):
            kept[key] = record
    return _Load(table, [kept[key] for key in sorted(kept)], sent)


def _count(loads: Sequence[_Load], fresh: Mapping[str, int]) -> StoreResult:
    items = [load for load in loads if load.table in (SPANS, LOGS, POINTS)]
    stored = sum(fresh.get(load.table.name, 0) for load in items)
    return StoreResult(stored, sum(load.sent for load in items) - stored)


def _days(batch: Batch, now: datetime) -> set[date]:
    times = {record.start_time for record in batch.spans}
    times.update(record.start_time for record in batch.calls)
    times.update(record.start_time for record in batch.contents)
    times.update(record.time for record in batch.logs)
    times.update(record.time for record in batch.points)
    times.add(now)
    return {time.astimezone(UTC).date() for time in times}


def _copy(cursor: db.CursorType, frame: Frame, load: _Load) -> int:
    db.copy_in(cursor, load.table.name, load.table.columns, _body(frame, load))
    return len(load.records)


def _body(frame: Frame, load: _Load) -> bytes:
    row = load.table.row
    return copy.pack(tuple(load.table.encoders.values()), (row(frame, record) for record in load.records))


def _merge(cursor: db.CursorType, frame: Frame, load: _Load) -> int:
    """Adds the rows that are new and gives stored rows their longer version; returns how many were new."""
    table = load.table
    staging = f"staging_{table.name}"
    columns = ", ".join(f'"{name}"' for name in table.columns)
    order = ", ".join(f'"{name}"' for name in _order(table))
    cursor.execute(f"CREATE TEMP TABLE {staging} (LIKE {table.name} INCLUDING DEFAULTS) ON COMMIT DROP".encode())
    db.copy_in(cursor, staging, table.columns, _body(frame, load))
    cursor.execute(
        f"INSERT INTO {table.name} ({columns}) SELECT {columns} FROM {staging} ORDER BY {order}"  # noqa: S608 - names of our own
        " ON CONFLICT DO NOTHING".encode()
    )
    fresh = cursor.rowcount
    if table.is_replaced and fresh < len(load.records):
        cursor.execute(_replace_sql(table, staging).encode())
    cursor.execute(f"DROP TABLE {staging}".encode())
    return fresh


def _order(table: Table) -> list[str]:
    """The order of `Table.identity`: time first, so that rows of one partition lie together."""
    times = [name for name in table.key if name in ("start_time", "time")]
    return times + [name for name in table.key if name not in times]


def _replace_sql(table: Table, staging: str) -> str:
    """A longer version is a new row in every respect: what settling made of the old one is undone."""
    values = ", ".join(f'"{name}" = s."{name}"' for name in table.columns if name not in ("project_id", *table.key))
    if table is CALLS:
        values += ", primary_trace_id = NULL, primary_span_id = NULL, filled = NULL, inherited = NULL"
    same = " AND ".join(f't."{name}" = s."{name}"' for name in ("project_id", *table.key))
    return f"UPDATE {table.name} t SET {values} FROM {staging} s WHERE {same} AND t.duration_ns < s.duration_ns"  # noqa: S608 - names of our own


def _unknown_names(project_id: int, batch: Batch) -> dict[tuple[str, int, int], RawResource | KeyMapping]:
    names: dict[tuple[str, int, int], RawResource | KeyMapping] = {}
    with_resource: tuple[SpanRecord | LogRecord | PointRecord, ...] = (*batch.spans, *batch.logs, *batch.points)
    for record in with_resource:
        names["resource", project_id, record.resource.resource_id] = record.resource
    for call in batch.calls:
        names["mapping", project_id, call.mapping.mapping_id] = call.mapping
    return {key: names[key] for key in sorted(names) if key not in _known_names}


def _write_names(
    cursor: db.CursorType,
    project_id: int,
    names: Mapping[tuple[str, int, int], RawResource | KeyMapping],
    now: datetime,
) -> None:
    for thing in names.values():
        if isinstance(thing, RawResource):
            cursor.execute(
                "INSERT INTO resources (project_id, resource_id, first_seen_at, attributes)"
                " VALUES (%s, %s, %s, %s::jsonb) ON CONFLICT DO NOTHING",
                (project_id, thing.resource_id, now, _json(thing.attributes)),
            )
        else:
            cursor.execute(
                "INSERT INTO key_mappings (project_id, mapping_id, first_seen_at, dialect, scope_name, scope_version,"
                " winners, unmapped) VALUES (%s, %s, %s, %s, %s, %s, %s::jsonb, %s::text[]) ON CONFLICT DO NOTHING",
                (
                    project_id, thing.mapping_id, now, thing.dialect, thing.scope_name, thing.scope_version,
                    _json(thing.winners), list(thing.unmapped),
                ),
            )  # fmt: skip


def _mark_dirty(cursor: db.CursorType, project_id: int, batch: Batch, retold: Sequence[CallPlace]) -> None:
    minutes = {call.start_time.replace(second=0, microsecond=0) for call in batch.calls}
    minutes |= {start.astimezone(UTC).replace(second=0, microsecond=0) for _trace, _span, start in retold}
    calls = {(call.trace_id, call.span_id) for call in batch.calls}
    around = [span for span in batch.spans if (span.trace_id, span.span_id) not in calls and labels.is_a_link(span)]
    if around:
        minutes |= _minutes_inside(cursor, project_id, around)
    if minutes:
        cursor.execute(
            "INSERT INTO dirty_minutes (project_id, minute) SELECT %s, unnest(%s::timestamptz[])",
            (project_id, sorted(minutes)),
        )


def _retold(cursor: db.CursorType, project_id: int, contents: Sequence[ContentRecord]) -> list[CallPlace]:
    """Stored calls whose texts have just arrived on log records."""
    times = [content.start_time for content in contents]
    cursor.execute(
        "SELECT trace_id, span_id, start_time FROM llm_calls WHERE project_id = %s"
        " AND trace_id = ANY (%s::uuid[]) AND span_id = ANY (%s::bigint[]) AND start_time BETWEEN %s AND %s",
        (
            project_id,
            list({content.trace_id for content in contents}),
            list({content.span_id for content in contents}),
            min(times) - _LONGEST_CALL,
            max(times) + _LONGEST_CALL,
        ),
    )
    return [(row[0], row[1], row[2]) for row in cursor.fetchall()]


def _fresh_calls(
    cursor: db.CursorType, project_id: int, calls: Sequence[CallRecord], received_at: datetime
) -> list[CallRecord]:
    """Those that this very transaction wrote: it gave them its time."""
    if not calls:
        return []
    times = [call.start_time for call in calls]
    cursor.execute(
        "SELECT trace_id, span_id, start_time FROM llm_calls WHERE project_id = %s AND trace_id = ANY (%s::uuid[])"
        " AND start_time BETWEEN %s AND %s AND received_at = %s",
        (project_id, list({call.trace_id for call in calls}), min(times), max(times), received_at),
    )
    fresh = {(row[0], row[1], row[2]) for row in cursor.fetchall()}
    return [call for call in calls if (call.trace_id, call.span_id, call.start_time) in fresh]


def _minutes_inside(cursor: db.CursorType, project_id: int, spans: Sequence[SpanRecord]) -> set[datetime]:
    """The minutes of stored calls that may lie inside these spans, take labels from them or be covered by them."""
    times = [span.start_time for span in spans]
    cursor.execute(
        "SELECT DISTINCT date_trunc('minute', start_time, 'UTC') FROM llm_calls WHERE project_id = %s"
        " AND trace_id = ANY (%s::uuid[]) AND start_time BETWEEN %s AND %s",
        (project_id, list({span.trace_id for span in spans}), min(times), max(times) + labels.LONGEST_TRACE),
    )
    return {row[0] for row in cursor.fetchall()}


def _write_ledger(
    cursor: db.CursorType, project_id: int, now: datetime, ledger: LedgerEntry, result: StoreResult, state: str
) -> None:
    cursor.execute(
        "INSERT INTO ingest_batches (project_id, received_at, api_key_id, body_bytes, sent, stored, duplicate,"
        " rejected, altered, signal, client, state, reasons, alterations, detail)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s::jsonb, %s::jsonb, %s)",
        (
            project_id, now, ledger.api_key_id, ledger.body_bytes, ledger.sent, result.stored,
            result.duplicate, ledger.rejected, ledger.altered, ledger.signal, ledger.client, state,
            _json(ledger.reasons), _json(ledger.alterations), ledger.detail,
        ),
    )  # fmt: skip


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(dict(value), separators=(",", ":"))
