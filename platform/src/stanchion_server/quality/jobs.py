"""Jobs: one row per call and lane, written in the transaction that stores the call, gone when its scores are stored.

A claim is committed before the work begins, so what kills a worker is counted as well. Whoever works holds a lease;
`leased_until` is also the token: only its holder may finish a job, and whoever opens a job anew takes the token away.
"""

# ruff: noqa: S608 - every name in these statements is our own

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction

from stanchion_server.ingest.records import SpanKind
from stanchion_server.kernel import copy, db
from stanchion_server.quality.records import LANES, CallKey, Lane
from stanchion_server.traces.store import Written

ARRIVED, RETOLD, RATED, BLOCKED, RESCORE = "arrived", "texts arrived", "rated", "blocked", "re-score"
MAX_ATTEMPTS = 3
SETTLING = timedelta(seconds=2)
"""How long a call waits for the spans around it."""
PATIENCE = timedelta(minutes=1)
"""How long it waits at most for settling to say whether it is charged."""
LEASE = {"fast": timedelta(seconds=60), "slow": timedelta(minutes=10)}
BATCH = {"fast": 200, "slow": 16}
BATCH_AGAIN = {0: 200, 1: 14, 2: 1}
"""How many jobs are taken together at most, by the attempts they have behind them."""
MAX_ERROR_CHARS = 300
_OPEN, _QUARANTINED = 0, 1
_KEY = "project_id = %(project_id)s AND lane = %(lane)s"
_KEYS = "unnest(%(traces)s::uuid[], %(spans)s::bigint[], %(times)s::timestamptz[])"

Place = tuple[UUID, int, datetime]
Target = tuple[UUID, int | None]
"""A trace, or one span of it."""


@dataclass(frozen=True, slots=True)
class Job:
    """A claimed job. `scorers` are asked for by name: alone where the reason is RESCORE, else beside those that the
    project's rules choose. `attempts` counts this one."""

    key: CallKey
    attempts: int
    reason: str
    scorers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Claim:
    project_id: int
    lane: Lane
    leased_until: datetime
    jobs: tuple[Job, ...]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why one job is not done; `reason` holds no text of the call."""

    key: CallKey
    attempts: int
    reason: str


def of_written(cursor: db.CursorType, written: Written) -> None:
    """The step after `traces.store`, in its transaction: jobs for calls of a language model, for those retold, and for
    those of traces that a guard is now known to have blocked."""
    calls = {
        (call.trace_id, call.span_id, call.start_time): None for call in written.calls if call.kind == SpanKind.LLM
    }
    opening = _copy_new if written.is_new else open_new
    opening(cursor, written.project_id, list(calls), written.received_at)
    again = [place for place in written.retold if place not in calls]
    reopen(cursor, written.project_id, again, written.received_at, RETOLD)
    blocked = {one.trace_id for one in written.batch.decisions if one.told.action == "block"}
    reopen_traces(
        cursor, written.project_id, [(trace, None) for trace in sorted(blocked)], written.received_at, BLOCKED
    )


def open_new(cursor: db.CursorType, project_id: int, calls: Sequence[Place], now: datetime) -> None:
    """For calls that were just stored; a job that is there already stays as it is."""
    if calls:
        cursor.execute(_OPEN_SQL + b" ON CONFLICT DO NOTHING", _opening(project_id, "fast", calls, now, ARRIVED, None))


def _copy_new(cursor: db.CursorType, project_id: int, calls: Sequence[Place], now: datetime) -> None:
    """As `open_new`, by COPY, which costs less; raises UniqueViolation where a job is there already."""
    if not calls:
        return
    row = cursor.execute(b"SELECT now()").fetchone()
    shared = (copy.timestamptz(row[0] if row else now), copy.timestamptz(now + SETTLING))
    project = copy.bigint(project_id)
    rows = ((project, trace, span, start, *shared, 0, 0, 0, ARRIVED, "") for trace, span, start in calls)
    db.copy_in(cursor, "score_jobs", tuple(_ENCODERS), copy.pack(tuple(_ENCODERS.values()), rows))


_ENCODERS: dict[str, copy.Encoder] = {
    "project_id": copy.encoded, "trace_id": copy.uuid, "span_id": copy.bigint, "start_time": copy.timestamptz,
    "created_at": copy.encoded, "not_before": copy.encoded, "lane": copy.smallint, "state": copy.smallint,
    "attempts": copy.smallint, "reason": copy.label, "last_error": copy.label,
}  # fmt: skip


def open_later(cursor: db.CursorType, project_id: int, calls: Sequence[Place], now: datetime, reason: str) -> None:
    """The slow lane's jobs of calls whose fast ones are done."""
    values = _opening(project_id, "slow", sorted(calls), now, reason, None)
    cursor.execute(_LATER_SQL, {**values, "not_before": now})


