"""Numbers written in groups: which part of a run of letters and digits can be the one with the check digits.

A pattern that takes as much as it can swallows the word or the number that follows, and the check digits then fail.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache

Range = tuple[int, int]

SLIDING_DIGITS = 32
"""A run of more digits is a table: there, groups of four are tried one after the other, not at each place."""
_AFTER_HEAD = re.compile(r"\d{2}(?<=(?<![A-Za-z0-9])[A-Za-z]{2}\d{2})")
"""The digits of such a beginning: a pattern that begins with digits skips letters faster."""
_CARD = re.compile(r"(?<!\d)(?:\d{13,19}|\d{4}\D+(?:(?:\d{4}\D+){2}\d{4}|\d{6}\D+\d{4,5}))(?!\d)")
"""Groups of `card_ranges`, where there are any."""
_GROUP = re.compile(r"\d+")
_AMEX, _DINERS = (4, 6, 5), (4, 6, 4)


def iban_ranges(lengths: Mapping[str, int]) -> Callable[[str], Iterator[Range]]:
    """Ranges that begin with a country of `lengths` and have as many letters and digits as it uses, whole groups."""

    def ranges(run: str) -> Iterator[Range]:
        for head in _AFTER_HEAD.finditer(run):
            start = head.start() - 2
            length = lengths.get(run[start : start + 2].upper())
            end = _after(run, start, length) if length else None
            if end is not None and _mostly_digits(run[start:end]):
                yield start, end

    return ranges


def _after(run: str, start: int, length: int) -> int | None:
    """Where the first `length` letters and digits from `start` end, None where that is inside a group."""
    found = _so_many(length).match(run, start, start + 3 * length)
    return found.end() if found and not run[found.end() : found.end() + 1].isalnum() else None


@cache
def _so_many(length: int) -> re.Pattern[str]:
    """That many letters and digits, and what stands between them."""
    return re.compile(rf"(?:[\W_]*+[^\W_]){{{length}}}")


def _mostly_digits(text: str) -> bool:
    """So that words after something like "SE22" are no account number."""
    digits = sum(map(str.isdigit, text))
    return 2 * digits >= sum(map(str.isalnum, text))


def card_ranges(run: str) -> Iterator[Range]:
    """The whole run; then every number of it that is written as cards are: in one piece, in fours, or 4-6-5."""
    yield 0, len(run)
    if _CARD.search(run) is None:
        return
    groups = [match.span() for match in _GROUP.finditer(run)]
    slides = sum(end - start for start, end in groups) <= SLIDING_DIGITS
    at = 0
    while at < len(groups):
        count = _card_groups([end - start for start, end in groups[at : at + 5]])
        if count:
            yield groups[at][0], groups[at + count - 1][1]
        at += 1 if slides or not count else count


def _card_groups(sizes: list[int]) -> int:
    """How many groups a card takes that begins with the first of them, 0 for none."""
    if 13 <= sizes[0] <= 19:
        return 1
    if tuple(sizes[:3]) in (_AMEX, _DINERS):
        return 3
    return 4 if sizes[:4] == [4, 4, 4, 4] else 0
