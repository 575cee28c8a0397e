"""Whether an answer is about the question, and a retrieved passage too."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from stanchion_guard.detectors import Tier
from stanchion_guard.grounding.lexicon import synonyms, word_set
from stanchion_guard.grounding.words import Token, tokens
from stanchion_guard.records import Detection, Finding, Subject
from stanchion_guard.views import Reading

LONGEST = 40_000
_EVERYDAY = word_set(
    """people thing things person time way year years day work good make use know think want need look find give
    tell go come take see happen true false answer question mean different name call world country say become
    long great new old place large small number part kind type actual best better first last"""
)


class Relevance:
    """Score 1 = not about the question. The share of the question's weight of words that the text takes up, rarer words
    counting more, and a half-hit where only letter triples agree; a short answer is not punished for its length."""

    name = "relevance"
    version = "1"
    tier: Tier = "light"
    parameters: Mapping[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}
    labels = ("off_question",)
    threshold = 0.9
    blind_to = (
        "Compares words: an answer that shares none with the question (a bare name, a number, yes) looks off it, one"
        " that repeats the question without answering looks on it. An embedding model is the heavier tier."
    )

    def detect(self, reading: Reading, part: int, subject: Subject) -> Detection:
        asked = [p.text for i, p in enumerate(subject.parts) if p.stage == "input" and p.role != "system" and i != part]
        if not asked:
            return Detection(None, skipped="there is no input part to be relevant to")
        question = [token for token in tokens(asked[-1][-LONGEST:]) if token.content]
        answer = tokens(reading.raw[:LONGEST])
        if not question or not answer:
            return Detection(None, skipped="no content words on one of the two sides")
        score = round(off_question(question, answer), 4)
        if score < self.threshold:
            return Detection(score)
        reason = "hardly a content word of the question is taken up"
        return Detection(score, (Finding(self.name, "off_question", score, part, 0, len(reading.raw), reason),))


def off_question(question: Sequence[Token], answer: Sequence[Token]) -> float:
    """0..1; 1 = the answer takes up nothing of the question."""
    stems = {token.stem for token in answer}
    grams: set[str] = set().union(*[_grams(stem) for stem in {token.stem for token in answer if token.content}])
    total = got = 0.0
    for token in {token.stem: token for token in question}.values():
        weight = _weight(token)
        total += weight
        got += weight * _hit(token.stem, stems, grams)
    likeness = got / total if total else 0.0
    content = sum(token.content for token in answer)
    return 1.0 - min(1.0, likeness * (1.0 + 0.5 / math.sqrt(content + 1)))


def _weight(token: Token) -> float:
    """A stand-in for inverse document frequency: names, figures and long words are rarer."""
    if token.stem in _EVERYDAY or token.word in _EVERYDAY:
        return 0.3
    return 1.0 + 0.12 * min(len(token.stem), 10) + (0.8 if token.capital or token.number is not None else 0.0)


def _hit(stem: str, stems: set[str], grams: set[str]) -> float:
    if stem in stems:
        return 1.0
    others = synonyms().get(stem)
    if others is not None and not stems.isdisjoint(others):
        return 0.8
    own = _grams(stem)
    alike = sum(map(grams.__contains__, own)) / len(own)
    return 0.5 * alike if alike >= 0.5 else 0.15 * alike


@lru_cache(maxsize=20_000)
def _grams(word: str) -> tuple[str, ...]:
    padded = f" {word} "
    return tuple(padded[i : i + 3] for i in range(len(padded) - 2))
