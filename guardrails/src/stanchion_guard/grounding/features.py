"""What can be counted about a claim and its evidence: the numbers that the groundedness model weighs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from stanchion_guard.grounding.alignment import Known, negations
from stanchion_guard.grounding.contrasts import CONTRASTS, Contrast, contrasts
from stanchion_guard.grounding.lexicon import (
    ABOUT,
    LOWER_BOUNDS,
    OPINION,
    RESTRICTORS,
    UPPER_BOUNDS,
    alike,
    antonyms,
    classes,
)
from stanchion_guard.grounding.quantities import Quantity
from stanchion_guard.grounding.words import Sentence, Token

NAMES = (
    "novel", "novel_best", "novel_late", "bigrams", "trigrams", "number_missing", "number_conflict", "name_missing",
    "name_conflict", "negation_covered", "negation_novel", "antonym", "sibling", "restrictor", "opinion", "first_new",
    "order", "recall", "length", "empty", "all_covered", "novel_count", "claim_negated", "late_conflict",
    "any_word_new", "longest_new", "triples", *CONTRASTS,
)  # fmt: skip
"""All lie in 0..1. A higher one mostly speaks against the claim."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """The sources, read once for all claims. `having`: stem -> the sentences it stands in."""

    sentences: tuple[Known, ...]
    having: Mapping[str, Sequence[int]]
    quantities: Sequence[Quantity]
    stems: frozenset[str]
    pairs: frozenset[tuple[str, str]]
    triples: frozenset[tuple[str, str, str]]
    grams: frozenset[str]
    numbers: frozenset[float]


def gather(sentences: Sequence[Sentence]) -> Evidence:
    pairs: set[tuple[str, str]] = set()
    triples: set[tuple[str, str, str]] = set()
    numbers: set[float] = set()
    having: dict[str, list[int]] = {}
    for place, sentence in enumerate(sentences):
        triples.update(_threes(sentence.tokens))
        content = _content(sentence.tokens)
        for stem in {token.stem for token in sentence.tokens}:
            having.setdefault(stem, []).append(place)
        pairs.update(pairwise([token.stem for token in content]))
        numbers.update(token.number for token in sentence.tokens if token.number is not None)
    grams = frozenset[str]().union(*map(_grams, having))
    known = tuple(Known(sentence.tokens) for sentence in sentences)
    return Evidence(
        known,
        having,
        [quantity for each in known for quantity in each.quantities],
        frozenset(having),
        frozenset(pairs),
        frozenset(triples),
        grams,
        frozenset(numbers),
    )


def _content(tokens: Sequence[Token]) -> list[Token]:
    return [token for token in tokens if token.content]


@lru_cache(maxsize=20_000)
def _grams(word: str) -> tuple[str, ...]:
    padded = f" {word} "
    return tuple(padded[i : i + 3] for i in range(len(padded) - 2))


@dataclass(frozen=True, slots=True)
class Comparison:
    """The values in the order of `NAMES`, and the words that made them, for the reason of a finding."""

    values: tuple[float, ...]
    missing_names: tuple[str, ...]
    new_words: tuple[str, ...]
    contrast: Contrast


def compare(claim: Sequence[Token], evidence: Evidence) -> Comparison:
    content = _content(claim)
    known = _best(content, evidence)
    near = known.stems
    new = [t.stem not in evidence.stems and not _covered(t, evidence.stems, evidence.numbers) for t in content]
    far = [t.stem not in near and not _covered(t, near, known.numbers) for t in content]
    numbers = _missing_numbers(claim, evidence.numbers)
    lacking = [token for token, missing in zip(content, new, strict=True) if missing]
    names = [token for token in lacking if token.capital and token.number is None]
    said = {token.word for token in claim}
    negated = negations(claim) % 2 == 1
    parity = negated != known.negated
    own = {token.stem for token in content}
    unseen = [token.stem not in evidence.stems for token in claim]
    novelty = _share(new)
    values = (
        novelty,
        _share(far),
        _share(new[len(new) // 2 :]),
        _pairs(content, evidence),
        _trigrams(content, evidence),
        min(len(numbers), 2) / 2,
        float(bool(numbers) and bool(known.numbers)),
        min(len(names), 3) / 3,
        float(bool(names) and any(stem not in own for _, stem, _ in known.names)),
        float(parity) * (1 - novelty),
        float(parity) * novelty,
        float(_opposed(lacking, near)),
        float(_siblings(lacking, known)),
        float(not said.isdisjoint(RESTRICTORS) and any(t.word in RESTRICTORS and t.stem not in near for t in claim)),
        0.0 if said.isdisjoint(OPINION) else min(sum(t.word in OPINION and t.stem not in near for t in claim), 3) / 3,
        float(bool(new) and new[0]),
        _disorder(content, known),
        len(known.content & own) / len(known.content) if known.content else 0.0,
        min(len(claim), 40) / 40,
        float(not content),
        float(not any(new)),
        min(sum(new), 6) / 6,
        float(negated),
        float(bool(new) and new[-1]),
        _share(unseen),
        min(_longest(unseen), 8) / 8,
        _triples(claim, evidence.triples),
    )
    words = tuple(token.word for token in lacking)
    more = contrasts(claim, known, evidence.stems, evidence.quantities)
    return Comparison((*values, *more.values), tuple(t.word for t in names), words, more)


def _covered(token: Token, stems: frozenset[str], numbers: frozenset[float]) -> bool:
    """Whether its number or a word like it is there."""
    if token.number is not None and token.number in numbers:
        return True
    return not stems.isdisjoint(alike().get(token.stem, frozenset()))


_NOTHING = Known(())


def _best(content: Sequence[Token], evidence: Evidence) -> Known:
    """The sentence of the evidence that shares most words with the claim; the shorter one of two equals."""
    shared = Counter(at for stem in {token.stem for token in content} for at in evidence.having.get(stem, ()))
    if not shared:
        return min(evidence.sentences, key=lambda known: len(known.tokens), default=_NOTHING)
    return evidence.sentences[max(shared, key=lambda at: (shared[at], -len(evidence.sentences[at].tokens), -at))]


def _share(flags: Sequence[bool]) -> float:
    return sum(flags) / len(flags) if flags else 0.0


def _pairs(content: Sequence[Token], evidence: Evidence) -> float:
    return _share([pair not in evidence.pairs for pair in pairwise([token.stem for token in content])])


def _trigrams(content: Sequence[Token], evidence: Evidence) -> float:
    """A word that the evidence has needs no look at its grams: they are all there."""
    grams = missing = 0
    for token in content:
        found = _grams(token.stem)
        grams += len(found)
        if token.stem not in evidence.stems:
            missing += sum(gram not in evidence.grams for gram in found)
    return missing / grams if grams else 0.0


def _missing_numbers(claim: Sequence[Token], known: frozenset[float]) -> list[str]:
    missing = []
    for i, token in enumerate(claim):
        if token.number is None or token.number in known or (token.number < 2 and not token.word[:1].isdigit()):
            continue
        if not _bounded(token.number, {t.word for t in claim[max(0, i - 3) : i]}, known):
            missing.append(token.word)
    return missing


def _bounded(value: float, before: set[str], known: frozenset[float]) -> bool:
    """Whether "over 100", "under 5" or "about 1.5 million" holds for some number of the evidence."""
    if before & ABOUT and any(abs(value - other) <= 0.05 * abs(other) for other in known):
        return True
    if before & UPPER_BOUNDS and any(value < other <= 2 * value for other in known):
        return True
    return bool(before & LOWER_BOUNDS) and any(value / 2 <= other < value for other in known)


def _opposed(lacking: Sequence[Token], near: frozenset[str]) -> bool:
    table = antonyms()
    return any(not near.isdisjoint(table[token.stem]) for token in lacking if token.stem in table)


def _siblings(lacking: Sequence[Token], known: Known) -> bool:
    """Whether a new word stands where the evidence has another of its class: another month, country, trade."""
    table = classes()
    return any(not known.classes.isdisjoint(table[token.stem]) for token in lacking if token.stem in table)


def _disorder(content: Sequence[Token], known: Known) -> float:
    """Share of neighbouring claim words that stand the other way round in the evidence."""
    places = [known.places[token.stem][0] for token in content if token.stem in known.places]
    return _share([a > b for a, b in pairwise(places)])


def _threes(tokens: Sequence[Token]) -> list[tuple[str, str, str]]:
    stems = [token.stem for token in tokens]
    return list(zip(stems, stems[1:], stems[2:], strict=False))


def _triples(claim: Sequence[Token], known: frozenset[tuple[str, str, str]]) -> float:
    return _share([three not in known for three in _threes(claim)])


def _longest(flags: Sequence[bool]) -> int:
    longest = run = 0
    for flag in flags:
        run = run + 1 if flag else 0
        longest = max(longest, run)
    return longest
