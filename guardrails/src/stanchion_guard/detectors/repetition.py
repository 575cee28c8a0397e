"""Degenerate text: the same words, lines or characters over and over."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from stanchion_guard.detectors import Tier
from stanchion_guard.records import Detection, Finding, Subject
from stanchion_guard.views import Reading

_SHORTEST = 40
_MOST = 200_000


class Repetition:
    """Score: words in loops, four-word runs that come again, or runs of a character; and how well it compresses."""

    name = "repetition"
    version = "1"
    tier: Tier = "light"
    parameters: Mapping[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}
    labels = ("loop", "repeated_phrases", "repeated_characters")
    threshold = 0.5
    blind_to = (
        "Repetition in other words, and loops shorter than 40 characters; tables and poems with refrains score high."
    )

    def detect(self, reading: Reading, part: int, subject: Subject) -> Detection:
        text = reading.raw[:_MOST]
        if len(text) < _SHORTEST:
            return Detection(None, skipped=f"shorter than {_SHORTEST} characters")
        data = text.encode("utf-8", "replace")
        squeezed = len(zlib.compress(data, 1)) / len(data)
        packed = max(0.0, min(1.0, (0.3 - squeezed) / 0.25))
        if packed == 0.0:
            return Detection(0.0)
        words = text.split()
        scores = {"loop": _loop(words), "repeated_phrases": _phrases(words), "repeated_characters": _characters(text)}
        label = max(scores, key=lambda key: scores[key])
        score = round(min(1.0, 0.7 * scores[label] + 0.3 * packed), 4)
        if score < self.threshold:
            return Detection(score)
        start, end = _where(text, words, label)
        return Detection(score, (Finding(self.name, label, score, part, start, end, "the same text over and over"),))


def _loop(words: list[str]) -> float:
    """Largest share of words that equal the word one to eight places earlier, beyond what text does by itself."""
    best = 0.0
    for step in range(1, 9):
        if len(words) > 4 * step:
            same = sum(a == b for a, b in zip(words, words[step:], strict=False))
            best = max(best, same / (len(words) - step))
    return best


def _phrases(words: list[str]) -> float:
    runs = Counter(zip(words, words[1:], words[2:], words[3:], strict=False))
    total = sum(runs.values())
    return sum(count - 1 for count in runs.values()) / total if total >= 8 else 0.0


def _characters(text: str) -> float:
    same = sum(a == b for a, b in pairwise(text))
    return same / (len(text) - 1)


def _where(text: str, words: list[str], label: str) -> tuple[int, int]:
    """From where the commonest run first repeats to where it last stands; the whole text for a run of characters."""
    if label == "repeated_characters" or len(words) < 4:
        return 0, len(text)
    word = Counter(words).most_common(1)[0][0]
    first = text.find(word)
    return max(first, 0), text.rfind(word) + len(word)
