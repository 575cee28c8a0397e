"""Texts that are too long or too short, in characters, words or estimated tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from stanchion_guard.detectors import Tier
from stanchion_guard.records import Detection, Finding, Subject
from stanchion_guard.views import Reading

_ASCII_CHARACTERS_PER_TOKEN = 4.0
_OTHER_CHARACTERS_PER_TOKEN = 1.5
_UNITS = ("characters", "words", "tokens")


class Length:
    """Counts; a text beyond `maximum` is marked from there on where the unit is characters, else as a whole."""

    name: ClassVar[str] = "length"
    version: ClassVar[str] = "1"
    tier: ClassVar[Tier] = "light"
    labels: ClassVar[tuple[str, ...]] = ("TOO_LONG", "TOO_SHORT")
    threshold: ClassVar[float] = 0.5
    blind_to: ClassVar[str] = (
        "The tokens of the model in use: they are estimated as a quarter of the ASCII characters and two thirds of the "
        "others."
    )
    parameters: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "unit": {"enum": list(_UNITS)},
            "maximum": {"type": "integer", "minimum": 1},
            "minimum": {"type": "integer", "minimum": 1},
        },
    }

    def __init__(
        self,
        maximum: int | None = None,
        minimum: int | None = None,
        unit: Literal["characters", "words", "tokens"] = "characters",
    ) -> None:
        if maximum is None and minimum is None:
            raise ValueError("length needs a maximum or a minimum")
        if unit not in _UNITS:
            raise ValueError(f"length counts {', '.join(_UNITS)}, not {unit!r}")
        if maximum is not None and minimum is not None and minimum > maximum:
            raise ValueError(f"length: the minimum {minimum} is above the maximum {maximum}")
        self._maximum, self._minimum, self._unit = maximum, minimum, unit

    def detect(self, reading: Reading, part: int, subject: Subject) -> Detection:
        text, count = reading.raw, self._count(reading.raw)
        if self._maximum is not None and count > self._maximum:
            start = self._maximum if self._unit == "characters" else 0
            reason = f"{count} {self._unit}, at most {self._maximum} allowed"
            return Detection(1.0, (Finding(self.name, "TOO_LONG", 1.0, part, start, len(text), reason),))
        if self._minimum is not None and count < self._minimum:
            reason = f"{count} {self._unit}, at least {self._minimum} wanted"
            return Detection(1.0, (Finding(self.name, "TOO_SHORT", 1.0, part, 0, len(text), reason),))
        return Detection(0.0)

    def _count(self, text: str) -> int:
        if self._unit == "characters":
            return len(text)
        return len(text.split()) if self._unit == "words" else estimate_tokens(text)


def estimate_tokens(text: str) -> int:
    """A quarter of the ASCII characters and two thirds of the others, rounded up: about what byte-pair vocabularies of
    100,000 and more entries give for English prose and for Chinese, on the high side for other alphabets."""
    other = 0 if text.isascii() else len(text) - len(text.encode("ascii", "ignore"))
    return int(-(-((len(text) - other) / _ASCII_CHARACTERS_PER_TOKEN + other / _OTHER_CHARACTERS_PER_TOKEN) // 1))
