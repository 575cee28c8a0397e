"""What of a window's calls no rollup holds: conversations and how they ended, the prices used, and estimates."""

# ruff: noqa: S608 - every name in these statements is our own; what people typed is a parameter

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from stanchion_server.ingest.records import HOSTED_PRICE, Charge, CostConfidence, SpanKind, Status
from stanchion_server.traces.filters import CallFilter, Condition, all_of, call_conditions
from stanchion_server.traces.rollups import DIMENSIONS
from stanchion_server.traces.selectors import measures, reading

LONGEST = timedelta(days=31, hours=1)
PATIENCE_MS = 8_000
MOST_GROUPS = 5_000
MOST_PRICES = 6


@dataclass(frozen=True, slots=True)
class Details:
    """None where it was not read, or is not known.

    A conversation is a session. It is resolved when people say so: where it has ratings whose name or label is one of
    OUTCOMES, the good ones without a bad one decide; else one that was rated well and never badly is. `rated_sessions`
    are those with a word either way: of the others nobody knows. `prices` are versions of price tables, at most
    MOST_PRICES; `low_confidence_calls` rest on estimated tokens, or on an undecidable way of counting them.
    """

    sessions: int | None = None
    rated_sessions: int | None = None
    resolved_sessions: int | None = None
    low_confidence_calls: int | None = None
    prices: tuple[str, ...] | None = None


OUTCOMES = ("resolved", "resolution", "outcome", "unresolved")
UNREAD = Details()


def read(
    project_id: int, start: datetime, end: datetime, group_by: Sequence[str], wanted: CallFilter
) -> Mapping[tuple[str | None, ...] | None, Details]:
    """By the values of at most two dimensions, and under None for all calls. Groups beyond MOST_GROUPS are left out.
    Takes at most PATIENCE_MS, then SenderError `query_too_slow`."""
    columns = [_column(name) for name in group_by] + [Condition("''", ())] * (2 - len(group_by))
    where = all_of([
        Condition("c.project_id = %s AND c.charge = %s", (project_id, Charge.CHARGED)),
        Condition("c.start_time >= %s AND c.start_time < %s", (start, end)),
        *call_conditions(wanted),
    ])  # fmt: skip
    params = (
        *columns[0].params,
        *columns[1].params,
        CostConfidence.LOW.value,
        *where.params,
        project_id,
        *where.params,
    )
    sql = _SQL.format(first=columns[0].sql, second=columns[1].sql, where=where.sql)
    with reading.bounded(PATIENCE_MS):
        found = reading.rows(sql, [*params, project_id, project_id, MOST_GROUPS])
    return {_key(row, group_by): _details(row) for row in found}


def _column(name: str) -> Condition:
    if name.startswith(measures.ATTRIBUTE_PREFIX):
        sql = """coalesce((SELECT s.attributes ->> %s FROM spans s WHERE s.project_id = c.project_id
            AND s.trace_id = c.trace_id AND s.span_id = c.span_id AND s.start_time = c.start_time), '')"""
        return Condition(sql, (measures.attribute_key(name),))
    column = name if name in DIMENSIONS else measures.CALL_DIMENSIONS[name]
    return Condition(f"c.{column}::text", ())


def _key(row: reading.Row, group_by: Sequence[str]) -> tuple[str | None, ...] | None:
    if row[0]:
        return None
    return tuple(_label(name, value) for name, value in zip(group_by, row[1:3], strict=False))


def _label(name: str, value: str) -> str:
    if name == "kind":
        return SpanKind(int(value)).name.lower()
    return Status(int(value)).name.lower() if name == "status" else value


def _details(row: reading.Row) -> Details:
    """Nobody said anything: how conversations ended is not known."""
    sessions, rated, resolved, low, prices = row[3:]
    return Details(sessions, rated, resolved if rated else None, low, tuple(sorted(prices or ()))[:MOST_PRICES])


_WORD = "coalesce(r.tone, CASE lower(r.label) WHEN 'resolved' THEN 1 WHEN 'unresolved' THEN -1 END)"
_IS_OUTCOME = f"(lower(r.name) IN {OUTCOMES} OR lower(r.label) IN {OUTCOMES})"
PRICE = f"""CASE WHEN starts_with(c.cost_price, '{HOSTED_PRICE}') THEN c.cost_price
    WHEN c.cost_price <> '' THEN concat_ws(' ', split_part(c.cost_price, ' ', 1),
        split_part(c.cost_price, ' ', 2)) END"""
SAID = f"""rated AS MATERIALIZED (
    SELECT DISTINCT c.session_id, c.trace_id FROM llm_calls c
    WHERE c.session_id <> '' AND c.trace_id IN (SELECT trace_id FROM ratings WHERE project_id = %s) AND {{where}}
), words AS (
    SELECT k.session_id, {_WORD} AS word, {_IS_OUTCOME} AS is_outcome
    FROM rated k JOIN ratings r ON r.project_id = %s AND r.trace_id = k.trace_id
    UNION ALL
    SELECT r.session_id, {_WORD}, {_IS_OUTCOME}
    FROM ratings r WHERE r.project_id = %s AND r.session_id <> '' AND r.trace_id IS NULL
), said AS MATERIALIZED (
    SELECT session_id, CASE
        WHEN bool_or(is_outcome) THEN bool_or(is_outcome AND word = 1) AND NOT bool_or(is_outcome AND word = -1)
        ELSE bool_or(word = 1) AND NOT bool_or(word = -1) END AS is_resolved
    FROM words WHERE word <> 0 GROUP BY session_id
)"""
"""How conversations of the calls `{{where}}` ended; parameters: the project, those of `where`, twice the project."""

_SQL = f"""
WITH calls AS MATERIALIZED (
    SELECT {{first}} AS g1, {{second}} AS g2, c.session_id, {PRICE} AS price, count(*) AS calls,
        count(*) FILTER (WHERE c.cost_usd IS NOT NULL AND c.cost_confidence = %s) AS low
    FROM llm_calls c WHERE {{where}} GROUP BY 1, 2, 3, 4
), {SAID}
SELECT grouping(g1), g1, g2, count(DISTINCT session_id) FILTER (WHERE session_id <> ''),
    count(DISTINCT session_id) FILTER (WHERE is_resolved IS NOT NULL),
    count(DISTINCT session_id) FILTER (WHERE is_resolved), coalesce(sum(low), 0)::bigint, array_agg(DISTINCT price)
        FILTER (WHERE price IS NOT NULL)
FROM calls LEFT JOIN said USING (session_id) GROUP BY GROUPING SETS ((), (g1, g2))
ORDER BY 1 DESC, sum(calls) DESC NULLS LAST LIMIT %s
"""
