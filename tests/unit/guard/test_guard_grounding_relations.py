"""Claims of the sources' own words in another relation: roles, order, somebody else's deed, "all" for "some"."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from stanchion_guard.detectors.groundedness import Groundedness
from stanchion_guard.grounding.features import Comparison, compare, gather
from stanchion_guard.grounding.ledger import Ledger
from stanchion_guard.grounding.polarity import denied
from stanchion_guard.grounding.weighing import Weighed, weigh
from stanchion_guard.grounding.words import sentences, tokens
from stanchion_guard.reading import read
from stanchion_guard.records import Part, Subject

PAIRS = Path(__file__).parent / "claims" / "minimal_pairs.txt"


@cache
def triples() -> tuple[tuple[str, str, str, str], ...]:
    """Kind, source, supported claim, unsupported claim."""
    kind, found = "", []
    for line in PAIRS.read_text("utf-8").splitlines():
        if line.startswith("["):
            kind = line.strip("[]")
        elif " | " in line and not line.startswith("#"):
            source, right, wrong = line.split(" | ")
            found.append((kind, source, right, wrong))
    return tuple(found)


def weighed(source: str, claim: str) -> Weighed:
    return weigh(claim, tokens(claim), gather(sentences(source)), Ledger([source]))


def told(source: str, claim: str) -> Comparison:
    return compare(tokens(claim), gather(sentences(source)))


@cache
def doubts() -> tuple[tuple[str, float, float], ...]:
    return tuple((kind, weighed(s, right).doubt, weighed(s, wrong).doubt) for kind, s, right, wrong in triples())


def test_there_are_many_pairs_of_many_kinds_and_none_comes_twice() -> None:
    assert len({source for _, source, _, _ in triples()}) == len(triples()) >= 110
    assert len({kind for kind, _, _, _ in triples()}) >= 12


def test_no_supported_claim_of_a_pair_reaches_the_threshold() -> None:
    assert [right for _, right, _ in doubts() if right >= Groundedness.threshold] == []


def test_many_unsupported_claims_reach_the_threshold_and_nearly_all_lie_above_their_twin() -> None:
    assert sum(wrong >= Groundedness.threshold for _, _, wrong in doubts()) >= 0.38 * len(doubts())
    assert sum(wrong > right for _, right, wrong in doubts()) >= 0.85 * len(doubts())


@pytest.mark.parametrize("kind", ["roles swapped", "comparison", "order in time", "numbers", "quantifiers"])
def test_what_turns_a_relation_round_lies_above_its_twin(kind: str) -> None:
    found = [wrong > right for name, right, wrong in doubts() if name == kind]
    assert sum(found) >= 0.8 * len(found)


@pytest.mark.parametrize(
    ("source", "claim", "words"),
    [
        ("The dog chased the fox.", "The fox chased the dog.", ("chased",)),
        ("The dog chased the fox.", "The fox was chased by the dog.", ()),
        ("The dog chased the fox.", "The dog was chased by the fox.", ("chased",)),
        ("Rosa is older than Emil.", "Emil is younger than Rosa.", ()),
        ("Rosa is older than Emil.", "Rosa is younger than Emil.", ("younger",)),
        ("Plan Basic costs less than Plan Plus.", "Plan Basic costs more than Plan Plus.", ("costs",)),
        ("The dam was built before the road.", "The road was built before the dam.", ("built",)),
        ("Rosa married Emil in May.", "Emil married Rosa.", ()),
        ("Emil, whom Rosa taught, won.", "Rosa taught Emil.", ()),
    ],
)
def test_a_verb_or_comparison_tells_who_is_on_which_side(source: str, claim: str, words: tuple[str, ...]) -> None:
    assert told(source, claim).contrast.crossed == words


@pytest.mark.parametrize(
    ("source", "claim", "is_crossed"),
    [
        ("Ivo was born in Split, his wife Mara in Zadar.", "Ivo was born in Zadar.", True),
        ("Ivo was born in Split, his wife Mara in Zadar.", "Mara was born in Zadar.", False),
        ("The tower has 14 floors and 3 lifts.", "The tower has 14 lifts.", True),
        ("The tower has 14 floors and 3 lifts.", "The tower has 3 lifts.", False),
        ("Clara Voss, Jon Reed and Mia Lund wrote the script.", "Clara Voss wrote the script.", False),
        ("Rosa Lind studied law in Ghent and taught botany in Lyon.", "Rosa Lind taught in Lyon.", False),
        ("Rosa Lind studied law in Ghent and taught botany in Lyon.", "Rosa Lind studied in Lyon.", True),
        ("Brandt opened the shop in 1950 and sold it in 1972.", "Brandt sold the shop in 1972.", False),
        ("Anna and Boris play chess in the park.", "Anna plays chess in the park.", False),
        ("Berlin has 3.7 million people and Rome 2.8 million.", "Rome has 2.8 million people.", False),
        ("Berlin has 3.7 million people and Rome 2.8 million.", "Berlin has 2.8 million people.", True),
    ],
)
def test_what_another_clause_says_of_another_is_not_said_of_the_first(
    source: str, claim: str, is_crossed: bool
) -> None:
    assert bool(told(source, claim).contrast.crossed) == is_crossed


@pytest.mark.parametrize(
    ("source", "claim", "words"),
    [
        ("Some of the rooms have a balcony.", "All rooms have a balcony.", ("all",)),
        ("All of the rooms have a balcony.", "Some rooms have a balcony.", ()),
        ("Few rooms have a balcony.", "Most rooms have a balcony.", ("most",)),
        ("Many rooms have a balcony.", "No rooms have a balcony.", ("no",)),
        ("The shop sells wine and cheese.", "The shop sells only cheese.", ("only",)),
        ("The shop sells only cheese.", "The shop sells only cheese.", ()),
        ("The walls are white.", "All rooms have a balcony.", ()),
    ],
)
def test_all_does_not_follow_from_some(source: str, claim: str, words: tuple[str, ...]) -> None:
    assert told(source, claim).contrast.raised == words


def test_to_turn_down_is_to_refuse() -> None:
    assert denied(tokens("He turned down the part"))[-1]
    assert not any(denied(tokens("He turned down")[:2]))


def test_a_relation_that_differs_is_named_and_placed() -> None:
    source, answer = "The dog chased the fox across the meadow.", "Hello! The fox chased the dog."
    parts = (Part("retrieved", source), Part("output", answer))
    (finding,) = Groundedness().detect(read(answer), 1, Subject(parts)).findings
    assert finding.label == "relation_differs"
    assert f"{answer.index('chased')}-{answer.index('chased') + 6}" in finding.reason


@pytest.mark.parametrize("unit", ["all some room ", "a than b ", "12, 13 ", "Ann, ", "by was made ", "only x and "])
def test_a_hostile_answer_is_judged_in_bounded_work(unit: str) -> None:
    text = (unit * (590 // len(unit)) + ". ") * 3
    parts = (Part("retrieved", text), Part("output", text))
    assert Groundedness().detect(read(text), 1, Subject(parts)).score is not None
