"""RE2 over a text's UTF-8 bytes, encoded once for all patterns, with positions in code points."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import re2

from stanchion_guard import native
from stanchion_guard.views import Reading

_CONTINUATION_MASK, _CONTINUATION = 0xC0, 0x80
_ZERO, _TEN = np.uint8(ord("0")), np.uint8(10)
_MOST_BYTES = 4
"""Of one character in UTF-8."""


CONTROLS, SQUEEZED, ESCAPED, BASE64, PAIRS = 1, 2, 4, 8, 16
CODED = ESCAPED | BASE64 | PAIRS
"""What a text may hold by a cheap look: control characters, words that `squeezing` reads, and runs in an encoding: with
its signs, of base64 or base32, of pairs of hex digits or of binary ones. As in native/scan.c."""
_UNANCHORED = getattr(getattr(re2, "_Anchor", None), "UNANCHORED", None)
_NOWHERE = (-1, -1)


def _is_quick() -> bool:
    """Whether RE2 can be asked without the generator and the objects that its Python package makes for every match.
    What is under the package is not promised, so it is tried out once."""
    try:
        told = re2.compile("b(c)?")._regexp.Match(_UNANCHORED, b"abc", 0, 3)
        missed = re2.compile("d")._regexp.Match(_UNANCHORED, b"abc", 1, 2)
    except (AttributeError, TypeError):
        return False
    return list(told) == [(1, 3), (2, 3)] and list(missed) == [_NOWHERE]


_QUICK = _is_quick()


def _has_quick_sets() -> bool:
    """As `_is_quick`, for sets of patterns."""
    tried = re2.Set.SearchSet()
    tried.Add("b")
    tried.Compile()
    try:
        return list(tried._set.Match(b"abc")) == [0] and not tried._set.Match(b"a")
    except (AttributeError, TypeError):
        return False


_QUICK_SETS = _has_quick_sets()


class Hit(NamedTuple):
    """One match: code point positions of the group asked for, and its text."""

    start: int
    end: int
    text: str


Area = tuple[int, int, int, int]
"""A range of bytes around digits, how many of them it holds, and where the last of them ends."""


class Bytes:
    """A text as RE2 reads it. Lone surrogates survive as three bytes."""

    __slots__ = ("_areas", "_kept", "_needs", "_points", "ascii", "data", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.ascii = text.isascii()
        self.data = text.encode("ascii") if self.ascii else text.encode("utf-8", "surrogatepass")
        self._points: Any = None
        self._areas: dict[tuple[int, int], list[Area]] = {}
        self._kept: dict[Any, bool] = {}
        self._needs: int | None = None

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
        width = 1 if self.ascii else _MOST_BYTES
        if native.scan is not None:
            areas: list[Area] = native.scan.around_digits(self.data, before * width, after * width)
            return areas
        return around_digits(self.data, before * width, after * width)

    def may_hold(self, kind: int) -> bool:
        """Whether a cheap look leaves room for any of the kinds; it does where there is no such look."""
        if self._needs is None:
            self._needs = native.scan.needs(self.data) if self.ascii and native.scan is not None else -1
        return self._needs & kind != 0

    def hex_runs(self) -> list[tuple[int, int]] | None:
        """Where encoded runs can be alone, if they can only be of hex or binary digits; None where they need not."""
        if native.scan is None or self.may_hold(ESCAPED | BASE64):
            return None
        found: list[tuple[int, int]] = native.scan.hex_runs(self.data)
        return found

    def has(self, pattern: Any) -> bool:
        """Looked for once, however often it is asked."""
        found = self._kept.get(pattern)
        if found is None:
            found = self._kept[pattern] = holds(pattern, self.data)
        return found

    def matches(self, pattern: Any) -> Iterator[Any]:
        return iter(pattern.finditer(self.data))

    def hits(self, pattern: Any, group: int = 0) -> Iterator[Hit]:
        for match in pattern.finditer(self.data):
            yield self.hit(match, group)

    def hit(self, match: Any, group: int = 0) -> Hit:
        start, end = self.point(match.start(group)), self.point(match.end(group))
        return Hit(start, end, self.text[start:end])


def around_digits(data: bytes, before: int, after: int) -> list[Area]:
    """`Bytes.around_digits`, with distances in bytes."""
    places = np.flatnonzero(np.frombuffer(data, np.uint8) - _ZERO < _TEN)
    if not len(places):
        return []
    areas: list[Area] = []
    first = 0
    for end in (*(np.flatnonzero(places[1:] - places[:-1] > before + after) + 1).tolist(), len(places)):
        start, last = int(places[first]), int(places[end - 1])
        areas.append((max(0, start - before), min(len(data), last + after + 1), end - first, last + 1))
        first = end
    return areas


def holds(pattern: Any, data: bytes) -> bool:
    if _QUICK:
        found: bool = pattern._regexp.Match(_UNANCHORED, data, 0, len(data))[0] != _NOWHERE
        return found
    return pattern.search(data) is not None


def matcher(patterns: Any) -> Callable[[bytes], Sequence[int] | None]:
    """What an `re2.Set` says of bytes: the numbers of the patterns they hold."""
    found: Callable[[bytes], Sequence[int] | None] = patterns._set.Match if _QUICK_SETS else patterns.Match
    return found


def ranges(
    pattern: Any, data: bytes, start: int, end: int, group: int = 0, until: int | None = None
) -> list[tuple[int, int]]:
    """Where the matches between two bytes are, as `finditer` finds them: ranges of bytes of the group. None is looked
    for from `until` on, where the caller knows that none begins there."""
    if not _QUICK:
        return [match.span(group) for match in pattern.finditer(data, start, end)]
    found: list[tuple[int, int]] = []
    look = pattern._regexp.Match
    last_start = end if until is None else until - 1
    while start <= last_start:
        spans = look(_UNANCHORED, data, start, end)
        first, last = spans[0]
        if first < 0:
            break
        found.append(spans[group])
        if start == end:
            break
        start = last if last > start else start + 1
    return found


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
