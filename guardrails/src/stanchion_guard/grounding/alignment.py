"""Each word of a claim set against the sentence of the sources that is nearest to it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Mapping, Sequence
from enum import IntEnum
from functools import cached_property
from itertools import accumulate
from typing import NamedTuple

from stanchion_guard.grounding.lexicon import FUNCTION_OPPOSITES, JOINED, NEGATORS, classes, excludes
from stanchion_guard.grounding.polarity import denied
from stanchion_guard.grounding.quantities import Quantity, Standing, quantities
from stanchion_guard.grounding.relations import NONE, Ids, Meaning, denying_forms, meaning
from stanchion_guard.grounding.words import Token


class Kind(IntEnum):
    """What the sources hold of a word of the claim."""

    SAME = 0
    LIKE = 1
    """A synonym, a derived word, or the opposite where one of the two is denied."""
    WIDER = 2
    """The claim's word is the more general one: it follows."""
    ELSEWHERE = 3
    """Another sentence has it."""
    OPPOSITE = 4
    RIVAL = 5
    """Another of the same class: another month, trade, country."""
    NARROWER = 6
    """The claim is more precise than the sources."""
    NEW = 7


SAME, LIKE, WIDER, ELSEWHERE, OPPOSITE, RIVAL, NARROWER, NEW = Kind


class Match(NamedTuple):
    """`place` is an index into the claim, `other` into the source sentence, -1 where nothing there matches."""

    place: int
    kind: Kind
    other: int = -1
    flipped: bool = False
    """Whether exactly one of the two is denied."""


