"""What can be counted about a claim and its evidence: the numbers that the groundedness model weighs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from stanchion_guard.grounding.alignment import Known
from stanchion_guard.grounding.contrasts import CONTRASTS, Contrast, contrasts
from stanchion_guard.grounding.lexicon import (
    ABOUT,
    LOWER_BOUNDS,
    NEGATORS,
    OPINION,
    RESTRICTORS,
    UPPER_BOUNDS,
    alike,
    antonyms,
    classes,
)
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
    """The sources, read once for all claims."""

    sentences: tuple[Known, ...]
    stems: frozenset[str]
    pairs: frozenset[tuple[str, str]]
    triples: frozenset[tuple[str, str, str]]
    grams: frozenset[str]
    numbers: frozenset[float]


def gather(sentences: Sequence[Sentence]) -> Evidence:
    stems: set[str] = set()
    pairs: set[tuple[str, str]] = set()
    triples: set[tuple[str, str, str]] = set()
    numbers: set[float] = set()
    for sentence in sentences:
        triples.update(_threes(sentence.tokens))
        content = _content(sentence.tokens)
        stems.update(token.stem for token in sentence.tokens)
        pairs.update(zip([t.stem for t in content], [t.stem for t in content[1:]], strict=False))
        numbers.update(token.number for token in sentence.tokens if token.number is not None)
    grams = frozenset[str]().union(*map(_grams, stems))
    return Evidence(
        tuple(Known(s.tokens) for s in sentences),
        frozenset(stems),
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
    best = known.tokens
    near = frozenset(known.places)
    new = [not _covered(token, evidence.stems, evidence.numbers) for token in content]
    far = [not _covered(token, near, known.numbers) for token in content]
    numbers = _missing_numbers(claim, evidence.numbers)
    names = [
        token for token, missing in zip(content, new, strict=True) if missing and token.capital and token.number is None
    ]
    opposite = _opposed(content, new, near)
    sibling = _siblings(content, new, best, evidence)
    negated = _negations(claim) % 2 == 1
    parity = negated != (_negations(best) % 2 == 1)
    novelty = _share(new)
    values = (
        novelty,
        _share(far),
        _share(new[len(new) // 2 :]),
        _pairs(content, evidence),
        _trigrams(content, evidence.grams),
        min(len(numbers), 2) / 2,
        float(bool(numbers) and bool(known.numbers)),
        min(len(names), 3) / 3,
        float(bool(names) and any(token.capital and token.stem not in {t.stem for t in content} for token in best)),
        float(parity) * (1 - novelty),
        float(parity) * novelty,
        float(opposite),
        float(sibling),
        float(any(t.word in RESTRICTORS and t.stem not in near for t in claim)),
        min(sum(t.word in OPINION and t.stem not in near for t in claim), 3) / 3,
        float(bool(new) and new[0]),
        _disorder(content, best),
        _recall(content, best),
        min(len(claim), 40) / 40,
        float(not content),
        float(not any(new)),
        min(sum(new), 6) / 6,
        float(negated),
        float(bool(new) and new[-1]),
        _share([token.stem not in evidence.stems for token in claim]),
        min(_longest([token.stem not in evidence.stems for token in claim]), 8) / 8,
        _triples(claim, evidence.triples),
    )
    words = tuple(token.word for token, missing in zip(content, new, strict=True) if missing)
    more = contrasts(claim, known, evidence.stems, [q for s in evidence.sentences for q in s.quantities])
    return Comparison((*values, *more.values), tuple(t.word for t in names), words, more)


def _covered(token: Token, stems: frozenset[str], numbers: frozenset[float]) -> bool:
    if token.stem in stems or (token.number is not None and token.number in numbers):
        return True
    return not stems.isdisjoint(alike().get(token.stem, frozenset()))


_NOTHING = Known(())


def _best(content: Sequence[Token], evidence: Evidence) -> Known:
    """The sentence of the evidence that shares most words with the claim; the shorter one of two equals."""
    wanted = {token.stem for token in content}
    return max(
        evidence.sentences,
        key=lambda s: (len(wanted.intersection(s.places)), -len(s.tokens)),
        default=_NOTHING,
    )


def _share(flags: Sequence[bool]) -> float:
    return sum(flags) / len(flags) if flags else 0.0


def _pairs(content: Sequence[Token], evidence: Evidence) -> float:
    pairs = list(zip([t.stem for t in content], [t.stem for t in content[1:]], strict=False))
    return _share([pair not in evidence.pairs for pair in pairs])


def _trigrams(content: Sequence[Token], known: frozenset[str]) -> float:
    grams = [gram for token in content for gram in _grams(token.stem)]
    return _share([gram not in known for gram in grams])


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


def _opposed(content: Sequence[Token], new: Sequence[bool], near: frozenset[str]) -> bool:
    table = antonyms()
    return any(
        missing and not near.isdisjoint(table.get(token.stem, frozenset()))
        for token, missing in zip(content, new, strict=True)
    )


def _siblings(content: Sequence[Token], new: Sequence[bool], best: Sequence[Token], evidence: Evidence) -> bool:
    """Whether a new word stands where the evidence has another of its class: another month, country, trade."""
    table = classes()
    there = {number for token in best for number in table.get(token.stem, ())}
    return any(missing and not there.isdisjoint(table.get(t.stem, ())) for t, missing in zip(content, new, strict=True))


def _negations(tokens: Sequence[Token]) -> int:
    return sum(token.word in NEGATORS or token.word.endswith("n't") for token in tokens)


def _disorder(content: Sequence[Token], best: Sequence[Token]) -> float:
    """Share of neighbouring claim words that stand the other way round in the evidence."""
    place: dict[str, int] = {}
    for i, token in enumerate(best):
        place.setdefault(token.stem, i)
    places = [place[token.stem] for token in content if token.stem in place]
    return _share([a > b for a, b in pairwise(places)])


def _recall(content: Sequence[Token], best: Sequence[Token]) -> float:
    wanted = {token.stem for token in best if token.content}
    return len(wanted & {token.stem for token in content}) / len(wanted) if wanted else 0.0


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
