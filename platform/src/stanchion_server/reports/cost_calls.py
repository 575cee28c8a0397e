"""Costs that only single calls tell (by user, session or span attribute): sums by group, their steps, conversations and
price tables, all from one read of the calls."""

# ruff: noqa: S608 - every name in these statements is our own; what people typed is a parameter

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from stanchion_server.costs import breakdown
from stanchion_server.costs.breakdown import Amounts, Key
from stanchion_server.ingest.records import CostConfidence
from stanchion_server.kernel.errors import SenderError
from stanchion_server.reports.cost_details import MOST_PRICES, PRICE, SAID, Details
from stanchion_server.traces.filters import CallFilter, Condition
from stanchion_server.traces.rollups import OF_CALL
from stanchion_server.traces.selectors import grains, measures, reading

PLANNER = {"work_mem": "64MB", "enable_mergejoin": "off", "enable_sort": "off", "parallel_tuple_cost": "0.01"}
"""Memory for 200,000 groups: the database's own 4 MB would write them to disk several times. How many groups there are
is not known beforehand; by the guess for a million, all would be sorted to join and count them."""
MOST_STEPS = 20_000
PATIENCE_MS = reading.TIMEOUT_MS
"""With conversations; then sums are read alone."""


@dataclass(frozen=True, slots=True)
class CallsQuery:
    """The `limit` dearest groups by `group_by` have rows of their own, and so do nameless ones and those that `known`
    names (a condition on g1 and g2): the rest is one row. With `step`, the `step_limit` dearest ones are told step by
    step as well."""

    start: datetime
    end: datetime
    group_by: tuple[str, ...]
    filters: CallFilter
    limit: int
    known: Condition
    step: timedelta | None = None
    step_limit: int = 0


@dataclass(frozen=True, slots=True)
class Group:
    """`key` is None for all smaller groups together, `bucket` for the whole window."""

    bucket: datetime | None
    key: Key | None
    amounts: Amounts


@dataclass(slots=True)
class CallsCost:
    """`folded` groups are one row, `folded_steps` are one of each step. `steps` is a refusal where they were too many.
    `details` are by key, and under None for the whole window; empty where they were too much to read."""

    groups: list[Group] = field(default_factory=list)
    steps: list[Group] | SenderError = field(default_factory=list)
    folded: int = 0
    folded_steps: int = 0
    details: dict[Key | None, Details] = field(default_factory=dict)


def read(project_id: int, query: CallsQuery) -> CallsCost:
    """SenderError `query_too_slow` where even sums alone take too long."""
    try:
        return _read(project_id, query, PATIENCE_MS, with_details=True)
    except SenderError as error:
        if error.code != "query_too_slow":
            raise
    return _read(project_id, query, reading.TIMEOUT_MS, with_details=False)


def _read(project_id: int, query: CallsQuery, timeout_ms: int, *, with_details: bool) -> CallsCost:
    is_by_session = "session" in query.group_by
    statements = (_BY_SESSION,) if is_by_session else (_SUMS, _CONVERSATIONS) if with_details else (_SUMS,)
    days = [_of_day(project_id, query, *day, sql) for day in _days(query) for sql in statements]
    whole = measures.calls_read(project_id, query.start, query.end, query.group_by, query.filters).where
    sql = _SQL.format(
        days="\nUNION ALL\n".join(day.sql for day in days), known=query.known.sql,
        said=f", {SAID.format(where=whole.sql)}" if with_details else "", details=_DETAILS if with_details else "",
    )  # fmt: skip
    params = [param for day in days for param in day.params]
    params += [*query.known.params, query.limit]
    params += [project_id, *whole.params, project_id, project_id] if with_details else []
    params += [query.limit, query.step_limit, query.step_limit, MOST_STEPS + 1 if query.step else 0]
    with reading.bounded(timeout_ms, planner=PLANNER):
        return _told(reading.rows(sql, params), query)


