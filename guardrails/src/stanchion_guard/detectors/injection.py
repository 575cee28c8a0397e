"""Attempts to turn a model against its orders: jailbreaks, overrides, prompt extraction, orders hidden in documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stanchion_guard.classifiers import judging, linear
from stanchion_guard.classifiers.judging import Judged
from stanchion_guard.detectors import Tier
from stanchion_guard.records import Detection, Finding, Stage, Subject
from stanchion_guard.views import Reading

MOST_FINDINGS = 16
_DOCUMENTS: tuple[Stage, ...] = ("retrieved", "tool_result")
_EVIDENCE = {
    "set_aside": "a verb of setting aside",
    "before": "what came before",
    "orders": "a word for instructions",
    "persona": "a role to play",
    "unbound": "freedom from rules",
    "assistant": "a word for the model",
    "reveal": "a request to reveal",
    "hidden": "something confidential",
    "refusing": "a ban on refusing",
    "carry_out": "an action to carry out",
    "link": "a link",
    "fiction": "a fictional frame",
    "cipher": "an encoding",
    "mode": "a mode or privilege",
}


class PromptInjection:
    """Scores a text by its loudest passage, decoded payloads included; documents are also told sentence by sentence."""

    name = "prompt_injection"
    version = "3"
    tier: Tier = "light"
    parameters: Mapping[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}
    labels = ("direct", "indirect", "jailbreak", "extraction")
    threshold = 0.5
    blind_to = (
        "Attacks without tell-tale wording: plain requests that only the system prompt forbids, harmful requests with "
        "a meaningless suffix, orders in a document that read like its own text, attacks spread over several messages, "
        "ciphers other than base64, hex and URL encoding, and languages other than English, where passages have to "
        "score more and the verdict's coverage says so (see docs/detectors.md)."
    )

    def __init__(self) -> None:
        linear.load()

    def detect(self, reading: Reading, part: int, subject: Subject) -> Detection:
        stage = subject.parts[part].stage
        target = "indirect" if stage in _DOCUMENTS else "attack"
        score = judging.score(reading, target)
        if score is None:
            return Detection(None, skipped="no words")
        limit = judging.limit(reading)
        found: tuple[Judged, ...] = ()
        if target == "attack" and score > linear.FLOOR:
            found = judging.attacks(reading)
            score = found[0].score
        if score < self.threshold:
            return Detection(score, limit=limit)
        passages = judging.sentences(reading, target, self.threshold) if stage in _DOCUMENTS else ()
        loud = passages or tuple(one for one in found or judging.judge(reading, target) if one.score >= self.threshold)
        return Detection(score, tuple(self._finding(one, part, stage) for one in loud[:MOST_FINDINGS]), limit=limit)

    def _finding(self, one: Judged, part: int, stage: Stage) -> Finding:
        classes = one.classes()
        reason = _reason(classes)
        return Finding(self.name, _label(classes, stage), one.score, part, *one.original(), reason, one.view.name)


def _label(classes: frozenset[str], stage: Stage) -> str:
    if stage in _DOCUMENTS:
        return "indirect"
    if classes >= {"reveal", "hidden"} or classes >= {"reveal", "orders"}:
        return "extraction"
    if classes & {"persona", "unbound", "fiction", "mode"} and not classes >= {"set_aside", "before"}:
        return "jailbreak"
    return "direct"


def _reason(classes: frozenset[str]) -> str:
    seen = [words for name, words in _EVIDENCE.items() if name in classes]
    return f"reads like an attack: {', '.join(seen)}" if seen else "worded like known attacks"
