"""What contradicts a source: denials, opposites, numbers in their units, and words of one class."""

from __future__ import annotations

import pytest

from stanchion_guard.grounding.alignment import Kind, Known, align
from stanchion_guard.grounding.polarity import denied
from stanchion_guard.grounding.quantities import Standing, quantities, standing
from stanchion_guard.grounding.relations import denying_forms, meaning
from stanchion_guard.grounding.words import tokens


def kind(word: str, source: str) -> Kind:
    claim = tokens(f"it is {word}")
    matches = align(claim, denied(claim), Known(tokens(source)), frozenset(), {}, ())
    return matches[-1].kind


@pytest.mark.parametrize(
    ("word", "source", "expected"),
    [
        ("movie", "The film was shot in Rome.", Kind.LIKE),
        ("athlete", "The swimmer won.", Kind.WIDER),
        ("Illinois", "He lives in Chicago.", Kind.WIDER),
        ("swimmer", "The gymnast won.", Kind.RIVAL),
        ("poisonous", "The snake is harmless.", Kind.OPPOSITE),
        ("unmarried", "She is married.", Kind.OPPOSITE),
        ("lost", "They never won the final.", Kind.LIKE),
        ("zeppelin", "They won the final.", Kind.NEW),
    ],
)
def test_a_word_is_set_against_the_word_of_the_source_that_bears_on_it(word: str, source: str, expected: Kind) -> None:
    assert kind(word, source) == expected


def test_a_denial_reaches_to_the_end_of_its_clause() -> None:
    said = tokens("He did not win the prize, but he took the money")
    flags = dict(zip([token.word for token in said], denied(said), strict=True))
    assert flags["win"]
    assert flags["prize"]
    assert not flags["took"]


def test_not_only_denies_nothing() -> None:
    assert not any(denied(tokens("Not only the queen lays eggs")))


@pytest.mark.parametrize(
    ("claim", "source", "expected"),
    [
        ("in the 1960s", "born in 1961", Standing.HOLDS),
        ("in the 1970s", "born in 1961", Standing.DIFFERS),
        ("in the 19th century", "opened in 1831", Standing.HOLDS),
        ("before 1950", "opened in 1932", Standing.HOLDS),
        ("after 1950", "opened in 1932", Standing.DIFFERS),
        ("two weeks", "within 14 days", Standing.HOLDS),
        ("more than 90 percent", "94% of the patients", Standing.HOLDS),
        ("more than 90 percent", "14% of the patients", Standing.DIFFERS),
        ("fewer than 100,000 people", "84,000 people", Standing.HOLDS),
        ("about half a kilometre", "503 metres", Standing.HOLDS),
        ("three daughters", "opened in 1932", Standing.UNKNOWN),
    ],
)
def test_a_number_holds_by_its_bounds_and_units(claim: str, source: str, expected: Standing) -> None:
    assert standing(quantities(tokens(claim))[0], quantities(tokens(source))) == expected


def test_prefixes_and_endings_deny() -> None:
    assert "honest" in denying_forms("dishonest")
    assert "dishonest" in denying_forms("honest")
    assert "careful" in denying_forms("careless")
    assert "der" not in denying_forms("under")


def test_an_unknown_word_has_no_meaning_and_matches_nothing() -> None:
    assert not meaning("qwrtzpl").wide
