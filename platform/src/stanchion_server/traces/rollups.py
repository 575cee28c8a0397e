"""Sums per minute, hour and day, always recomputed from what is stored, so that nothing is ever counted twice.

Minutes come from the charged calls, hours from minutes, days from hours. Beside the rows per combination of dimensions
each bucket has one row in `call_totals`, their sum: a question without filter or group reads hundreds of times less.
"""

# ruff: noqa: S608 - every name in these statements is our own

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from stanchion_server.ingest.records import HOSTED_PRICE
from stanchion_server.kernel import db
from stanchion_server.traces.histogram import bucket_sql

DIMENSIONS = (
    "feature", "provider", "model", "environment", "release", "service", "prompt_name", "prompt_version", "kind",
)  # fmt: skip
SUMS = (
    "calls", "errors", "unpriced_calls", "untokened_calls", "hosted_calls", "streamed_calls", "input_tokens",
    "output_tokens", "cached_input_tokens", "cache_write_tokens", "reasoning_tokens", "generation_tokens",
)  # fmt: skip
FLOATS = ("generation_ms_sum", "duration_ms_sum")
HISTOGRAMS = ("duration", "ttft")

_DURATION_MS = "(c.duration_ns / 1e6::float8)"
_TTFT_MS = "c.time_to_first_token_ms"
_IS_TIMED = f"(c.is_streamed IS NOT FALSE AND {_TTFT_MS} IS NOT NULL AND {_TTFT_MS} < {_DURATION_MS})"
_GENERATES = "(c.kind = 1 AND c.status <> 2 AND c.output_tokens > 0 AND c.duration_ns > 0)"

OF_CALL: Mapping[str, str] = {
    "calls": "1",
    "errors": "(c.status = 2)::int",
    "unpriced_calls": "(c.cost_usd IS NULL)::int",
    "untokened_calls": "(c.input_tokens IS NULL AND c.output_tokens IS NULL)::int",
    "hosted_calls": f"starts_with(c.cost_price, '{HOSTED_PRICE}')::int",
    "streamed_calls": "coalesce(c.is_streamed, false)::int",
    "input_tokens": "c.input_tokens",
    "output_tokens": "c.output_tokens",
    "cached_input_tokens": "c.cached_input_tokens",
    "cache_write_tokens": "c.cache_write_tokens",
    "reasoning_tokens": "c.reasoning_tokens",
    "generation_tokens": f"CASE WHEN {_GENERATES} THEN c.output_tokens END",
    "generation_ms_sum": f"CASE WHEN {_GENERATES} AND {_IS_TIMED} THEN {_DURATION_MS} - {_TTFT_MS}"
    f" WHEN {_GENERATES} THEN {_DURATION_MS} ELSE 0 END",
    "duration_ms_sum": _DURATION_MS,
    "cost_usd": "c.cost_usd",
}
"""What one row `c` of llm_calls adds to each column."""
OF_CALL_BUCKET: Mapping[str, str] = {"duration": bucket_sql(_DURATION_MS), "ttft": bucket_sql(_TTFT_MS)}
OF_CALL_HAS: Mapping[str, str] = {"duration": "TRUE", "ttft": f"{_TTFT_MS} IS NOT NULL"}

_MEASURES = (
    *SUMS, *FLOATS, "duration_ms_max", "cost_usd", "duration_buckets", "duration_counts", "ttft_buckets", "ttft_counts",
)  # fmt: skip

_DIMENSIONS = ", ".join(DIMENSIONS)
_MINUTE = "date_trunc('minute', start_time, 'UTC')"
_LARGEST = "9223372036854775807"
_LARGEST_USD = "999999999999"


def _total(expression: str) -> str:
    """Sums stay inside bigint whatever clients claim."""
    return f"greatest(0, least(coalesce(sum({expression}), 0), {_LARGEST}))::bigint"


# A histogram is collected as one array of bucket numbers and counted per group: cheaper than grouping twice.
_COUNTED = """LATERAL (
    SELECT coalesce(array_agg(b ORDER BY b), '{{}}') AS buckets, coalesce(array_agg(c ORDER BY b), '{{}}') AS counts
    FROM (SELECT b, count(*) AS c FROM unnest({raw}) AS b WHERE b IS NOT NULL GROUP BY b) counted
) {name}"""

