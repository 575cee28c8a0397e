"""RE2 over a text's UTF-8 bytes, encoded once for all patterns, with positions in code points."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import re2

from stanchion_guard.views import Reading

_CONTINUATION_MASK, _CONTINUATION = 0xC0, 0x80


class Hit(NamedTuple):
    """One match: code point positions of the group asked for, and its text."""

    start: int
    end: int
    text: str


class Bytes:
    """A text as RE2 reads it. Lone surrogates survive as three bytes."""

    __slots__ = ("_points", "ascii", "data", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.ascii = text.isascii()
        self.data = text.encode("ascii") if self.ascii else text.encode("utf-8", "surrogatepass")
        self._points: Any = None

    def point(self, offset: int) -> int:
        """How many code points stand before byte `offset`."""
        if self.ascii:
            return offset
        if self._points is None:
            leading = (np.frombuffer(self.data, np.uint8) & _CONTINUATION_MASK) != _CONTINUATION
            self._points = np.concatenate(([0], np.cumsum(leading, dtype=np.int32)))
        return int(self._points[offset])

    def has(self, pattern: Any) -> bool:
        return pattern.search(self.data) is not None

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
