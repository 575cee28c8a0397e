"""Numbers as what they say: "over 100", "the 1960s", "two weeks" and "before 1950" are intervals in a unit."""

# ruff: noqa: E501 - the tables are rows

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

from stanchion_guard.grounding.lexicon import ABOUT, LOWER_BOUNDS, UPPER_BOUNDS
from stanchion_guard.grounding.words import Token

_BASE = {
    "second": ("time", 1.0), "minut": ("time", 60.0), "hour": ("time", 3600.0), "day": ("time", 86400.0),
    "week": ("time", 604800.0), "fortnight": ("time", 1209600.0), "month": ("time", 2592000.0), "year": ("time", 31536000.0),
    "decad": ("time", 315360000.0), "centuri": ("time", 3153600000.0), "millimetr": ("length", 0.001), "centimetr": ("length", 0.01),
    "cm": ("length", 0.01), "mm": ("length", 0.001), "metr": ("length", 1.0), "meter": ("length", 1.0), "m": ("length", 1.0),
    "kilometr": ("length", 1000.0), "kilomet": ("length", 1000.0), "km": ("length", 1000.0), "mile": ("length", 1609.3),
    "mil": ("length", 1609.3), "foot": ("length", 0.3048), "inch": ("length", 0.0254), "gram": ("mass", 0.001), "g": ("mass", 0.001),
    "kg": ("mass", 1.0), "kilogram": ("mass", 1.0), "ton": ("mass", 1000.0), "tonn": ("mass", 1000.0), "percent": ("share", 1.0),
}  # fmt: skip
"""Stem of a unit -> what it measures, and how many of the base unit it is. A month counts as 30 days, a year as 365."""
_DECADES = {
    name: 1900.0 + 10 * at
    for at, name in enumerate(
        ["twenties", "thirties", "forties", "fifties", "sixties", "seventies", "eighties", "nineties"], 2
    )
}
_SLACK = 0.02
"""Two measures count as equal within this share once units were converted: 3 months are 90 days."""


