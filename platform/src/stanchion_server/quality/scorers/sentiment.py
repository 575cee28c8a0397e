"""The feeling that a text's words carry, from a list of English words: cheap, and a trend rather than a judgement."""

from __future__ import annotations

from functools import cache, lru_cache
from importlib.resources import files
from itertools import compress
from typing import NamedTuple

from stanchion_guard.grounding.lexicon import word_set
from stanchion_guard.views import Reading
from stanchion_server.quality.records import Evidence, Example, Place, Result
from stanchion_server.quality.scorers.known import Kind, Known, Parameters, Single
from stanchion_server.quality.scorers.texts import places_of, reading_of, words_of

VERSION = "1"
INERTIA = 4.0
"""Strength of feeling, in points of the list, that a text must hold to come halfway from neutral to the end."""
POSITIVE, NEGATIVE = 0.6, 0.4
TURNED = -0.6
"""What a negated word's strength is multiplied with: "not great" is weaker than "bad"."""
_REACH = 3
"""Words before a feeling in which a negation or a degree counts."""
_PREFIX, _LONGEST_BEGINNING = 4, 16
"""Letters of the beginnings in the list."""
_SHOWN = 5
_NEGATIONS = word_set(
    """not no never none nobody nothing neither nor cannot without hardly barely scarcely rarely seldom nowhere lack
    lacks lacking isn't wasn't aren't weren't don't doesn't didn't won't wouldn't can't couldn't shouldn't hasn't
    haven't hadn't ain't isnt wasnt dont doesnt didnt wont wouldnt cant couldnt"""
)
_MORE = word_set(
    """very really extremely so absolutely totally completely utterly highly incredibly truly especially particularly"""
)
_LESS = word_set("slightly somewhat fairly rather kinda sort little bit mildly partly marginally")
_DEGREES = dict.fromkeys(_MORE, 1.3) | dict.fromkeys(_LESS, 0.6)
_TURNS = word_set("but however although though yet except unfortunately")
_LONGEST_TURN = 40
"""Words of a text in which a "but" still divides what is meant from what is granted."""


@cache
def _strengths() -> tuple[dict[str, int], dict[str, int]]:
    """Of whole words, and of beginnings."""
    words: dict[str, int] = {}
    beginnings: dict[str, int] = {}
    strength = 0
    for line in files(__package__).joinpath("sentiment_words.txt").read_text("utf-8").splitlines():
        if line.endswith(":"):
            strength = int(line.removesuffix(":"))
        elif line.startswith("  "):
            for word in line.split():
                (beginnings if word.endswith("*") else words).setdefault(word.rstrip("*"), strength)
    return words, beginnings


@cache
def _heads() -> frozenset[str]:
    return frozenset(beginning[:_PREFIX] for beginning in _strengths()[1])


@lru_cache(maxsize=20_000)
def strength_of(word: str) -> int:
    """-3 .. 3; 0 for a word that carries no feeling."""
    words, beginnings = _strengths()
    lower = word.lower()
    if lower in words:
        return words[lower]
    if lower[:_PREFIX] not in _heads():
        return 0
    for length in range(min(len(lower), _LONGEST_BEGINNING), _PREFIX - 1, -1):
        if lower[:length] in beginnings:
            return beginnings[lower[:length]]
    return 0


class _Role(NamedTuple):
    """What a word does to feelings: its own, how it changes the next ones, whether it turns the sentence."""

    strength: int
    factor: float
    turns: bool


@lru_cache(maxsize=20_000)
def _role(word: str) -> _Role | None:
    """None for the many words that do nothing."""
    lower, strength = word.lower().replace("’", "'"), strength_of(word)
    factor = TURNED if lower in _NEGATIONS else _DEGREES.get(lower, 1.0)
    turns = lower in _TURNS
    return _Role(strength, factor, turns) if strength or factor != 1.0 or turns else None


def feelings(words: list[str]) -> list[tuple[int, float]]:
    """Place and strength of each word with a feeling, negations, degrees and turns taken into account: what stands
    after a "but" weighs more than what stands before."""
    found: list[tuple[int, float]] = []
    changes: list[tuple[int, float]] = []
    turned_at = -1
    roles = list(map(_role, words))
    for place, role in compress(enumerate(roles), roles):
        assert role is not None
        if role.strength:
            found.append((place, role.strength * _change(changes, place)))
        elif role.turns:
            turned_at = place
        if role.factor != 1.0:
            changes.append((place, role.factor))
    if turned_at <= 0 or len(words) > _LONGEST_TURN:
        return found
    return [(place, strength * (0.6 if place < turned_at else 1.3)) for place, strength in found]


def _change(changes: list[tuple[int, float]], place: int) -> float:
    factor = 1.0
    for before, change in reversed(changes):
        if before < place - _REACH:
            break
        factor *= change
    return factor


def tone(strengths: list[float]) -> float:
    """0 = all of it bad, 0.5 = neutral or as much good as bad, 1 = all of it good."""
    good = sum(one for one in strengths if one > 0)
    bad = -sum(one for one in strengths if one < 0)
    return 0.5 + 0.5 * (good - bad) / (good + bad + INERTIA)


def tone_of(reading: Reading) -> tuple[float, list[tuple[int, float]]]:
    """The tone and what it was made of."""
    return reading.keep("scorers.tone", lambda: _tone_of(reading))


def _tone_of(reading: Reading) -> tuple[float, list[tuple[int, float]]]:
    found = feelings(words_of(reading))
    return tone([strength for _, strength in found]), found


class Sentiment(Single):
    def __init__(self, known: Known, parameters: Parameters) -> None:
        super().__init__(known, VERSION)

    def felt(self, text: str, place: Place) -> Result | None:
        reading = reading_of(text)
        if not words_of(reading):
            return None
        score, found = tone_of(reading)
        label = "positive" if score >= POSITIVE else "negative" if score <= NEGATIVE else "neutral"
        marked = [] if label == "neutral" else _evidence(reading, place, found)
        return self.result(score, label, f"{len(found)} words that carry a feeling", marked)


def _evidence(reading: Reading, place: Place, found: list[tuple[int, float]]) -> list[Evidence]:
    strongest = sorted(found, key=lambda one: -abs(one[1]))[:_SHOWN]
    if not strongest:
        return []
    places = places_of(reading)
    return [
        Evidence(
            place, *places[at], "good" if strength > 0 else "bad", round(min(1.0, abs(strength) / 5), 4), "by the list"
        )
        for at, strength in sorted(strongest)
    ]


class PromptSentiment(Sentiment):
    def judge(self, example: Example) -> Result | None:
        return self.felt(example.prompt, "prompt")


class ResponseSentiment(Sentiment):
    def judge(self, example: Example) -> Result | None:
        return self.felt(example.response, "response")


_BLIND = (
    "English only, by a list of words: irony, feelings told without such words, and words that mean something else in a"
    " trade (a dead letter, a killer feature). A topic that is sad reads as negative, whoever writes."
)
KINDS = (
    Kind(
        Known(
            id="sentiment_prompt", title="Sentiment of the prompt", family="sentiment", lane="fast",
            direction="high_is_good", threshold=0.25, usual_ratio=1.0, blind_to=_BLIND,
        ),
        PromptSentiment,
    ),
    Kind(
        Known(
            id="sentiment_response", title="Sentiment of the answer", family="sentiment", lane="fast",
            direction="high_is_good", threshold=0.25, usual_ratio=1.0, blind_to=_BLIND,
        ),
        ResponseSentiment,
    ),
)  # fmt: skip
