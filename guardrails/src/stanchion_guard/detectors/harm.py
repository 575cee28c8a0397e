"""Requests for help with harm. A signal, not a judgement: light methods confuse harm with talk about harm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stanchion_guard.classifiers import judging, linear
from stanchion_guard.detectors import Tier
from stanchion_guard.records import Detection, Finding, Subject
from stanchion_guard.views import Reading


class HarmfulIntent:
    """Scores a text by its loudest passage, decoded payloads included."""

    name = "harmful_intent"
    version = "2"
    tier: Tier = "light"
    parameters: Mapping[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}
    labels = ("harmful_request",)
    threshold = 0.5
    blind_to = (
        "Intent: it cannot tell 'how do I kill a process' from worse when the words are the same (XSTest), nor harm "
        "asked for politely. Use it to send a text on to a heavier model, not to block by itself. English only."
    )

    def __init__(self) -> None:
        linear.load()

    def detect(self, reading: Reading, part: int, subject: Subject) -> Detection:
        score = judging.score(reading, "harm")
        if score is None:
            return Detection(None, skipped="no words")
        if score < self.threshold:
            return Detection(score, limit=judging.limit(reading))
        loud = [one for one in judging.judge(reading, "harm") if one.score >= self.threshold]
        reason = "worded like a request for help with harm"
        return Detection(
            score,
            tuple(
                Finding(self.name, "harmful_request", one.score, part, *one.original(), reason, one.view.name)
                for one in loud
            ),
            limit=judging.limit(reading),
        )
