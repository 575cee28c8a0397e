"""A rule for one sort of identifier, and the scan that applies many of them in one pass over the text."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import pairwise
from operator import attrgetter, itemgetter
from typing import Any

import re2

from stanchion_guard.quick_shapes import quickly_made
from stanchion_guard.scanning import Area, Bytes, holds, matcher, pattern, ranges

BEFORE, AFTER = 60, 30
"""Characters before and after a number in which a word of context counts."""
REACH = 96
"""Characters that a match is long at most, but for `anywhere` rules."""
_MOST_MEMORY = 32 << 20
"""Bytes that one set of rules and its automaton may take."""
_SEPARATORS = {ord(sign): "" for sign in " .-/()\u00a0'_\u2011\u2013\n"}
_ASCII_SEPARATORS = bytes(sign for sign in _SEPARATORS if sign < 128)
_JOINTS, _HEX_DIGITS = frozenset("-./"), frozenset("0123456789abcdef")
MOST_COVERS = 32
"""Identifiers whose inside is not searched; that of others is searched in vain, so that time stays linear."""
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
    sign: bytes = b""
    """Stands in every match, and no space does: of an `anywhere` rule only the words with it are searched."""


@quickly_made
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
    against: Ending | None


class _Set:
    """Patterns under numbers of their own, and which of them a text holds."""

    def __init__(self, numbered: Sequence[tuple[int, str]]) -> None:
        self._numbers = [number for number, _ in numbered]
        self._set = re2.Set.SearchSet(_roomy())
        for _, shape in numbered:
            self._set.Add(shape)
        self._set.Compile()
        self._match = matcher(self._set)

    def within(self, data: bytes) -> list[int]:
        """In no order."""
        found = self._match(data) if self._numbers else None
        return [self._numbers[index] for index in found] if found else []


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
        two with the same range and score the first one counts. What lies inside of a range whose check digits are right
        may be left out, as `best_spans` would."""
        found: list[tuple[int, list[Span]]] = []
        covers: list[Span] = []
        places = list(self._places(data))
        if len(places) > 1:
            places.sort()
        for number, start, end, until, beside in places:
            spans = _apply(self._compiled[number], data, (start, end, until), beside, covers)
            if spans:
                found.append((number, spans))
                if len(covers) < MOST_COVERS:
                    covers += [span for span in spans if covering(span)][: MOST_COVERS - len(covers)]
        if len(found) > 1:
            found.sort(key=_number, reverse=True)
        for _, spans in found:
            yield from spans

    def _places(self, data: Bytes) -> Iterator[tuple[int, int, int, int, bool]]:
        """Rule, bytes in which it has a shape, from where on it has none, and whether a word of its context may stand
        beside it."""
        for number in self._anywhere.within(data.data):
            sign = self.rules[number].sign
            if sign:
                yield from ((number, *word, True) for word in _words_with(sign, data.data))
            else:
                yield number, 0, len(data.data), len(data.data) + 1, True
        for start, end, _, until in surroundings(data):
            piece = data.data[start:end]
            shapes = self._digits.within(piece)
            needy = [number for number in shapes if self.rules[number].alone is None]
            words = self._words.within(piece) if needy and piece.isascii() else None
            for number in shapes:
                beside = words is None or number in words
                if beside or number not in needy:
                    yield number, start, end, until, beside


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
    against = Ending(rule.against) if rule.against else None
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
            return holds(self._ascii, b"%b\0%b" % (data.data[first:start], data.data[end : end + AFTER]))
        text = data.text
        return bool(self._any.search(text[first:start]) or self._any.search(text[end : end + AFTER]))


class Ending:
    """Words that make the number right behind them something else."""

    def __init__(self, listed: str) -> None:
        """A regular expression that ends in `$`; RE2 reads ASCII text for it where it has no look-around."""
        assert listed.endswith("$")
        self._any = re.compile(rf"(?i)(?<![^\W\d_]){listed}")
        self._ascii: Any = None
        if "(?<" not in listed and "(?=" not in listed and "(?!" not in listed:
            spaces = listed[:-1].replace(r"\s", r"[\s\x0b\x1c-\x1f]")
            self._ascii = pattern(rf"(?i)(?:^|[^a-z]){spaces}\n?$")

    def ends(self, data: Bytes, first: int, last: int) -> bool:
        """Whether the range of characters ends with one of them."""
        if data.ascii and self._ascii is not None:
            return holds(self._ascii, data.data[first:last])
        return self._any.search(data.text[first:last]) is not None