def place_of(key: CallKey) -> Place:
    return key.trace_id, key.span_id, key.start_time


def reopen(
    cursor: db.CursorType,
    project_id: int,
    calls: Sequence[Place],
    now: datetime,
    reason: str,
    *,
    lane: Lane = "fast",
    scorers: Sequence[str] | None = None,
) -> int:
    """For calls of which more is known or asked now. A worker that is at one loses its lease: it may not have seen it.

    Only calls that are stored get a job. Scorers that a job named before stay named."""
    if not calls:
        return 0
    values = _opening(project_id, lane, sorted(set(calls)), now, reason, scorers)
    cursor.execute(_REOPEN_SQL, values)
    return cursor.rowcount


def reopen_traces(cursor: db.CursorType, project_id: int, spans: Iterable[Target], now: datetime, reason: str) -> int:
    """For calls that a rating or a block speaks of: all of the trace where the target names no span, else the call of
    this span or directly below it."""
    found = list(spans)
    if not found:
        return 0
    cursor.execute(
        "SELECT DISTINCT c.trace_id, c.span_id, c.start_time FROM unnest(%(traces)s::uuid[], %(spans)s::bigint[])"
        " AS wanted(t, s) JOIN llm_calls c ON c.project_id = %(project_id)s AND c.trace_id = t AND c.kind = 1"
        " AND (s IS NULL OR c.span_id = s OR c.parent_span_id = s)",
        {"project_id": project_id, "traces": [trace for trace, _ in found], "spans": [span for _, span in found]},
    )
    calls = [(row[0], row[1], row[2]) for row in cursor.fetchall()]
    return reopen(cursor, project_id, calls, now, reason)


_INSERT = f"""
INSERT INTO score_jobs (project_id, trace_id, span_id, start_time, created_at, not_before, lane, state, attempts,
    scorers, reason, last_error)
SELECT %(project_id)s, t, s, a, now(), %(not_before)s, %(lane)s, 0, 0, %(scorers)s::text[], %(reason)s, ''
FROM {_KEYS} AS wanted(t, s, a)
"""
_OPEN_SQL = _INSERT.encode()
_AGAIN = f"""
ON CONFLICT (project_id, trace_id, span_id, start_time, lane) DO UPDATE SET state = 0, attempts = 0, last_error = '',
    leased_until = NULL, not_before = excluded.not_before,
    reason = CASE excluded.reason WHEN '{RESCORE}' THEN score_jobs.reason ELSE excluded.reason END,
    scorers = ARRAY(SELECT DISTINCT unnest(score_jobs.scorers || excluded.scorers) ORDER BY 1)
"""
_LATER_SQL = f"{_INSERT}{_AGAIN}".encode()
_REOPEN_SQL = f"""{_INSERT}
WHERE EXISTS (SELECT 1 FROM llm_calls c WHERE c.project_id = %(project_id)s AND c.trace_id = t AND c.span_id = s
    AND c.start_time = a AND c.kind = 1){_AGAIN}""".encode()


