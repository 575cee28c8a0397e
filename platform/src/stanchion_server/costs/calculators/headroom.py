"""How much of a provider's limits is used, and when growth will meet them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from stanchion_server.costs.calculators.fields import Field, Values, number
from stanchion_server.costs.calculators.results import Calculator, Result, line, table

DIMENSIONS = (
    ("rpm", "Requests per minute", "600, 640, 700, 690, 760", "1000"),
    ("tpm", "Tokens per minute", "90000, 95000, 99000, 104000, 110000", "180000"),
    ("rps", "Requests per second", "", ""),
    ("tps", "Tokens per second", "", ""),
    ("concurrency", "Requests at a time", "", ""),
)


@dataclass(frozen=True, slots=True)
class Headroom:
    """`growth_per_minute` and `minutes_left` are None where they cannot be told: fewer than two peaks, or no growth.
    `minutes_left` is 0 where the limit has been reached."""

    name: str
    peak: Decimal
    limit: Decimal
    growth_per_minute: Decimal | None
    minutes_left: Decimal | None

    @property
    def used(self) -> Decimal:
        return self.peak / self.limit


def growth(peaks: Sequence[Decimal]) -> Decimal | None:
    """Slope per minute of the straight line with the least squares; None below two peaks."""
    count = len(peaks)
    if count < 2:
        return None
    middle = Decimal(count - 1) / 2
    mean = sum(peaks, Decimal(0)) / count
    over = sum(((place - middle) * (peak - mean) for place, peak in enumerate(peaks)), Decimal(0))
    return over / sum(((place - middle) ** 2 for place in range(count)), Decimal(0))


def minutes_until(peaks: Sequence[Decimal], limit: Decimal) -> Decimal | None:
    """From the last minute on; None without growth."""
    slope = growth(peaks)
    if max(peaks) >= limit:
        return Decimal(0)
    if slope is None or slope <= 0:
        return None
    count = len(peaks)
    at_the_end = sum(peaks, Decimal(0)) / count + slope * Decimal(count - 1) / 2
    return max(Decimal(0), (limit - at_the_end) / slope)


def headroom(name: str, peaks: Sequence[Decimal], limit: Decimal) -> Headroom:
    """`peaks` are the largest values of consecutive minutes, the newest last; at least one. `limit` is above 0."""
    return Headroom(name, max(peaks), limit, growth(peaks), minutes_until(peaks, limit))


def limiting(found: Sequence[Headroom]) -> Headroom | None:
    return max(found, key=lambda one: one.used, default=None)


def first_throttled(found: Sequence[Headroom]) -> Headroom | None:
    known = [one for one in found if one.minutes_left is not None]
    return min(known, key=lambda one: one.minutes_left or Decimal(0), default=None)


def _compute(values: Values) -> Result:
    found = []
    for key, label, _, _ in DIMENSIONS:
        limit = values.maybe(f"limit_{key}")
        peaks = [one for row in values.rows(f"peaks_{key}") for one in row.numbers if one is not None]
        if limit is not None and peaks:
            found.append(headroom(label, peaks, limit))
    tight, first = limiting(found), first_throttled(found)
    lines = (
        line("limiting", "Fullest limit", tight.name if tight else None, "", "the largest peak / limit"),
        line("used_ratio", "Used of it", tight.used if tight else None, "%", "largest peak / limit"),
        line("first_throttled", "Met first if it grows on", first.name if first else None, "", "the fewest minutes"),
        line(
            "minutes_left",
            "In",
            first.minutes_left if first else None,
            "min",
            "(limit - line at the last minute) / growth per minute",
        ),
    )
    head = (
        ("Limit", ""),
        ("Largest", ""),
        ("Limit at", ""),
        ("Used", "%"),
        ("Left", "%"),
        ("Growth per minute", ""),
        ("Met in", "min"),
    )
    rows = [
        (
            one.name,
            one.peak,
            one.limit,
            one.used,
            max(Decimal(0), 1 - one.used),
            one.growth_per_minute,
            one.minutes_left,
        )
        for one in sorted(found, key=lambda one: one.used, reverse=True)
    ]
    note = () if found else ("Give the peaks and the limit of one dimension at least.",)
    return Result(lines, (table("Limits, the fullest first", head, *rows),) if rows else (), note)


def _fields() -> tuple[Field, ...]:
    found = []
    for key, label, peaks, limit in DIMENSIONS:
        found.append(
            Field(
                f"peaks_{key}",
                f"{label}: peaks, minute by minute",
                "rows",
                None,
                Decimal(0),
                Decimal(10) ** 12,
                hint="newest last",
                example=peaks,
            )
        )
        field = number(f"limit_{key}", f"{label}: limit", None, 10**12, low="0.001", hint="empty: none")
        found.append(replace(field, example=limit))
    return tuple(found)


HEADROOM = Calculator(
    "headroom",
    "Rate-limit headroom",
    "Capacity",
    "How much of each limit is used, and when is it met?",
    _fields(),
    _compute,
    ("Growth goes on in a straight line: fair for the next minutes, not for the night.",),
)