_number = itemgetter(0)


def _words_with(sign: bytes, data: bytes) -> Iterator[tuple[int, int, int]]:
    """What stands between two spaces, or an end of the text, and has the sign in it; and where the last sign ends."""
    at = data.find(sign)
    while at >= 0:
        end = data.find(b" ", at)
        end = len(data) if end < 0 else end
        yield data.rfind(b" ", 0, at) + 1, end, data.rfind(sign, at, end) + len(sign)
        at = data.find(sign, end)


def covering(span: Span) -> bool:
    return span.checked and span.score >= SURE


def inside_one(covers: Sequence[Span], start: int, end: int) -> bool:
    """Whether the range is a part of one of the spans, and not all of it."""
    for span in covers:  # noqa: SIM110 - a generator takes longer than the few spans
        if span.start <= start and end <= span.end and (start != span.start or end != span.end):
            return True
    return False


def _apply(
    compiled: _Compiled, data: Bytes, place: tuple[int, int, int], may_be_beside: bool, covers: Sequence[Span]
) -> list[Span]:
    rule, found, (first, last, until) = compiled.rule, [], place
    for start, end in ranges(compiled.shape, data.data, first, last, compiled.group, until):
        if not data.ascii:
            start, end = data.point(start), data.point(end)
        if rule.within is not None:
            found += _inside(compiled, data, start, end, may_be_beside)
        elif not covers or not inside_one(covers, start, end):
            score = _score(compiled, data, start, end, may_be_beside)
            if score is not None:
                found.append(Span(rule.label, start, end, *score, rule.check is not None))
    return found


def _inside(compiled: _Compiled, data: Bytes, first: int, last: int, may_be_beside: bool) -> list[Span]:
    """The ranges of a match that may be the identifier."""
    rule, reached = compiled.rule, 0
    assert rule.within is not None
    found = []
    for within, until in rule.within(data.text[first:last]):
        start, end = first + within, first + until
        score = _score(compiled, data, start, end, may_be_beside) if start >= reached else None
        if score is not None:
            reached = end
            found.append(Span(rule.label, start, end, *score, rule.check is not None))
        if reached == last:
            break
    return found


def _score(compiled: _Compiled, data: Bytes, start: int, end: int, may_be_beside: bool) -> tuple[float, str] | None:
    """What a range is worth as the rule's identifier, and why; None for nothing."""
    rule, text = compiled.rule, data.text
    value = text[start:end]
    if rule.bare and embedded(text, start, end):
        return None
    if compiled.against is not None and compiled.against.ends(data, max(0, start - 20), start):
        return None
    if rule.check is not None and not rule.check(_bare(value) if rule.bare else value):
        return None
    beside = may_be_beside and compiled.context is not None and compiled.context.near(data, start, end)
    score = rule.beside if beside else rule.alone
    return None if score is None else (score, _told(rule.label, rule.check is not None, beside))


def _bare(value: str) -> str:
    """Without separators, in capitals."""
    if value.isascii():
        return value.encode("ascii").translate(None, _ASCII_SEPARATORS).decode("ascii").upper()
    return value.translate(_SEPARATORS).upper()


@cache
def _told(label: str, checked: bool, beside: bool) -> str:
    evidence = ["shape"]
    if checked:
        evidence.append("check digits or ranges")
    if beside:
        evidence.append("a word beside it")
    return f"{label} by {', '.join(evidence)}"


def best_spans(spans: Sequence[Span]) -> list[Span]:
    """Of overlapping spans the one with the better evidence, of equals the longer. What lies inside a number whose
    check digits are right is a part of it, whatever its own evidence."""
    ordered = sorted(spans, key=_start)
    if all(one.end <= other.start for one, other in pairwise(ordered)):
        return ordered
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
        if covering(span) and span.end > cover[1]:
            cover = (span.start, span.end)


_start = attrgetter("start")


def embedded(text: str, start: int, end: int) -> bool:
    """Whether a number is only a part of something longer: a decimal, a version, a GUID, a name of a file."""
    after = text[end : end + 1]
    if after.isalnum() or after == "_" or (after in _JOINTS and text[end + 1 : end + 2].isdigit()):
        return True
    before = text[start - 1] if start else ""
    if before.isalnum() or before == "_":
        return True
    return start > 1 and before in _JOINTS and text[start - 2] in _HEX_DIGITS
