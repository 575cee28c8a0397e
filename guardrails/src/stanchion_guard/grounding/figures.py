"""Figures as they are written: "$315.9 billion", "(2,847)" and "9 %", with the step of their last digit. Linear."""

from __future__ import annotations

import re
from dataclasses import dataclass

_FIGURE = re.compile(
    r"(?<![\w.,])(?P<before>[-−]?[$€£]?)(?P<open>\()?(?P<inside>[-−]?[$€£]?)"
    r"(?P<whole>\d{1,15}(?:,\d{3}){0,6})(?P<part>\.\d{1,12})?(?(open)\))"
    r"(?:\s?(?P<percent>%|percent\b|per cent\b)"
    r"|[\s-]?(?P<scale>thousand|million|billion|trillion|mn|bn|tn|[kKmMbB])\b)?(?![\w%])"
)
_SCALES = {
    "k": 1e3, "thousand": 1e3, "m": 1e6, "mm": 1e6, "mn": 1e6, "million": 1e6, "b": 1e9, "bn": 1e9, "billion": 1e9,
    "tn": 1e12, "trillion": 1e12,
}  # fmt: skip
_UNIT = r"(?:US)?[$€£]?\s?(?P<unit>thousand|million|billion)s"
_SIGN = r"(?:[$€£]|\b(?:USD|EUR|GBP|dollars|euros|pounds|amounts|figures)\b)"
_DECLARED = (
    re.compile(rf"(?:\(|{_SIGN})[^()\n\d]{{0,30}}?\bin\s{_UNIT}\b", re.IGNORECASE),
    re.compile(rf"\bin\s{_UNIT}(?:\)|,? except\b|\sof\s(?:U\.?S\.?\s)?(?:dollars|euros|pounds))", re.I),
    re.compile(r"\(\s?(?:US)?[$€£]\s?(?P<unit>thousand|million|billion|MM|mn|bn|[KMB])s?\s?\)", re.IGNORECASE),
    re.compile(r"\b(?:USD|EUR|GBP)\s(?P<unit>thousand|million|billion|mn|bn|[mb])s?\b", re.IGNORECASE),
)


@dataclass(frozen=True, slots=True)
class Figure:
    """`value` has no sign and includes its scale word; `step` is one in its last written digit; `digits` count.

    `written` is the text between `start` and `end`. A minus or brackets around it make it `negative`. `currency` is its
    sign, empty without one.
    """

    start: int
    end: int
    written: str
    value: float
    step: float
    digits: int
    negative: bool
    percent: bool
    currency: str
    scaled: bool

    @property
    def money(self) -> bool:
        return bool(self.currency)

    @property
    def is_year(self) -> bool:
        """Four digits and nothing else: taken for a year, never for an amount."""
        return len(self.written) == 4 and self.written.isdigit() and 1000 <= self.value < 2200


def figures(text: str) -> list[Figure]:
    """All of them, in order. Numbers written as words are none."""
    return [_figure(found) for found in _FIGURE.finditer(text)]


def _figure(found: re.Match[str]) -> Figure:
    part = found["part"] or ""
    plain = found["whole"].replace(",", "") + part
    scale = _SCALES.get((found["scale"] or "").lower(), 1.0)
    around = found["before"] + found["inside"]
    return Figure(
        found.start(), found.end(), found[0], float(plain) * scale, 10.0 ** -max(0, len(part) - 1) * scale,
        len(plain.replace(".", "").lstrip("0")), found["open"] is not None or not _MINUS.isdisjoint(around),
        found["percent"] is not None, next((sign for sign in around if sign in _MONEY), ""), scale != 1.0,
    )  # fmt: skip


_MINUS = frozenset("-−")
_MONEY = frozenset("$€£")


def declared_scale(text: str) -> float:
    """What bare figures of a text are to be multiplied by: "($ in millions)" says 1e6. 1 where nothing is said."""
    for pattern in _DECLARED:
        found = pattern.search(text)
        if found is not None:
            return _SCALES[found["unit"].lower()]
    return 1.0
