"""How a budget stands: burn rate, forecast, and the day it will be, or was, spent. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import accumulate

from stanchion_server.costs import forecasting
from stanchion_server.costs.forecasting import Outlook
from stanchion_server.costs.periods import Period, season_place, step_start


@dataclass(frozen=True, slots=True)
class Spend:
    """Dollars of one step, with calls, how many of them have no price, and how many own deployments served whose hours
    are told apart by something else: neither are in the dollars."""

    usd: Decimal = Decimal(0)
    calls: int = 0
    unpriced_calls: int = 0
    hosted_calls_left_out: int = 0

    def plus(self, other: Spend) -> Spend:
        return Spend(
            self.usd + other.usd, self.calls + other.calls, self.unpriced_calls + other.unpriced_calls,
            self.hosted_calls_left_out + other.hosted_calls_left_out,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Point:
    """What stood on the account at the end of a step; `is_expected` where that is still to come."""

    at: datetime
    usd: Decimal
    total_usd: Decimal
    is_expected: bool


@dataclass(frozen=True, slots=True)
class Statement:
    """`burn_ratio`: what share of the limit went, over the share of time that did; above 1 the limit will not last.
    `recent_burn_ratio`: the same of the last 24 hours (a day budget: of the last hour). None before anything is known.
    `overruns_at` is when the limit was or is expected to be crossed, None if it holds."""

    spent_usd: Decimal
    unpriced_calls: int
    hosted_calls_left_out: int
    burn_ratio: float | None
    recent_burn_ratio: float | None
    outlook: Outlook | None
    overruns_at: datetime | None
    points: tuple[Point, ...]


def statement(limit_usd: Decimal, period: Period, steps: Sequence[tuple[datetime, Spend]], now: datetime) -> Statement:
    """`steps` are those with their beginnings, oldest first without a gap, up to the one that holds `now`; they may
    begin before the period. What lies before the first call is no history."""
    current = step_start(now, period.step)
    inside = [(at, spend) for at, spend in steps if at >= period.start]
    spent_usd = sum((spend.usd for _at, spend in inside), Decimal(0))
    known = _since_first_call(steps)
    before = [spend.usd for at, spend in known if at < current]
    outlook = forecasting.outlook(
        spent_usd, before, season_place(current, period.step), period.season, period.left(now),
        (now - max(period.start, known[0][0] if known else now)) / period.step,
    )  # fmt: skip
    points = _points(period, inside, outlook, current)
    elapsed = period.elapsed_ratio(now)
    used = float(spent_usd / limit_usd)
    return Statement(
        spent_usd,
        sum(spend.unpriced_calls for _at, spend in inside),
        sum(spend.hosted_calls_left_out for _at, spend in inside),
        used / elapsed if elapsed > 0 else None,
        _recent(limit_usd, period, steps, now),
        outlook,
        _overrun(limit_usd, period, points, now),
        points,
    )


def _since_first_call(steps: Sequence[tuple[datetime, Spend]]) -> Sequence[tuple[datetime, Spend]]:
    for place, (_at, spend) in enumerate(steps):
        if spend.calls or spend.usd:
            return steps[place:]
    return ()


def _recent(limit_usd: Decimal, period: Period, steps: Sequence[tuple[datetime, Spend]], now: datetime) -> float | None:
    """The current step and that part of the one before it which makes up a whole."""
    if len(steps) < 2:
        return None
    gone = (now - steps[-1][0]) / period.step
    usd = float(steps[-1][1].usd) + float(steps[-2][1].usd) * (1 - gone)
    return usd / float(limit_usd) * ((period.end - period.start) / period.step)


def _points(
    period: Period, inside: Sequence[tuple[datetime, Spend]], outlook: Outlook | None, current: datetime
) -> tuple[Point, ...]:
    """Every step of the period so far, then the rest of the current one and those to come, as expected."""
    totals = accumulate(spend.usd for _at, spend in inside)
    past = [Point(at, spend.usd, total, False) for (at, spend), total in zip(inside, totals, strict=True)]
    if outlook is None:
        return tuple(past)
    total, ahead = past[-1].total_usd if past else Decimal(0), []
    for place, usd in enumerate(outlook.steps):
        total += usd
        ahead.append(Point(current + place * period.step, usd, total, True))
    return (*past, *ahead)


def _overrun(limit_usd: Decimal, period: Period, points: Sequence[Point], now: datetime) -> datetime | None:
    """Inside a step, spending is taken to be even."""
    for point in points:
        if point.total_usd < limit_usd or not point.usd:
            continue
        begin = max(now, point.at) if point.is_expected else point.at
        end = point.at + period.step if point.is_expected else min(point.at + period.step, now)
        missing = limit_usd - (point.total_usd - point.usd)
        return begin + (end - begin) * max(0.0, float(missing / point.usd))
    return None
