"""Each word of a claim set against the sentence of the sources that is nearest to it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from stanchion_guard.grounding.lexicon import FUNCTION_OPPOSITES
from stanchion_guard.grounding.polarity import denied
from stanchion_guard.grounding.quantities import Quantity, Standing, quantities
from stanchion_guard.grounding.relations import Ids, denying_forms, meaning
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


@dataclass(frozen=True, slots=True)
class Match:
    """`place` is an index into the claim, `other` into the source sentence, -1 where nothing there matches."""

    place: int
    kind: Kind
    other: int = -1
    flipped: bool = False
    """Whether exactly one of the two is denied."""


class Known:
    """A sentence of the sources, read for comparing; what costs more is made at the first use."""

    __slots__ = ("_index", "denied", "numbers", "places", "quantities", "tokens", "words")

    def __init__(self, tokens: Sequence[Token]) -> None:
        self.tokens = tokens
        self.denied = denied(tokens)
        self.quantities: list[Quantity] = quantities(tokens)
        self.numbers = frozenset(token.number for token in tokens if token.number is not None)
        self.places: dict[str, list[int]] = {}
        self.words: dict[str, list[int]] = {}
        for at, token in enumerate(tokens):
            self.places.setdefault(token.stem, []).append(at)
            if token.content:
                self.words.setdefault(token.word, []).append(at)
        self._index: tuple[dict[int, list[int]], ...] | None = None

    def having(self, part: int, ids: Ids) -> list[int]:
        """Places of the words whose `_PARTS[part]` shares one of `ids`."""
        if self._index is None:
            self._index = self._indexed()
        table = self._index[part]
        return [at for number in ids for at in table.get(number, ())]

    def _indexed(self) -> tuple[dict[int, list[int]], ...]:
        tables: tuple[dict[int, list[int]], ...] = ({}, {}, {}, {}, {})
        for at, token in enumerate(self.tokens):
            if not (token.content or token.word in FUNCTION_OPPOSITES):
                continue
            known = meaning(token.word)
            for table, ids in zip(
                tables, (known.own, known.wide, known.above, known.parents, known.opposite), strict=True
            ):
                for number in ids:
                    table.setdefault(number, []).append(at)
        return tables


OWN, WIDE, ABOVE, PARENTS, OPPOSITES = range(5)


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
            opposite = near.having(OWN, meaning(token.word).opposite)
            if opposite:
                found.append(Match(at, Kind.OPPOSITE, opposite[0], flags[at] != near.denied[opposite[0]]))
    return found


def _number(at: int, token: Token, found: Standing, near: Known) -> Match:
    same = near.places.get(token.stem)
    if found == Standing.HOLDS:
        return Match(at, Kind.SAME, same[0] if same else -1)
    return Match(at, Kind.RIVAL if found == Standing.DIFFERS else Kind.NEW)


def _match(at: int, token: Token, flag: bool, near: Known, everywhere: frozenset[str], wanted: frozenset[str]) -> Match:
    same = near.places.get(token.stem)
    if same:
        return _best(at, Kind.SAME, same, flag, near, wanted)
    known = meaning(token.word)
    like = near.having(WIDE, known.wide)
    opposite = near.having(OWN, known.opposite) or near.having(OPPOSITES, known.own) or _prefixed(token, near)
    if opposite:
        found = _best(at, Kind.OPPOSITE, opposite, flag, near, wanted)
        return Match(at, Kind.LIKE, found.other) if found.flipped else found
    if like:
        return _best(at, Kind.LIKE, like, flag, near, wanted)
    wider = near.having(ABOVE, known.own)
    if wider:
        return _best(at, Kind.WIDER, wider, flag, near, wanted)
    if token.stem in everywhere:
        return Match(at, Kind.ELSEWHERE)
    rivals = [i for i in near.having(PARENTS, known.parents) if near.tokens[i].stem not in wanted]
    if rivals:
        return _best(at, Kind.RIVAL, rivals, flag, near, wanted)
    narrower = near.having(OWN, known.above)
    if narrower:
        return _best(at, Kind.NARROWER, narrower, flag, near, wanted)
    return Match(at, Kind.NEW, flipped=flag)


def _prefixed(token: Token, near: Known) -> list[int]:
    return sorted(at for form in denying_forms(token.word) for at in near.words.get(form, ()))


def _best(at: int, kind: Kind, places: Sequence[int], flag: bool, near: Known, wanted: frozenset[str]) -> Match:
    """Of several places the one with most of the claim's other words around it."""
    best = places[0]
    if len(places) > 1:
        best = max(dict.fromkeys(places), key=lambda place: (_company(place, near, wanted), -place))
    return Match(at, kind, best, flag != near.denied[best])


def _company(place: int, near: Known, wanted: frozenset[str]) -> int:
    return sum(token.stem in wanted for token in near.tokens[max(0, place - 5) : place + 6])