def _opening(
    project_id: int, lane: Lane, calls: Sequence[Place], now: datetime, reason: str, scorers: Sequence[str] | None
) -> dict[str, object]:
    wait = SETTLING if reason in (ARRIVED, RETOLD, BLOCKED) else timedelta(0)
    return {
        "project_id": project_id, "lane": LANES.index(lane), "not_before": now + wait, "reason": reason,
        "scorers": None if scorers is None else sorted(scorers), **_columns(calls),
    }  # fmt: skip


def _columns(calls: Iterable[Place]) -> dict[str, object]:
    rows = list(calls)
    return {"traces": [row[0] for row in rows], "spans": [row[1] for row in rows], "times": [row[2] for row in rows]}


@dataclass(frozen=True, slots=True)
class Due:
    """A project with work; `since` is when its oldest job was due."""

    project_id: int
    since: datetime


def due(lane: Lane, now: datetime) -> list[Due]:
    """The projects with a due job in this lane, by number. One index probe per project, however many jobs wait."""
    sql = b"""WITH RECURSIVE p AS (
        (SELECT project_id, not_before FROM score_jobs WHERE state = 0 AND lane = %(lane)s
            ORDER BY project_id, not_before LIMIT 1)
        UNION ALL
        SELECT n.* FROM p CROSS JOIN LATERAL (SELECT project_id, not_before FROM score_jobs
            WHERE state = 0 AND lane = %(lane)s AND project_id > p.project_id
            ORDER BY project_id, not_before LIMIT 1) n
        ) SELECT project_id, not_before FROM p WHERE not_before <= %(now)s"""
    with db.raw_cursor() as cursor:
        cursor.execute(sql, {"lane": LANES.index(lane), "now": now})
        return [Due(*row) for row in cursor.fetchall()]


def claim(lane: Lane, project_id: int, now: datetime, limit: int | None = None) -> Claim:
    """Takes due jobs for one lease, the longest waiting first.

    Jobs that were left by a worker that died are taken in small groups, and alone the last time: one that kills its
    worker takes no other along. One that has used up its attempts goes to quarantine instead.
    """
    leased_until = now + LEASE[lane]
    values = {"project_id": project_id, "lane": LANES.index(lane), "now": now, "leased_until": leased_until}
    with transaction.atomic(), db.raw_cursor() as cursor:
        cursor.execute(_DUE_SQL, {**values, "limit": limit or BATCH[lane], "patience": now - PATIENCE})
        found = cursor.fetchall()
        if found and found[0][3] >= MAX_ATTEMPTS:
            _give_up(cursor, values, found[0])
            return Claim(project_id, lane, leased_until, ())
        attempts = found[0][3] if found else 0
        taken = [row for row in found if row[3] == attempts][: BATCH_AGAIN[attempts]]
        if taken:
            cursor.execute(_LEASE_SQL, {**values, **_columns(row[:3] for row in taken)})
    jobs = tuple(
        Job(CallKey(project_id, trace, span, time), attempts + 1, reason, tuple(scorers or ()))
        for trace, span, time, attempts, reason, scorers in taken
    )
    return Claim(project_id, lane, leased_until, jobs)


# A call is settled when no mark of its minute is as old as its job: both are stamped by the same transaction.
_DUE_SQL = f"""
WITH unsettled AS MATERIALIZED (
    SELECT minute, min(marked_at) AS since FROM dirty_minutes WHERE project_id = %(project_id)s GROUP BY 1
)
SELECT j.trace_id, j.span_id, j.start_time, j.attempts, j.reason, j.scorers
FROM score_jobs j LEFT JOIN unsettled u
    ON u.minute = date_trunc('minute', j.start_time, 'UTC') AND u.since <= j.created_at
WHERE j.{_KEY.replace("AND ", "AND j.")} AND j.state = 0 AND j.not_before <= %(now)s
    AND (u.minute IS NULL OR j.created_at < %(patience)s)
ORDER BY j.not_before LIMIT %(limit)s FOR UPDATE OF j SKIP LOCKED
""".encode()
_LEASE_SQL = f"""
UPDATE score_jobs j SET attempts = attempts + 1, leased_until = %(leased_until)s, not_before = %(leased_until)s
FROM {_KEYS} AS mine(t, s, a)
WHERE {_KEY} AND trace_id = t AND span_id = s AND start_time = a
""".encode()


