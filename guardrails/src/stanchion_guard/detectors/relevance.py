"""Whether an answer is about the question, and a retrieved passage too."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any, NamedTuple

from stanchion_guard.detectors import Tier
from stanchion_guard.grounding.lexicon import synonyms, word_set
from stanchion_guard.grounding.words import JOINING, SIGNS, Token, parts, token_of, tokens
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
        wanted, said = wanted_of(asked[-1][-LONGEST:]), said_of(reading.raw[:LONGEST])
        if not wanted or not said.stems:
            return Detection(None, skipped="no content words on one of the two sides")
        score = round(off_question(wanted, said), 4)
        if score < self.threshold:
            return Detection(score)
        reason = "hardly a content word of the question is taken up"
        return Detection(score, (Finding(self.name, "off_question", score, part, 0, len(reading.raw), reason),))


class Word(NamedTuple):
    """What is compared of a word: `weight` in a question, its synonyms' stems, its letter triples."""

    word: str
    stem: str
    content: bool
    weight: float
    others: frozenset[str] | None
    grams: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Said:
    """The words of an answer: all stems, those of words of content, and how many words of content there are."""

    stems: Set[str]
    content_stems: Set[str]
    content: int


def wanted_of(question: str) -> tuple[Word, ...]:
    """Its words of content, one for each stem in the order in which stems appear, as written last."""
    words, written = _words(question)
    asked = [word for word in words if word.content]
    found = {word.stem: word for word in asked}
    if len(found) < len(asked):
        found |= {word.stem: word for word in written() if word.content}
    return tuple(found.values())


def said_of(answer: str) -> Said:
    words, written = _words(answer)
    content = {word.stem for word in words if word.content}
    return Said({word.stem for word in words}, content, sum([word.content for word in written()]))


def _words(text: str) -> tuple[Collection[Word], Callable[[], Iterable[Word]]]:
    """The text's words in the order in which they appear, most of them once however often they are written, and what
    tells all of them as written. Where every word is read alone each is read once."""
    found = parts(text)
    alone = {part: _alone(part.strip(SIGNS)) for part in dict.fromkeys(found[1:])}
    begun = token_of(found[0], first=True) if found else None
    first = [_word(begun)] if begun else []
    words = [*first, *filter(None, alone.values())]
    if JOINING.isdisjoint([word.word for word in words]):
        return words, lambda: chain(first, filter(None, map(alone.__getitem__, found[1:])))
    told = [_word(token) for token in tokens(text)]
    return told, lambda: told


@lru_cache(maxsize=20_000)
def _alone(word: str) -> Word | None:
    token = token_of(word, first=False)
    return _word(token) if token else None


def _word(token: Token) -> Word:
    others = synonyms().get(token.stem)
    return Word(token.word, token.stem, token.content, _weight(token), others, _grams(token.stem))


def off_question(wanted: Sequence[Word], said: Said) -> float:
    """0..1; 1 = the answer takes up nothing of the question."""
    grams: set[str] = set().union(*map(_grams, said.content_stems))
    stems, are_there = said.stems, grams.__contains__
    total = got = 0.0
    for _, stem, _, weight, others, own in wanted:
        total += weight
        if stem in stems:
            got += weight
        elif others is not None and not stems.isdisjoint(others):
            got += weight * 0.8
        else:
            alike = sum(map(are_there, own)) / len(own)
            got += weight * (0.5 * alike if alike >= 0.5 else 0.15 * alike)
    likeness = got / total if total else 0.0
    return 1.0 - min(1.0, likeness * (1.0 + 0.5 / math.sqrt(said.content + 1)))


def _weight(token: Token) -> float:
    """A stand-in for inverse document frequency: names, figures and long words are rarer."""
    if token.stem in _EVERYDAY or token.word in _EVERYDAY:
        return 0.3
    return 1.0 + 0.12 * min(len(token.stem), 10) + (0.8 if token.capital or token.number is not None else 0.0)


@lru_cache(maxsize=20_000)
def _grams(word: str) -> tuple[str, ...]:
    padded = f" {word} "
    return tuple([padded[i : i + 3] for i in range(len(padded) - 2)])
