"""How two words stand to each other: WordNet's relations, distilled by guardrails/train/relations.py, and own lists."""

# ruff: noqa: E501 - the tables are rows

from __future__ import annotations

import zlib
from array import array
from dataclasses import dataclass, field
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stanchion_guard.grounding.lexicon import alike, antonyms, classes
from stanchion_guard.grounding.words import stem

Ids = frozenset[int]
NONE: Ids = frozenset()
_LEVELS = 4
_TOO_WIDE = 16 * 11
"""16 times the binary logarithm of the synsets below: a class of more than 2,000 kinds says nothing."""
_TOO_WIDE_FOR_RIVALS = 16 * 9
_OWN_LISTS = 1 << 20
"""Numbers from here on belong to the lists of `lexicon`, below it to synsets."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """Numbers of what a word means itself, what it is derived from or like, its classes, its rivals' class, its
    opposites; `every` holds all of these."""

    own: Ids = NONE
    wide: Ids = NONE
    above: Ids = NONE
    parents: Ids = NONE
    opposite: Ids = NONE
    every: Ids = field(init=False)

    def __post_init__(self) -> None:
        every = self.own.union(self.wide, self.above, self.parents, self.opposite)
        object.__setattr__(self, "every", every)


NOTHING = Meaning()


class Table:
    """The distilled relations: lemma -> row, row -> synsets, synset -> what stands above it."""

    def __init__(self, stored: Any) -> None:
        lemmas = zlib.decompress(stored["lemmas"].tobytes()).decode().split("\n")
        self.place = {lemma: i for i, lemma in enumerate(lemmas)}
        self.below = stored["below"].tolist()
        self.first_noun, self.last_noun = stored["nouns"].tolist()
        self._rows = {name: (_starts(stored[f"{name}_counts"]), _array(stored[f"{name}_ids"])) for name in _RAGGED}

    def narrow(self, synset: int) -> bool:
        """Whether two of this class exclude each other: nouns of a class that is not too wide. Verbs of a class do not."""
        return bool(self.first_noun <= synset <= self.last_noun and self.below[synset] <= _TOO_WIDE_FOR_RIVALS)

    def row(self, name: str, at: int) -> list[int]:
        starts, ids = self._rows[name]
        return ids[starts[at] : starts[at + 1]].tolist()


_RAGGED = ("own", "wide", "opposite", "above")


def _starts(counts: NDArray[np.uint8]) -> array[int]:
    return _array(np.concatenate([np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)]))


def _array(numbers: NDArray[Any]) -> array[int]:
    """Python's own array, of which a few numbers are read in a fraction of the time that numpy takes."""
    return array("q", numbers.astype(np.int64).tobytes())


@cache
def table() -> Table:
    with files(__package__).joinpath("relations.npz").open("rb") as file, np.load(file, allow_pickle=False) as stored:
        return Table(stored)


@lru_cache(maxsize=20_000)
def meaning(word: str) -> Meaning:
    """Empty where neither WordNet's common words nor the own lists know the word."""
    known = table()
    places = [known.place[lemma] for lemma in lemmas(word) if lemma in known.place][:2]
    own = [s for at in places for s in known.row("own", at)]
    wide = [s for at in places for s in known.row("wide", at)]
    opposite = [s for at in places for s in known.row("opposite", at)]
    listed = _listed(stem(word))
    above = _above(known, own) - set(own)
    parents = {p for s in own[:3] for p in known.row("above", s) if known.narrow(p)}
    return Meaning(
        frozenset(own) | listed.own,
        frozenset(own) | frozenset(wide) | listed.wide,
        frozenset(above),
        frozenset(parents) | listed.parents,
        frozenset(opposite) | listed.opposite,
    )


@lru_cache(maxsize=20_000)
def is_verb(word: str) -> bool:
    """Whether WordNet has it as one: its synsets of verbs come after those of nouns."""
    known = table()
    places = (known.place[lemma] for lemma in lemmas(word) if lemma in known.place)
    return any(synset > known.last_noun for at in places for synset in known.row("own", at))