def _give_up(cursor: db.CursorType, values: dict[str, object], row: Sequence[object]) -> None:
    cursor.execute(
        f"UPDATE score_jobs SET state = {_QUARANTINED}, leased_until = NULL, last_error ="
        f" CASE last_error WHEN '' THEN 'The worker died {MAX_ATTEMPTS} times while it scored this call.'"
        f" ELSE last_error END WHERE {_KEY} AND trace_id = %(trace)s AND span_id = %(span)s"
        " AND start_time = %(time)s".encode(),
        {**values, "trace": row[0], "span": row[1], "time": row[2]},
    )


def hold(cursor: db.CursorType, claim: Claim) -> set[CallKey]:
    """Locks what is still this claim's and returns it. Rows are locked in the order in which the door locks them: the
    two wait for each other and never dead-lock."""
    cursor.execute(_MINE_SQL, {**_of(claim), **_columns(sorted(place_of(job.key) for job in claim.jobs))})
    return {CallKey(claim.project_id, row[0], row[1], row[2]) for row in cursor.fetchall()}


def finish(cursor: db.CursorType, claim: Claim, keys: Iterable[CallKey]) -> None:
    """Removes jobs that are done, in the transaction that stores what came of them."""
    cursor.execute(
        f"DELETE FROM score_jobs USING {_KEYS} AS mine(t, s, a) WHERE {_KEY} AND trace_id = t AND span_id = s"
        " AND start_time = a AND leased_until = %(leased_until)s".encode(),
        {**_of(claim), **_columns(place_of(key) for key in keys)},
    )


_MINE_SQL = f"""
SELECT trace_id, span_id, start_time FROM score_jobs JOIN {_KEYS} AS mine(t, s, a)
    ON trace_id = t AND span_id = s AND start_time = a
WHERE {_KEY} AND leased_until = %(leased_until)s
ORDER BY trace_id, span_id, start_time FOR UPDATE OF score_jobs
""".encode()


def fail(cursor: db.CursorType, claim: Claim, failures: Sequence[Failure], now: datetime) -> set[CallKey]:
    """Puts jobs back for a later attempt, or into quarantine after the last one; returns those quarantined."""
    quarantined = set()
    for failure in sorted(failures, key=lambda one: (one.key.trace_id, one.key.span_id)):
        is_last = failure.attempts >= MAX_ATTEMPTS
        cursor.execute(
            f"UPDATE score_jobs SET state = %(state)s, leased_until = NULL, not_before = %(again)s,"
            f" last_error = %(error)s WHERE {_KEY} AND trace_id = %(trace)s AND span_id = %(span)s"
            " AND start_time = %(time)s AND leased_until = %(leased_until)s".encode(),
            {
                **_of(claim), "state": _QUARANTINED if is_last else _OPEN, "trace": failure.key.trace_id,
                "span": failure.key.span_id, "time": failure.key.start_time, "error": failure.reason[:MAX_ERROR_CHARS],
                "again": now + timedelta(seconds=5 * failure.attempts**2),
            },
        )  # fmt: skip
        if is_last and cursor.rowcount:
            quarantined.add(failure.key)
    return quarantined


def _of(claim: Claim) -> dict[str, object]:
    return {
        "project_id": claim.project_id, "lane": LANES.index(claim.lane), "leased_until": claim.leased_until,
    }  # fmt: skip
