"""How near recorded traffic came to a provider's rate limits, and when its daily peaks will meet them. Pure.

A limit is met in six ways: requests a second and a minute, tokens a minute in and out, tokens a second, requests at a
time. What is not known of a limit or of the traffic is None and limits nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from statistics import correlation
from typing import Literal

from stanchion_server.costs.calculators import headroom as lines

DIMENSIONS = ("rps", "rpm", "input_tpm", "output_tpm", "tps", "concurrency")
FEWEST_DAYS = 4
"""Complete days with traffic before a line through their peaks says anything."""
FARTHEST_DAYS = 90
LEAST_EXPLAINED = 0.5
"""Share of the peaks' variance that the line must explain."""
DAY = timedelta(days=1)

Outlook = Literal["reached", "predicted", "not_predictable", "no_limit"]


@dataclass(frozen=True, slots=True)
class Peak:
    value: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Observed:
    """Of one dimension: the largest of the last 24 hours and seven days, and those of complete days, the newest last
    and without a gap; None where nothing was seen or could be counted."""

    day: Peak | None = None
    week: Peak | None = None
    daily: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Prediction:
    """`on` is the UTC day whose peak will meet the limit; `reason` says why there is none."""

    outlook: Outlook
    on: datetime | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Headroom:
    """One dimension beside its limit. `used` are shares of the limit, above 1 where it was passed; `left` is what the
    last 24 hours would still have had, never below 0."""

    dimension: str
    limit: Decimal | None
    peak_24h: int | None
    peak_24h_at: datetime | None
    used_24h_ratio: float | None
    left_24h: Decimal | None
    peak_7d: int | None
    peak_7d_at: datetime | None
    used_7d_ratio: float | None
    outlook: Outlook
    throttled_on: datetime | None
    reason: str


def headrooms(
    limits: Mapping[str, Decimal | None], observed: Mapping[str, Observed], today: datetime
) -> tuple[Headroom, ...]:
    """One per dimension, in their order. `today` is the beginning of the day that is not complete."""
    return tuple(_headroom(name, limits.get(name), observed.get(name, Observed()), today) for name in DIMENSIONS)


def _headroom(name: str, limit: Decimal | None, seen: Observed, today: datetime) -> Headroom:
    told = predict(limit, seen, today)
    return Headroom(
        name, limit,
        seen.day.value if seen.day else None, seen.day.at if seen.day else None, _used(limit, seen.day),
        None if limit is None or seen.day is None else max(Decimal(0), limit - seen.day.value),
        seen.week.value if seen.week else None, seen.week.at if seen.week else None, _used(limit, seen.week),
        told.outlook, told.on, told.reason,
    )  # fmt: skip


def _used(limit: Decimal | None, peak: Peak | None) -> float | None:
    return None if limit is None or peak is None else float(peak.value / limit)


def limiting(found: Sequence[Headroom]) -> tuple[str, str]:
    """The fullest dimension of the last 24 hours and of seven days; empty where none can be told."""
    day = [(one.used_24h_ratio, one.dimension) for one in found if one.used_24h_ratio is not None]
    week = [(one.used_7d_ratio, one.dimension) for one in found if one.used_7d_ratio is not None]
    return _fullest(day), _fullest(week)


def _fullest(used: Sequence[tuple[float, str]]) -> str:
    return max(used, key=lambda one: one[0])[1] if used else ""


def predict(limit: Decimal | None, seen: Observed, today: datetime) -> Prediction:
    """By the straight line with the least squares through the peaks of complete days."""
    if limit is None:
        return Prediction("no_limit")
    if seen.week is not None and seen.week.value >= limit:
        return Prediction("reached", reason="a peak of the last seven days met it")
    if len(seen.daily) < FEWEST_DAYS:
        return _not_predictable(f"fewer than {FEWEST_DAYS} complete days are known")
    peaks = [Decimal(value) for value in seen.daily]
    if max(peaks) >= limit:
        return Prediction("reached", reason="an earlier peak met it")
    days = lines.minutes_until(peaks, limit)  # steps of whatever length the peaks have, here days
    if days is None:
        return _not_predictable("daily peaks do not grow")
    if correlation(range(len(peaks)), [float(one - min(peaks)) for one in peaks]) ** 2 < LEAST_EXPLAINED:
        return _not_predictable("daily peaks vary too much for a trend")
    if days > FARTHEST_DAYS:
        return _not_predictable(f"the trend does not meet it within {FARTHEST_DAYS} days")
    return Prediction("predicted", max(today, today - DAY + math.ceil(days) * DAY))


def _not_predictable(reason: str) -> Prediction:
    return Prediction("not_predictable", None, reason)