def _above(known: Table, own: list[int]) -> set[int]:
    found: set[int] = set()
    front = set(own)
    for _ in range(_LEVELS):
        front = {p for s in front for p in known.row("above", s) if known.below[p] <= _TOO_WIDE} - found
        found |= front
    return found


def _listed(form: str) -> Meaning:
    """What the own lists say of a stem; a stem's number is its own meaning."""
    if form not in _stems():
        return NOTHING
    own = _stems()[form]
    return Meaning(
        own=frozenset({own}),
        wide=frozenset(_stems()[other] for other in alike().get(form, ())) | {own},
        parents=frozenset(_OWN_LISTS + number for number in classes().get(form, ())),
        opposite=frozenset(_stems()[other] for other in antonyms().get(form, ())),
    )


@cache
def _stems() -> dict[str, int]:
    known = dict.fromkeys([*alike(), *antonyms(), *classes()])
    return {form: 2 * _OWN_LISTS + i for i, form in enumerate(known)}


_ENDINGS = (
    ("ies", "y"), ("ied", "y"), ("sses", "ss"), ("ves", "f"), ("men", "man"), ("es", ""), ("es", "e"), ("s", ""), ("ing", ""),
    ("ing", "e"), ("ed", ""), ("ed", "e"), ("er", ""), ("er", "e"), ("est", ""), ("est", "e"), ("ier", "y"), ("iest", "y"), ("ly", ""),
)  # fmt: skip
IRREGULAR = {
    "wrote": "write", "written": "write", "won": "win", "lost": "lose", "made": "make", "sold": "sell", "bought": "buy", "led": "lead",
    "fell": "fall", "rose": "rise", "grew": "grow", "took": "take", "came": "come", "went": "go", "gave": "give", "held": "hold",
    "left": "leave", "met": "meet", "ran": "run", "sang": "sing", "sung": "sing", "spoke": "speak", "stood": "stand", "told": "tell",
    "children": "child", "people": "person", "feet": "foot", "became": "become", "built": "build", "chose": "choose", "drew": "draw",
    "began": "begin", "born": "bear", "killed": "kill", "sank": "sink", "ate": "eat", "wives": "wife", "lives": "live", "taught": "teach",
    "fought": "fight", "shot": "shoot", "sent": "send", "spent": "spend", "wore": "wear", "drove": "drive", "flew": "fly", "better": "good",
    "lent": "lend", "threw": "throw", "thrown": "throw", "drawn": "draw", "broke": "break", "broken": "break",
    "stole": "steal", "stolen": "steal", "struck": "strike", "caught": "catch", "brought": "bring", "thought": "think", "heard": "hear",
    "felt": "feel", "paid": "pay", "said": "say", "sought": "seek", "slept": "sleep", "forgot": "forget", "froze": "freeze",
    "given": "give", "taken": "take", "chosen": "choose", "grown": "grow", "known": "know", "knew": "know", "driven": "drive",
    "bitten": "bite", "hid": "hide", "hidden": "hide", "shook": "shake", "swam": "swim", "drank": "drink", "overtook": "overtake",
    "best": "good", "worse": "bad", "worst": "bad", "bigger": "big", "biggest": "big",
}  # fmt: skip


def lemmas(word: str) -> list[str]:
    """Dictionary forms a word may belong to, itself first; not all exist."""
    found = [word]
    if word in IRREGULAR:
        found.append(IRREGULAR[word])
    for ending, instead in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 2:
            base = word[: len(word) - len(ending)] + instead
            found.append(base)
            if len(base) > 3 and base[-1] == base[-2]:
                found.append(base[:-1])
    return found


_DENYING = ("un", "in", "im", "il", "ir", "dis", "non", "mis")


@lru_cache(maxsize=20_000)
def denying_forms(word: str) -> frozenset[str]:
    """The words that are this one with a denying prefix or without it, or with -less for -ful: unmarried, careless."""
    found = {prefix + word for prefix in _DENYING} if len(word) > 3 else set()
    found |= {word[len(prefix) :] for prefix in _DENYING if word.startswith(prefix) and len(word) - len(prefix) > 3}
    found |= {word[:-4] + "ful"} if word.endswith("less") else {word[:-3] + "less"} if word.endswith("ful") else set()
    return frozenset(found)
