"""The one statement that answers a metric query, and the reading of its rows.

Its source rows are, for a range that rollups can answer: the rollups, minus the minute rollups of unsettled minutes,
plus the single calls of those minutes. Everything in a rollup adds up, so that the difference is exact at any grain.
"""

# ruff: noqa: S608 - every name in these statements is our own; what people typed is a parameter

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import accumulate
from typing import Any

from stanchion_server.ingest.records import Charge, SpanKind, Status
from stanchion_server.traces.filters import (
    CallFilter,
    Condition,
    all_of,
    call_conditions,
    check_attribute_key,
)
from stanchion_server.traces.histogram import value_of
from stanchion_server.traces.rollups import DIMENSIONS, FLOATS, HISTOGRAMS, OF_CALL, OF_CALL_BUCKET, OF_CALL_HAS, SUMS
from stanchion_server.traces.selectors import grains, reading
from stanchion_server.traces.selectors.shapes import MetricRow, Percentiles

CALL_DIMENSIONS: Mapping[str, str] = {
    "user": "user_id", "session": "session_id", "status": "status", "error_type": "error_type", "dialect": "dialect",
}  # fmt: skip
ATTRIBUTE_PREFIX = "attribute:"

FRACTIONS = (0.5, 0.66, 0.75, 0.8, 0.9, 0.95, 0.98, 0.99, 1.0)

MAX_UNSETTLED_MINUTES = 240
MONDAY = "timestamptz '1970-01-05 00:00:00+00'"
EPOCH = "timestamptz '1970-01-01 00:00:00+00'"

ADDED = (*SUMS, *FLOATS, "cost_usd")
ROW_COLUMNS = ("step", "g1", "g2", *ADDED, "duration_buckets", "duration_counts", "ttft_buckets", "ttft_counts")


@dataclass(frozen=True, slots=True)
class Plan:
    sql: str
    params: tuple[object, ...]
    is_raw: bool


def needs_calls(group_by: Sequence[str], wanted: CallFilter) -> bool:
    """Whether only single calls hold what the query names."""
    if any(name not in DIMENSIONS for name in group_by):
        return True
    plain = CallFilter(**{name: getattr(wanted, name) for name in DIMENSIONS})
    return wanted != plain


def attribute_key(group: str) -> str:
    return check_attribute_key(group.removeprefix(ATTRIBUTE_PREFIX))


def unread_minutes(project_id: int, start: datetime, end: datetime) -> int:
    sql = "SELECT count(DISTINCT minute) FROM dirty_minutes WHERE project_id = %s AND minute >= %s AND minute < %s"
    count: int = reading.rows(sql, (project_id, start, end))[0][0]
    return max(0, count - MAX_UNSETTLED_MINUTES)


def plan(
    project_id: int,
    start: datetime,
    end: datetime,
    step: timedelta | None,
    group_by: Sequence[str],
    wanted: CallFilter,
    *,
    histograms: Sequence[str] = HISTOGRAMS,
) -> Plan:
    is_raw = needs_calls(group_by, wanted)
    if is_raw:
        source = _calls_source(project_id, start, end, step, group_by, wanted, histograms)
    else:
        source = _rollups_source(project_id, start, end, step, group_by, wanted, histograms)
    return Plan(_statement(source.sql, is_raw, histograms), source.params, is_raw)


def _statement(source: str, is_raw: bool, histograms: Sequence[str]) -> str:
    summed = ", ".join(
        f"least(greatest(coalesce(sum({name}), 0), 0), 9223372036854775807)::bigint AS {name}" for name in SUMS
    )
    floats = ", ".join(f"greatest(coalesce(sum({name}), 0), 0) AS {name}" for name in FLOATS)
    parts = "".join(f", {name} AS ({_histogram(name, is_raw)})" for name in histograms)
    joins = " ".join(f"LEFT JOIN {name} USING (step, g1, g2)" for name in histograms)
    columns = ", ".join(
        f"{name}.buckets, {name}.counts" if name in histograms else "NULL::int[], NULL::bigint[]" for name in HISTOGRAMS
    )
    return f"""WITH {source}, sums AS (
        SELECT step, g1, g2, {summed}, {floats}, sum(cost_usd) AS cost_usd
        FROM source GROUP BY step, g1, g2 HAVING sum(calls) > 0
    ){parts}
    SELECT step, g1, g2, {", ".join(ADDED)}, {columns} FROM sums {joins} ORDER BY step, calls DESC"""


