"""A rule for one sort of identifier, and the scan that applies many of them in one pass over the text."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import re2

from stanchion_guard.scanning import Bytes, pattern

BEFORE, AFTER = 60, 30
"""Characters before and after a number in which a word of context counts."""
_MOST_MEMORY = 32 << 20
"""Bytes that one set of rules and its automaton may take."""
_SEPARATORS = {ord(sign): "" for sign in " .-/()\u00a0'_\u2011\u2013\n"}
SURE = 0.5
"""The score from which a span with check digits stands for everything inside it."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How one identifier is recognised.

    `shape`: RE2; the identifier is group 1 where there is one. `check` gets it without separators. `alone` is the score
    of a match without a word of `context` nearby, None where the shape alone says nothing; `beside` the score with one.
    `against`: words right before it that make it something else. `bare`: the identifier must stand free of letters and
    digits, and its separators mean nothing. `within`: which ranges of a match may be the identifier, in order; of those
    that overlap, the first to pass the check counts.
    """

    label: str
    shape: str
    alone: float | None
    beside: float
    context: str = ""
    check: Callable[[str], bool] | None = None
    against: str = ""
    bare: bool = True
    within: Callable[[str], Iterator[tuple[int, int]]] | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """An identifier found, in positions of the scanned view."""

    label: str
    start: int
    end: int
    score: float
    reason: str
    checked: bool = False
    """Whether check digits or ranges were looked at."""


@dataclass(frozen=True, slots=True)
class _Compiled:
    rule: Rule
    shape: Any
    context: Any
    against: Any


@dataclass(frozen=True)
class Scanner:
    """Rules compiled together: one pass tells which of them have a shape in the text at all."""

    rules: Sequence[Rule]
    _compiled: list[_Compiled] = field(init=False, repr=False)
    _set: Any = field(init=False, repr=False)

    def __post_init__(self) -> None:
        shapes = re2.Set.SearchSet(_roomy())
        for rule in self.rules:
            shapes.Add(rule.shape)
        shapes.Compile()
        object.__setattr__(self, "_set", shapes)
        object.__setattr__(self, "_compiled", [_compile(rule) for rule in self.rules])

    def scan(self, data: Bytes) -> Iterator[Span]:
        for number in self._set.Match(data.data) or ():
            yield from _apply(self._compiled[number], data)


def _roomy() -> Any:
    options = re2.Options()
    options.max_mem = _MOST_MEMORY
    return options


def _compile(rule: Rule) -> _Compiled:
    context = re.compile(_near(rule.context)) if rule.context else None
    against = re.compile(rf"(?i)(?<![^\W\d_]){rule.against}") if rule.against else None
    return _Compiled(rule, pattern(rule.shape), context, against)


def _near(listed: str) -> str:
    """The window is 90 characters, so the standard library's matcher is both safe and quicker here."""
    return rf"(?i)(?<![^\W\d_])(?:{listed})(?![^\W\d_])"


def _apply(compiled: _Compiled, data: Bytes) -> Iterator[Span]:
    group = 1 if compiled.shape.groups else 0
    for match in data.matches(compiled.shape):
        hit = data.hit(match, group)
        if compiled.rule.within is None:
            ranges = iter(((hit.start, hit.end),))
        else:
            ranges = ((hit.start + start, hit.start + end) for start, end in compiled.rule.within(hit.text))
        reached = 0
        for start, end in ranges:
            score = _score(compiled, data.text, start, end) if start >= reached else None
            if score is not None:
                reached = end
                yield Span(compiled.rule.label, start, end, *score, checked=compiled.rule.check is not None)


def _score(compiled: _Compiled, text: str, start: int, end: int) -> tuple[float, str] | None:
    """What a range is worth as the rule's identifier, and why; None for nothing."""
    rule, value = compiled.rule, text[start:end]
    if rule.bare and embedded(text, start, end):
        return None
    if compiled.against is not None and compiled.against.search(text[max(0, start - 20) : start]):
        return None
    if rule.check is not None and not rule.check(value.translate(_SEPARATORS).upper() if rule.bare else value):
        return None
    beside = compiled.context is not None and near(compiled.context, text, start, end)
    score = rule.beside if beside else rule.alone
    return None if score is None else (score, _reason(rule, beside=beside))


def near(context: Any, text: str, start: int, end: int) -> bool:
    """Whether a word of `context` stands shortly before or after the range."""
    return bool(context.search(text[max(0, start - BEFORE) : start]) or context.search(text[end : end + AFTER]))


def _reason(rule: Rule, *, beside: bool) -> str:
    evidence = ["shape"]
    if rule.check is not None:
        evidence.append("check digits or ranges")
    if beside:
        evidence.append("a word beside it")
    return f"{rule.label} by {', '.join(evidence)}"


def best_spans(spans: Sequence[Span]) -> list[Span]:
    """Of overlapping spans the one with the better evidence, of equals the longer. What lies inside a number whose
    check digits are right is a part of it, whatever its own evidence."""
    kept: list[Span] = []
    starts: list[int] = []
    for span in sorted(_outermost(spans), key=lambda span: (-span.score, span.start - span.end, span.start)):
        at = bisect_right(starts, span.start)
        clear_before = at == 0 or kept[at - 1].end <= span.start
        if clear_before and (at == len(kept) or kept[at].start >= span.end):
            kept.insert(at, span)
            starts.insert(at, span.start)
    return kept


def _outermost(spans: Sequence[Span]) -> Iterator[Span]:
    cover = (-1, -1)
    for span in sorted(spans, key=lambda span: (span.start, -span.end)):
        if span.end > cover[1] or (span.start, span.end) == cover:
            yield span
        if span.checked and span.score >= SURE and span.end > cover[1]:
            cover = (span.start, span.end)


def embedded(text: str, start: int, end: int) -> bool:
    """Whether a number is only a part of something longer: a decimal, a version, a GUID, a name of a file."""
    before, after = text[max(0, start - 2) : start], text[end : end + 2]
    if before[-1:].isalnum() or after[:1].isalnum() or "_" in (before[-1:], after[:1]):
        return True
    if len(after) == 2 and after[0] in "-./" and after[1].isdigit():
        return True
    return len(before) == 2 and before[1] in "-./" and before[0] in "0123456789abcdef"
