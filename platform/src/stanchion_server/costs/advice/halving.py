"""What would halve a feature's cost: the smallest set of changes that does, or the most that all of them can do."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from stanchion_server.costs.advice.records import ZERO
from stanchion_server.costs.advice.together import Bill, Change, Together, clash

MOST_CHANGES = 10
"""Of the changes of a feature the ones that save most alone are combined: 1,024 sets at the worst."""
HALF = Decimal("0.5")
WORTH_TELLING = Decimal("0.005")
"""Where nothing halves, a change is told when it adds at least this share of the whole cost."""


@dataclass(frozen=True, slots=True)
class Step:
    """`alone_usd` a month by itself, `usd` after the steps before it, of which `left_usd` remains to be paid."""

    change: Change
    alone_usd: Decimal
    usd: Decimal
    left_usd: Decimal


@dataclass(frozen=True, slots=True)
class Plan:
    """`steps` are the smallest set that halves `usd` where `is_half`, else the set that saves most, without what adds
    hardly anything. `left_out` changes were too small to be combined or told."""

    usd: Decimal
    steps: tuple[Step, ...]
    is_half: bool
    left_out: int

    @property
    def left_usd(self) -> Decimal:
        return self.steps[-1].left_usd if self.steps else self.usd

    @property
    def saved_ratio(self) -> Decimal:
        return (self.usd - self.left_usd) / self.usd


def plan(bill: Bill, changes: Sequence[Change]) -> Plan | None:
    """None for a feature that costs nothing."""
    if bill.usd <= 0:
        return None
    together = Together(bill)
    singles = {one: together.saved([one]) for one in changes}
    able = sorted((one for one in singles if singles[one] > 0), key=lambda one: (-singles[one], one.kind, one.subject))
    search = _Search(together, {one: singles[one] for one in able[:MOST_CHANGES]})
    found = search.smallest(bill.usd * HALF)
    if found is not None:
        return Plan(bill.usd, tuple(_steps(bill.usd, found, search)), True, len(able[MOST_CHANGES:]))
    steps = list(_steps(bill.usd, search.most(), search))
    told = tuple(itertools.takewhile(lambda step: step.usd >= bill.usd * WORTH_TELLING, steps))
    return Plan(bill.usd, told, False, len(able[MOST_CHANGES:]) + len(steps) - len(told))


class _Search:
    def __init__(self, together: Together, singles: dict[Change, Decimal]) -> None:
        self._together, self.singles = together, singles
        self._known: dict[frozenset[Change], Decimal] = {}

    def saved(self, chosen: Iterable[Change]) -> Decimal:
        key = frozenset(chosen)
        if key not in self._known:
            self._known[key] = self._together.saved([one for one in self.singles if one in key])
        return self._known[key]

    def smallest(self, wanted: Decimal) -> tuple[Change, ...] | None:
        """Of several, the one with the fewest of low confidence, then the one that saves most."""
        for size in range(1, len(self.singles) + 1):
            able = [some for some in self._sets(size, wanted) if self.saved(some) >= wanted]
            if able:
                return min(able, key=lambda some: (_doubts(some), -self.saved(some)))
        return None

    def most(self) -> tuple[Change, ...]:
        """The fewest changes among equals."""
        best: tuple[Change, ...] = ()
        for size in range(len(self.singles), 0, -1):
            for some in self._sets(size, self.saved(best)):
                if self.saved(some) >= self.saved(best):
                    best = some
        return best

    def _sets(self, size: int, least: Decimal) -> Iterator[tuple[Change, ...]]:
        """Together they save at most what they save one by one, so most sets need no look."""
        for some in itertools.combinations(self.singles, size):
            if sum((self.singles[one] for one in some), ZERO) >= least and _are_compatible(some):
                yield some


def _are_compatible(some: Sequence[Change]) -> bool:
    return not any(clash(one, other) for one, other in itertools.combinations(some, 2))


def _doubts(some: Sequence[Change]) -> int:
    return sum(one.confidence == "low" for one in some)


def _steps(usd: Decimal, chosen: Sequence[Change], search: _Search) -> Iterator[Step]:
    """The one that adds most comes next."""
    done: list[Change] = []
    before = ZERO
    while len(done) < len(chosen):
        rest = [one for one in chosen if one not in done]
        best = max(rest, key=lambda one: search.saved([*done, one]))
        done.append(best)
        after = search.saved(done)
        yield Step(best, search.singles[best], after - before, usd - after)
        before = after