def _histogram(name: str, is_raw: bool) -> str:
    if is_raw:
        inner = f"SELECT step, g1, g2, {name}_bucket AS b, count(*) AS c FROM source WHERE {name}_bucket IS NOT NULL"
    else:
        inner = (
            f"SELECT step, g1, g2, b, sum(c)::bigint AS c FROM source, unnest({name}_buckets, {name}_counts) u(b, c)"
        )
    return f"""SELECT step, g1, g2, array_agg(b) AS buckets, array_agg(c) AS counts
        FROM ({inner} GROUP BY step, g1, g2, b) counted WHERE c > 0 GROUP BY step, g1, g2"""


def step_sql(step: timedelta | None, time: str) -> str:
    if step is None:
        return EPOCH
    return f"date_bin(interval '{int(step.total_seconds())} seconds', {time}, {MONDAY})"


def _group_columns(group_by: Sequence[str], expression: Mapping[str, str]) -> str:
    """Two columns g1 and g2 of text, empty where the query has fewer groups."""
    chosen = [f"{expression[name]}::text" for name in group_by] + ["''::text"] * (2 - len(group_by))
    return f"{chosen[0]} AS g1, {chosen[1]} AS g2"


def _calls_source(
    project_id: int,
    start: datetime,
    end: datetime,
    step: timedelta | None,
    group_by: Sequence[str],
    wanted: CallFilter,
    histograms: Sequence[str],
) -> Condition:
    """Single calls. Without histograms the rows are read once, and not put aside first: a million of them would go to
    disk."""
    read = calls_read(project_id, start, end, group_by, wanted)
    added = ", ".join(f"{OF_CALL[name]} AS {name}" for name in ADDED)
    buckets = ", ".join(
        f"CASE WHEN {OF_CALL_HAS[name]} THEN {OF_CALL_BUCKET[name]} END AS {name}_bucket" for name in HISTOGRAMS
    )
    sql = f"""source AS {"" if histograms else "NOT "}MATERIALIZED (
        SELECT {step_sql(step, "c.start_time")} AS step, {read.groups.sql}, {added}, {buckets}
        FROM llm_calls c {read.join.sql} WHERE {read.where.sql})"""
    return Condition(sql, (*read.groups.params, *read.join.params, *read.where.params))


@dataclass(frozen=True, slots=True)
class CallsRead:
    """How single calls `c` are read: the columns g1 and g2, what is joined to them, and which they are. `groups.params`
    come first in a statement, then those of `join` and of `where`."""

    groups: Condition
    join: Condition
    where: Condition


def calls_read(
    project_id: int, start: datetime, end: datetime, group_by: Sequence[str], wanted: CallFilter
) -> CallsRead:
    """An attribute is looked up on the call's own span."""
    expression = {name: f"c.{name}" for name in DIMENSIONS}
    expression |= {name: f"c.{column}" for name, column in CALL_DIMENSIONS.items()}
    keys = [name for name in group_by if name.startswith(ATTRIBUTE_PREFIX)]
    expression |= dict.fromkeys(keys, "coalesce(s.attributes ->> %s, '')")
    join = "" if not keys else (
        "LEFT JOIN spans s ON s.project_id = c.project_id AND s.trace_id = c.trace_id AND s.span_id = c.span_id"
        " AND s.start_time = c.start_time AND s.start_time >= %s AND s.start_time < %s"
    )  # fmt: skip
    names = tuple(attribute_key(name) for name in keys)
    return CallsRead(
        Condition(_group_columns(group_by, expression), names),
        Condition(join, (start, end) if keys else ()),
        all_of(_call_conditions(project_id, start, end, wanted)),
    )


