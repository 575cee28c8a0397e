"""Sums of scores per minute and hour, always recomputed from what is stored, so that nothing is counted twice.

A score counts while its call does: what settling finds to be a second record of a call drops out. Scores of spans that
are no calls (from outside) count too.
"""

# ruff: noqa: S608 - every name in these statements is our own

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby

from django.db import connection, transaction

from stanchion_server.kernel import db
from stanchion_server.traces import partitions

BINS = 20
DIMENSIONS = ("feature", "provider", "model", "environment", "release", "prompt_name", "prompt_version")
MINUTES_AT_ONCE = 60
_LOCK = 0x5354_4E05
_KEYS = ", ".join(("scorer", "scorer_version", *DIMENSIONS))
_SUMS = "scores, flagged, score_sum, score_square_sum, cost_usd, histogram"
_BINS = ", ".join(f"count(*) FILTER (WHERE bin = {number})" for number in range(BINS))
_ADDED_BINS = ", ".join(f"sum(histogram[{number}])::bigint" for number in range(1, BINS + 1))

_MINUTES_SQL = f"""
INSERT INTO score_rollups (project_id, grain_minutes, bucket, {_KEYS}, {_SUMS})
SELECT %(project_id)s, 1, bucket, {_KEYS}, count(*), count(*) FILTER (WHERE is_flagged), sum(score),
    sum(score * score), coalesce(sum(cost_usd), 0), ARRAY[{_BINS}]
FROM (
    SELECT date_trunc('minute', s.start_time, 'UTC') AS bucket, least(floor(score * {BINS}), {BINS - 1}) AS bin,
        s.score, s.is_flagged, s.cost_usd, {", ".join("s." + name for name in _KEYS.split(", "))}
    FROM unnest(%(buckets)s::timestamptz[]) AS wanted(minute)
    JOIN scores s ON s.project_id = %(project_id)s
        AND s.start_time >= minute AND s.start_time < minute + interval '1 minute'
    LEFT JOIN llm_calls c ON c.project_id = %(project_id)s AND c.trace_id = s.trace_id AND c.span_id = s.span_id
        AND c.start_time = s.start_time AND c.start_time >= %(first)s AND c.start_time < %(last)s
    WHERE s.start_time >= %(first)s AND s.start_time < %(last)s AND coalesce(c.charge, 0) = 0
) one GROUP BY bucket, {_KEYS}
"""
_HOURS_SQL = f"""
INSERT INTO score_rollups (project_id, grain_minutes, bucket, {_KEYS}, {_SUMS})
SELECT %(project_id)s, 60, date_trunc('hour', bucket, 'UTC'), {_KEYS}, sum(scores), sum(flagged), sum(score_sum),
    sum(score_square_sum), sum(cost_usd), ARRAY[{_ADDED_BINS}]
FROM score_rollups
WHERE project_id = %(project_id)s AND grain_minutes = 1 AND bucket >= %(first)s AND bucket < %(last)s
    AND date_trunc('hour', bucket, 'UTC') = ANY (%(buckets)s::timestamptz[])
GROUP BY 3, {_KEYS}
"""


def run(now: datetime, project_id: int | None = None) -> bool:
    """Recomputes up to MINUTES_AT_ONCE minutes of each project (or of one), newest first; whether marks were left. A
    project that another process is at is left to it."""
    days = partitions.days_of("scores")
    oldest = datetime(days[0].year, days[0].month, days[0].day, tzinfo=UTC) if days else now
    marked = [project_id] if project_id is not None else _marked()
    is_more = False
    for one in marked:
        is_more |= _of_project(one, oldest) >= MINUTES_AT_ONCE
    return is_more


def _marked() -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT project_id FROM dirty_score_minutes ORDER BY 1")
        return [row[0] for row in cursor.fetchall()]


def _of_project(project_id: int, oldest: datetime) -> int:
    with transaction.atomic(), db.raw_cursor() as cursor:
        cursor.execute("SET LOCAL jit = off")
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", (_LOCK, project_id & 0x7FFF_FFFF))
        if cursor.fetchone() != (True,):
            return 0
        claimed = _claim(cursor, project_id)
        # The sums of days that were dropped stay as they are.
        minutes = sorted(minute for minute in claimed if minute >= oldest)
        # Hour by hour: minutes far apart, as a re-scoring leaves them, must not read all that lies between.
        for _hour, group in groupby(minutes, key=lambda minute: minute.replace(minute=0)):
            recompute(cursor, project_id, list(group))
    return len(claimed)


def _claim(cursor: db.CursorType, project_id: int) -> set[datetime]:
    cursor.execute(
        "DELETE FROM dirty_score_minutes WHERE project_id = %(project_id)s AND minute IN ("
        " SELECT DISTINCT minute FROM dirty_score_minutes WHERE project_id = %(project_id)s ORDER BY minute DESC"
        " LIMIT %(limit)s) RETURNING minute",
        {"project_id": project_id, "limit": MINUTES_AT_ONCE},
    )
    return {row[0].astimezone(UTC) for row in cursor.fetchall()}


def recompute(cursor: db.CursorType, project_id: int, minutes: Sequence[datetime]) -> None:
    """Replaces the sums of these minutes, in order, and of the hours around them."""
    if not minutes:
        return
    hours = sorted({minute.replace(minute=0) for minute in minutes})
    for grain, buckets, sql in ((1, list(minutes), _MINUTES_SQL), (60, hours, _HOURS_SQL)):
        values = {
            "project_id": project_id, "grain": grain, "buckets": buckets, "first": buckets[0],
            "last": buckets[-1] + timedelta(minutes=grain),
        }  # fmt: skip
        cursor.execute(
            b"DELETE FROM score_rollups WHERE project_id = %(project_id)s AND grain_minutes = %(grain)s"
            b" AND bucket = ANY (%(buckets)s::timestamptz[])",
            values,
        )
        cursor.execute(sql.encode(), values)
