# ruff: noqa: E501 - a pattern broken over lines is harder to check
"""Telephone numbers: a cheap shape first, the numbering plans of the world only where it fires."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from stanchion_guard.identifiers.numbering import valid, valid_abroad
from stanchion_guard.identifiers.rules import Context, Span, embedded, inside_one, surroundings
from stanchion_guard.scanning import Bytes, holds, pattern, ranges

_SHAPE = pattern(r"(?:\+|\b00|\(\+?)?\d[\d ().\-/\x{2011}]{5,24}\d")
_CONTEXT = Context(
    r"(?:tele)?phone|tele?|mobile|mob|cell(?:ular|phone)?|call(?: me| us)?|fax|ring me|dial|text(?: me)?(?: at| on)|sms|whats ?app|"
    r"messages to|contact(?: number| no| me)?|hotline|landline|office|telefon(?:nummer|o|e|i)?|telefoon|téléphone|tél|teléfono|telemóvel|móvil|celular|cellulare|"
    r"handy(?:nummer)?|rufnummer|portable|numéro|numero di|puhelin|komórka|телефон|тел|моб|電話|电话|手机|전화",
    "☎|📞|📱",
    r"\bnumber(?: is|:)?\s*$",
)
_OTHER = (
    r"(?:order|invoice|account|acct|ticket|case|reference|ref|tracking|serial|model|part|sku|isbn|issn|doi|version|build|id|bank|card|routing|policy|claim|"
    r"flight|passport|license|licence|ssn|social security|vat|tax|pin|code|zip|postal|bill|receipt|booking|confirmation|commit|port|patent|nhs|iban)"
    r"(?: (?:number|no\.?|num|id))?\s*(?:is|:|#|=|of)?\s*[#(\"']*"
)
_NOT_PHONES = re.compile(rf"(?i){_OTHER}$")
_NOT_PHONES_ASCII = pattern("(?i)" + _OTHER.replace(r"\s", r"[\s\x0b\x1c-\x1f]") + r"\n?$")
"""What `_NOT_PHONES` finds, where the text is ASCII."""
_DATE = re.compile(
    r"(?:19|20)\d\d[-./ ]\d{1,2}[-./ ]\d{1,2}\b|\d{1,2}[-./ ]\d{1,2}[-./ ](?:19|20)\d\d\b|(?:1[5-9]|20)\d\d ?[-/] ?(?:1[5-9]|20)\d\d$"
)
_GAP = re.compile(r" {2,}|\. |/ ")
_ABROAD = re.compile(r"^\(?(?:\+|00)")
_MONEY, _JOINED = frozenset("$€£¥₹₽%#"), frozenset("=/&@")
_LEAD, _REACH = 2, 25
"""Characters of a number-like run before its first digit, and between two of its digits, at most."""
_GROUPS = re.compile(r"\d+")
_NORTH_AMERICAN = re.compile(r"^(?:1[-. ]?)?\(?[2-9]\d\d\)?[-. /]{1,2}[2-9]\d\d[-. ]\d{4}$")
_TRUNK = re.compile(r"^\(?0[1-9]")
_LEAST_DIGITS, _MOST_DIGITS = 7, 15
MOST_CANDIDATES = 2_000
"""Number-like runs of one text that are looked up; beyond them a text is a table of numbers."""


def find_phones(data: Bytes, regions: Sequence[str], covers: Sequence[Span] = ()) -> Iterator[Span]:
    """Spans labelled PHONE. Numbers with a country code are judged by its plan; others by `regions`, their
    grouping, and the words beside them. What is a part of one of `covers` is part of another identifier."""
    for start, text in _candidates(data):
        text = _whole(text)
        end = start + len(text)
        if covers and inside_one(covers, start, end):
            continue
        digits = len(_digits(text))
        if not _LEAST_DIGITS <= digits <= _MOST_DIGITS or _foreign(data.text, start, end, text):
            continue
        score, reason = _judge(data, start, end, text, digits, regions)
        if score:
            yield Span("PHONE", start, end, score, f"PHONE by {reason}")


def _candidates(data: Bytes) -> Iterator[tuple[int, str]]:
    """Where number-like runs begin, and the runs."""
    areas, digits = surroundings(data), 0
    for area in areas:
        digits += area[2]
    if digits <= 2 * MOST_CANDIDATES:  # a run has two digits at least: none is cut off
        areas = data.around_digits(_LEAD, _REACH)
    left = MOST_CANDIDATES
    for start, end, digits, until in areas:
        if digits >= _LEAST_DIGITS:
            for first, last in ranges(_SHAPE, data.data, start, end, until=until)[:left]:
                begin = data.point(first)
                yield begin, data.text[begin : data.point(last)]
                left -= 1


def _digits(run: str) -> str:
    return "".join(_GROUPS.findall(run))


def _whole(text: str) -> str:
    """Without what cannot belong: a bracket that is not closed, and what follows a gap of two spaces."""
    gap = _GAP.search(text) if "  " in text or ". " in text or "/ " in text else None
    text = (text[: gap.start()] if gap else text).rstrip(" ().-/")
    return text if text.count("(") == text.count(")") else text.rstrip(")")


def _foreign(text: str, start: int, end: int, number: str) -> bool:
    if embedded(text, start, end) and not (text[start - 1 : start] in "-/." and text[start] == "+"):
        return True
    before, after = text[max(0, start - 1) : start], text[end : end + 1]
    if before in _MONEY or after in _MONEY or before in _JOINED:
        return True
    dated = "19" in number or "20" in number or ("1" in number and ("-" in number or "/" in number))
    return dated and _DATE.search(number) is not None


def _judge(data: Bytes, start: int, end: int, number: str, digits: int, regions: Sequence[str]) -> tuple[float, str]:
    if number.startswith(("+", "(+")) or (number.startswith("00") and digits > 9):
        if valid_abroad(_digits(_ABROAD.sub("", number))):
            return 0.95, "its country's numbering plan"
        beside = _CONTEXT.near(data, start, end)
        return (0.75, "a country code and a word beside it") if beside else (0.0, "")
    if _belongs_to_another(data, max(0, start - 30), start):
        return 0.0, ""
    if _CONTEXT.near(data, start, end):
        if any(valid(number, region) for region in regions):
            return 0.9, "its numbering plan and a word beside it"
        return (0.0, "") if number.isdigit() and digits < 9 else (0.7, "a word beside it")
    return _by_grouping(number, digits, regions)


def _belongs_to_another(data: Bytes, first: int, start: int) -> bool:
    """Whether the words right before the number say that it is none of a telephone."""
    if data.ascii:
        return holds(_NOT_PHONES_ASCII, data.data[first:start])
    return _NOT_PHONES.search(data.text[first:start]) is not None


def _by_grouping(number: str, digits: int, regions: Sequence[str]) -> tuple[float, str]:
    if _NORTH_AMERICAN.match(number):
        return (0.85, "North American grouping and plan") if valid(number, "US") else (0.0, "")
    if not 9 <= digits <= 12 or not _TRUNK.match(number):
        return 0.0, ""
    groups = _GROUPS.findall(number)
    if len(groups) >= 3 and max(map(len, groups)) <= 5:
        return (0.65, "trunk prefix, grouping and plan") if any(valid(number, r) for r in regions) else (0.0, "")
    return 0.0, ""
