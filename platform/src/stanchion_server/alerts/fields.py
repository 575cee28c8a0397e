"""Reads the fields of something written by people, and collects everything that is wrong with it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from stanchion_server.alerts.evaluating import NoData
from stanchion_server.alerts.records import Labels

UNITS_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
DURATION = re.compile(r"([0-9]{1,7})\s*([smhdw])")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]*")
MOST_PROBLEMS = 50
Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong where; `message` is a sentence that begins with the place."""

    path: Path
    message: str


def place_of(path: Path) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".") or "the rule"


def no_data_of(text: str) -> NoData:
    return "ok" if text == "ok" else "alert" if text == "alert" else "keep"


def length(text: str) -> timedelta:
    """Of our own literals, such as 90s, 5m, 1h or 3d."""
    found = DURATION.fullmatch(text)
    assert found is not None
    return timedelta(seconds=int(found[1]) * UNITS_S[found[2]])


def written(duration: timedelta) -> str:
    """The shortest way to write it: 90s, 5m, 1h, 3d."""
    seconds = int(duration.total_seconds())
    unit = next((unit for unit in ("d", "h", "m") if seconds and not seconds % UNITS_S[unit]), "s")
    return f"{seconds // UNITS_S[unit]}{unit}"


def _shown(value: object, most: int) -> str:
    """A value in a sentence. What may be of any size is named, not written out."""
    if isinstance(value, int) and value.bit_length() > 128:
        return "a number of over 38 digits"
    if isinstance(value, list | tuple | set | Mapping):
        return "a mapping" if isinstance(value, Mapping) else "a list"
    return repr(str(value)[:most])


@dataclass(slots=True)
class Reader:
    """One mapping. What it lacks has its default; what it holds wrongly is a problem, and the default goes on."""

    plain: Any
    known: Sequence[str]
    path: Path = ()
    found: list[Problem] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not isinstance(self.plain, Mapping):
            if self.plain is not None or not self.path:
                self.found.append(Problem(self.path, f"{place_of(self.path)} must be a mapping of names to values."))
            self.plain = {}
        for name in self.plain:
            if name not in self.known:
                near = ", ".join(self.known)
                self.wrong(
                    name[:80] if isinstance(name, str) else _shown(name, 80), f"is not known here. Known: {near}"
                )

    @property
    def problems(self) -> tuple[Problem, ...]:
        return tuple(self.found[:MOST_PROBLEMS])

    def wrong(self, name: str, what: str) -> None:
        path = (*self.path, name)
        self.found.append(Problem(path, f"{place_of(path)} {what}."))

    def has(self, name: str) -> bool:
        return self.plain.get(name) is not None

    def part(self, name: str, known: Sequence[str]) -> Reader:
        return Reader(self.plain.get(name), known, (*self.path, name), self.found)

    def parts(self, name: str, known: Sequence[str], most: int) -> tuple[Reader, ...]:
        value = self.plain.get(name)
        if value is None:
            return ()
        if not isinstance(value, list) or len(value) > most:
            self.wrong(name, f"must be a list of at most {most}")
            return ()
        return tuple(Reader(one, known, (*self.path, name, place), self.found) for place, one in enumerate(value))

    def text(self, name: str, most: int) -> str:
        value = self.plain.get(name)
        if value is None:
            return ""
        if not isinstance(value, str) or len(value) > most or "\0" in value or not _is_sayable(value):
            self.wrong(name, f"must be text of at most {most} characters")
            return ""
        return value.strip()

    def name(self, name: str, most: int) -> str:
        value = self.text(name, most)
        if not NAME.fullmatch(value):
            self.wrong(name, f"must be 1 to {most} letters, digits, blanks, dots, dashes or underscores")
        return value

    def url(self, name: str) -> str:
        value = self.text(name, 500)
        if value and not re.match(r"https?://[^\s]+$", value):
            self.wrong(name, "must be an address that begins with https:// or http://")
            return ""
        return value

    def choice(self, name: str, options: Sequence[str], *, default: str = "", required: bool = False) -> str:
        value = self.plain.get(name)
        if value is None and not required:
            return default
        if value not in options:
            shown = "is missing" if value is None else f"is {_shown(value, 80)}"
            self.wrong(name, f"{shown}: it must be one of {', '.join(options)}")
            return default
        return str(value)

    def truth(self, name: str) -> bool:
        value = self.plain.get(name, False)
        if not isinstance(value, bool):
            self.wrong(name, "must be true or false")
            return False
        return value

    def count(self, name: str, default: int, least: int, most: int) -> int:
        value = self.plain.get(name)
        if value is None:
            return default
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            self.wrong(name, f"is {_shown(value, 40)}: it must be a whole number from {least} to {most}")
            return default
        return value

    def number(self, name: str, least: float, most: float, default: float | None = None) -> float | None:
        value = self.plain.get(name)
        if value is None:
            return default
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not least <= value <= most:
            self.wrong(name, f"is {_shown(value, 40)}: it must be a number from {least:g} to {most:g}")
            return default
        return float(value)

    def duration(self, name: str, default: timedelta, least: str, most: str) -> timedelta:
        value = self.plain.get(name)
        if value is None:
            return default
        found = DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
        if found is None or not length(least) <= length(value.strip()) <= length(most):
            self.wrong(name, f"is {_shown(value, 40)}: it must be a length from {least} to {most}, such as 5m or 1h")
            return default
        return length(value.strip())

    def texts(self, name: str, most: int, characters: int, *, required: bool = False) -> tuple[str, ...]:
        value = self.plain.get(name)
        if value is None and not required:
            return ()
        is_list = isinstance(value, list) and all(
            isinstance(one, str) and 0 < len(one) <= characters and "\0" not in one and _is_sayable(one)
            for one in value
        )
        if not is_list or len(value or ()) > most or (required and not value):
            self.wrong(name, f"must be a list of 1 to {most} texts of at most {characters} characters")
            return ()
        return tuple(dict.fromkeys(value or ()))

    def names(self, name: str, options: Sequence[str], most: int) -> tuple[str, ...]:
        values = self.texts(name, 10, 200)
        for value in values:
            if value not in options:
                self.wrong(name, f"names {value[:80]!r}: known here are {', '.join(options) or 'none'}")
        if len(values) > most:
            self.wrong(name, f"takes at most {most}")
        return tuple(value for value in values if value in options)[:most]

    def equalities(self, name: str, options: Sequence[str]) -> Labels:
        part = self.part(name, options)
        found = []
        for key in options:
            if part.plain.get(key) is None:
                continue
            value = part.plain[key]
            if not isinstance(value, str) or len(value) > 200 or "\0" in value or not _is_sayable(value):
                part.wrong(key, "must be text of at most 200 characters")
            else:
                found.append((key, value))
        return tuple(found)

    def params(self, name: str, wanted: Mapping[str, tuple[str, str]]) -> Labels:
        """`wanted` maps each parameter to its sort (number or text) and its default; an empty default must be given."""
        part = self.part(name, tuple(wanted))
        found = []
        for key, (sort, default) in wanted.items():
            value = part.plain.get(key, default)
            if value == "":
                part.wrong(key, "is missing")
            elif sort == "number":
                number = part.number(key, 0, 1e12, float(default) if default else None)
                found.append((key, f"{number:g}"))
            else:
                found.append((key, part.text(key, 200) or default))
        return tuple(found)


def _is_sayable(text: str) -> bool:
    """Half a character can be in JSON and in no database."""
    return not any("\ud800" <= character <= "\udfff" for character in text)
