"""The stretch of time that a budget is for. Pure; all in UTC: a month turns at 00:00 UTC on its first day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

PeriodName = Literal["day", "week", "month"]
PERIODS: tuple[PeriodName, ...] = ("day", "week", "month")
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Period:
    """`start` inclusive, `end` exclusive, both midnight. `step` is what its spend is looked at by."""

    name: PeriodName
    start: datetime
    end: datetime

    @property
    def step(self) -> timedelta:
        return HOUR if self.name == "day" else DAY

    @property
    def season(self) -> int:
        """After so many steps, days or hours are alike again."""
        return 24 if self.name == "day" else 7

    def elapsed_ratio(self, at: datetime) -> float:
        """0 at the start, 1 at the end and after it."""
        return min(1.0, max(0.0, (at - self.start) / (self.end - self.start)))

    def left(self, at: datetime) -> tuple[float, ...]:
        """How much of each step is still to come: of the one that holds `at` first, then 1 for each after it."""
        current = step_start(at, self.step)
        rest = 1 - (at - current) / self.step
        return (rest, *(1.0 for _ in range(max(0, (self.end - current) // self.step - 1))))


def period_at(name: PeriodName, at: datetime) -> Period:
    """Weeks begin on Monday."""
    midnight = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if name == "day":
        return Period(name, midnight, midnight + DAY)
    if name == "week":
        monday = midnight - midnight.weekday() * DAY
        return Period(name, monday, monday + 7 * DAY)
    first = midnight.replace(day=1)
    return Period(name, first, (first + 31 * DAY).replace(day=1))


def step_start(at: datetime, step: timedelta) -> datetime:
    """`step` is an hour or a day."""
    hour = at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    return hour if step == HOUR else hour.replace(hour=0)


def season_place(at: datetime, step: timedelta) -> int:
    """The hour of the day, or the day of the week from Monday."""
    time = at.astimezone(UTC)
    return time.hour if step == HOUR else time.weekday()