class Known:
    """A sentence of the sources: what a comparison needs of it is read when first asked for, and once."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self.tokens = tokens

    @cached_property
    def denied(self) -> list[bool]:
        return denied(self.tokens)

    @cached_property
    def quantities(self) -> list[Quantity]:
        return quantities(self.tokens)

    @cached_property
    def numbers(self) -> frozenset[float]:
        return frozenset(token.number for token in self.tokens if token.number is not None)

    @cached_property
    def places(self) -> dict[str, list[int]]:
        """Stem -> where it stands."""
        found: dict[str, list[int]] = {}
        for at, token in enumerate(self.tokens):
            found.setdefault(token.stem, []).append(at)
        return found

    @cached_property
    def words(self) -> dict[str, list[int]]:
        """Word of content -> where it stands."""
        found: dict[str, list[int]] = {}
        for at, token in enumerate(self.tokens):
            if token.content:
                found.setdefault(token.word, []).append(at)
        return found

    @cached_property
    def stems(self) -> frozenset[str]:
        return frozenset(self.places)

    @cached_property
    def content(self) -> frozenset[str]:
        """Stems of the words of content."""
        return frozenset(token.stem for token in self.tokens if token.content)

    @cached_property
    def classes(self) -> frozenset[int]:
        """The word classes that its words belong to."""
        table = classes()
        return frozenset(number for stem in self.places for number in table.get(stem, ()))

    @cached_property
    def negated(self) -> bool:
        return negations(self.tokens) % 2 == 1

    @cached_property
    def names(self) -> list[tuple[int, str, str]]:
        """Place, stem and the word before it of everything written with a capital."""
        tokens = self.tokens
        return [(at, token.stem, tokens[at - 1].word if at else "") for at, token in enumerate(tokens) if token.capital]

    @cached_property
    def ends(self) -> list[int]:
        """How many clauses have ended before each place, and after the last."""
        return [0, *accumulate(token.ends for token in self.tokens)]

    @cached_property
    def parts(self) -> list[int]:
        """The number of the clause of each token: a comma, a bracket or a word that joins begins a new one."""
        found, number = [], 0
        for at, token in enumerate(self.tokens):
            number += at > 0 and (self.tokens[at - 1].ends or token.word in JOINED)
            found.append(number)
        return found

    def part(self, number: int) -> range:
        """The places of a clause."""
        return range(bisect_left(self.parts, number), bisect_right(self.parts, number))

    @cached_property
    def _meanings(self) -> list[tuple[int, Meaning]]:
        return [
            (at, meaning(token.word))
            for at, token in enumerate(self.tokens)
            if token.content or token.word in FUNCTION_OPPOSITES
        ]

    @cached_property
    def _all_ids(self) -> Ids:
        return NONE.union(*(known.every for _, known in self._meanings))

    def related(self, known: Meaning) -> list[tuple[int, Meaning]]:
        """Its words whose meaning shares anything with this one, and their places."""
        if self._all_ids.isdisjoint(known.every):
            return []
        return [(at, other) for at, other in self._meanings if not other.every.isdisjoint(known.every)]

    def densest(self, places: Sequence[int], wanted: frozenset[str]) -> int:
        """The one of several places with most of the wanted words around it, the first of equals."""
        before = [0, *accumulate(token.stem in wanted for token in self.tokens)]
        last = len(self.tokens)
        return max(
            dict.fromkeys(places),
            key=lambda at: (before[min(last, at + 6)] - before[max(0, at - 5)], -at),
        )


def negations(tokens: Sequence[Token]) -> int:
    return sum(token.word in NEGATORS or token.word.endswith("n't") for token in tokens)


def align(
    claim: Sequence[Token],
    flags: Sequence[bool],
    near: Known,
    everywhere: frozenset[str],
    numbers: Mapping[int, Standing],
    units: Collection[int],
) -> list[Match]:
    """A match for each content word, and for function words that are the opposite of one in `near`.

    `numbers` says how the number at a place of the claim stands, `units` which places go with a number before them.
    """
    wanted = frozenset(token.stem for token in claim if token.content)
    found: list[Match] = []
    for at, token in enumerate(claim):
        if at in units:
            continue
        if at in numbers:
            found.append(_number(at, token, numbers[at], near))
        elif token.content:
            found.append(_match(at, token, flags[at], near, everywhere, wanted))
        elif token.word in FUNCTION_OPPOSITES and token.stem not in near.places:
            known = meaning(token.word)
            there = near.related(known)
            opposite = [place for number in known.opposite for place, other in there if number in other.own]
            if opposite:
                found.append(Match(at, OPPOSITE, opposite[0], flags[at] != near.denied[opposite[0]]))
    return found


def _number(at: int, token: Token, found: Standing, near: Known) -> Match:
    same = near.places.get(token.stem)
    if found == Standing.HOLDS:
        return Match(at, SAME, same[0] if same else -1)
    return Match(at, RIVAL if found == Standing.DIFFERS else NEW)


def _match(at: int, token: Token, flag: bool, near: Known, everywhere: frozenset[str], wanted: frozenset[str]) -> Match:
    same = near.places.get(token.stem)
    if same:
        return _best(at, SAME, same, flag, near, wanted)
    known = meaning(token.word)
    there = near.related(known)
    opposite = (there and _opposites(known, there)) or _prefixed(token, near)
    if opposite:
        found = _best(at, OPPOSITE, opposite, flag, near, wanted)
        return Match(at, LIKE, found.other) if found.flipped else found
    if not there:
        return Match(at, ELSEWHERE) if token.stem in everywhere else Match(at, NEW, flipped=flag)
    like = [place for place, other in there if not other.wide.isdisjoint(known.wide)]
    apart = [place for place in like if excludes(token.stem, near.tokens[place].stem)]
    if apart and len(apart) == len(like) and token.stem not in everywhere:
        return _best(at, RIVAL, apart, flag, near, wanted)
    if like:
        return _best(at, LIKE, like, flag, near, wanted)
    wider = [place for place, other in there if not other.above.isdisjoint(known.own)]
    if wider:
        return _best(at, WIDER, wider, flag, near, wanted)
    if token.stem in everywhere:
        return Match(at, ELSEWHERE)
    rivals = [i for i, o in there if near.tokens[i].stem not in wanted and not o.parents.isdisjoint(known.parents)]
    if rivals:
        return _best(at, RIVAL, rivals, flag, near, wanted)
    narrower = [place for place, other in there if not other.own.isdisjoint(known.above)]
    if narrower:
        return _best(at, NARROWER, narrower, flag, near, wanted)
    return Match(at, NEW, flipped=flag)


def _opposites(known: Meaning, there: Sequence[tuple[int, Meaning]]) -> list[int]:
    return [place for place, other in there if not other.own.isdisjoint(known.opposite)] or [
        place for place, other in there if not other.opposite.isdisjoint(known.own)
    ]


def _prefixed(token: Token, near: Known) -> list[int]:
    forms = denying_forms(token.word)
    if near.words.keys().isdisjoint(forms):
        return []
    return sorted(at for form in forms for at in near.words.get(form, ()))


def _best(at: int, kind: Kind, places: Sequence[int], flag: bool, near: Known, wanted: frozenset[str]) -> Match:
    best = places[0] if len(places) == 1 else near.densest(places, wanted)
    return Match(at, kind, best, flag != near.denied[best])
