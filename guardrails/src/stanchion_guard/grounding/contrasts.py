"""Counts of what speaks against a claim or for it once its words are set against the nearest sentence."""

# ruff: noqa: E501 - the tables are rows

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from stanchion_guard.grounding.alignment import (
    ELSEWHERE,
    LIKE,
    NARROWER,
    NEW,
    OPPOSITE,
    RIVAL,
    WIDER,
    Known,
    Match,
    align,
)
from stanchion_guard.grounding.lexicon import PRONOUNS, RESTRICTORS, TALK
from stanchion_guard.grounding.polarity import denied
from stanchion_guard.grounding.quantities import Quantity, Standing, quantities, standing, units
from stanchion_guard.grounding.relating import relating, shares
from stanchion_guard.grounding.words import Token

CONTRASTS = (
    "like_share", "wider_share", "elsewhere_share", "opposite_share", "rival_share", "narrower_share", "new_share", "opposite_any",
    "rival_any", "narrower_any", "new_any", "flipped_share", "flipped_last", "denied_share", "denied_same", "denied_other",
    "source_denies", "number_holds", "number_unknown", "number_differs", "reversed", "roles_swapped", "opposite_swapped", "opposite_straight", "name_in_slot", "name_outdone", "gaps", "clauses_crossed",
    "last_new", "last_rival", "last_opposite", "last_like", "new_name", "new_plain", "lone_restrictor", "shared_restrictor",
    "all_explained", "new_after_flip", "opposite_function", "talk", "capitals", "subject_open",
    "relation_turned", "relation_kept", "stitched", "quantifier_raised", "quantifier_agrees",
)  # fmt: skip
"""All lie in 0..1."""


@dataclass(frozen=True, slots=True)
class Contrast:
    """The values in the order of `CONTRASTS`, and the claim's words behind them."""

    values: tuple[float, ...]
    numbers: tuple[str, ...]
    """Numbers that do not hold."""
    opposites: tuple[str, ...]
    rivals: tuple[str, ...]
    flipped: tuple[str, ...]
    """Words that the sources have too, denied on one side only."""
    crossed: tuple[str, ...] = ()
    """Words that relate others the wrong way round, or that the sources have of something else."""
    raised: tuple[str, ...] = ()
    """Words like "all" for which the sources have "some"."""


def contrasts(claim: Sequence[Token], near: Known, everywhere: frozenset[str], numbers: Sequence[Quantity]) -> Contrast:
    told = quantities(claim)
    stands = {q.place: standing(q, numbers) for q in told}
    flags = denied(claim)
    matches = align(claim, flags, near, everywhere, stands, units(claim, told))
    related = relating(claim, near, matches)
    words = {kind: tuple(claim[m.place].word for m in matches if m.kind == kind) for kind in _FAULTS}
    return Contrast(
        (*_values(claim, flags, near, matches, list(stands.values())), *shares(related)),
        tuple(claim[at].word for at, found in stands.items() if found != Standing.HOLDS),
        words[OPPOSITE],
        tuple(word for word in words[RIVAL] if word not in {claim[at].word for at in stands}),
        tuple(claim[m.place].word for m in matches if m.flipped and m.other >= 0 and m.kind <= WIDER),
        tuple(claim[at].word for at in related.turned or related.stitched),
        tuple(claim[at].word for at in related.raised),
    )


_FAULTS = (OPPOSITE, RIVAL)