def _call_conditions(project_id: int, start: datetime, end: datetime, wanted: CallFilter) -> list[Condition]:
    return [
        Condition("c.project_id = %s AND c.charge = %s", (project_id, Charge.CHARGED)),
        Condition("c.start_time >= %s AND c.start_time < %s", (start, end)),
        *call_conditions(wanted),
    ]


def _rollups_source(
    project_id: int,
    start: datetime,
    end: datetime,
    step: timedelta | None,
    group_by: Sequence[str],
    wanted: CallFilter,
    histograms: Sequence[str],
) -> Condition:
    dirty = f"""dirty AS MATERIALIZED (SELECT DISTINCT minute FROM dirty_minutes WHERE project_id = %s AND minute >= %s
        AND minute < %s ORDER BY minute DESC LIMIT {MAX_UNSETTLED_MINUTES})"""
    filters = _dimension_conditions(wanted)
    table = "call_rollups" if filters or group_by else "call_totals"
    pieces = [
        _settled(table, project_id, segment, step, group_by, filters, histograms)
        for segment in grains.segments(start, end, grains.coarsest(end - start, step))
    ]
    pieces.append(_unsettled_rollups(table, project_id, step, group_by, filters, histograms))
    pieces.append(_unsettled_calls(project_id, start, end, step, group_by, wanted, histograms))
    union = "\nUNION ALL\n".join(piece.sql for piece in pieces)
    params = tuple(param for piece in pieces for param in piece.params)
    return Condition(f"{dirty}, source AS MATERIALIZED ({union})", (project_id, start, end, *params))


def _dimension_conditions(wanted: CallFilter) -> list[Condition]:
    values = {name: getattr(wanted, name) for name in DIMENSIONS}
    return [Condition(f"r.{name} = %s", (value,)) for name, value in values.items() if value is not None]


def _rollup_columns(step: timedelta | None, group_by: Sequence[str], sign: str, histograms: Sequence[str]) -> str:
    expression = {name: f"r.{name}" for name in DIMENSIONS}
    added = ", ".join(f"{sign}r.{name} AS {name}" for name in ADDED)
    columns = f"{step_sql(step, 'r.bucket')} AS step, {_group_columns(group_by, expression)}, {added}"
    counts = "ARRAY(SELECT -x FROM unnest(r.{name}_counts) x)" if sign else "r.{name}_counts"
    return columns + "".join(
        f", r.{name}_buckets AS {name}_buckets, {counts.format(name=name)} AS {name}_counts" for name in histograms
    )


def _settled(
    table: str,
    project_id: int,
    segment: grains.Segment,
    step: timedelta | None,
    group_by: Sequence[str],
    filters: list[Condition],
    histograms: Sequence[str],
) -> Condition:
    own = Condition(
        f"r.project_id = %s AND r.grain_minutes = {segment.grain_minutes} AND r.bucket >= %s AND r.bucket < %s",
        (project_id, segment.start, segment.end),
    )
    where = all_of([own, *filters])
    columns = _rollup_columns(step, group_by, "", histograms)
    return Condition(f"SELECT {columns} FROM {table} r WHERE {where.sql}", where.params)


def _unsettled_rollups(
    table: str,
    project_id: int,
    step: timedelta | None,
    group_by: Sequence[str],
    filters: list[Condition],
    histograms: Sequence[str],
) -> Condition:
    own = "r.project_id = %s AND r.grain_minutes = 1 AND r.bucket = ANY (ARRAY(SELECT minute FROM dirty))"
    where = all_of([Condition(own, (project_id,)), *filters])
    columns = _rollup_columns(step, group_by, "-", histograms)
    return Condition(f"SELECT {columns} FROM {table} r WHERE {where.sql}", where.params)


