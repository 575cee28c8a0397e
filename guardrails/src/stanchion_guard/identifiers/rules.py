"""A rule for one sort of identifier, and the scan that applies many of them in one pass over the text."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import re2

from stanchion_guard.scanning import Area, Bytes, pattern

BEFORE, AFTER = 60, 30
"""Characters before and after a number in which a word of context counts."""
REACH = 96
"""Characters that a match is long at most, but for `anywhere` rules."""
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
    that overlap, the first to pass the check counts. `anywhere`: a match may hold no digit, or lie further than REACH
    from one, so the whole text has to be searched and not only the surroundings of digits.
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
    anywhere: bool = False


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
    """`group` is the one that holds the identifier."""

    rule: Rule
    shape: Any
    group: int
    context: Context | None
    against: Any


class _Set:
    """Patterns under numbers of their own, and which of them a text holds."""

    def __init__(self, numbered: Sequence[tuple[int, str]]) -> None:
        self._numbers = [number for number, _ in numbered]
        self._set = re2.Set.SearchSet(_roomy())
        for _, shape in numbered:
            self._set.Add(shape)
        self._set.Compile()

    def within(self, data: bytes) -> list[int]:
        """In no order."""
        if not self._numbers:
            return []
        return [self._numbers[index] for index in self._set.Match(data) or ()]


class Scanner:
    """Rules compiled together: one pass tells which of them have a shape in the text at all."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = rules
        self._compiled = [_compile(rule) for rule in rules]
        self._anywhere = _Set([(number, rule.shape) for number, rule in enumerate(rules) if rule.anywhere])
        self._digits = _Set([(number, rule.shape) for number, rule in enumerate(rules) if not rule.anywhere])
        self._words = _Set([(number, _loosely(rule.context)) for number, rule in enumerate(rules) if rule.context])

    def scan(self, data: Bytes) -> Iterator[Span]:
        """Every identifier, whatever its score, the later rules first, those of one rule as they stand in the text: of
        two with the same range and score the first one counts."""
        for number, start, end, beside in sorted(self._places(data), key=lambda place: (-place[0], place[1])):
            yield from _apply(self._compiled[number], data, start, end, beside)

    def _places(self, data: Bytes) -> Iterator[tuple[int, int, int, bool]]:
        """Rule, bytes in which it has a shape, and whether a word of its context may stand beside it."""
        for number in self._anywhere.within(data.data):
            yield number, 0, len(data.data), True
        for start, end, _ in surroundings(data):
            piece = data.data[start:end]
            shapes = self._digits.within(piece)
            words = frozenset(self._words.within(piece)) if shapes and piece.isascii() else None
            for number in shapes:
                beside = words is None or number in words
                if beside or self.rules[number].alone is not None:
                    yield number, start, end, beside


def surroundings(data: Bytes) -> list[Area]:
    """Where the digits stand, with all that a rule which is not `anywhere` looks at."""
    return data.around_digits(BEFORE + REACH, REACH + AFTER)


def _loosely(listed: str) -> str:
    """RE2 for words of context; in ASCII text it finds whatever `Context` finds, and parts of words."""
    return f"(?i)(?:{listed})"


def _roomy() -> Any:
    options = re2.Options()
    options.max_mem = _MOST_MEMORY
    return options


def _compile(rule: Rule) -> _Compiled:
    context = Context(rule.context) if rule.context else None
    against = re.compile(rf"(?i)(?<![^\W\d_]){rule.against}") if rule.against else None
    shape = pattern(rule.shape)
    return _Compiled(rule, shape, 1 if shape.groups else 0, context, against)


class Context:
    """Words that speak for an identifier. Compiled when first needed: most texts need few of them."""

    def __init__(self, listed: str, *others: str) -> None:
        """`listed`: alternatives that stand free of letters; `others`: any that look after themselves. Regular
        expressions without look-around, in both RE2 and the standard library."""
        self.listed, self.others = listed, others

    @cached_property
    def _ascii(self) -> Any:
        others = (one.replace("$", r"(?:\x00|$)").replace(r"\s", r"[\s\x0b\x1c-\x1f]") for one in self.others)
        return pattern("|".join((rf"(?i)(?:^|[^a-z])(?:{self.listed})(?:$|[^a-z])", *others)))

    @cached_property
    def _any(self) -> Any:
        """The window is 90 characters, so the standard library's matcher is safe here."""
        return re.compile("|".join((rf"(?i)(?<![^\W\d_])(?:{self.listed})(?![^\W\d_])", *self.others)))

    def near(self, data: Bytes, start: int, end: int) -> bool:
        """Whether one of the words stands shortly before or after the range of characters."""
        first = max(0, start - BEFORE)
        if data.ascii:
            window = b"%b\0%b" % (data.data[first:start], data.data[end : end + AFTER])
            return self._ascii.search(window) is not None
        text = data.text
        return bool(self._any.search(text[first:start]) or self._any.search(text[end : end + AFTER]))


def _apply(compiled: _Compiled, data: Bytes, first: int, last: int, may_be_beside: bool) -> Iterator[Span]:
    for match in compiled.shape.finditer(data.data, first, last):
        hit = data.hit(match, compiled.group)
        if compiled.rule.within is None:
            ranges = iter(((hit.start, hit.end),))
        else:
            ranges = ((hit.start + start, hit.start + end) for start, end in compiled.rule.within(hit.text))
        reached = 0
        for start, end in ranges:
            score = _score(compiled, data, start, end, may_be_beside) if start >= reached else None
            if score is not None:
                reached = end
                yield Span(compiled.rule.label, start, end, *score, checked=compiled.rule.check is not None)
            if reached == hit.end:
                break


def _score(compiled: _Compiled, data: Bytes, start: int, end: int, may_be_beside: bool) -> tuple[float, str] | None:
    """What a range is worth as the rule's identifier, and why; None for nothing."""
    rule, text = compiled.rule, data.text
    value = text[start:end]
    if rule.bare and embedded(text, start, end):
        return None
    if compiled.against is not None and compiled.against.search(text[max(0, start - 20) : start]):
        return None
    if rule.check is not None and not rule.check(value.translate(_SEPARATORS).upper() if rule.bare else value):
        return None
    beside = may_be_beside and compiled.context is not None and compiled.context.near(data, start, end)
    score = rule.beside if beside else rule.alone
    return None if score is None else (score, _reason(rule, beside=beside))


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
