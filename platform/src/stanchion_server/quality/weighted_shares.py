"""Confidence intervals of shares from rows that were seen with unequal chances."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from stanchion_server.quality.intervals import Z_95, Interval


@dataclass(frozen=True, slots=True)
class Stratum:
    """Weights of the rows of one kind that were seen with about the same chance; a row that by chance was not seen
    would weigh `unseen`."""

    weights: tuple[float, ...]
    unseen: float


def share_of_sums(some: Sequence[Stratum], others: Sequence[Stratum]) -> Interval:
    """95 % interval of the weight of some by that of some and others, from rows seen with unequal chances.

    The weights of a stratum are a weighted Poisson count with Dobson's limits (1991); strata and their ratio are put
    together by Donner and Zou's recovery of variances (MOVER, 2012).
    """
    odds = _ratio_limits(_total(others), _sum_limits(others), _total(some), _sum_limits(some))
    return Interval(1.0 / (1.0 + odds.high), 1.0 / (1.0 + odds.low))


def _total(strata: Sequence[Stratum]) -> float:
    return math.fsum(weight for one in strata for weight in one.weights)


def _sum_limits(strata: Sequence[Stratum]) -> Interval:
    total, below, above = _total(strata), 0.0, 0.0
    for one in strata:
        limits, own = _stratum_limits(one), math.fsum(one.weights)
        below += (own - limits.low) ** 2
        above += (limits.high - own) ** 2
    return Interval(max(0.0, total - math.sqrt(below)), total + math.sqrt(above))


def _stratum_limits(one: Stratum) -> Interval:
    count = len(one.weights)
    if not count:
        return Interval(0.0, one.unseen * _count_limits(0).high)
    total, spread = math.fsum(one.weights), math.sqrt(math.fsum(weight**2 for weight in one.weights) / count)
    around = _count_limits(count)
    return Interval(max(0.0, total + spread * (around.low - count)), total + spread * (around.high - count))


def _count_limits(count: int) -> Interval:
    """Byar's approximation of the exact Poisson limits."""
    above = count + 1
    high = above * (1 - 1 / (9 * above) + Z_95 / (3 * math.sqrt(above))) ** 3
    if not count:
        return Interval(0.0, high)
    return Interval(max(0.0, count * (1 - 1 / (9 * count) - Z_95 / (3 * math.sqrt(count))) ** 3), high)


def _ratio_limits(one: float, limits: Interval, other: float, other_limits: Interval) -> Interval:
    """Of one / other; infinite where the other may be nothing."""
    product = one * other
    upper, lower = (
        other_limits.high * (2 * other - other_limits.high),
        other_limits.low * (2 * other - other_limits.low),
    )
    least, most = limits.low * (2 * one - limits.low), limits.high * (2 * one - limits.high)
    low_root = math.sqrt(max(0.0, product**2 - least * upper))
    high_root = math.sqrt(max(0.0, product**2 - most * lower))
    low = (product - low_root) / upper if upper else (least / (2 * product) if product else 0.0)
    high = (product + high_root) / lower if lower > 0.0 else math.inf
    return Interval(max(0.0, low), high)
