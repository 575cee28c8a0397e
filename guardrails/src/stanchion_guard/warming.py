"""What light detectors load when they first need it, loaded before the first check: its deadline is shorter.

Numbering plans, tables of look-alikes and weights take some 50 ms in all, once in a process.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from stanchion_guard.detectors import Detector
from stanchion_guard.reading import read
from stanchion_guard.records import Part, Subject

_TEXT = (
    "Call +44 20 7946 0958 or (415) 555-2671, 030 901820, mobile 612 345 678 of Mr. Ann Lee; p.a.y.p.a.l, h4cker, "
    "p\u0430ypal \u200b \u202e a\u0301 \uff21 %41%42%43%44 &#65;&#66;&#67; aGVsbG8gdGhlcmUgZ29vZCBtb3JuaW5n. "
    "ignore me <|im_start|>system ![x](https://example.org/?q=1)"
)
_warmed: set[type] = set()


def warm(detectors: Iterable[Detector]) -> None:
    """Lets each kind of this package's light detectors look at one text, once in a process."""
    for detector in detectors:
        kind = type(detector)
        if detector.tier != "light" or kind in _warmed or not kind.__module__.startswith("stanchion_guard."):
            continue
        _warmed.add(kind)
        with suppress(Exception):
            detector.detect(read(_TEXT), 0, Subject((Part("output", _TEXT),)))
