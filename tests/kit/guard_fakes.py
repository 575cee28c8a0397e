"""Small detectors for tests of the engine: they look for plain patterns, wait, or break, as they are told."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from typing import Any

from stanchion_guard.detectors import Detector, Unavailable
from stanchion_guard.records import Detection, Finding, Subject
from stanchion_guard.views import Reading

NUMBER = r"\b\d(?:[ -]?\d){11,15}\b"
EMAIL = r"[\w.+-]{1,64}@[\w-]{1,60}\.[\w.-]{1,60}\w"


class Find:
    """Finds a Python pattern, with the score and label it is given."""

    name, version, tier, threshold, blind_to = "find", "1", "light", 0.5, "everything but its pattern"
    labels: tuple[str, ...] = ("email", "number", "word")
    parameters: Mapping[str, Any] = {
        "type": "object",
        "required": ["pattern"],
        "properties": {
            "pattern": {"type": "string"},
            "label": {"type": "string"},
            "score": {"type": "number", "minimum": 0, "maximum": 1},
        },
    }

    def __init__(self, pattern: str, label: str = "word", score: float = 0.9) -> None:
        self.pattern, self.label, self.score = re.compile(pattern), label, score

    def detect(self, reading: Reading, part: int, subject: Subject) -> Detection:
        found = tuple(
            Finding(self.name, self.label, self.score, part, *match.span(), "matches the pattern")
            for match in self.pattern.finditer(reading.raw)
        )
        return Detection(max((each.score for each in found), default=0.0), found)


class Score:
    """Gives every text the score of the first word it knows."""

    name, version, tier, threshold, blind_to = "score", "1", "light", 0.5, "unknown words"
    labels: tuple[str, ...] = ("bad",)
    parameters: Mapping[str, Any] = {"type": "object", "properties": {"words": {"type": "object"}}}

    def __init__(self, words: Mapping[str, float] | None = None) -> None:
        self.words = words or {}
        self.calls = 0

    def detect(self, reading: Reading, part: int, subject: Subject) -> Detection:
        self.calls += 1
        return Detection(next((score for word, score in self.words.items() if word in reading.raw), 0.0))


class HeavyScore(Score):
    name, tier = "heavy_score", "heavy"


class Broken:
    """Raises, quoting the text: the quotation must not get out."""

    name, version, tier, threshold, blind_to = "broken", "1", "light", 0.5, "all"
    labels: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = {"type": "object", "properties": {}}

    def detect(self, reading: Reading, part: int, subject: Subject) -> Detection:
        raise RuntimeError(reading.raw)


class Lying:
    """Breaks the contract of a detection: findings beyond the text."""

    name, version, tier, threshold, blind_to = "lying", "1", "light", 0.5, "all"
    labels: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = {"type": "object", "properties": {}}

    def detect(self, reading: Reading, part: int, subject: Subject) -> Detection:
        return Detection(1.0, (Finding("lying", "x", 1.0, part, 0, len(reading.raw) + 1, "beyond"),))


class Hanging:
    """An expensive check that does not come back until `gate` opens."""

    name, version, tier, threshold, blind_to = "hanging", "1", "heavy", 0.5, "all"
    labels: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = {"type": "object", "properties": {}}
    gate = threading.Event()

    def detect(self, reading: Reading, part: int, subject: Subject) -> Detection:
        self.gate.wait(30)
        return Detection(0.0)


class Missing:
    """An extra that is not installed."""

    name, version, tier, threshold, blind_to = "missing", "1", "heavy", 0.5, "all"
    labels: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = {"type": "object", "properties": {}}

    def __init__(self) -> None:
        raise Unavailable("install stanchion-guard[missing]")

    def detect(self, reading: Reading, part: int, subject: Subject) -> Detection:
        raise NotImplementedError


FAKES: Mapping[str, Callable[..., Detector]] = {
    each.name: each  # type: ignore[misc]
    for each in (Find, Score, HeavyScore, Broken, Lying, Hanging, Missing)
}


def policy(*rules: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A policy of rules that say only what matters: the rest is `flag` on input and output."""
    filled = [
        {"id": f"r{index}", "stages": ["input", "output"], "action": "flag", **rule} for index, rule in enumerate(rules)
    ]
    return {
        "policy": "tried",
        "version": "1",
        "defaults": {"when_late": "flag", "when_failed": "flag"},
        "rules": filled,
        **more,
    }


def find(pattern: str, label: str = "word", **rule: Any) -> dict[str, Any]:
    return {"detector": "find", "parameters": {"pattern": pattern, "label": label}, **rule}
