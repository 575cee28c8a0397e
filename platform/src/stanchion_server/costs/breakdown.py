"""What money went to: amounts of calls and of self-hosted hours, joined into rows that add up exactly. Pure.

An amount that nobody knows is None and stays out of sums; a sum of nothing but unknowns is unknown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

USE, IDLE, UNATTRIBUTED, OTHERS = "use", "idle", "unattributed", "others"
"""What a row is for. IDLE: cards without work. UNATTRIBUTED: their work for no known call. OTHERS: the smaller groups
of use beyond those asked for."""
KINDS = (USE, OTHERS, UNATTRIBUTED, IDLE)

Key = tuple[str | None, ...]
"""A value per dimension: "" where calls carry none, None where this money is not told apart by the dimension."""
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Amounts:
    """`api_usd` is what charged calls cost by their tokens, without the `unpriced_calls`; `gpu_usd` and `energy_usd`
    what self-hosted hours cost; the `hosted_calls` ran in such hours and cost no API dollars. Tokens are those that
    `untokened_calls` did not tell. Of calls told apart by deployment some counts are not known. `is_estimated`: in some
    self-hosted hour, traffic stood in for utilisation or energy was integrated from power."""

    calls: int = 0
    unpriced_calls: int | None = 0
    untokened_calls: int | None = 0
    hosted_calls: int | None = 0
    input_tokens: int = 0
    cached_input_tokens: int | None = 0
    cache_write_tokens: int | None = 0
    output_tokens: int = 0
    reasoning_tokens: int | None = 0
    api_usd: Decimal | None = None
    gpu_usd: Decimal | None = None
    energy_usd: Decimal | None = None
    energy_wh: Decimal | None = None
    co2e_g: Decimal | None = None
    is_estimated: bool = False

    @property
    def usd(self) -> Decimal | None:
        return _plus(_plus(self.api_usd, self.gpu_usd), self.energy_usd)

    @property
    def tells_tokens(self) -> bool:
        """False where there are calls and none of them said its tokens."""
        if self.untokened_calls is None:
            return bool(self.input_tokens or self.output_tokens)
        return not self.calls or self.calls > self.untokened_calls

    @property
    def usd_per_call(self) -> Decimal | None:
        """By all calls where hours were paid for, which serve those without a price, too; else by calls with a price,
        as the dollars leave out the others."""
        if self.has_hours:
            return per(self.usd, self.calls)
        return None if self.unpriced_calls is None else per(self.usd, self.calls - self.unpriced_calls)

    @property
    def usd_per_1k_tokens(self) -> Decimal | None:
        """None, too, where no hours were paid for and calls without a price have tokens: theirs are in the count and
        their dollars are not in the sum."""
        if not self.has_hours:
            if self.unpriced_calls is None or self.untokened_calls is None:
                return None
            if self.unpriced_calls > self.untokened_calls:
                return None
        return per(self.usd, self.input_tokens + self.output_tokens, 1_000)

    @property
    def has_hours(self) -> bool:
        return self.gpu_usd is not None or self.energy_usd is not None

    def plus(self, other: Amounts) -> Amounts:
        counts: dict[str, Any] = {name: _sum(getattr(self, name), getattr(other, name)) for name in COUNTS}
        known: dict[str, Any] = {name: _plus(getattr(self, name), getattr(other, name)) for name in _KNOWN}
        return Amounts(**counts, **known, is_estimated=self.is_estimated or other.is_estimated)

    def without(self, other: Amounts) -> Amounts:
        """Its calls and tokens less those of `other`, which are a part of them; the dollars stay. A part that is larger
        for a moment (its hour waits to be split again) leaves nothing."""
        left: dict[str, Any] = {name: _less(getattr(self, name), getattr(other, name)) for name in COUNTS}
        return replace(self, **left)


DETAILED = tuple(field.name for field in fields(Amounts) if field.type == "int | None")
"""Counts that self-hosted hours do not keep of their calls."""
COUNTS = tuple(field.name for field in fields(Amounts) if field.type in ("int", "int | None"))
_KNOWN = tuple(field.name for field in fields(Amounts) if field.type == "Decimal | None")
NOTHING = Amounts()
_PLACES = Decimal("0.000000000001")


def per(amount: Decimal | None, count: int | None, unit: int = 1) -> Decimal | None:
    """To twelve places; None for nothing to divide, or by."""
    return (amount * unit / count).quantize(_PLACES) if amount is not None and count else None


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other


def _less(whole: int | None, part: int | None) -> int | None:
    """Of nothing, nothing is left."""
    if not whole:
        return whole
    return None if part is None else max(0, whole - part)


def _plus(one: Decimal | None, other: Decimal | None) -> Decimal | None:
    if one is None or other is None:
        return one if other is None else other
    return one + other


@dataclass(frozen=True, slots=True)
class Row:
    """`bucket` is the beginning of a step, None for the whole window."""

    bucket: datetime | None
    kind: str
    key: Key
    amounts: Amounts


def merged(rows: Iterable[Row]) -> list[Row]:
    """One row per bucket, kind and key, in the order in which each was first seen."""
    found: dict[tuple[datetime | None, str, Key], Amounts] = {}
    for row in rows:
        place = (row.bucket, row.kind, row.key)
        found[place] = found.get(place, NOTHING).plus(row.amounts)
    return [Row(*place, amounts) for place, amounts in found.items()]


def total(rows: Iterable[Row]) -> Amounts:
    whole = NOTHING
    for row in rows:
        whole = whole.plus(row.amounts)
    return whole


def largest(rows: Sequence[Row], most: int) -> list[Row]:
    """The `most` dearest groups of use of the whole window, dearest first within each bucket and kind; what is left of
    use is one row of OTHERS per bucket. What stood idle or belongs to no known call keeps its rows: it is nobody's, and
    no group's size says whether it matters. Nothing is lost: the total stays what it was."""
    groups: dict[tuple[str, Key], Amounts] = {}
    for row in rows:
        groups[row.kind, row.key] = groups.get((row.kind, row.key), NOTHING).plus(row.amounts)
    ranked = sorted(groups, key=lambda group: _rank(group, groups[group]))
    used = [group for group in ranked if group[0] == USE]
    dropped = set(used[most:])
    kept = {group: place for place, group in enumerate(ranked) if group not in dropped}
    cut = [row if (row.kind, row.key) in kept else replace(row, kind=OTHERS, key=()) for row in rows]
    return sorted(merged(cut), key=lambda row: _order(row, kept))


def _rank(group: tuple[str, Key], amounts: Amounts) -> tuple[object, ...]:
    usd = amounts.usd
    return usd is None, -(usd or ZERO), -amounts.calls, group[0], _sortable(group[1])


def _sortable(key: Key) -> tuple[tuple[bool, str], ...]:
    return tuple((value is None, value or "") for value in key)


def _order(row: Row, kept: Mapping[tuple[str, Key], int]) -> tuple[object, ...]:
    when = row.bucket.timestamp() if row.bucket else 0.0
    return when, KINDS.index(row.kind), kept.get((row.kind, row.key), 0)


def nameless_usd(rows: Iterable[Row]) -> Decimal | None:
    """What belongs to no value of the first dimension: calls without one, idling, work for no known call, and
    self-hosted hours that are not told apart by it. Smaller groups that were put together are not in it."""
    return total(row for row in rows if row.kind in (IDLE, UNATTRIBUTED) or (row.key and not row.key[0])).usd
