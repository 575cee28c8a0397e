# ruff: noqa: E501 - a pattern broken over lines is harder to check
"""Telephone numbers: a cheap shape first, the numbering plans of the world only where it fires."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice

from stanchion_guard.identifiers.rules import Context, Span, embedded, surroundings
from stanchion_guard.scanning import Bytes, Hit, pattern

_SHAPE = pattern(r"(?:\+|\b00|\(\+?)?\d[\d ().\-/\x{2011}]{5,24}\d")
_CONTEXT = Context(
    r"(?:tele)?phone|tele?|mobile|mob|cell(?:ular|phone)?|call(?: me| us)?|fax|ring me|dial|text(?: me)?(?: at| on)|sms|whats ?app|"
    r"messages to|contact(?: number| no| me)?|hotline|landline|office|telefon(?:nummer|o|e|i)?|telefoon|téléphone|tél|teléfono|telemóvel|móvil|celular|cellulare|"
    r"handy(?:nummer)?|rufnummer|portable|numéro|numero di|puhelin|komórka|телефон|тел|моб|電話|电话|手机|전화",
    "☎|📞|📱",
    r"\bnumber(?: is|:)?\s*$",
)
_NOT_PHONES = re.compile(
    r"(?i)(?:order|invoice|account|acct|ticket|case|reference|ref|tracking|serial|model|part|sku|isbn|issn|doi|version|build|id|bank|card|routing|policy|claim|"
    r"flight|passport|license|licence|ssn|social security|vat|tax|pin|code|zip|postal|bill|receipt|booking|confirmation|commit|port|patent|nhs|iban)"
    r"(?: (?:number|no\.?|num|id))?\s*(?:is|:|#|=|of)?\s*[#(\"']*$"
)
_DATE = re.compile(
    r"(?:19|20)\d\d[-./ ]\d{1,2}[-./ ]\d{1,2}\b|\d{1,2}[-./ ]\d{1,2}[-./ ](?:19|20)\d\d\b|(?:1[5-9]|20)\d\d ?[-/] ?(?:1[5-9]|20)\d\d$"
)
_MONEY = frozenset("$€£¥₹₽%#")
_GROUPS = re.compile(r"\d+")
_NORTH_AMERICAN = re.compile(r"^(?:1[-. ]?)?\(?[2-9]\d\d\)?[-. /]{1,2}[2-9]\d\d[-. ]\d{4}$")
_TRUNK = re.compile(r"^\(?0[1-9]")
_LEAST_DIGITS, _MOST_DIGITS = 7, 15
MOST_CANDIDATES = 2_000
"""Number-like runs of one text that are looked up; beyond them a text is a table of numbers."""


def find_phones(data: Bytes, regions: Sequence[str]) -> Iterator[Span]:
    """Spans labelled PHONE. Numbers with a country code are judged by its plan; others by `regions`, their
    grouping, and the words beside them."""
    for hit in islice(_candidates(data), MOST_CANDIDATES):
        start, text = hit.start, hit.text
        text = _whole(text)
        end = start + len(text)
        digits = sum(map(str.isdigit, text))
        if not _LEAST_DIGITS <= digits <= _MOST_DIGITS or _foreign(data.text, start, end, text):
            continue
        score, reason = _judge(data, start, end, text, digits, regions)
        if score:
            yield Span("PHONE", start, end, score, f"PHONE by {reason}")


def _candidates(data: Bytes) -> Iterator[Hit]:
    for area in surroundings(data):
        if area.digits >= _LEAST_DIGITS:
            for match in _SHAPE.finditer(data.data, area.start, area.end):
                yield data.hit(match)


def _whole(text: str) -> str:
    """Without what cannot belong: a bracket that is not closed, and what follows a gap of two spaces."""
    text = re.split(r" {2,}|\. |/ ", text)[0].rstrip(" ().-/")
    return text if text.count("(") == text.count(")") else text.rstrip(")")


def _foreign(text: str, start: int, end: int, number: str) -> bool:
    if embedded(text, start, end) and not (text[start - 1 : start] in "-/." and text[start] == "+"):
        return True
    before, after = text[max(0, start - 1) : start], text[end : end + 1]
    if before in _MONEY or after in _MONEY:
        return True
    return bool(_DATE.search(number)) or before in ("=", "/", "&", "@")


def _judge(data: Bytes, start: int, end: int, number: str, digits: int, regions: Sequence[str]) -> tuple[float, str]:
    if number.startswith(("+", "(+")) or (number.startswith("00") and digits > 9):
        if _valid(re.sub(r"^\(?(?:\+|00)", "+", number), None):
            return 0.95, "its country's numbering plan"
        beside = _CONTEXT.near(data, start, end)
        return (0.75, "a country code and a word beside it") if beside else (0.0, "")
    if _NOT_PHONES.search(data.text[max(0, start - 30) : start]):
        return 0.0, ""
    if _CONTEXT.near(data, start, end):
        if any(_valid(number, region) for region in regions):
            return 0.9, "its numbering plan and a word beside it"
        return (0.0, "") if number.isdigit() and digits < 9 else (0.7, "a word beside it")
    return _by_grouping(number, digits, regions)


def _by_grouping(number: str, digits: int, regions: Sequence[str]) -> tuple[float, str]:
    groups = _GROUPS.findall(number)
    if _NORTH_AMERICAN.match(number):
        return (0.85, "North American grouping and plan") if _valid(number, "US") else (0.0, "")
    if len(groups) >= 3 and _TRUNK.match(number) and max(map(len, groups)) <= 5 and 9 <= digits <= 12:
        return (0.65, "trunk prefix, grouping and plan") if any(_valid(number, r) for r in regions) else (0.0, "")
    return 0.0, ""


def _valid(number: str, region: str | None) -> bool:
    """Imported here: only texts with a candidate pay for the numbering plans."""
    import phonenumbers

    try:
        parsed = phonenumbers.parse(number, region)
    except phonenumbers.NumberParseException:
        return False
    return bool(phonenumbers.is_valid_number(parsed))