class Standing(IntEnum):
    """What the evidence says of a number of the claim."""

    HOLDS = 0
    UNKNOWN = 1
    """The evidence has no number of that kind, or a bound that leaves this one open."""
    DIFFERS = 2
    """The evidence has numbers of that kind, and none is this one."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """`low` to `high`, both included, in the base unit of `kind`; `exact` when the text bounds it on neither side."""

    place: int
    low: float
    high: float
    kind: str
    exact: bool
    counted: str = ""
    """Stem of the next word of content: what is counted."""


def quantities(tokens: Sequence[Token]) -> list[Quantity]:
    found = []
    for at, token in enumerate(tokens):
        value = token.number
        if value is None and token.word in _LONE:
            value = _lone(tokens, at)
        if token.word in _DECADES:
            found.append(_bound(tokens, at, _DECADES[token.word], _DECADES[token.word] + 9, "year"))
        elif value is not None:
            counted = next((t.stem for t in tokens[at + 1 : at + 3] if t.content and t.number is None), "")
            found.append(replace(_quantity(tokens, at, value), counted=counted))
    return found


def units(tokens: Sequence[Token], found: Sequence[Quantity]) -> frozenset[int]:
    """Places of the words that only say what a number before them counts in."""
    after = {q.place + 1 for q in found if q.kind} | {
        q.place + 2 for q in found if q.kind and tokens[q.place].word == "half"
    }
    return frozenset(
        at for at in after if at < len(tokens) and (tokens[at].stem in _BASE or tokens[at].word in _DECADES)
    )


_BEFORE_ONE = frozenset(
    ["than", "to", "over", "under", "within", "about", "around", "least", "most", "nearly", "almost"]
)


_LONE = frozenset(["dozen", "half", "a", "an"])


def _lone(tokens: Sequence[Token], at: int) -> float | None:
    """ "a week", "a dozen": one, where a unit or scale follows."""
    word = tokens[at].word
    if word == "dozen":
        return 12.0
    bounded = at > 0 and tokens[at - 1].word in _BEFORE_ONE
    if word == "half" or (word in ("a", "an") and bounded):
        following = next((t.stem for t in tokens[at + 1 : at + 3] if t.word not in ("a", "an")), "")
        return (0.5 if word == "half" else 1.0) if following in _BASE else None
    return None


def _quantity(tokens: Sequence[Token], at: int, value: float) -> Quantity:
    word, following = tokens[at].word, next((t.stem for t in tokens[at + 1 : at + 3] if t.word not in ("a", "an")), "")
    if following == "centuri" and word.rstrip("snrdth").isdigit() and not word.isdigit():
        return _bound(tokens, at, (value - 1) * 100, value * 100 - 1, "year")
    if len(word) == 4 and word.isdigit() and 1000 <= value < 2200 and following not in _BASE:
        return _bound(tokens, at, value, value, "year")
    if word.endswith("0s") and word[:-1].isdigit():
        low = value if value >= 1000 else 1900 + value
        return _bound(tokens, at, low, low + 9, "year")
    if tokens[at].percent:
        return _bound(tokens, at, value, value, "share")
    kind, size = _BASE.get(following, ("", 1.0))
    return _bound(tokens, at, value * size, value * size, kind)


def _bound(tokens: Sequence[Token], at: int, low: float, high: float, kind: str) -> Quantity:
    before = [token.word for token in tokens[max(0, at - 4) : at]]
    refused = any(word in ("no", "not") for word in before[-3:])
    near = frozenset(before[-3:])
    if "between" in before and kind:
        return Quantity(at, low, high, kind, exact=True)
    if near & ABOUT:
        return Quantity(at, low - 0.12 * abs(low), high + 0.12 * abs(high), kind, exact=False)
    over, under = _compares(near, before, kind)
    if over and under:
        over = under = False
    if refused and (over or under):
        return (
            Quantity(at, -math.inf, high, kind, exact=False) if over else Quantity(at, low, math.inf, kind, exact=False)
        )
    if over:
        return Quantity(
            at,
            low if "least" in near or "since" in near or "from" in near else _more(high),
            math.inf,
            kind,
            exact=False,
        )
    if under:
        keeps = not near.isdisjoint(("to", "most", "until", "within", "maximum"))
        return Quantity(at, -math.inf, high if keeps else _less(low), kind, exact=False)
    return Quantity(at, low, high, kind, exact=True)


def _compares(near: frozenset[str], before: Sequence[str], kind: str) -> tuple[bool, bool]:
    last = before[-1] if before else ""
    if kind == "year":
        return last in ("after", "since") or "later" in near, last in ("before", "until", "by") or "earlier" in near
    over = bool(near & UPPER_BOUNDS) or (last == "than" and before[-2:-1] != [] and before[-2] in _OVER_THAN)
    under = bool(near & LOWER_BOUNDS) or (last == "than" and before[-2:-1] != [] and before[-2] in _UNDER_THAN)
    return over, under or ("up" in near and last == "to") or last == "within"


_OVER_THAN = frozenset(
    [
        "more",
        "longer",
        "larger",
        "bigger",
        "higher",
        "older",
        "taller",
        "greater",
        "heavier",
        "bigger",
        "farther",
        "faster",
    ]
)
_UNDER_THAN = frozenset(["less", "fewer", "shorter", "smaller", "lower", "younger", "lighter", "cheaper", "slower"])


def _more(value: float) -> float:
    return math.nextafter(value, math.inf)


def _less(value: float) -> float:
    return math.nextafter(value, -math.inf)


def standing(claim: Quantity, known: Sequence[Quantity]) -> Standing:
    """How a number of the claim stands to the numbers of the evidence."""
    if claim.exact and any(
        claim.low == other.low and other.exact and not (claim.kind and other.kind) for other in known
    ):
        return Standing.HOLDS
    comparable = [other for other in known if other.kind == claim.kind]
    if not claim.kind and claim.counted:
        comparable = [other for other in comparable if other.counted == claim.counted] or comparable
    if any(_within(claim, other) for other in comparable):
        return Standing.HOLDS
    if any(other.low <= claim.high and claim.low <= other.high for other in comparable):
        return Standing.UNKNOWN
    alike = claim.kind or any(other.counted == claim.counted for other in comparable)
    return Standing.DIFFERS if comparable and alike else Standing.UNKNOWN


def _within(claim: Quantity, other: Quantity) -> bool:
    slack = _SLACK if claim.kind not in ("", "year") else 0.0
    low = claim.low - slack * abs(claim.low) if math.isfinite(claim.low) else claim.low
    high = claim.high + slack * abs(claim.high) if math.isfinite(claim.high) else claim.high
    if claim.exact and not other.exact:
        return low <= other.low <= high or low <= other.high <= high
    return low <= other.low and other.high <= high
