"""A denied (or wanted) topic, from a definition and examples."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stanchion_guard.detectors import Tier
from stanchion_guard.grounding.lexicon import word_set
from stanchion_guard.grounding.words import spans, tokens
from stanchion_guard.records import Detection, Finding, Subject
from stanchion_guard.views import Reading

SIZE = 1 << 13
MOST_EXAMPLES = 2_000
_LONG = 400
_CENTRE_FROM = 20
_FRAME = word_set(
    """please tell need want know help find show give make set let look check see use get put go work think way
    thing question answer explain say today now time day long much many able kind sort new current currently
    possible like time able thanks"""
)
"""Words that requests are framed in, whatever they are about: they say little of a topic."""
Vector = NDArray[np.float32]


class Topic:
    """Score of the likest sentence: 0.8 where it is as like the examples as they are like each other.

    Likeness is to the nearest examples and, from twenty examples on, to their centre. Each example is scored with
    itself left out; the middle of those is put at 0.8, so that a threshold means the same for narrow and wide topics.
    """

    name = "topic"
    version = "1"
    tier: Tier = "light"
    parameters: Mapping[str, Any] = {
        "type": "object",
        "properties": {
            "name": {"type": "string", "minLength": 1},
            "definition": {"type": "string"},
            "examples": {"type": "array", "items": {"type": "string", "minLength": 1}, "maxItems": MOST_EXAMPLES},
        },
        "required": ["name"],
        "additionalProperties": False,
    }
    labels = ("topic",)
    threshold = 0.6
    blind_to = "Compares words and parts of words: the topic in words that no example holds passes. More examples help."

    def __init__(self, name: str, definition: str = "", examples: Sequence[str] = ()) -> None:
        texts = [text for text in (*examples, definition) if _stems(text)]
        if not texts or len(texts) > MOST_EXAMPLES + 1:
            raise ValueError(
                f"topic {name!r} needs a definition or examples with words in them, at most {MOST_EXAMPLES}"
            )
        self._topic = name
        counts = [_counts(text) for text in texts]
        self._weights = _rarity(counts)
        self._rows = np.stack([_unit(count * self._weights) for count in counts])
        self._typical = self._calibrate()

    def _calibrate(self) -> float:
        """The middle of what the examples score against the others; a fixed guess when there is only one."""
        if len(self._rows) < 3:
            return 0.35
        own = [self._likeness(row, np.delete(self._rows, i, axis=0)) for i, row in enumerate(self._rows[:200])]
        return float(max(0.1, np.median(own)))

    def _likeness(self, row: Vector, rows: Vector) -> float:
        alike = rows @ row
        nearest = float(np.sort(alike)[-3:].mean()) if len(alike) >= _CENTRE_FROM else float(alike.max())
        if len(alike) < _CENTRE_FROM:
            return 0.7 * nearest + 0.3 * float(_unit(rows.sum(0)) @ row)
        return 0.5 * nearest + 0.5 * float(_unit(rows.sum(0)) @ row)

    def detect(self, reading: Reading, part: int, subject: Subject) -> Detection:
        text = reading.folded.text
        pieces = spans(text) if len(text) > _LONG else [(0, len(text))]
        best, where = 0.0, (0, len(text))
        for start, end in pieces:
            score = self._score(text[start:end])
            if score > best:
                best, where = score, (start, end)
        if best < self.threshold:
            return Detection(best)
        start, end = reading.folded.original(*where)
        reason = f"like the examples of the topic {self._topic}"
        return Detection(best, (Finding(self.name, "topic", best, part, start, end, reason, reading.folded.name),))

    def _score(self, text: str) -> float:
        likeness = self._likeness(_unit(_counts(text) * self._weights), self._rows)
        return round(min(1.0, max(0.0, 0.8 * likeness / self._typical)), 4)


def _stems(text: str) -> list[str]:
    return [token.stem for token in tokens(text) if token.content]


def _counts(text: str) -> Vector:
    """Words, neighbouring pairs and letter fours, hashed; words weigh most."""
    found = np.zeros(SIZE, dtype=np.float32)
    stems = [token.stem for token in tokens(text) if token.content and token.word not in _FRAME] or _stems(text)
    for stem in stems:
        found[zlib.crc32(stem.encode()) % SIZE] += 1.0
        padded = f"_{stem}_"
        for i in range(len(padded) - 3):
            found[zlib.crc32(padded[i : i + 4].encode(), 7) % SIZE] += 0.35
    for first, second in pairwise(stems):
        found[zlib.crc32(f"{first} {second}".encode()) % SIZE] += 0.5
    return np.sqrt(found)


def _rarity(counts: Sequence[Vector]) -> Vector:
    """Features that many examples share are the topic's; those of one example alone weigh less."""
    if len(counts) < 5:
        return np.ones(SIZE, dtype=np.float32)
    seen = np.sum([count > 0 for count in counts], axis=0)
    rarity: Vector = (0.6 + 0.4 * np.minimum(seen, 4) / 4).astype(np.float32)
    return rarity


def _unit(row: Vector) -> Vector:
    length = float(np.linalg.norm(row))
    return np.asarray(row / length, dtype=np.float32) if length else row
