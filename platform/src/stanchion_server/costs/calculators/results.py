"""What a calculator answers: numbers with their formulas, tables, and what was taken for granted. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal

from stanchion_server.costs.calculators.fields import Field, Values

Number = Decimal | int | bool | str | None
PLACES = 12
"""Decimal places of an answer, as of money everywhere."""
LARGEST_WITH_PLACES = Decimal(10) ** 15


@dataclass(frozen=True, slots=True)
class Line:
    """One answer. `unit` is printed behind the number; `formula` says how it came about, in the fields' own words. A
    value of None is not known."""

    name: str
    label: str
    value: Number
    unit: str
    formula: str


@dataclass(frozen=True, slots=True)
class Table:
    """Rows to compare; `units` has one per column, empty for plain texts and numbers."""

    title: str
    columns: tuple[str, ...]
    units: tuple[str, ...]
    rows: tuple[tuple[Number, ...], ...]


@dataclass(frozen=True, slots=True)
class Result:
    """The first line is the answer; the others stand beside it."""

    lines: tuple[Line, ...]
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Printed:
    """A number as it was printed, and what its own inputs give; `is_consistent` is False where the two differ."""

    quantity: str
    printed: str
    computed: str
    is_consistent: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Calculator:
    """`assumptions` hold for every answer. `printed` are published examples that were computed again."""

    name: str
    title: str
    group: str
    question: str
    fields: tuple[Field, ...]
    compute: Callable[[Values], Result]
    assumptions: tuple[str, ...] = ()
    printed: tuple[Printed, ...] = ()


def line(name: str, label: str, value: Number, unit: str = "", formula: str = "") -> Line:
    return Line(name, label, tidy(value), unit, formula)


def table(title: str, head: tuple[tuple[str, str], ...], *rows: tuple[Number, ...]) -> Table:
    """`head` has a title and a unit per column."""
    return Table(
        title,
        tuple(label for label, _ in head),
        tuple(unit for _, unit in head),
        tuple(tuple(tidy(cell) for cell in row) for row in rows),
    )


def tidy(value: Number) -> Number:
    """At most PLACES decimal places, and none for numbers so large that they would lose digits."""
    if not isinstance(value, Decimal):
        return value
    if abs(value) >= LARGEST_WITH_PLACES:
        return Decimal(value.to_integral_value(ROUND_HALF_EVEN))
    exponent = value.as_tuple().exponent
    if isinstance(exponent, int) and exponent >= -PLACES:
        return value
    return value.quantize(Decimal(1).scaleb(-PLACES), ROUND_HALF_EVEN)


def share(part: Decimal | int, whole: Decimal | int | None) -> Decimal | None:
    """None where there is nothing to divide by."""
    return None if not whole else Decimal(part) / Decimal(whole)


def ceiling(value: Decimal) -> int:
    return int(value.to_integral_value(ROUND_CEILING))


def floor(value: Decimal) -> int:
    return int(value.to_integral_value(ROUND_FLOOR))
