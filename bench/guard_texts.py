"""Texts for measuring guards: sentences of common words, with identifiers and the odd link planted, seeded."""

from __future__ import annotations

import random
from functools import cache

CHARACTERS_PER_TOKEN = 4
"""What English runs to with today's tokenizers, near enough to name a size by."""
PLANT_EVERY_SENTENCES = 12

_NOUNS = """order parcel invoice customer account manager report meeting budget contract supplier garden kitchen
train station ticket holiday hotel school teacher lesson student doctor hospital letter window street market price
discount battery laptop screen keyboard server database backup password printer recipe oven weather river mountain
museum concert guitar novel chapter engine bicycle driver insurance claim refund warranty delivery warehouse colleague
department director salary interview office project deadline summary question answer paragraph table figure source
library city country government election law judge court budget tax payment bank loan interest"""
_VERBS = """checked returned described ordered cancelled changed repaired opened closed moved answered explained
compared reviewed printed copied delivered collected paid booked measured tested planned finished started missed found
lost signed approved refused discussed translated improved replaced"""
_ADJECTIVES = """new old small large quiet early late careful broken clean expensive cheap local common useful simple
strange recent central public private annual weekly green dark heavy light second third final open missing"""
_TAILS = (
    "before lunch", "last week", "with great care", "for the third time", "in the afternoon", "without any trouble",
    "as agreed", "because nobody else could", "after the long meeting", "so that the work could go on",
    "near the old station", "at the usual price", "although it rained all day", "when the train was late",
    "for the whole department", "in less than an hour",
)  # fmt: skip
_LEADS = ("The", "Our", "Their", "Your", "Another", "That", "This", "Every")
_PLANTS = (
    "You can reach me at {name}.{other}{n}@example.org if that helps.",
    "My number is +44 20 7946 0{n3} and I am at home in the evening.",
    "The card 4111 1111 1111 1111 was charged twice on the same day.",
    "Please pay to GB82 WEST 1234 5698 7654 32 by the end of the month.",
    "The server at 192.0.2.{n} did not answer, see https://example.org/{name}/{n}.",
    "Her social security number is 536-90-4{n3} according to the form.",
)


def text(size_tokens: int, seed: str) -> str:
    """About `size_tokens` tokens; the same seed gives the same text."""
    chance = random.Random(seed)
    found: list[str] = []
    left = size_tokens * CHARACTERS_PER_TOKEN
    plant_at = chance.randrange(PLANT_EVERY_SENTENCES)
    while left > 0:
        sentence = _plant(chance) if len(found) % PLANT_EVERY_SENTENCES == plant_at else _sentence(chance)
        found.append(sentence)
        left -= len(sentence) + 1
    return " ".join(found)[: size_tokens * CHARACTERS_PER_TOKEN]


def texts(size_tokens: int, count: int, seed: str = "texts") -> list[str]:
    return [text(size_tokens, f"{seed}/{size_tokens}/{number}") for number in range(count)]


def _sentence(chance: random.Random) -> str:
    noun, adjective, verb = (_any(chance, words) for words in (_NOUNS, _ADJECTIVES, _VERBS))
    other, more, most = (_any(chance, words) for words in (_NOUNS, _ADJECTIVES, _NOUNS))
    start = f"{chance.choice(_LEADS)} {adjective} {noun} {verb} the {other} and the {more} {most}"
    return f"{start} {chance.choice(_TAILS)}{chance.choice('...?!')}"


def _plant(chance: random.Random) -> str:
    n = chance.randrange(10, 250)
    named = {"name": _any(chance, _NOUNS), "other": _any(chance, _NOUNS), "n": n, "n3": f"{chance.randrange(1000):03d}"}
    return chance.choice(_PLANTS).format(**named)


@cache
def _split(words: str) -> list[str]:
    return words.split()


def _any(chance: random.Random, words: str) -> str:
    return chance.choice(_split(words))
