"""What a period will have cost when it ends: what was spent, and for the time left an ordinary day (or hour) of its
kind. Pure.

The level is the mean of the last season (seven days, or 24 hours), in which one step counts at most CAP times the
median, so that one odd day does not carry the month. The profile says how a Monday or an hour of the day differs from
the mean: the median of its values in the history, once two whole seasons are known; before that all are alike. With
fewer than FEWEST complete steps, the rate so far goes on ("linear"), and there is no band.

The band holds the result in about eight of ten cases where steps vary independently: it takes in that each step
varies, and that the level is known from a few steps only. It knows nothing of launches and incidents to come.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from statistics import fmean, median, pstdev
from typing import Literal

FEWEST = 3
CAP = 3.0
LEAST_ELAPSED = 0.25
"""Steps of a period that must have passed before its rate says anything."""
EIGHT_OF_TEN = 1.2816
_PLACES = Decimal("0.000001")

Method = Literal["profile", "level", "linear"]


@dataclass(frozen=True, slots=True)
class Outlook:
    """`steps` are the dollars expected in each step left, the rest of the current one first; with what was spent they
    add up to `usd`, as far as rounding to millionths goes. Without a band, `low_usd` and `high_usd` are None."""

    usd: Decimal
    low_usd: Decimal | None
    high_usd: Decimal | None
    method: Method
    steps: tuple[Decimal, ...]


def outlook(
    spent_usd: Decimal, before: Sequence[Decimal], place: int, season: int, left: Sequence[float], elapsed_steps: float
) -> Outlook | None:
    """None while too little is known.

    `before` are the complete steps up to the current one, oldest first, also those of earlier periods; the current one
    stands at `place` of the season. `left` is the share of each step still to come. `elapsed_steps` have passed since
    the period began, `spent_usd` in them.
    """
    values = [float(value) for value in before]
    if len(values) < FEWEST:
        return _linear(spent_usd, left, elapsed_steps)
    factors = profile(values, place, season)
    level, spread, known = _level(values, factors, place, season)
    expected = [level * factors[(place + ahead) % season] * share for ahead, share in enumerate(left)]
    deviation = math.sqrt(spread**2 * sum(share**2 for share in left) + (spread * sum(left)) ** 2 / known)
    total = sum(expected)
    return Outlook(
        spent_usd + _usd(total),
        spent_usd + _usd(max(0.0, total - EIGHT_OF_TEN * deviation)),
        spent_usd + _usd(total + EIGHT_OF_TEN * deviation),
        "profile" if len(values) >= 2 * season else "level",
        tuple(_usd(value) for value in expected),
    )


def _linear(spent_usd: Decimal, left: Sequence[float], elapsed_steps: float) -> Outlook | None:
    if elapsed_steps < LEAST_ELAPSED:
        return None
    rate = float(spent_usd) / elapsed_steps
    return Outlook(
        spent_usd + _usd(rate * sum(left)), None, None, "linear", tuple(_usd(rate * share) for share in left)
    )


def profile(before: Sequence[float], place: int, season: int) -> tuple[float, ...]:
    """How each place of the season compares with the mean of all, which is 1."""
    if len(before) < 2 * season:
        return (1.0,) * season
    first = place - len(before)
    usual = [median(before[start::season]) for start in ((wanted - first) % season for wanted in range(season))]
    mean = fmean(usual)
    return tuple(value / mean for value in usual) if mean > 0 else (1.0,) * season


def _level(before: Sequence[float], factors: Sequence[float], place: int, season: int) -> tuple[float, float, int]:
    """The mean of the last season without its profile, how far steps lie from it, and how many it was made of."""
    recent = list(before[-season:])
    weights = [factors[(place - len(recent) + index) % season] for index in range(len(recent))]
    middle = median(recent)
    capped = [min(value, CAP * middle) if middle > 0 else value for value in recent]
    level = sum(capped) / (sum(weights) or 1.0)
    longer = list(before[-2 * season :])
    rests = [value - level * factors[(place - len(longer) + index) % season] for index, value in enumerate(longer)]
    return level, pstdev(rests), len(recent)


def _usd(value: float) -> Decimal:
    return Decimal(value).quantize(_PLACES)
