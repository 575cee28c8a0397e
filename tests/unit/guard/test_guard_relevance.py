"""Relevance reads most words by themselves and once; it must come to what reading the whole text word by word does."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stanchion_guard.detectors.relevance import off_question, said_of, wanted_of
from stanchion_guard.grounding.lexicon import synonyms, word_set
from stanchion_guard.grounding.words import _ENDINGS, _IRREGULAR, Token, stem, tokens

EVERYDAY = word_set(
    """people thing things person time way year years day work good make use know think want need look find give
    tell go come take see happen true false answer question mean different name call world country say become
    long great new old place large small number part kind type actual best better first last"""
)
ODD = re.findall(
    r"\S+",
    """The the May may Order order orders, ordered. twenty five percent 5% 1.5 million two hundred no longer No Longer
    don't it's It's ' . , $ % ,and -- (x) [y] ’tis naïve Straße 東京 e.g. U.S. people Make 1,000 12k 3rd zero ninety
    a company firm buy purchase AAAA aaaa \ud800 ́a ½ ² \x00""",
)
TEXTS = st.lists(st.sampled_from(ODD) | st.text(max_size=6), max_size=16).map(" ".join)


def word_by_word(question: str, answer: str) -> float | None:
    asked, said = [token for token in tokens(question) if token.content], tokens(answer)
    if not asked or not said:
        return None
    stems = {token.stem for token in said}
    grams = {gram for token in said if token.content for gram in triples(token.stem)}
    total = got = 0.0
    for token in {token.stem: token for token in asked}.values():
        total += weight(token)
        got += weight(token) * hit(token.stem, stems, grams)
    content = sum(token.content for token in said)
    return 1.0 - min(1.0, got / total * (1.0 + 0.5 / math.sqrt(content + 1)))


def weight(token: Token) -> float:
    if token.stem in EVERYDAY or token.word in EVERYDAY:
        return 0.3
    return 1.0 + 0.12 * min(len(token.stem), 10) + (0.8 if token.capital or token.number is not None else 0.0)


def hit(wanted: str, stems: set[str], grams: set[str]) -> float:
    if wanted in stems:
        return 1.0
    if not stems.isdisjoint(synonyms().get(wanted, ())):
        return 0.8
    own = triples(wanted)
    alike = sum(gram in grams for gram in own) / len(own)
    return 0.5 * alike if alike >= 0.5 else 0.15 * alike


def triples(word: str) -> list[str]:
    return [f" {word} "[at : at + 3] for at in range(len(word))]


@given(TEXTS, TEXTS)
@example("Order twenty five orders", "the order of orders, twenty-five")
@example("An order. The Order", "nothing of it")
@example("May we May", "may")
@example("no longer here", "two hundred percent")
def test_words_read_once_give_the_score_of_words_read_in_turn(question: str, answer: str) -> None:
    wanted, said = wanted_of(question), said_of(answer)
    found = off_question(wanted, said) if wanted and said.stems else None
    assert found == word_by_word(question, answer)


@given(st.text(st.sampled_from("abdegilmnorstuy"), max_size=6), st.sampled_from([ending for ending, _ in _ENDINGS]))
def test_a_stem_loses_the_first_ending_of_the_list_that_fits(beginning: str, ending: str) -> None:
    word = _IRREGULAR.get(beginning + ending, beginning + ending)
    if len(word) < 4:
        return
    for last, instead in _ENDINGS:
        if word.endswith(last) and len(word) - len(last) >= 3:
            word = word[: len(word) - len(last)] + instead
            break
    if len(word) > 4 and word[-1] == word[-2] and word[-1] not in "aeiouls":
        word = word[:-1]
    assert stem(beginning + ending) == (word[:-1] + "i" if len(word) > 3 and word.endswith("y") else word)


@pytest.mark.parametrize("text", ["", " ", "...", "' , .", "-"])
def test_a_text_without_words_wants_and_says_nothing(text: str) -> None:
    assert wanted_of(text) == () and not said_of(text).stems