def _values(
    claim: Sequence[Token],
    flags: Sequence[bool],
    near: Known,
    matches: Sequence[Match],
    standings: Sequence[Standing],
) -> tuple[float, ...]:
    kinds = [match.kind for match in matches]
    last = kinds[-1] if kinds else None
    met = [match for match in matches if match.other >= 0 and match.kind <= WIDER]
    new = [claim[match.place] for match in matches if match.kind == NEW]
    flipped = [match.flipped for match in met]
    inside = [match for match in matches if flags[match.place]]
    swapped = _swapped(met, claim, near)
    turned = OPPOSITE in kinds
    wanted = frozenset(token.stem for token in claim)
    restrictors = [token.stem in near.places for token in claim if token.word in RESTRICTORS]
    return (
        *(kinds.count(counted) / len(kinds) if kinds else 0.0 for counted in _COUNTED),
        *(float(wanted in kinds) for wanted in (OPPOSITE, RIVAL, NARROWER, NEW)),
        _share(flipped),
        float(bool(flipped) and flipped[-1]),
        _share([flags[match.place] for match in matches]),
        _share([match.kind <= WIDER and match.flipped for match in inside]),
        _share([match.kind >= OPPOSITE for match in inside]),
        float(any(match.flipped and not flags[match.place] for match in met)),
        *(float(wanted in standings) for wanted in Standing),
        _share([a.other > b.other for a, b in pairwise(met)]),
        float(swapped),
        float(swapped and turned),
        float(turned and not swapped),
        _share([_rivalled(match, claim, near, wanted) for match in matches if claim[match.place].capital]),
        float(any(_outdone(a, b, claim, near, wanted) for a, b in _named(met, claim))),
        _gaps(met),
        _share([_crosses(a.other, b.other, near) for a, b in pairwise(met)]),
        *(float(last == wanted) for wanted in (NEW, RIVAL, OPPOSITE)),
        float(last in (LIKE, WIDER)),
        min(sum(token.capital for token in new), 3) / 3,
        min(sum(not token.capital for token in new), 4) / 4,
        float(False in restrictors),
        float(True in restrictors),
        float(bool(kinds) and all(kind <= ELSEWHERE for kind in kinds) and not any(flipped)),
        float(bool(new) and any(match.kind == NEW and match.flipped for match in matches)),
        float(any(match.kind == OPPOSITE and not claim[match.place].content for match in matches)),
        min(sum(token.word in TALK for token in claim), 3) / 3,
        _share([token.capital for token in claim[1:]]),
        float(bool(kinds) and kinds[0] == NEW and any(token.word in PRONOUNS for token in near.tokens[:4])),
    )


_COUNTED = (LIKE, WIDER, ELSEWHERE, OPPOSITE, RIVAL, NARROWER, NEW)


def _share(flags: Sequence[bool]) -> float:
    return sum(flags) / len(flags) if flags else 0.0


def _swapped(met: Sequence[Match], claim: Sequence[Token], near: Known) -> bool:
    """Whether the first and the last matched word stand the other way round, and no passive explains it."""
    if len(met) < 2 or met[0].other == met[-1].other:
        return False
    turned = met[0].other > met[-1].other
    low, high = sorted((met[0].other, met[-1].other))
    passive = any(token.word == "by" for token in claim[met[0].place : met[-1].place])
    passive_there = any(token.word == "by" for token in near.tokens[low:high])
    return turned != (passive != passive_there)


def _gaps(met: Sequence[Match]) -> float:
    """Mean of the words that stand between two neighbours of the claim, 1 for ten and more."""
    gaps = [min(abs(b.other - a.other) - 1, 10) / 10 for a, b in pairwise(met) if a.other != b.other]
    return sum(gaps) / len(gaps) if gaps else 0.0


def _crosses(a: int, b: int, near: Known) -> bool:
    return near.ends[a] != near.ends[b]


def _rivalled(match: Match, claim: Sequence[Token], near: Known, wanted: frozenset[str]) -> bool:
    """Whether the sources have another name after the same word: "in Paris" against "in Rome"."""
    if match.kind < OPPOSITE or match.place == 0:
        return False
    before = claim[match.place - 1].word
    return any(at and earlier == before and stem not in wanted for at, stem, earlier in near.names)


def _named(met: Sequence[Match], claim: Sequence[Token]) -> list[tuple[Match, Match]]:
    """A name of the claim and the matched word next to it that is none."""
    pairs = []
    for a, b in pairwise(met):
        first, second = claim[a.place].capital or a.place == 0, claim[b.place].capital
        if first != second:
            pairs.append((a, b) if first else (b, a))
    return pairs


def _outdone(name: Match, word: Match, claim: Sequence[Token], near: Known, wanted: frozenset[str]) -> bool:
    """Whether a name that the claim does not have stands nearer to the word than the claim's own name does."""
    reach = abs(name.other - word.other)
    low, high = word.other - reach, word.other + reach
    return any(low < at < high and stem not in wanted for at, stem, _ in near.names)
