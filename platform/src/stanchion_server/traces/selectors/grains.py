"""Which rollup grain answers which part of a time range. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
GRAIN_MINUTES = (1, 60, 1440)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MONDAY_OFFSET = timedelta(days=4)
"""Steps are counted from a Monday, as `measures` does in SQL."""

# Up to here a finer grain is read whole: few rows, and no edges to mend.
MINUTES_UP_TO = timedelta(hours=6)
HOURS_UP_TO = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Segment:
    """Rollup rows of one grain with `start` <= bucket < `end`, which are multiples of the grain."""

    grain_minutes: int
    start: datetime
    end: datetime


def floor_to(time: datetime, grain: timedelta) -> datetime:
    return time - (time - EPOCH) % grain


def steps(start: datetime, end: datetime, step: timedelta) -> list[datetime]:
    """Beginnings of all steps that touch the range."""
    first = floor_to(start - MONDAY_OFFSET, step) + MONDAY_OFFSET
    return [first + place * step for place in range(-(-(end - first) // step))]


def floor_minute(time: datetime) -> datetime:
    return floor_to(time, MINUTE)


def ceil_minute(time: datetime) -> datetime:
    return floor_to(time + MINUTE - timedelta(microseconds=1), MINUTE)


def coarsest(length: timedelta, step: timedelta | None) -> int:
    """The coarsest grain worth using: it must divide the step, so that no row lies across two steps."""
    wanted = 1 if length <= MINUTES_UP_TO else 60 if length <= HOURS_UP_TO else 1440
    if step is None:
        return wanted
    return max(grain for grain in GRAIN_MINUTES if grain <= wanted and not step % timedelta(minutes=grain))


def segments(start: datetime, end: datetime, grain_minutes: int) -> tuple[Segment, ...]:
    """The range cut into the coarsest possible pieces: whole days in the middle, then hours, then minutes at the edges.

    Both ends must be whole minutes. The pieces follow each other and cover the range exactly once.
    """
    if end <= start:
        return ()
    if grain_minutes == 1:
        return (Segment(1, start, end),)
    grain = timedelta(minutes=grain_minutes)
    finer = GRAIN_MINUTES[GRAIN_MINUTES.index(grain_minutes) - 1]
    low, high = floor_to(start + grain - timedelta(microseconds=1), grain), floor_to(end, grain)
    if low >= high:
        return segments(start, end, finer)
    return (*segments(start, low, finer), Segment(grain_minutes, low, high), *segments(high, end, finer))
