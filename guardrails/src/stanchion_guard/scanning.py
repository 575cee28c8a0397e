"""RE2 over a text's UTF-8 bytes, encoded once for all patterns, with positions in code points."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import re2

from stanchion_guard.views import Reading

_CONTINUATION_MASK, _CONTINUATION = 0xC0, 0x80
_ZERO, _TEN = np.uint8(ord("0")), np.uint8(10)
_MOST_BYTES = 4
"""Of one character in UTF-8."""


class Hit(NamedTuple):
    """One match: code point positions of the group asked for, and its text."""

    start: int
    end: int
    text: str


class Area(NamedTuple):
    """A range of bytes around digits, and how many of them it holds."""

    start: int
    end: int
    digits: int


class Bytes:
    """A text as RE2 reads it. Lone surrogates survive as three bytes."""

    __slots__ = ("_areas", "_kept", "_points", "ascii", "data", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.ascii = text.isascii()
        self.data = text.encode("ascii") if self.ascii else text.encode("utf-8", "surrogatepass")
        self._points: Any = None
        self._areas: dict[tuple[int, int], list[Area]] = {}
        self._kept: dict[Any, bool] = {}

    def point(self, offset: int) -> int:
        """How many code points stand before byte `offset`."""
        if self.ascii:
            return offset
        if self._points is None:
            leading = (np.frombuffer(self.data, np.uint8) & _CONTINUATION_MASK) != _CONTINUATION
            self._points = np.concatenate(([0], np.cumsum(leading, dtype=np.int32)))
        return int(self._points[offset])

    def around_digits(self, before: int, after: int) -> list[Area]:
        """Where ASCII digits stand: each of them with so many characters before and after it, at least; what overlaps
        is one area."""
        if (before, after) not in self._areas:
            self._areas[before, after] = self._around_digits(before, after)
        return self._areas[before, after]

    def _around_digits(self, before: int, after: int) -> list[Area]:
        places = np.flatnonzero(np.frombuffer(self.data, np.uint8) - _ZERO < _TEN)
        if not len(places):
            return []
        width = 1 if self.ascii else _MOST_BYTES
        before, after, size = before * width, after * width, len(self.data)
        areas, first = [], 0
        for end in (*(np.flatnonzero(places[1:] - places[:-1] > before + after) + 1).tolist(), len(places)):
            start, last = int(places[first]), int(places[end - 1])
            areas.append(Area(max(0, start - before), min(size, last + after + 1), end - first))
            first = end
        return areas

    def has(self, pattern: Any) -> bool:
        """Looked for once, however often it is asked."""
        found = self._kept.get(pattern)
        if found is None:
            found = self._kept[pattern] = pattern.search(self.data) is not None
        return found

    def matches(self, pattern: Any) -> Iterator[Any]:
        return iter(pattern.finditer(self.data))

    def hits(self, pattern: Any, group: int = 0) -> Iterator[Hit]:
        for match in pattern.finditer(self.data):
            yield self.hit(match, group)

    def hit(self, match: Any, group: int = 0) -> Hit:
        start, end = self.point(match.start(group)), self.point(match.end(group))
        return Hit(start, end, self.text[start:end])


def bytes_of(reading: Reading) -> Bytes:
    """The raw text's bytes, encoded once per reading."""
    return reading.keep("scanning.raw", lambda: Bytes(reading.raw))


def folded_bytes_of(reading: Reading) -> Bytes:
    """The folded view's bytes, encoded once per reading."""
    return reading.keep("scanning.folded", lambda: Bytes(reading.folded.text))


def pattern(text: str, *, case_sensitive: bool = True) -> Any:
    """A compiled RE2 pattern that is silent on errors and matches `.` over line ends only where it says so."""
    options = re2.Options()
    options.log_errors = False
    options.case_sensitive = case_sensitive
    return re2.compile(text, options)
