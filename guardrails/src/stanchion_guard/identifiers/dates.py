"""Years and dates, which stand beside the words that ask for a number as often as the number does."""

from __future__ import annotations

import re
from collections.abc import Iterator

from stanchion_guard.identifiers.checksums import calendar_day

NOT_TOLD_AFTER = (
    r"(?:(?<!ends )(?<!end )(?<!ending )in|since|until|till?|by|from|for|at|on|over|under|about|around|after|"
    r"before|during|than|and|or|to|with|within|of|year|fy|form|room|line|ext(?:ension)?|dial|page|section|article|"
    r"jan\w*|feb\w*|mar\w*|apr\w*|may|june?|july?|aug\w*|sep\w*|oct\w*|nov\w*|dec\w*)\.?"
    r"(?: (?:the|a|an|tax|fiscal|early|late|year)){0,2}\s*$"
)
"""Words before a number that make it a year, an amount or a place: not the number that was asked for."""
_YEAR = re.compile(r"(?:19|20)\d\d")
_CLOCK = r"(?:[ T]?(?:[01]\d|2[0-3])(?:[: ]?[0-5]\d){0,2})?"
_DAYS = (
    re.compile(rf"(?P<y>(?:19|20)\d\d)(?P<sign>[-./ ])(?P<a>\d\d?)(?P=sign)(?P<b>\d\d?){_CLOCK}", re.A),
    re.compile(rf"(?P<a>\d\d?)(?P<sign>[-./ ])(?P<b>\d\d?)(?P=sign)(?P<y>(?:19|20)\d\d|\d\d){_CLOCK}", re.A),
    re.compile(rf"(?P<y>(?:19|20)\d\d)(?P<a>\d\d)(?P<b>\d\d){_CLOCK}", re.A),
    re.compile(r"(?P<a>\d\d)(?P<b>\d\d)(?P<y>(?:19|20)\d\d)", re.A),
)
_YEARS = re.compile(r"(?P<first>(?:19|20)\d\d)[- /–]?(?P<last>(?:19|20)\d\d)", re.A)


def no_year(text: str) -> Iterator[tuple[int, int]]:
    """The whole range, unless it may be read as a year of these two centuries."""
    if not _YEAR.fullmatch(text):
        yield 0, len(text)


def no_date(text: str) -> Iterator[tuple[int, int]]:
    """The whole range, unless it may be read as a year, a day with or without an hour, or as "2019-2021"."""
    if not (_YEAR.fullmatch(text) or _is_day(text) or _is_span(text)):
        yield 0, len(text)


def _is_day(text: str) -> bool:
    read = (pattern.fullmatch(text) for pattern in _DAYS)
    return any(
        _on_calendar(found["y"], found["a"], found["b"]) or _on_calendar(found["y"], found["b"], found["a"])
        for found in read
        if found
    )


def _on_calendar(year: str, month: str, day: str) -> bool:
    return calendar_day(int(year) if len(year) == 4 else 2000 + int(year), int(month), int(day))


def _is_span(text: str) -> bool:
    found = _YEARS.fullmatch(text)
    return found is not None and found["first"] <= found["last"]
