"""Hate, harassment, violence, sexual content and self-harm, by category."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stanchion_guard.classifiers import judging, linear
from stanchion_guard.classifiers.judging import Judged
from stanchion_guard.detectors import Tier
from stanchion_guard.records import Detection, Finding, Subject
from stanchion_guard.views import Reading

_CATEGORIES = ("hate", "violence", "sexual", "self_harm")
_LABELS = ("toxic", *_CATEGORIES)


class Toxicity:
    """One score for any toxicity and one for each category. The classifier does not see which group is named."""

    name = "toxicity"
    version = "2"
    tier: Tier = "light"
    parameters: Mapping[str, Any] = {
        "type": "object",
        "properties": {"labels": {"type": "array", "items": {"enum": list(_LABELS)}, "minItems": 1}},
        "additionalProperties": False,
    }
    labels = _LABELS
    threshold = 0.5
    blind_to = (
        "Hate without hateful words (irony, stereotypes, quotations that agree), slurs it never saw, languages other "
        "than English, and context: it may flag people who quote hate to condemn it, or use a reclaimed word."
    )

    def __init__(self, labels: Sequence[str] = _LABELS) -> None:
        unknown = sorted(set(labels) - set(_LABELS))
        if unknown or not labels:
            raise ValueError(f"toxicity: labels are some of {', '.join(_LABELS)}; not {', '.join(unknown) or 'none'}")
        self._labels = tuple(labels)
        linear.load()

    def detect(self, reading: Reading, part: int, subject: Subject) -> Detection:
        found = [(judging.score(reading, label), label) for label in self._labels]
        scores = [(score, label) for score, label in found if score is not None]
        if not scores:
            return Detection(None, skipped="no words")
        loud = (label for score, label in scores if score >= self.threshold)
        named = [self._finding(label, judging.judge(reading, label)[0], part) for label in loud]
        return Detection(max(score for score, _ in scores), tuple(named))

    def _finding(self, label: str, one: Judged, part: int) -> Finding:
        reason = f"reads like {label.replace('_', ' ')} content" if label != "toxic" else "reads like toxic content"
        return Finding(self.name, label, one.score, part, *one.original(), reason, one.view.name)
