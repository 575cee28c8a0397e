"""Whether groups are chosen at the same rate: for systems whose answer is a choice (invite, approve, recommend)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stanchion_server.quality.intervals import Interval, wilson

FEWEST = 30
"""Cases of a group, below which its rate is told but not compared. A convention, not a law of statistics."""
FOUR_FIFTHS = 0.8
"""Below this ratio the US Uniform Guidelines on Employee Selection Procedures (29 CFR 1607.4 D) see adverse impact."""


@dataclass(frozen=True, slots=True)
class Selected:
    """One declared group: how many of its cases were chosen."""

    chosen: int
    total: int


@dataclass(frozen=True, slots=True)
class GroupRate:
    group: str
    chosen: int
    total: int
    rate: float
    interval: Interval
    compared: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """`difference` is the highest rate minus the lowest, `ratio` the lowest by the highest; None where fewer than two
    groups are large enough, or where nobody was chosen. `told_apart` says that the two intervals do not overlap."""

    rates: tuple[GroupRate, ...]
    difference: float | None
    ratio: float | None
    lowest: str | None
    highest: str | None
    told_apart: bool
    below_four_fifths: bool | None


def compare(groups: Mapping[str, Selected], fewest: int = FEWEST) -> Comparison:
    """ValueError for counts that cannot be."""
    rates = tuple(_rate(name, groups[name], fewest) for name in sorted(groups))
    compared = [one for one in rates if one.compared]
    if len(compared) < 2:
        return Comparison(rates, None, None, None, None, False, None)
    low, high = min(compared, key=lambda one: one.rate), max(compared, key=lambda one: one.rate)
    ratio = low.rate / high.rate if high.rate else None
    below = None if ratio is None else ratio < FOUR_FIFTHS
    apart = low.interval.high < high.interval.low
    return Comparison(rates, high.rate - low.rate, ratio, low.group, high.group, apart, below)


def _rate(name: str, group: Selected, fewest: int) -> GroupRate:
    if group.total <= 0 or not 0 <= group.chosen <= group.total:
        raise ValueError(f"group '{name}': {group.chosen} chosen of {group.total} cannot be")
    rate = group.chosen / group.total
    return GroupRate(name, group.chosen, group.total, rate, wilson(group.chosen, group.total), group.total >= fewest)
