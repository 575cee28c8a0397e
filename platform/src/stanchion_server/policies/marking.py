"""Findings as marks in the text they were made in. Pure; what comes out is text and labels, never markup."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

MAX_MARKS = 500


class Place(Protocol):
    """A range of a text in code points, and what it is called."""

    @property
    def start(self) -> int: ...

    @property
    def end(self) -> int: ...

    @property
    def label(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Stretch:
    """A piece of the text that the same findings cover. `ending` are the labels of those that end with it, so that a
    label is written once, behind its finding; `depth` is how many findings overlap here."""

    text: str
    labels: tuple[str, ...]
    ending: tuple[str, ...]

    @property
    def depth(self) -> int:
        return min(len(self.labels), 3)


@dataclass(frozen=True, slots=True)
class Marked:
    """`whole` are labels of findings about the text as a whole, `unmarked` counts those beyond the bound."""

    stretches: tuple[Stretch, ...]
    whole: tuple[str, ...]
    unmarked: int


def mark(text: str, findings: Sequence[Place]) -> Marked:
    """Offsets count code points of `text`; those outside it are drawn in. A finding that spans the whole text is a mark
    only when no narrower one is there."""
    placed = [(max(0, one.start), min(len(text), one.end), one.label) for one in findings]
    narrow = [one for one in placed if one[0] < one[1] and one[:2] != (0, len(text))]
    whole = [label for start, end, label in placed if start >= end or (narrow and (start, end) == (0, len(text)))]
    marks = sorted(narrow or [one for one in placed if one[0] < one[1]])[:MAX_MARKS]
    unmarked = len(placed) - len(whole) - len(marks)
    return Marked(_stretches(text, marks), tuple(dict.fromkeys(whole)), unmarked)


def _stretches(text: str, marks: Sequence[tuple[int, int, str]]) -> tuple[Stretch, ...]:
    edges = sorted({0, len(text), *(edge for mark in marks for edge in mark[:2])})
    found = []
    for start, end in pairwise(edges):
        over = [mark for mark in marks if mark[0] <= start and mark[1] >= end]
        labels = tuple(dict.fromkeys(label for _start, _end, label in over))
        ending = tuple(dict.fromkeys(label for _start, stop, label in over if stop == end))
        found.append(Stretch(text[start:end], labels, ending))
    return tuple(found)