def _unsettled_calls(
    project_id: int,
    start: datetime,
    end: datetime,
    step: timedelta | None,
    group_by: Sequence[str],
    wanted: CallFilter,
    histograms: Sequence[str],
) -> Condition:
    expression = {name: f"c.{name}" for name in DIMENSIONS}
    added = ", ".join(f"{OF_CALL[name]} AS {name}" for name in ADDED)
    columns = f"{step_sql(step, 'c.start_time')} AS step, {_group_columns(group_by, expression)}, {added}"
    columns += "".join(
        f", CASE WHEN {OF_CALL_HAS[name]} THEN ARRAY[{OF_CALL_BUCKET[name]}] ELSE '{{}}' END,"
        f" CASE WHEN {OF_CALL_HAS[name]} THEN ARRAY[1::bigint] ELSE '{{}}' END"
        for name in histograms
    )
    where = all_of(_call_conditions(project_id, start, end, wanted))
    sql = f"""SELECT {columns} FROM dirty d JOIN llm_calls c
        ON c.start_time >= d.minute AND c.start_time < d.minute + interval '1 minute' WHERE {where.sql}"""
    return Condition(sql, where.params)


def row_of(
    row: reading.Row, start: datetime, end: datetime, step: timedelta | None, group_by: Sequence[str]
) -> MetricRow:
    values: dict[str, Any] = dict(zip(ROW_COLUMNS, row, strict=True))
    bucket = None if step is None else values["step"].astimezone(UTC)
    group = {name: label(name, values[f"g{place}"]) for place, name in enumerate(group_by, start=1)}
    return _measured(values, bucket, group, _seconds(bucket, start, end, step))


def nothing(start: datetime, end: datetime) -> MetricRow:
    """The row of a range without calls."""
    zeros: dict[str, Any] = dict.fromkeys((*SUMS, *FLOATS), 0)
    empty = {f"{name}_{part}": None for name in HISTOGRAMS for part in ("buckets", "counts")}
    return _measured({**zeros, **empty, "cost_usd": None}, None, {}, (end - start).total_seconds())


def _measured(
    values: Mapping[str, Any], bucket: datetime | None, group: Mapping[str, str], seconds: float
) -> MetricRow:
    calls = values["calls"]
    has_tokens = calls > values["untokened_calls"]
    has_price = calls > values["unpriced_calls"]
    generation_ms = values["generation_ms_sum"]
    counts: dict[str, Any] = {name: values[name] for name in SUMS[:6]}
    tokens: dict[str, Any] = {name: values[name] if has_tokens else None for name in SUMS[6:11]}
    return MetricRow(
        bucket=bucket,
        group=group,
        **counts,
        **tokens,
        error_ratio=values["errors"] / calls if calls else None,
        cost_usd=(values["cost_usd"] or Decimal(0)) if has_price or not calls else None,
        duration_mean_ms=values["duration_ms_sum"] / calls if calls else None,
        duration_ms=percentiles(values["duration_buckets"], values["duration_counts"]),
        ttft_ms=percentiles(values["ttft_buckets"], values["ttft_counts"]),
        output_tokens_per_s=values["generation_tokens"] / generation_ms * 1000 if generation_ms > 1e-6 else None,
        calls_per_s=calls / seconds if seconds > 0 else 0.0,
    )


def percentiles(buckets: Sequence[int] | None, counts: Sequence[int] | None) -> Percentiles | None:
    """All of R4's percentiles in one pass over the sorted buckets; None for an empty histogram."""
    if not buckets or not counts:
        return None
    pairs = sorted(zip(buckets, counts, strict=True))
    seen = list(accumulate(count for _bucket, count in pairs))
    places = (bisect_left(seen, max(1, math.ceil(fraction * seen[-1]))) for fraction in FRACTIONS)
    return Percentiles(*(value_of(pairs[place][0]) for place in places))


def label(name: str, text: str) -> str:
    if name == "kind":
        return SpanKind(int(text)).name.lower()
    return Status(int(text)).name.lower() if name == "status" else text


def _seconds(bucket: datetime | None, start: datetime, end: datetime, step: timedelta | None) -> float:
    if bucket is None or step is None:
        return (end - start).total_seconds()
    return (min(bucket + step, end) - max(bucket, start)).total_seconds()
