"""What waits to be scored, what is in quarantine, and what was not scored and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from stanchion_server.kernel.ids import span_id_to_hex
from stanchion_server.quality.models import ScoreCount, ScoreJob
from stanchion_server.quality.records import LANES, Lane
from stanchion_server.quality.sampling import Shed, shed_of
from stanchion_server.traces.selectors import reading

MAX_PAGE = 500


@dataclass(frozen=True, slots=True)
class LaneState:
    """`open_jobs` wait or are in work; `waiting` is how long the oldest due one has been due, None when none is."""

    lane: Lane
    open_jobs: int
    quarantined_jobs: int
    waiting: timedelta | None
    shed: Shed


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A job that nobody will take by itself again. Ids are hex."""

    trace_id: str
    span_id: str
    start_time: datetime
    lane: Lane
    created_at: datetime
    attempts: int
    reason: str
    error: str


@dataclass(frozen=True, slots=True)
class Unscored:
    """Calls that a scorer did not score in a window: "shed", "unavailable" or "quarantined"; `detail` is the newest."""

    scorer: str
    outcome: str
    calls: int
    detail: str


def lanes(project_id: int, now: datetime) -> tuple[LaneState, ...]:
    sql = """SELECT lane, count(*) FILTER (WHERE state = 0), count(*) FILTER (WHERE state = 1),
        min(not_before) FILTER (WHERE state = 0) FROM score_jobs WHERE project_id = %s GROUP BY 1"""
    with reading.bounded():
        found = {row[0]: row[1:] for row in reading.rows(sql, (project_id,))}
    return tuple(_lane(name, found.get(number, (0, 0, None)), now) for number, name in enumerate(LANES))


def _lane(name: Lane, row: Sequence[object], now: datetime) -> LaneState:
    opened, quarantined, oldest = row
    waiting = now - oldest if isinstance(oldest, datetime) and oldest <= now else None
    return LaneState(name, int(str(opened)), int(str(quarantined)), waiting, shed_of(waiting))


def quarantined(project_id: int, cursor: str | None = None, limit: int = 50) -> reading.Page[Quarantined]:
    """The newest first. `cursor` is `next_cursor` of the page before."""
    rows = ScoreJob.objects.filter(project_id=project_id, state=ScoreJob.State.QUARANTINED)
    if cursor:
        when, trace, span = reading.decode_cursor(cursor)
        rows = rows.extra(where=["(created_at, trace_id, span_id) < (%s, %s, %s)"], params=[when, trace, span])
    limit = min(max(limit, 1), MAX_PAGE)
    with reading.bounded():
        found = list(rows.order_by("-created_at", "-trace_id", "-span_id", "-lane")[: limit + 1])
    last = found[limit - 1] if len(found) > limit else None
    next_cursor = reading.encode_cursor(last.created_at, last.trace_id.hex, last.span_id) if last else None
    return reading.Page(tuple(_quarantined(row) for row in found[:limit]), next_cursor)


def _quarantined(row: ScoreJob) -> Quarantined:
    return Quarantined(
        row.trace_id.hex, span_id_to_hex(row.span_id), row.start_time.astimezone(UTC), LANES[row.lane],
        row.created_at.astimezone(UTC), row.attempts, row.reason, row.last_error,
    )  # fmt: skip


def unscored(project_id: int, start: datetime, end: datetime) -> tuple[Unscored, ...]:
    """By whole hours, the most first."""
    found: dict[tuple[str, str], Unscored] = {}
    hour = start.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    rows = ScoreCount.objects.filter(project_id=project_id, bucket__gte=hour, bucket__lt=end)
    with reading.bounded():
        for row in rows.order_by("bucket"):
            key = (row.scorer, row.outcome)
            before = found[key].calls if key in found else 0
            found[key] = Unscored(row.scorer, row.outcome, before + row.calls, row.detail)
    return tuple(sorted(found.values(), key=lambda one: (-one.calls, one.scorer, one.outcome)))
