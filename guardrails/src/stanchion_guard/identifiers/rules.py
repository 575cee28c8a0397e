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
_SEPARATORS = {ord(sign): "" for sign in " .-/()\u00a0'_"}


@dataclass(frozen=True, slots=True)
class Rule:
    """How one identifier is recognised.

    `shape`: RE2; the identifier is group 1 where there is one. `check` gets it without separators. `alone` is the score
    of a match without a word of `context` nearby, None where the shape alone says nothing; `beside` the score with one.
    `against`: words right before it that make it something else. `bare`: the identifier must stand free of letters and
    digits, and its separators mean nothing.
    """

    label: str
    shape: str
    alone: float | None
    beside: float
    context: str = ""
    check: Callable[[str], bool] | None = None
    against: str = ""
    bare: bool = True


@dataclass(frozen=True, slots=True)
class Span:
    """An identifier found, in positions of the scanned view."""

    label: str
    start: int
    end: int
    score: float
    reason: str


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
    rule = compiled.rule
    group = 1 if compiled.shape.groups else 0
    for match in data.matches(compiled.shape):
        hit = data.hit(match, group)
        if rule.bare and embedded(data.text, hit.start, hit.end):
            continue
        if compiled.against is not None and compiled.against.search(data.text[max(0, hit.start - 20) : hit.start]):
            continue
        if rule.check is not None and not rule.check(
            hit.text.translate(_SEPARATORS).upper() if rule.bare else hit.text
        ):
            continue
        beside = compiled.context is not None and near(compiled.context, data.text, hit.start, hit.end)
        score = rule.beside if beside else rule.alone
        if score is not None:
            yield Span(rule.label, hit.start, hit.end, score, _reason(rule, beside=beside))


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
    """Of overlapping spans the one with the better evidence, of equals the longer."""
    kept: list[Span] = []
    starts: list[int] = []
    for span in sorted(spans, key=lambda span: (-span.score, span.start - span.end, span.start)):
        at = bisect_right(starts, span.start)
        clear_before = at == 0 or kept[at - 1].end <= span.start
        if clear_before and (at == len(kept) or kept[at].start >= span.end):
            kept.insert(at, span)
            starts.insert(at, span.start)
    return kept


def embedded(text: str, start: int, end: int) -> bool:
    """Whether a number is only a part of something longer: a decimal, a version, a GUID, a name of a file."""
    before, after = text[max(0, start - 2) : start], text[end : end + 2]
    if before[-1:].isalnum() or after[:1].isalnum() or "_" in (before[-1:], after[:1]):
        return True
    if len(after) == 2 and after[0] in "-./" and after[1].isdigit():
        return True
    return len(before) == 2 and before[1] in "-./" and before[0] in "0123456789abcdef"
