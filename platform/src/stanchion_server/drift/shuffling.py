"""How often chance alone parts two windows this far: labels are shuffled by independent unit. Pure.

Calls of one session resemble each other. A test that takes them for independent alarms at every long session, so whole
units change sides and their rows go with them. Nothing is assumed about the shape of any distribution.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from stanchion_server.drift.records import Flags, Numbers, Places

Statistic = Callable[[Flags], Numbers]
"""From flags (shuffles x units, true = current) to a value for each shuffle."""

ENOUGH = 20
"""With so many shuffles at least as far apart, the p-value is known well enough and the shuffling ends (Besag and
Clifford 1991: the p-value stays valid)."""
_AT_ONCE = 64
_NOISE = 1e-6


@dataclass(frozen=True, slots=True)
class Chance:
    """`p` is never zero. `square_mean` is the mean of the squared statistic over the shuffles: what chance alone makes
    of it."""

    p: float
    square_mean: float
    shuffles: int


def judge(
    statistic: Statistic, is_current: Flags, observed: float, most_shuffles: int, random: np.random.Generator
) -> Chance:
    """`is_current` tells the side of each unit; each shuffle keeps how many units there are on each."""
    reached, done, squares = 0, 0, 0.0
    while done < most_shuffles:
        count = min(_AT_ONCE, most_shuffles - done)
        values = statistic(random.permuted(np.tile(is_current, (count, 1)), axis=1))
        squares += float((values**2).sum())
        far = np.flatnonzero(values >= observed * (1 - _NOISE) - 1e-12)
        if reached + len(far) >= ENOUGH:
            last = done + int(far[ENOUGH - reached - 1]) + 1
            return Chance(ENOUGH / last, squares / (done + count), last)
        reached, done = reached + len(far), done + count
    return Chance((reached + 1) / (done + 1), squares / done, done)


def units_of(names: list[str] | tuple[str, ...], is_current: Flags) -> tuple[Places, Flags]:
    """The number of each row's unit, and the side of each unit. A name on both sides makes two units."""
    numbers: dict[tuple[str, bool], int] = {}
    places = [numbers.setdefault((name, bool(now)), len(numbers)) for name, now in zip(names, is_current, strict=True)]
    return np.array(places, dtype=np.intp), np.array([now for _name, now in numbers], dtype=np.bool_)


def sides_of(blocks: Places, is_current: Flags) -> Flags:
    """The side of each unit, from the sides of its rows."""
    sides = np.zeros(int(blocks.max()) + 1, dtype=np.bool_)
    sides[blocks] = is_current
    return sides


def adjusted(p_values: list[float]) -> list[float]:
    """Benjamini and Hochberg: with a limit on these, at most that share of the alarms is false; where nothing has
    changed at all, that is the chance of any alarm."""
    count = len(p_values)
    order = sorted(range(count), key=lambda place: -p_values[place])
    result, smallest = [1.0] * count, 1.0
    for rank, place in zip(range(count, 0, -1), order, strict=True):
        smallest = min(smallest, p_values[place] * count / rank)
        result[place] = smallest
    return result
