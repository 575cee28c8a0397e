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
_UNDOUBTED = 0.05
"""A category stands as it is where the text's score for any toxicity reaches this; below, the category's odds fall as
the toxicity's do. Categories were learned from few examples: a shop's parcel sizes could read like self-harm."""


class Toxicity:
    """One score for any toxicity and one for each category, the latter lowered where the former sees nothing. The
    classifier does not see which group is named."""

    name = "toxicity"
    version = "4"
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
        found = judging.scores(reading, ("toxic", *self._labels))
        if not found:
            return Detection(None, skipped="no words")
        toxic, *others = found
        scores = {
            label: toxic if label == "toxic" else backed(score, toxic)
            for label, score in zip(self._labels, others, strict=True)
        }
        loud = [(label, score) for label, score in scores.items() if score >= self.threshold]
        named = [self._finding(label, score, judging.judge(reading, label)[0], part) for label, score in loud]
        return Detection(max(scores.values()), tuple(named), limit=judging.limit(reading))

    def _finding(self, label: str, score: float, one: Judged, part: int) -> Finding:
        reason = f"reads like {label.replace('_', ' ')} content"
        return Finding(self.name, label, score, part, *one.original(), reason, one.view.name)


def backed(score: float, toxic: float) -> float:
    """A category's score in the light of the score for any toxicity, both in 0..1: never higher, the same where `toxic`
    is 0.05 or more, and rising with both."""
    if toxic >= _UNDOUBTED:
        return score
    weight = toxic / (1 - toxic) * (1 - _UNDOUBTED) / _UNDOUBTED
    return score * weight / (1 - score + score * weight) if weight else 0.0