def _of_day(project_id: int, query: CallsQuery, start: datetime, end: datetime, day_sql: str) -> Condition:
    calls = measures.calls_read(project_id, start, end, query.group_by, query.filters)
    low = () if day_sql is _CONVERSATIONS else (CostConfidence.LOW.value,)
    sql = day_sql.format(
        step=measures.step_sql(query.step, "c.start_time"), groups=calls.groups.sql, join=calls.join.sql,
        where=calls.where.sql,
    )  # fmt: skip
    return Condition(sql, (*calls.groups.params, *low, *calls.join.params, *calls.where.params))


def _days(query: CallsQuery) -> Iterator[tuple[datetime, datetime]]:
    """The UTC days of the window, as partitions are cut: at most 32."""
    start = query.start
    while start < query.end:
        midnight = grains.floor_to(start, grains.DAY) + grains.DAY
        yield start, min(midnight, query.end)
        start = midnight


def _told(rows: Sequence[reading.Row], query: CallsQuery) -> CallsCost:
    by_part: Mapping[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        named = dict(zip(_COLUMNS, row, strict=True))
        by_part[named["part"]].append(named)
    found = CallsCost([_group(row, query.group_by) for row in by_part["group"]])
    (left_out,) = by_part["left out"]
    found.folded, found.folded_steps = left_out["sessions"], left_out["rated"]
    steps = by_part["step"]
    found.steps = (
        SenderError("too_many_rows", f"That are more than {MOST_STEPS} rows. Ask for less at once.", 422)
        if len(steps) > MOST_STEPS
        else [_group(row, query.group_by) for row in steps]
    )
    found.details = {_key(told, query.group_by): _details(told) for told in by_part["details"]}
    return found


def _group(row: Mapping[str, Any], group_by: Sequence[str]) -> Group:
    counts: dict[str, Any] = {name: row[name] for name in breakdown.COUNTS}
    if counts["calls"] == counts["untokened_calls"]:
        counts |= {name: 0 for name in counts if name.endswith("_tokens")}
    is_priced = counts["calls"] > counts["unpriced_calls"]
    amounts = Amounts(**counts, api_usd=(row["cost_usd"] or breakdown.ZERO) if is_priced else None)
    bucket = row["step"].astimezone(UTC) if row["step"] else None
    return Group(bucket, _key(row, group_by), amounts)


def _key(row: Mapping[str, Any], group_by: Sequence[str]) -> Key | None:
    if row["g1"] is None:
        return None
    return tuple(measures.label(name, row[place]) for name, place in zip(group_by, ("g1", "g2"), strict=False))


def _details(row: Mapping[str, Any]) -> Details:
    """Nobody said anything: how conversations ended is not known."""
    rated = row["rated"]
    resolved = row["resolved"] if rated else None
    return Details(row["sessions"], rated, resolved, row["low"], tuple(sorted(row["prices"] or ()))[:MOST_PRICES])


_TOTALS = ", ".join(
    f"least(greatest(coalesce(sum({name}), 0), 0), 9223372036854775807)::bigint AS {name}" for name in breakdown.COUNTS
)
_SUMMED = f"{_TOTALS}, sum(cost_usd) AS cost_usd"
_NAMES = ", ".join((*breakdown.COUNTS, "cost_usd"))
_NO_SUMS = ", ".join(["NULL::bigint"] * len(breakdown.COUNTS) + ["NULL::numeric"])
_NO_DETAILS = "NULL::bigint, NULL::bigint, NULL::bigint, NULL::bigint, NULL::text[]"
_COLUMNS = ("part", "step", "g1", "g2", *breakdown.COUNTS, "cost_usd", "sessions", "rated", "resolved", "low", "prices")


_FROM = "FROM llm_calls c {join} WHERE {where} GROUP BY"
_OF_DAY = ", ".join(
    f"least(coalesce(sum({OF_CALL[name]}), 0), 9223372036854775807)::bigint AS {name}" for name in breakdown.COUNTS
)
_LOW = "count(*) FILTER (WHERE c.cost_usd IS NOT NULL AND c.cost_confidence = %s)"


def _sums(session: str, is_conversation: str, groups: str) -> str:
    return f"""SELECT {{step}} AS step, {{groups}}, {session} AS session_id, {PRICE} AS price, TRUE AS is_sum,
        {is_conversation} AS is_conversation, {_OF_DAY}, sum(c.cost_usd) AS cost_usd, {_LOW} AS low {_FROM} {groups}"""


# Each day is counted by itself: its groups stay in the cache of a core, and days are read side by side. It leaves sums
# by step, group and price table, and beside them which conversations each group had: counting both together would keep
# sums of each pair. Everything else is counted from these: which groups are dear by their dollars alone, then the sums
# of those few by number.
_SUMS = _sums("NULL::text", "FALSE", "1, 2, 3, 5")
_BY_SESSION = _sums("c.session_id", "TRUE", "1, 2, 3, 4, 5")
_CONVERSATIONS = (
    f"""SELECT NULL, {{groups}}, c.session_id, NULL, FALSE, TRUE, {_NO_SUMS}, NULL::bigint {_FROM} 2, 3, 4"""
)
_SQL = f"""
WITH days AS MATERIALIZED (
{{days}}
), sums AS MATERIALIZED (
    SELECT step, g1, g2, price, {_NAMES}, low FROM days WHERE is_sum
), ranked AS MATERIALIZED (
    SELECT g1, g2, is_known,
        row_number() OVER (PARTITION BY is_known ORDER BY cost_usd DESC NULLS LAST, calls DESC, g1, g2) AS place
    FROM (SELECT *, (g1 = '' OR ({{known}})) AS is_known FROM (
        SELECT g1, g2, sum(cost_usd) AS cost_usd, sum(calls) AS calls FROM sums GROUP BY g1, g2) summed) each_group
), shown AS MATERIALIZED (
    SELECT *, row_number() OVER () AS number FROM ranked WHERE is_known OR place <= %s
){{said}}
SELECT 'group', NULL::timestamptz, g1, g2, {_NAMES}, {_NO_DETAILS} FROM (
    SELECT number, {_SUMMED} FROM sums LEFT JOIN shown USING (g1, g2) GROUP BY number) each_number
    LEFT JOIN shown USING (number)
UNION ALL
SELECT 'left out', NULL, NULL, NULL, {_NO_SUMS}, count(*) FILTER (WHERE place > %s),
    count(*) FILTER (WHERE place > %s), NULL, NULL, NULL FROM ranked WHERE NOT is_known
UNION ALL
(SELECT 'step', step, g1, g2, {_NAMES}, {_NO_DETAILS} FROM (
    SELECT step, CASE WHEN is_known OR place <= %s THEN number END AS number, {_SUMMED}
    FROM sums LEFT JOIN shown USING (g1, g2) GROUP BY 1, 2 LIMIT %s) each_number
    LEFT JOIN shown USING (number))
{{details}}"""

_COUNTED = """count(*) FILTER (WHERE session_id <> '') AS sessions,
    count(*) FILTER (WHERE session_id <> '' AND is_resolved IS NOT NULL) AS rated,
    count(*) FILTER (WHERE session_id <> '' AND is_resolved) AS resolved"""
_DETAILS = f"""UNION ALL
SELECT 'details', NULL, NULL, NULL, {_NO_SUMS}, {_COUNTED}, (SELECT coalesce(sum(low), 0)::bigint FROM sums),
    (SELECT array_agg(price) FROM (SELECT DISTINCT price FROM sums WHERE price IS NOT NULL) every)
FROM (SELECT DISTINCT session_id FROM days WHERE is_conversation) conversations LEFT JOIN said USING (session_id)
UNION ALL
SELECT 'details', NULL, g1, g2, {_NO_SUMS}, sessions, rated, resolved, low, prices
FROM shown JOIN (
    SELECT number, {_COUNTED} FROM (
        SELECT DISTINCT number, session_id FROM days JOIN shown USING (g1, g2) WHERE is_conversation) pairs
    LEFT JOIN said USING (session_id) GROUP BY number
) counted USING (number) JOIN (
    SELECT number, sum(low)::bigint AS low, array_agg(DISTINCT price) FILTER (WHERE price IS NOT NULL) AS prices
    FROM sums JOIN shown USING (g1, g2) GROUP BY number
) priced USING (number)"""
