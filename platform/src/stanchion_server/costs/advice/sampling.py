"""Which hours of too many calls are looked at, and how many times as much all of them are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from stanchion_server.costs.advice.records import ZERO, CallFact, ModelName

HOUR = timedelta(hours=1)
FEWEST_SLICES = 48
"""Where there are so many hours with calls: whole hours are cut rather than fewer of them looked at."""
SHORTEST_RATIO = 1 / 60
"""Of an hour: within less, hardly a conversation or a burst would be whole."""
GOLDEN = 0.6180339887498949

Stratum = tuple[str, ModelName]
"""A feature and a model."""


@dataclass(frozen=True, slots=True)
class Slice:
    start: datetime
    end: datetime


def slices(hours: Sequence[tuple[datetime, int]], most: int) -> list[Slice]:
    """Unbroken pieces of time with about `most` calls together, the same ones for the same hours, spread evenly: hour i
    is taken where the fraction of i times the golden ratio is small, so that neither days nor hours of the day are left
    out. `hours` are those with calls and how many, in order of time. A piece is a whole hour unless hours are so full
    that fewer than FEWEST_SLICES would do; then each is cut to the same share. First come those to be read first."""
    known = sum(calls for _start, calls in hours)
    if not known:
        return []
    part = min(1.0, max(SHORTEST_RATIO, most * len(hours) / (known * min(FEWEST_SLICES, len(hours)))))
    found: list[Slice] = []
    left = float(most)
    for place in sorted(range(len(hours)), key=_fraction):
        start, calls = hours[place]
        left -= calls * part
        if found and left < -0.5:  # half a call: what is cut to fit exactly is rounded
            break
        begin = start + HOUR * (_fraction(place * 7 + 3) * (1 - part))
        found.append(Slice(begin, begin + HOUR * part))
    return found


def _fraction(place: int) -> float:
    return place * GOLDEN % 1.0


@dataclass(frozen=True, slots=True)
class Sum:
    """`usd` is of calls whose price is known."""

    calls: int = 0
    usd: Decimal = ZERO

    def plus(self, other: Sum) -> Sum:
        return Sum(self.calls + other.calls, self.usd + other.usd)


@dataclass(frozen=True, slots=True)
class Share:
    """What was read of what there is; the same where all of it was."""

    read: Sum
    known: Sum

    @property
    def is_by_cost(self) -> bool:
        return self.read.usd > 0 and self.known.usd > 0

    @property
    def scale(self) -> Decimal:
        """How many times what was read there is: by cost, or by calls where nothing has a price. At least 1."""
        if self.is_by_cost:
            return max(Decimal(1), self.known.usd / self.read.usd)
        return max(Decimal(1), Decimal(self.known.calls) / self.read.calls) if self.read.calls else Decimal(1)


@dataclass(frozen=True, slots=True)
class Sample:
    """Calls that were read, and those of their time by feature and model, as far as exact sums tell; `known_calls` is
    how many there are, None where all were read."""

    read: Mapping[Stratum, Sum]
    known: Mapping[Stratum, Sum]
    known_calls: int | None = None
    slices: int = 0

    @property
    def is_whole(self) -> bool:
        return self.known_calls is None

    def share(self, feature: str | None = None, model: str | None = None) -> Share:
        """Of a feature (None: of all) and of one of its models by name. Where sums know of less than was read, as they
        lag, all of the project stands for it, and last the mere number of calls."""
        read = self._sum(self.read, feature, model)
        if self.known_calls is None:
            return Share(read, read)
        known = self._sum(self.known, feature, model)
        if known.calls >= read.calls:
            return Share(read, known)
        return self.share() if feature is not None else Share(read, Sum(self.known_calls))

    def _sum(self, sums: Mapping[Stratum, Sum], feature: str | None, model: str | None) -> Sum:
        found = Sum()
        for (name, one), each in sums.items():
            if feature in (None, name) and model in (None, one.name):
                found = found.plus(each)
        return found


def sums_of(calls: Iterable[CallFact]) -> dict[Stratum, Sum]:
    found: dict[Stratum, Sum] = defaultdict(Sum)
    for call in calls:
        key = (call.feature, call.model)
        found[key] = found[key].plus(Sum(1, call.usd or ZERO))
    return dict(found)
