"""That a text is disguised is a signal of its own, whatever stands behind the disguise."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, ClassVar

from stanchion_guard.detectors import Tier
from stanchion_guard.records import Detection, Finding, Subject
from stanchion_guard.views import Disguise, Reading

# How much one instance speaks for a disguise, and the most that any number of its kind can say. Encodings and single
# zero-width characters occur in honest text, so one alone stays under the threshold.
_WEIGHTS: Mapping[str, tuple[float, float]] = {
    "tag_characters": (0.9, 0.99),
    "variation_selectors": (0.6, 0.95),
    "direction_override": (0.7, 0.9),
    "look_alikes": (0.55, 0.97),
    "styled_letters": (0.5, 0.9),
    "piled_marks": (0.2, 0.9),
    "zero_width": (0.25, 0.95),
    "soft_hyphens": (0.2, 0.8),
    "control_characters": (0.15, 0.7),
    "direction_marks": (0.1, 0.4),
    "spaced_letters": (0.4, 0.9),
    "leet": (0.25, 0.85),
    "base64": (0.4, 0.7),
    "base32": (0.6, 0.8),
    "hex": (0.4, 0.7),
    "binary": (0.6, 0.8),
    "escapes": (0.4, 0.7),
    "percent": (0.5, 0.8),
    "entities": (0.5, 0.8),
}


class Obfuscation:
    """Adds up the disguises that were taken off while the text was read."""

    name: ClassVar[str] = "obfuscation"
    version: ClassVar[str] = "1"
    tier: ClassVar[Tier] = "light"
    labels: ClassVar[tuple[str, ...]] = tuple(trick.upper() for trick in _WEIGHTS)
    threshold: ClassVar[float] = 0.5
    blind_to: ClassVar[str] = (
        "Reversed text, ROT13 and other ciphers, letters drawn from signs, misspelling, another language, and a third "
        "layer of encoding."
    )
    parameters: ClassVar[Mapping[str, Any]] = {"type": "object", "additionalProperties": False, "properties": {}}

    def detect(self, reading: Reading, part: int, subject: Subject) -> Detection:
        """Every finding carries the whole text's score: it is the sum that is suspicious."""
        disguises = reading.disguises
        if not disguises:
            return Detection(0.0)
        score = round(_together(disguises), 4)
        findings = tuple(
            Finding(self.name, one.trick.upper(), score, part, one.start, one.end, f"one of {len(disguises)} disguises")
            for one in disguises
        )
        return Detection(score, findings)


def _together(disguises: tuple[Disguise, ...]) -> float:
    """The chance that at least one kind is meant, each kind growing with its count up to its ceiling."""
    doubt = 1.0
    for trick, count in Counter(disguise.trick for disguise in disguises).items():
        once, most = _WEIGHTS[trick]
        doubt *= 1.0 - min(most, 1.0 - (1.0 - once) ** count)
    return 1.0 - doubt
