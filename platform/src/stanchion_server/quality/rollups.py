"""Sums of scores per minute and hour, always recomputed from what is stored, so that nothing is counted twice.

A score counts while its call does: what settling finds to be a second record of a call drops out, since settling marks
the minutes of calls whose charge changes. Scores of spans that are no calls (from outside) count too.
"""

# ruff: noqa: S608 - every name in these statements is our own

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from django.db import connection, transaction

from stanchion_server.kernel import db
from stanchion_server.traces import partitions

BINS = 20
DIMENSIONS = ("feature", "provider", "model", "environment", "release", "prompt_name", "prompt_version")
AT_ONCE = 60
HOURS_WAIT = timedelta(seconds=30)
"""How long an hour waits for more of its minutes before it is summed: the running one would else be summed anew with
every batch. Short windows read minutes."""
_LOCK = 0x5354_4E05
_KEYS = ", ".join(("scorer", "scorer_version", *DIMENSIONS))
_SUMS = "scores, flagged, score_sum, score_square_sum, cost_usd, histogram"
_BINS = ", ".join(f"count(*) FILTER (WHERE bin = {number})" for number in range(BINS))
_ADDED_BINS = ", ".join(f"sum(histogram[{number}])::bigint" for number in range(1, BINS + 1))

_OF_HERE = "project_id = %(project_id)s"
# Of the few calls that are not charged, rather than of every score's call: a call has a dozen scores and more.
_MINUTES_SQL = f"""
WITH left_out AS MATERIALIZED (
    SELECT trace_id, span_id, start_time FROM unnest(%(buckets)s::timestamptz[]) AS wanted(minute)
    JOIN llm_calls ON {_OF_HERE} AND start_time >= minute AND start_time < minute + interval '1 minute'
    WHERE start_time >= %(first)s AND start_time < %(last)s AND charge <> 0
)
INSERT INTO score_rollups (project_id, grain_minutes, bucket, {_KEYS}, {_SUMS})
SELECT %(project_id)s, 1, minute, {_KEYS}, count(*), count(*) FILTER (WHERE is_flagged), sum(score),
    sum(score * score), coalesce(sum(cost_usd), 0), ARRAY[{_BINS}]
FROM (
    SELECT minute, least(floor(score * {BINS}), {BINS - 1}) AS bin, score, is_flagged, cost_usd, {_KEYS}
    FROM unnest(%(buckets)s::timestamptz[]) AS wanted(minute)
    JOIN scores s ON {_OF_HERE} AND start_time >= minute AND start_time < minute + interval '1 minute'
    WHERE start_time >= %(first)s AND start_time < %(last)s AND NOT EXISTS (
        SELECT FROM left_out o
        WHERE o.trace_id = s.trace_id AND o.span_id = s.span_id AND o.start_time = s.start_time
    )
) one GROUP BY minute, {_KEYS}
"""
_HOURS_SQL = f"""
INSERT INTO score_rollups (project_id, grain_minutes, bucket, {_KEYS}, {_SUMS})
SELECT %(project_id)s, 60, hour, {_KEYS}, sum(scores), sum(flagged), sum(score_sum),
    sum(score_square_sum), sum(cost_usd), ARRAY[{_ADDED_BINS}]
FROM unnest(%(buckets)s::timestamptz[]) AS wanted(hour)
JOIN score_rollups ON {_OF_HERE} AND grain_minutes = 1 AND bucket >= hour AND bucket < hour + interval '1 hour'
WHERE bucket >= %(first)s AND bucket < %(last)s
GROUP BY hour, {_KEYS}
"""
_SQL = {1: _MINUTES_SQL, 60: _HOURS_SQL}
_DUE = f"{_OF_HERE} AND grain_minutes = %(grain)s AND not_before <= %(now)s"
_CLAIM_SQL = f"""
DELETE FROM dirty_score_minutes WHERE {_DUE} AND minute >= (
    SELECT min(minute) FROM (
        SELECT DISTINCT minute FROM dirty_score_minutes WHERE {_DUE} ORDER BY minute DESC LIMIT {AT_ONCE}
    ) newest
) RETURNING minute
"""
_MARK_HOURS_SQL = f"""
INSERT INTO dirty_score_minutes (project_id, minute, grain_minutes, not_before)
SELECT %(project_id)s, hour, 60, %(not_before)s FROM unnest(%(hours)s::timestamptz[]) AS wanted(hour)
WHERE NOT EXISTS (SELECT FROM dirty_score_minutes WHERE {_OF_HERE} AND grain_minutes = 60 AND minute = hour)
"""


def run(now: datetime, project_id: int | None = None) -> bool:
    """Recomputes up to AT_ONCE minutes and as many hours of each project, newest first; whether marks were left. A
    project that another process is at is left to it. Asked of one project, no hour waits for more of its minutes."""
    marked = [project_id] if project_id is not None else _marked(now)
    if not marked:
        return False
    days = partitions.days_of("scores")
    oldest = datetime(days[0].year, days[0].month, days[0].day, tzinfo=UTC) if days else now
    until = now if project_id is None else now + HOURS_WAIT
    is_more = False
    for one in marked:
        is_more |= _of_project(one, oldest, now, until) >= AT_ONCE
    return is_more


def _marked(now: datetime) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT project_id FROM dirty_score_minutes WHERE not_before <= %s ORDER BY 1", [now])
        return [row[0] for row in cursor.fetchall()]


def _of_project(project_id: int, oldest: datetime, now: datetime, until: datetime) -> int:
    """How many marks of minutes, or of hours if those were more, were taken. Hours that wait until then are due."""
    with transaction.atomic(), db.raw_cursor() as cursor:
        cursor.execute("SET LOCAL jit = off")
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", (_LOCK, project_id & 0x7FFF_FFFF))
        if cursor.fetchone() != (True,):
            return 0
        minutes = _claim(cursor, project_id, 1, now)
        # The sums of days that were dropped stay as they are.
        changed = sorted(minute for minute in minutes if minute >= oldest)
        if changed:
            _replace(cursor, project_id, 1, changed)
            touched = sorted({minute.replace(minute=0) for minute in changed})
            values = {"project_id": project_id, "hours": touched, "not_before": now + HOURS_WAIT}
            cursor.execute(_MARK_HOURS_SQL.encode(), values)
        hours = _claim(cursor, project_id, 60, until)
        _replace(cursor, project_id, 60, sorted(hour for hour in hours if hour >= oldest))
    return max(len(minutes), len(hours))


def _claim(cursor: db.CursorType, project_id: int, grain: int, now: datetime) -> set[datetime]:
    cursor.execute(_CLAIM_SQL.encode(), {"project_id": project_id, "grain": grain, "now": now})
    return {row[0].astimezone(UTC) for row in cursor.fetchall()}


def _replace(cursor: db.CursorType, project_id: int, grain: int, buckets: Sequence[datetime]) -> None:
    """The sums of these buckets, which are in order."""
    if not buckets:
        return
    values = {
        "project_id": project_id, "grain": grain, "buckets": list(buckets), "first": buckets[0],
        "last": buckets[-1] + timedelta(minutes=grain),
    }  # fmt: skip
    cursor.execute(
        b"DELETE FROM score_rollups WHERE project_id = %(project_id)s AND grain_minutes = %(grain)s"
        b" AND bucket = ANY (%(buckets)s::timestamptz[])",
        values,
    )
    cursor.execute(_SQL[grain].encode(), values)
