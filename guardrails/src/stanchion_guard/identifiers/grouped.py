"""Numbers written in groups: which part of a run of letters and digits can be the one with the check digits.

A pattern that takes as much as it can swallows the word or the number that follows, and the check digits then fail.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

Range = tuple[int, int]

SLIDING_DIGITS = 32
"""A run of more digits is a table: there, groups of four are tried one after the other, not at each place."""
_IBAN_HEAD = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}")
_GROUP = re.compile(r"\d+")
_AMEX, _DINERS = (4, 6, 5), (4, 6, 4)


def iban_ranges(lengths: Mapping[str, int]) -> Callable[[str], Iterator[Range]]:
    """Ranges that begin with a country of `lengths` and have as many letters and digits as it uses, whole groups."""

    def ranges(run: str) -> Iterator[Range]:
        for head in _IBAN_HEAD.finditer(run):
            length = lengths.get(head[0][:2].upper())
            end = _after(run, head.start(), length) if length else None
            if end is not None and _mostly_digits(run[head.start() : end]):
                yield head.start(), end

    return ranges


def _after(run: str, start: int, length: int) -> int | None:
    """Where the first `length` letters and digits from `start` end, None where that is inside a group."""
    left = length
    for at in range(start, min(len(run), start + 3 * length)):
        left -= run[at].isalnum()
        if left == 0:
            return at + 1 if not run[at + 1 : at + 2].isalnum() else None
    return None


def _mostly_digits(text: str) -> bool:
    """So that words after something like "SE22" are no account number."""
    digits = sum(map(str.isdigit, text))
    return 2 * digits >= sum(map(str.isalnum, text))


def card_ranges(run: str) -> Iterator[Range]:
    """The whole run; then every number of it that is written as cards are: in one piece, in fours, or 4-6-5."""
    yield 0, len(run)
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
