"""Sums per minute, hour and day, always recomputed from what is stored, so that nothing is ever counted twice.

Minutes come from the charged calls, hours from minutes, days from hours.
"""

# ruff: noqa: S608 - every name in these statements is our own

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from stanchion_server.kernel import db
from stanchion_server.traces.histogram import bucket_sql

DIMENSIONS = (
    "kind", "feature", "provider", "model", "environment", "release", "service", "prompt_name", "prompt_version",
)  # fmt: skip
SUMS = (
    "calls", "errors", "unpriced_calls", "untokened_calls", "streamed_calls", "input_tokens", "output_tokens",
    "cached_input_tokens", "cache_write_tokens", "reasoning_tokens", "generation_tokens",
)  # fmt: skip
_FLOATS = ("generation_ms_sum", "duration_ms_sum")
_HISTOGRAMS = ("duration", "ttft")

_DIMENSIONS = ", ".join(DIMENSIONS)
_MINUTE = "date_trunc('minute', start_time, 'UTC')"
_DURATION_MS = "(duration_ns / 1e6::float8)"
_TTFT_MS = "time_to_first_token_ms"
_IS_STREAM_TIMED = f"(is_streamed IS NOT FALSE AND {_TTFT_MS} IS NOT NULL AND {_TTFT_MS} < {_DURATION_MS})"
_GENERATES = "(kind = 1 AND status <> 2 AND output_tokens > 0 AND duration_ns > 0)"
_LARGEST = "9223372036854775807"


def _total(expression: str) -> str:
    """Sums stay inside bigint whatever clients claim."""
    return f"greatest(0, least(coalesce(sum({expression}), 0), {_LARGEST}))::bigint"


# A histogram is collected as one array of bucket numbers and counted per group: cheaper than grouping twice.
_COUNTED = """LATERAL (
    SELECT coalesce(array_agg(b ORDER BY b), '{{}}') AS buckets, coalesce(array_agg(c ORDER BY b), '{{}}') AS counts
    FROM (SELECT b, count(*) AS c FROM unnest({raw}) AS b WHERE b IS NOT NULL GROUP BY b) counted
) {name}"""

_MINUTES_SQL = f"""
INSERT INTO call_rollups (
    project_id, grain_minutes, bucket, {_DIMENSIONS}, {", ".join(SUMS)}, generation_ms_sum, duration_ms_sum,
    duration_ms_max, cost_usd, duration_buckets, duration_counts, ttft_buckets, ttft_counts)
SELECT %(project_id)s, 1, g.bucket, {", ".join("g." + name for name in DIMENSIONS)},
    {", ".join("g." + name for name in SUMS)}, g.generation_ms_sum, g.duration_ms_sum, g.duration_ms_max, g.cost_usd,
    d.buckets, d.counts, t.buckets, t.counts
FROM (
    SELECT {_MINUTE} AS bucket, {_DIMENSIONS}, count(*) AS calls, count(*) FILTER (WHERE status = 2) AS errors,
        count(*) FILTER (WHERE cost_usd IS NULL) AS unpriced_calls,
        count(*) FILTER (WHERE input_tokens IS NULL AND output_tokens IS NULL) AS untokened_calls,
        count(*) FILTER (WHERE is_streamed) AS streamed_calls,
        {_total("input_tokens")} AS input_tokens, {_total("output_tokens")} AS output_tokens,
        {_total("cached_input_tokens")} AS cached_input_tokens, {_total("cache_write_tokens")} AS cache_write_tokens,
        {_total("reasoning_tokens")} AS reasoning_tokens,
        {_total(f"CASE WHEN {_GENERATES} THEN output_tokens END")} AS generation_tokens,
        coalesce(sum(CASE WHEN {_IS_STREAM_TIMED} THEN {_DURATION_MS} - {_TTFT_MS} ELSE {_DURATION_MS} END)
            FILTER (WHERE {_GENERATES}), 0) AS generation_ms_sum,
        sum({_DURATION_MS}) AS duration_ms_sum, max({_DURATION_MS}) AS duration_ms_max,
        least(coalesce(sum(cost_usd), 0), 999999999999) AS cost_usd,
        array_agg({bucket_sql(_DURATION_MS)}) AS durations,
        array_agg({bucket_sql(_TTFT_MS)}) FILTER (WHERE {_TTFT_MS} IS NOT NULL) AS ttfts
    FROM unnest(%(minutes)s::timestamptz[]) AS wanted(minute)
    JOIN llm_calls ON project_id = %(project_id)s
        AND start_time >= minute AND start_time < minute + interval '1 minute'
    WHERE charge = 0 AND start_time >= %(first)s AND start_time < %(last)s
    GROUP BY 1, {_DIMENSIONS}
) g, {_COUNTED.format(raw="g.durations", name="d")}, {_COUNTED.format(raw="g.ttfts", name="t")}
"""


