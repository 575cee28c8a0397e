"""How well an automatic score agrees with people, or one judge with another."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from stanchion_server.quality.intervals import Z_95, Interval, wilson

CALIBRATED_FROM = 0.85
"""Pearson's r with people, below which a judge's scores carry the badge "not calibrated"."""
FEWEST = 30
"""Pairs, below which nothing is said. With 30, an r of 0.85 has a 95 % interval from 0.71 to 0.93."""

Badge = Literal["calibrated", "not calibrated", "not enough data"]


@dataclass(frozen=True, slots=True)
class Correlation:
    """`r` is None where one side never changes: nothing can be said then, however many pairs there are."""

    pairs: int
    r: float | None
    interval: Interval | None
    badge: Badge


@dataclass(frozen=True, slots=True)
class Agreement:
    """`rate` is the share of pairs with the same label, `kappa` Cohen's: 1 always the same, 0 as by chance. None where
    there are no pairs, or where both sides have one and the same label throughout."""

    pairs: int
    rate: float | None
    interval: Interval | None
    kappa: float | None


def correlation(scores: Sequence[float], people: Sequence[float], fewest: int = FEWEST) -> Correlation:
    """Pearson's r of two lists in the same order, with Fisher's interval. ValueError for lists of different length."""
    pairs = len(scores)
    if pairs != len(people):
        raise ValueError(f"{pairs} scores and {len(people)} ratings cannot be paired")
    if pairs < fewest:
        return Correlation(pairs, None, None, "not enough data")
    r = pearson(scores, people)
    badge: Badge = "calibrated" if r is not None and r >= CALIBRATED_FROM else "not calibrated"
    return Correlation(pairs, r, None if r is None else fisher(r, pairs), badge)


def pearson(one: Sequence[float], other: Sequence[float]) -> float | None:
    """None for fewer than two pairs and where a side is constant."""
    if len(one) < 2:
        return None
    middle, centre = math.fsum(one) / len(one), math.fsum(other) / len(other)
    left, right = [x - middle for x in one], [y - centre for y in other]
    size = math.sqrt(math.fsum(x * x for x in left) * math.fsum(y * y for y in right))
    if size == 0.0 or len(set(one)) == 1 or len(set(other)) == 1:
        return None
    return max(-1.0, min(1.0, math.fsum(x * y for x, y in zip(left, right, strict=True)) / size))


def fisher(r: float, pairs: int) -> Interval | None:
    """95 % interval of r by Fisher's z; None for fewer than four pairs."""
    if pairs < 4:
        return None
    if abs(r) == 1.0:
        return Interval(r, r)
    middle, reach = math.atanh(r), Z_95 / math.sqrt(pairs - 3)
    return Interval(math.tanh(middle - reach), math.tanh(middle + reach))


def agreement(labels: Sequence[str], people: Sequence[str]) -> Agreement:
    """Of two lists of labels in the same order. ValueError for lists of different length."""
    pairs = len(labels)
    if pairs != len(people):
        raise ValueError(f"{pairs} labels and {len(people)} judgements cannot be paired")
    if not pairs:
        return Agreement(0, None, None, None)
    same = sum(one == other for one, other in zip(labels, people, strict=True))
    mine, theirs = Counter(labels), Counter(people)
    by_chance = sum(mine[label] * theirs[label] for label in mine) / pairs**2
    kappa = None if by_chance == 1.0 else (same / pairs - by_chance) / (1 - by_chance)
    return Agreement(pairs, same / pairs, wilson(same, pairs), kappa)