_MINUTES_SQL = f"""
INSERT INTO call_rollups (project_id, grain_minutes, bucket, {_DIMENSIONS}, {", ".join(_MEASURES)})
SELECT %(project_id)s, 1, g.bucket, {", ".join("g." + name for name in DIMENSIONS)},
    {", ".join("g." + name for name in SUMS)}, g.generation_ms_sum, g.duration_ms_sum, g.duration_ms_max, g.cost_usd,
    d.buckets, d.counts, t.buckets, t.counts
FROM (
    SELECT {_MINUTE} AS bucket, {_DIMENSIONS},
        {", ".join(f"{_total(OF_CALL[name])} AS {name}" for name in SUMS)},
        {", ".join(f"sum({OF_CALL[name]}) AS {name}" for name in FLOATS)}, max({_DURATION_MS}) AS duration_ms_max,
        least(coalesce(sum({OF_CALL["cost_usd"]}), 0), {_LARGEST_USD}) AS cost_usd,
        array_agg({OF_CALL_BUCKET["duration"]}) AS durations,
        array_agg({OF_CALL_BUCKET["ttft"]}) FILTER (WHERE {OF_CALL_HAS["ttft"]}) AS ttfts
    FROM unnest(%(minutes)s::timestamptz[]) AS wanted(minute)
    JOIN llm_calls c ON project_id = %(project_id)s
        AND start_time >= minute AND start_time < minute + interval '1 minute'
    WHERE charge = 0 AND start_time >= %(first)s AND start_time < %(last)s
    GROUP BY 1, {_DIMENSIONS}
) g, {_COUNTED.format(raw="g.durations", name="d")}, {_COUNTED.format(raw="g.ttfts", name="t")}
"""


def _merge_sql(target: str, dimensions: Sequence[str], unit: str, fine: int, coarse: int) -> str:
    """Adds the rollups of one grain up into rows of a coarser unit, of fewer dimensions, or both."""
    bucket = f"date_trunc('{unit}', bucket, 'UTC')"
    keys = ", ".join(("coarse", *dimensions))
    merged = ", ".join(
        f"{name} AS (SELECT g, array_agg(b ORDER BY b) AS buckets, array_agg(c ORDER BY b) AS counts FROM ("
        f"SELECT g, b, sum(c)::bigint AS c FROM fine, unnest({name}_buckets, {name}_counts) AS u(b, c) GROUP BY g, b"
        f") x GROUP BY g)"
        for name in HISTOGRAMS
    )
    sums = ", ".join(f"{_total(name)} AS {name}" for name in SUMS)
    return f"""
WITH fine AS (
    SELECT *, {bucket} AS coarse, dense_rank() OVER (ORDER BY {", ".join((bucket, *dimensions))}) AS g
    FROM call_rollups
    WHERE project_id = %(project_id)s AND grain_minutes = {fine} AND {bucket} = ANY (%(buckets)s::timestamptz[])
        AND bucket >= %(first)s AND bucket < %(last)s
), sums AS (
    SELECT g, {keys}, {sums}, {", ".join(f"sum({name}) AS {name}" for name in FLOATS)},
        max(duration_ms_max) AS duration_ms_max, least(sum(cost_usd), {_LARGEST_USD}) AS cost_usd
    FROM fine GROUP BY g, {keys}
), {merged}
INSERT INTO {target} (project_id, grain_minutes, {", ".join(("bucket", *dimensions, *_MEASURES))})
SELECT %(project_id)s, {coarse}, {keys}, {", ".join(SUMS)}, {", ".join(FLOATS)},
    duration_ms_max, cost_usd, coalesce(duration.buckets, '{{}}'), coalesce(duration.counts, '{{}}'),
    coalesce(ttft.buckets, '{{}}'), coalesce(ttft.counts, '{{}}')
FROM sums LEFT JOIN duration USING (g) LEFT JOIN ttft USING (g)
"""


_UNITS = {1: "minute", 60: "hour", 1440: "day"}
_ROLLUPS_SQL = {
    1: _MINUTES_SQL,
    60: _merge_sql("call_rollups", DIMENSIONS, "hour", 1, 60),
    1440: _merge_sql("call_rollups", DIMENSIONS, "day", 60, 1440),
}
_TOTALS_SQL = {grain: _merge_sql("call_totals", (), unit, grain, grain) for grain, unit in _UNITS.items()}


def recompute(cursor: db.CursorType, project_id: int, minutes: Iterable[datetime]) -> None:
    """Replaces the rollups and totals of these minutes, and of the hours and days around them."""
    wanted = sorted(set(minutes))
    if not wanted:
        return
    hours = sorted({minute.replace(minute=0) for minute in wanted})
    days = sorted({hour.replace(hour=0) for hour in hours})
    for grain, buckets in ((1, wanted), (60, hours), (1440, days)):
        _replace(cursor, project_id, grain, buckets)


def _replace(cursor: db.CursorType, project_id: int, grain: int, buckets: Sequence[datetime]) -> None:
    values = {
        "project_id": project_id,
        "minutes": list(buckets),
        "buckets": list(buckets),
        "first": buckets[0],
        "last": buckets[-1] + timedelta(minutes=grain),
        "grain": grain,
    }
    for table, sql in (("call_rollups", _ROLLUPS_SQL[grain]), ("call_totals", _TOTALS_SQL[grain])):
        cursor.execute(
            f"DELETE FROM {table} WHERE project_id = %(project_id)s AND grain_minutes = %(grain)s"
            " AND bucket = ANY (%(buckets)s::timestamptz[])".encode(),
            values,
        )
        cursor.execute(sql.encode(), values)
