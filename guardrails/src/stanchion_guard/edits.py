"""Texts made from other texts by edits, with a way back: every character knows the range it came from."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from stanchion_guard.quick_shapes import quickly_made
from stanchion_guard.views import View

_FEW = 12
"""Up to so many distinct characters `str.replace` and `str.find` beat one dictionary look-up per character."""
_MANY = 64
"""Up to so many places they also beat a pattern, which has to be compiled."""


@quickly_made
@dataclass(frozen=True, slots=True)
class Same:
    """A view in which every character stands where its source stood: only the characters may differ."""

    name: str
    text: str
    base: View | None = None

    def original(self, start: int, end: int) -> tuple[int, int]:
        return (start, end) if self.base is None else self.base.original(start, end)


@dataclass(frozen=True, slots=True)
class Within:
    """A text that stands for one range of the original as a whole: what an encoded run decodes to."""

    name: str
    text: str
    start: int
    end: int

    def original(self, start: int, end: int) -> tuple[int, int]:
        return self.start, self.end


@dataclass(frozen=True, slots=True)
class Edited:
    """A view whose length changed: edit `k` made `out_start[k]..out_end[k]` of `base`'s `in_start[k]..in_end[k]`."""

    name: str
    text: str
    base: View
    in_start: Sequence[int]
    in_end: Sequence[int]
    out_start: Sequence[int]
    out_end: Sequence[int]

    def original(self, start: int, end: int) -> tuple[int, int]:
        first = self._source(start)[0]
        last = first if end <= start else self._source(end - 1)[1]
        return self.base.original(first, last)

    def _source(self, position: int) -> tuple[int, int]:
        """The range of `base` that the character at `position` came from."""
        edit = bisect_right(self.out_start, position) - 1
        if edit < 0:
            return position, position + 1
        if position < self.out_end[edit]:
            return self.in_start[edit], self.in_end[edit]
        source = self.in_end[edit] + position - self.out_end[edit]
        return source, source + 1


Edit = tuple[int, int, str]


def replace_ranges(base: View, edits: Sequence[Edit]) -> View:
    """`base` with ranges replaced; `edits` in order, without overlap."""
    if not edits:
        return base
    text, at = base.text, 0
    pieces: list[str] = []
    for start, end, replacement in edits:
        pieces += (text[at:start], replacement)
        at = end
    pieces.append(text[at:])
    return _edited(base, "".join(pieces), edits, [len(edit[2]) for edit in edits])


def replace_letters(base: View, letters: Mapping[str, str]) -> View:
    """`base` with single characters replaced, dropped ("") or spelt out; linear in the text."""
    if not letters:
        return base
    text = base.text
    uneven = {letter: new for letter, new in letters.items() if len(new) != 1}
    swapped = _swap(text, letters)
    if not uneven:
        return Same(base.name, swapped, base)
    spans = _runs(text, uneven)
    return _edited(base, swapped, spans, [len(uneven[text[start]]) for start, _, _ in spans])


def _swap(text: str, letters: Mapping[str, str]) -> str:
    if len(letters) > _FEW or any(old in new for new in letters.values() for old in letters):
        return text.translate({ord(old): new for old, new in letters.items()})
    for old, new in letters.items():
        text = text.replace(old, new)
    return text


def _runs(text: str, letters: Mapping[str, str]) -> list[Edit]:
    """Where letters are spelt out, each for itself, and where they are dropped, as many as stand together."""
    if len(letters) <= _FEW and sum(map(text.count, letters)) <= _MANY:
        return [(at, at + 1, "") for at in _positions(text, letters)]
    dropped = "".join(re.escape(letter) for letter in sorted(letters) if not letters[letter])
    spelt = "".join(re.escape(letter) for letter in sorted(letters) if letters[letter])
    either = "|".join([f"[{dropped}]+"] * bool(dropped) + [f"[{spelt}]"] * bool(spelt))
    return [(*match.span(), "") for match in re.finditer(either, text)]


def _positions(text: str, letters: Mapping[str, str]) -> list[int]:
    found: list[int] = []
    for letter in letters:
        at = text.find(letter)
        while at >= 0:
            found.append(at)
            at = text.find(letter, at + 1)
    found.sort()
    return found


def _edited(base: View, text: str, spans: Sequence[Edit], lengths: Sequence[int]) -> View:
    growth = accumulate((new - (end - start) for (start, end, _), new in zip(spans, lengths, strict=True)), initial=0)
    out_start = [span[0] + grown for span, grown in zip(spans, growth, strict=False)]
    out_end = [start + length for start, length in zip(out_start, lengths, strict=True)]
    return Edited(base.name, text, base, [s[0] for s in spans], [s[1] for s in spans], out_start, out_end)
