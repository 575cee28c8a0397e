"""Whether the newest values of a series have left their band. Pure.

Four readings, each of which can be said in a sentence:

- `sudden`: the newest bucket against the median and the median absolute deviation (MAD) of the buckets before it;
- `slow`: an exponentially weighted mean of the newest quarter against the band of the three quarters before it;
- `seasonal`: the newest hour against the same hour of the week in the weeks before;
- `level`: the split after which hours are lastingly higher or lower than before (a CUSUM of ranks).

A series with too few values says so. A series without spread gets a floor, so that no rounding error alarms.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

import numpy as np

from stanchion_server.drift.records import Numbers

Sort = Literal["sudden", "slow", "seasonal", "level"]
Verdict = Literal["anomaly", "normal", "not_enough_data"]

FEWEST_BUCKETS = 24
FEWEST_WEEKS = 3
FEWEST_HOURS = 48
FEWEST_DAYS = 3
LIMIT_SUDDEN = 5.0
LIMIT_SLOW = 6.0
LIMIT_SEASONAL = 6.0
ALPHA_LEVEL = 0.001
SMOOTHING = 0.3
FLOOR_RATIO = 0.05
"""The deviation is taken to be at least this share of the median."""
SMALLEST_STEP = 0.1
"""A change of level by less than this share of the level before is none."""
_TO_SIGMA = 1.4826
_SHUFFLES = 1_999
_SHORTEST = 6
_BLOCK = 6


@dataclass(frozen=True, slots=True)
class Point:
    """`noise` is the deviation that a value of so few calls has by itself: a share of ten calls is no steady number."""

    at: datetime
    value: float
    noise: float = 0.0


@dataclass(frozen=True, slots=True)
class Reading:
    """`low` and `high` are the band, None where none is known. `size` is how many deviations away the value is; of a
    level it is the p-value, and `since` is when the new level began."""

    sort: Sort
    verdict: Verdict
    at: datetime | None
    value: float | None = None
    expected: float | None = None
    low: float | None = None
    high: float | None = None
    size: float | None = None
    points: int = 0
    since: datetime | None = None


def sudden(points: Sequence[Point]) -> Reading:
    """The last point against those before it."""
    if len(points) <= FEWEST_BUCKETS:
        return _unknown("sudden", points)
    return _against("sudden", points[-1], [point.value for point in points[:-1]], LIMIT_SUDDEN)


def slow(points: Sequence[Point]) -> Reading:
    """A weighted mean of independent values deviates by sqrt(a / (2 - a)) of what one of them does, a the smoothing."""
    if len(points) <= FEWEST_BUCKETS:
        return _unknown("slow", points)
    cut = len(points) * 3 // 4
    before = [point.value for point in points[:cut]]
    mean = float(np.median(before))
    for point in points[cut:]:
        mean += SMOOTHING * (point.value - mean)
    limit = LIMIT_SLOW * math.sqrt(SMOOTHING / (2 - SMOOTHING))
    return _against("slow", replace(points[-1], value=mean), before, limit)


def ratios_of_day(hours: Sequence[Point]) -> dict[int, float]:
    """How high each hour of the day usually is beside the usual value: medians over at least three days."""
    by_hour = _grouped(hours)
    usual = float(np.median([point.value for point in hours])) if hours else 0.0
    medians = {hour: float(np.median(values)) for hour, values in by_hour.items() if len(values) >= FEWEST_DAYS}
    return {hour: median / usual for hour, median in medians.items() if usual > 0 and median > 0}


def without_day(points: Sequence[Point], ratios: Mapping[int, float]) -> list[Point]:
    """What the values would be at a usual hour, so that a morning is no anomaly; hours without a ratio stay."""
    return [
        replace(point, value=point.value / ratio, noise=point.noise / ratio)
        for point, ratio in ((point, ratios.get(point.at.hour, 1.0)) for point in points)
    ]


def with_day(reading: Reading, ratios: Mapping[int, float]) -> Reading:
    """The reading of such values in those of its own hour again."""
    ratio = ratios.get(reading.at.hour, 1.0) if reading.at else 1.0

    def times(number: float | None) -> float | None:
        return None if number is None else number * ratio

    return replace(
        reading, value=times(reading.value), expected=times(reading.expected), low=times(reading.low),
        high=times(reading.high),
    )  # fmt: skip


def seasonal(now: Point | None, weeks_before: Sequence[float]) -> Reading:
    """So few weeks know their spread badly: the band is the wider the fewer they are."""
    if now is None or len(weeks_before) < FEWEST_WEEKS:
        return replace(_unknown("seasonal", [now] if now else []), points=len(weeks_before))
    return _against("seasonal", now, weeks_before, LIMIT_SEASONAL * (1 + 4 / len(weeks_before)))


def level(hours: Sequence[Point], seed: int = 0) -> Reading:
    """Of hourly values, each less the median of its hour of the day, so that nights are no new level. Blocks of six
    hours are shuffled: neighbouring hours resemble each other."""
    if len(hours) < FEWEST_HOURS:
        return _unknown("level", hours)
    values = np.array([point.value for point in hours])
    ranks = _ranks(values - _by_hour_of_day(hours))
    observed = _clearest(ranks[None, :])[0]
    cut = int(observed.argmax()) + 1
    p = _chance(ranks, float(observed.max()), seed)
    before, after = float(np.median(values[:cut])), float(np.median(values[cut:]))
    is_lasting = min(cut, len(hours) - cut) >= _SHORTEST and abs(after - before) >= SMALLEST_STEP * abs(before) > 0
    verdict: Verdict = "anomaly" if p <= ALPHA_LEVEL and is_lasting else "normal"
    return Reading("level", verdict, hours[-1].at, after, before, size=p, points=len(hours), since=hours[cut].at)


def _by_hour_of_day(hours: Sequence[Point]) -> Numbers:
    usual = {hour: float(np.median(values)) for hour, values in _grouped(hours).items()}
    return np.array([usual[point.at.hour] for point in hours])


def _grouped(hours: Sequence[Point]) -> dict[int, list[float]]:
    by_hour: dict[int, list[float]] = defaultdict(list)
    for point in hours:
        by_hour[point.at.hour].append(point.value)
    return by_hour


def _chance(ranks: Numbers, observed: float, seed: int) -> float:
    random = np.random.Generator(np.random.PCG64(seed))
    whole = len(ranks) // _BLOCK * _BLOCK
    blocks = np.tile(ranks[-whole:].reshape(-1, _BLOCK), (_SHUFFLES, 1, 1))
    orders = random.permuted(np.tile(np.arange(whole // _BLOCK), (_SHUFFLES, 1)), axis=1)
    shuffled = np.take_along_axis(blocks, orders[:, :, None], axis=1).reshape(_SHUFFLES, whole)
    return (int((_clearest(shuffled).max(axis=1) >= observed - 1e-9).sum()) + 1) / (_SHUFFLES + 1)


def _ranks(values: Numbers) -> Numbers:
    _known, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[inverse], dtype=np.float64)


def _clearest(rows: Numbers) -> Numbers:
    """How clear each split is: the sum of the centred ranks before it over its own deviation."""
    count = rows.shape[1]
    sums = np.abs(np.cumsum(rows - rows.mean(axis=1, keepdims=True), axis=1)[:, :-1])
    places = np.arange(1, count)
    return np.asarray(sums / np.sqrt(places * (count - places)), dtype=np.float64)


def _against(sort: Sort, now: Point, before: Sequence[float], limit: float) -> Reading:
    middle = float(np.median(before))
    # Where more than half of the values are equal, the MAD is zero and says nothing of the others.
    spread = _TO_SIGMA * float(np.median(np.abs(np.array(before) - middle))) or float(np.std(before))
    deviation = math.hypot(max(spread, FLOOR_RATIO * abs(middle)), now.noise)
    if not deviation:
        # It has always been zero: any other value is a first, whose size nothing tells.
        verdict: Verdict = "anomaly" if now.value != middle else "normal"
        return Reading(sort, verdict, now.at, now.value, middle, middle, middle, None, len(before))
    size = (now.value - middle) / deviation
    low, high = middle - limit * deviation, middle + limit * deviation
    verdict = "anomaly" if abs(size) > limit else "normal"
    return Reading(sort, verdict, now.at, now.value, middle, low, high, size, len(before))


def _unknown(sort: Sort, points: Sequence[Point]) -> Reading:
    last = points[-1] if points else None
    at, value = (last.at, last.value) if last else (None, None)
    return Reading(sort, "not_enough_data", at, value, points=len(points))
