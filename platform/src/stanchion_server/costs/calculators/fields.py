"""What a calculator asks for: names, bounds, defaults, and what is said when a value is something else. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

from stanchion_server.kernel.errors import SenderError

Kind = Literal["whole", "number", "choice", "rows", "text"]
MOST_CHARS = 4_000
MOST_ROWS = 100
MOST_CELLS = 20
MOST_DIGITS = 30
FAILED = frozenset({"oom", "failed", "fail", "-"})
"""How a row says that its trial gave no number."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a list: a name, empty where the list has none, and its numbers; None is a trial that failed."""

    name: str
    numbers: tuple[Decimal | None, ...]


@dataclass(frozen=True, slots=True)
class Field:
    """One value. `default` is what a person would type; None may be left out, and is then not known.

    `low` and `high` bound each number. A list has at most `most_rows` rows of `cells` numbers each (0: up to
    MOST_CELLS), after a name where `is_named`; whole ones where `is_whole`; FAILED words among them where `may_fail`.
    `example` shows what might stand in a field that has no default; it is never taken by itself.
    """

    name: str
    label: str
    kind: Kind
    default: str | None
    low: Decimal = Decimal(0)
    high: Decimal = Decimal(0)
    unit: str = ""
    hint: str = ""
    options: tuple[str, ...] = ()
    cells: int = 1
    most_rows: int = MOST_ROWS
    is_named: bool = False
    is_whole: bool = False
    may_fail: bool = False
    example: str = ""

    @property
    def wanted(self) -> str:
        """The rest of the sentence "it must be"."""
        between = f"from {self.low:f} to {self.high:f}"
        if self.kind == "choice":
            return f"one of {', '.join(self.options)}"
        if self.kind == "text":
            return f"at most {MOST_CHARS} whole characters without NUL"
        if self.kind == "rows":
            form = ("name:" if self.is_named else "") + ("/".join(["number"] * self.cells) or "number/number/…")
            number = "whole number" if self.is_whole else "number"
            return f"at most {self.most_rows} rows like {form}, comma-separated, each {number} {between}"
        return f"{'a whole number' if self.kind == 'whole' else 'a number'} {between}"

    def read(self, text: str) -> Any:
        """Decimal, int, text or rows; SenderError names the value and the remedy."""
        try:
            if "\0" in text or len(text) > MOST_CHARS:
                raise ValueError
            text.encode()  # half a surrogate pair is no text: UnicodeEncodeError is a ValueError
            return self._read(text.strip())
        except ValueError:
            message = f"{self.name}={text[:80]!r} is not readable: it must be {self.wanted}."
            raise SenderError("bad_value", message) from None

    def _read(self, text: str) -> Any:
        if self.kind == "choice":
            if text not in self.options:
                raise ValueError
            return text
        if self.kind == "text":
            return text
        if self.kind == "rows":
            return self._rows(text)
        found = self._bounded(text)
        if self.kind == "number":
            return found
        if found != found.to_integral_value():
            raise ValueError
        return int(found)

    def _bounded(self, text: str) -> Decimal:
        try:
            found = Decimal(text)
        except InvalidOperation:
            raise ValueError from None
        if not found.is_finite() or len(found.as_tuple().digits) > MOST_DIGITS or abs(found.adjusted()) > MOST_DIGITS:
            raise ValueError
        if not self.low <= found <= self.high:
            raise ValueError
        return found

    def _rows(self, text: str) -> tuple[Row, ...]:
        parts = [part for part in re.split(r"[,;\n]", text) if part.strip()]
        if not parts or len(parts) > self.most_rows:
            raise ValueError
        return tuple(self._row(part.strip()) for part in parts)

    def _row(self, part: str) -> Row:
        name, separator, rest = part.rpartition(":")
        if self.is_named != bool(separator):
            raise ValueError
        cells = [cell.strip() for cell in rest.split("/")]
        if len(cells) != self.cells and (self.cells or len(cells) > MOST_CELLS):
            raise ValueError
        return Row(name.strip(), tuple(self._cell(cell) for cell in cells))

    def _cell(self, text: str) -> Decimal | None:
        if self.may_fail and text.lower() in FAILED:
            return None
        found = self._bounded(text)
        if self.is_whole and found != found.to_integral_value():
            raise ValueError
        return found


def whole(name: str, label: str, default: int | None, high: int, unit: str = "", hint: str = "", low: int = 0) -> Field:
    said = None if default is None else str(default)
    return Field(name, label, "whole", said, Decimal(low), Decimal(high), unit, hint)


def number(
    name: str, label: str, default: str | None, high: str | int, unit: str = "", hint: str = "", low: str | int = 0
) -> Field:
    return Field(name, label, "number", default, Decimal(low), Decimal(high), unit, hint)


def choice(name: str, label: str, default: str, options: tuple[str, ...], hint: str = "") -> Field:
    return Field(name, label, "choice", default, hint=hint, options=options)


class Values:
    """The values of one question, each under its field's name and of its field's kind."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def number(self, name: str) -> Decimal:
        return Decimal(self._values[name])

    def whole(self, name: str) -> int:
        return int(self._values[name])

    def maybe(self, name: str) -> Decimal | None:
        found = self._values[name]
        return None if found is None else Decimal(found)

    def text(self, name: str) -> str:
        return str(self._values[name])

    def rows(self, name: str) -> tuple[Row, ...]:
        found: tuple[Row, ...] = self._values[name] or ()
        return found


def read_all(fields: tuple[Field, ...], given: Mapping[str, str]) -> Values:
    """What is not given, or empty, takes its default. Raises SenderError for the first value that cannot be read."""
    known = {field.name: field for field in fields}
    for name in given:
        if name not in known:
            message = f"{name[:80]!r} is not a parameter here. Known: {', '.join(known)}."
            raise SenderError("unknown_parameter", message)
    texts = {name: given.get(name, "").strip() or field.default for name, field in known.items()}
    return Values({name: None if text is None else known[name].read(text) for name, text in texts.items()})