def _merge_sql(unit: str) -> str:
    """Adds the rollups of the finer grain up into those of one coarser unit."""
    fine, coarse = (1, 60) if unit == "hour" else (60, 1440)
    bucket = f"date_trunc('{unit}', bucket, 'UTC')"
    merged = ", ".join(
        f"{name} AS (SELECT g, array_agg(b ORDER BY b) AS buckets, array_agg(c ORDER BY b) AS counts FROM ("
        f"SELECT g, b, sum(c)::bigint AS c FROM fine, unnest({name}_buckets, {name}_counts) AS u(b, c) GROUP BY g, b"
        f") x GROUP BY g)"
        for name in _HISTOGRAMS
    )
    sums = ", ".join(f"{_total(name)} AS {name}" for name in SUMS)
    return f"""
WITH fine AS (
    SELECT *, {bucket} AS coarse, dense_rank() OVER (ORDER BY {bucket}, {_DIMENSIONS}) AS g
    FROM call_rollups
    WHERE project_id = %(project_id)s AND grain_minutes = {fine} AND {bucket} = ANY (%(buckets)s::timestamptz[])
        AND bucket >= %(first)s AND bucket < %(last)s
), sums AS (
    SELECT g, coarse, {_DIMENSIONS}, {sums}, sum(generation_ms_sum) AS generation_ms_sum,
        sum(duration_ms_sum) AS duration_ms_sum, max(duration_ms_max) AS duration_ms_max,
        least(sum(cost_usd), 999999999999) AS cost_usd
    FROM fine GROUP BY g, coarse, {_DIMENSIONS}
), {merged}
INSERT INTO call_rollups (
    project_id, grain_minutes, bucket, {_DIMENSIONS}, {", ".join(SUMS)}, generation_ms_sum, duration_ms_sum,
    duration_ms_max, cost_usd, duration_buckets, duration_counts, ttft_buckets, ttft_counts)
SELECT %(project_id)s, {coarse}, coarse, {_DIMENSIONS}, {", ".join(SUMS)}, generation_ms_sum, duration_ms_sum,
    duration_ms_max, cost_usd, coalesce(duration.buckets, '{{}}'), coalesce(duration.counts, '{{}}'),
    coalesce(ttft.buckets, '{{}}'), coalesce(ttft.counts, '{{}}')
FROM sums LEFT JOIN duration USING (g) LEFT JOIN ttft USING (g)
"""


_HOURS_SQL, _DAYS_SQL = _merge_sql("hour"), _merge_sql("day")


def recompute(cursor: db.CursorType, project_id: int, minutes: Iterable[datetime]) -> None:
    """Replaces the rollups of these minutes, and of the hours and days around them."""
    wanted = sorted(set(minutes))
    if not wanted:
        return
    hours = sorted({minute.replace(minute=0) for minute in wanted})
    days = sorted({hour.replace(hour=0) for hour in hours})
    _replace(cursor, project_id, 1, wanted, timedelta(minutes=1), _MINUTES_SQL)
    _replace(cursor, project_id, 60, hours, timedelta(hours=1), _HOURS_SQL)
    _replace(cursor, project_id, 1440, days, timedelta(days=1), _DAYS_SQL)


def _replace(
    cursor: db.CursorType, project_id: int, grain: int, buckets: Sequence[datetime], length: timedelta, sql: str
) -> None:
    values = {
        "project_id": project_id,
        "minutes": list(buckets),
        "buckets": list(buckets),
        "first": buckets[0],
        "last": buckets[-1] + length,
        "grain": grain,
    }
    cursor.execute(
        "DELETE FROM call_rollups WHERE project_id = %(project_id)s AND grain_minutes = %(grain)s"
        " AND bucket = ANY (%(buckets)s::timestamptz[])",
        values,
    )
    cursor.execute(sql.encode(), values)
