"""Likeness of meaning to a topic's examples, by a local sentence model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from stanchion_guard.detectors import Tier
from stanchion_guard.detectors.heavy import consent, sentence_model
from stanchion_guard.detectors.heavy.sentence_model import Array
from stanchion_guard.grounding.words import spans
from stanchion_guard.records import Detection, Finding, Subject
from stanchion_guard.views import Reading

MOST_EXAMPLES = 2_000
_LONG = 400


class EmbeddingTopic:
    """Score of the likest sentence: half its cosine with the nearest example, half that with the examples' centre."""

    name = "embedding_topic"
    version = "1"
    tier: Tier = "heavy"
    parameters: Mapping[str, Any] = {
        "type": "object",
        "properties": {
            "name": {"type": "string", "minLength": 1},
            "examples": {
                "type": "array",
                "items": {"type": "string", "minLength": 1},
                "minItems": 1,
                "maxItems": MOST_EXAMPLES,
            },
            "model": {"type": "string", "minLength": 1},
        },
        "required": ["name", "examples"],
        "additionalProperties": False,
    }
    labels = ("topic",)
    threshold = 0.45
    blind_to = (
        "Sentences that the model takes for something else: negation and irony count for little, and the model that "
        "comes as a package reads English only. Of a sentence, what comes after 256 tokens is not read."
    )

    def __init__(self, name: str, examples: Sequence[str], model: str | None = None) -> None:
        folder = sentence_model.installed_folder() if model is None else consent.model_path(model)
        self._topic = name
        self._model = sentence_model.load(folder)
        self._rows = self._model.embed(examples)
        centre = self._rows.mean(0)
        self._centre = centre / np.linalg.norm(centre)

    def detect(self, reading: Reading, part: int, subject: Subject) -> Detection:
        text = reading.raw
        if not text.strip():
            return Detection(None, skipped="no words")
        pieces = [(a, b) for a, b in spans(text) if text[a:b].strip()] if len(text) > _LONG else []
        pieces = pieces or [(0, len(text))]
        scores = self._scores(self._model.embed([text[start:end] for start, end in pieces]))
        best = int(scores.argmax())
        score, (start, end) = round(float(scores[best]), 4), pieces[best]
        if score < self.threshold:
            return Detection(score)
        reason = f"means much the same as the examples of the topic {self._topic}"
        return Detection(score, (Finding(self.name, "topic", score, part, start, end, reason),))

    def _scores(self, rows: Array) -> Array:
        likeness = 0.5 * (rows @ self._rows.T).max(1) + 0.5 * (rows @ self._centre)
        return np.asarray(np.clip(likeness, 0.0, 1.0), dtype=np.float32)
