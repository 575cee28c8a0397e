"""Published examples V7, V10, V16 and V19: tokens of a text, answers of a batch, small probes, a team, a run's CO2.

Exact counts and the published ids need vocabularies: tests/contract/test_contract_tokens.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stanchion_server.costs import vocabularies
from stanchion_server.costs.calculators import catalogue, checks
from stanchion_server.costs.calculators.batched import batched
from stanchion_server.costs.calculators.checks import Asked
from stanchion_server.kernel.errors import SenderError


def answers(name: str, **given: object) -> Mapping[str, Any]:
    result = catalogue.ask(name, {key: str(value) for key, value in given.items()}).result
    return {line.name: line.value for line in result.lines}


def test_v7_the_rules_of_thumb_need_no_vocabulary() -> None:
    found = answers("text-tokens", text="one two three")
    assert (found["words"], found["chars"], found["tokens_by_words"]) == (3, 13, 4)
    assert found["tokens_by_chars"] == Decimal("3.25")


def test_v7_a_vocabulary_that_is_not_here_gives_no_count_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    vocabularies._encoding.cache_clear()
    answer = catalogue.ask("text-tokens", {"text": "one two three"}).result
    vocabularies._encoding.cache_clear()
    assert [line.name for line in answer.lines if line.value is None] == [
        "tokens_gpt2", "tokens_cl100k_base", "tokens_o200k_base"]  # fmt: skip
    assert answer.lines[0].name == "tokens_by_words"
    assert "Not installed here: gpt2, cl100k_base, o200k_base" in answer.notes[0]


PROMPT = """Answer like the examples.
Q[1] There are 3 cars and 2 more arrive. How many are there?
Q[2] Leah had 32 chocolates and ate 10. How many are left?
A[1] 5
A[2] 22
Q[3] There are 5 trees and 3 more are planted. How many are there?
Q[4] There are 7 birds and 5 fly away. How many are left?"""


def test_v10_a_batch_of_two_questions_gets_both_answers() -> None:
    found = batched(PROMPT, "A[3]: 8\nA[4]: 2")
    assert (found.answers, found.lost, found.unasked) == ({3: "8", 4: "2"}, (), ())


@pytest.mark.parametrize(
    ("answer", "lost", "unasked", "repeated"),
    [
        ("A[3] 8", (4,), (), ()), ("A[3] 8\nA[4]", (4,), (), ()), ("8 and 2", (3, 4), (), ()), ("", (3, 4), (), ()),
        ("A[1] 5\nA[3] 8\nA[4] 2", (), (1,), ()), ("A[3] 8\nA[4] 2\nA[5] 9", (), (5,), ()),
        ("A[3] 8\nA[3] 9\nA[4] 2", (), (), (3,)), ("AA[3] 8 A[4] 2", (3,), (), ()),
    ],
)  # fmt: skip
def test_v10_a_missing_index_is_a_lost_answer(
    answer: str, lost: tuple[int, ...], unasked: tuple[int, ...], repeated: tuple[int, ...]
) -> None:
    found = batched(PROMPT, answer)
    assert (found.lost, found.unasked, found.repeated) == (lost, unasked, repeated)
    assert answers("batched-answers", prompt=PROMPT, answer=answer or "none")["lost"] == len(lost)


@given(st.sets(st.integers(0, 999), max_size=20), st.sets(st.integers(0, 999), max_size=20))
def test_v10_every_open_question_is_answered_or_lost(asked: set[int], answered: set[int]) -> None:
    found = batched("\n".join(f"Q[{one}] ?" for one in asked), "\n".join(f"A[{one}] yes" for one in answered))
    assert (set(found.answers), set(found.lost)) == (asked & answered, asked - answered)
    assert set(found.unasked) == answered - asked


# V16: odd numbers, order of options, arithmetic


@pytest.mark.parametrize(
    ("numbers", "total"),
    [((15, 32, 5, 13, 82, 7, 1), 41), ((4, 8, 9, 15, 12, 2, 1), 25), ((16, 11, 14, 4, 8, 13, 24), 24), ((), 0)],
)
def test_v16_the_odd_numbers_sum_to(numbers: tuple[int, ...], total: int) -> None:
    assert checks.odd_sum(numbers) == total


def test_v16_the_recorded_answers_go_by_the_place_and_not_by_the_truth() -> None:
    found = checks.order_of([Asked(("True", "False"), "False"), Asked(("False", "True"), "True")])
    assert (found.pairs, found.flips, found.flip_ratio) == (1, 1, 1)
    assert (found.picked_last, found.picked_first) == (2, 0)
    steady = checks.order_of([Asked(("True", "False"), "False"), Asked(("False", "True"), "False")])
    assert (steady.flip_ratio, steady.picked_last, steady.picked_first) == (0, 1, 1)
    assert checks.order_of([Asked(("True", "False"), "False")]).flip_ratio is None


@pytest.mark.parametrize("line", ["True, False", "True -> False", "True, True -> True", "True, False -> Maybe", "->"])
def test_v16_an_asking_that_cannot_be_read_is_named(line: str) -> None:
    with pytest.raises(SenderError, match="is not like"):
        answers("option-order", askings=line)


TRIP = {"numbers": "348", "unit": "mi", "claimed": 600, "claimed_unit": "km"}
SUM = "460700/10000/1500/10000/6000"


@pytest.mark.parametrize(
    ("given", "is_right", "computed"),
    [
        ({**TRIP, "relation": "is less than"}, True, "560.05"),
        ({"numbers": SUM, "claimed": 458_000}, False, "488200"),
        ({"numbers": "3949000", "unit": "ft", "claimed": 748, "claimed_unit": "mi"}, True, "747.92"),
        ({"numbers": "7", "unit": "C", "claimed": "44.6", "claimed_unit": "F"}, True, "44.60"),
        ({"numbers": "43", "unit": "F", "claimed": "6.11", "claimed_unit": "C"}, True, "6.11"),
        ({"numbers": "12", "claimed": 5}, False, "12"),
        ({"numbers": "49/0.43", "operation": "first to the power of the second", "claimed": "1.5"}, False, "5.33"),
        ({"numbers": "15/32/5", "operation": "sum of the odd ones", "claimed": 20}, True, "20"),
    ],
)  # fmt: skip
def test_v16_a_claimed_number_is_computed_again(given: dict[str, object], is_right: bool, computed: str) -> None:
    operation = {} if "/" in str(given["numbers"]) else {"operation": "the first alone"}
    found = answers("figure-check", **operation, **given)
    assert (found["is_right"], round(found["computed"], 2)) == (is_right, Decimal(computed))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"unit": "mi", "claimed_unit": "kg"}, "does not measure what unit does"),
        ({"numbers": "2", "operation": "first to the power of the second"}, "a power needs base/exponent"),
        ({"numbers": "-2/3", "operation": "first to the power of the second"}, "base above 0"),
        ({"numbers": "999999/900", "operation": "first to the power of the second"}, "too many digits"),
        ({"numbers": "9/100000", "operation": "first to the power of the second"}, "exponent to 1000"),
        ({"numbers": "1.5", "operation": "sum of the odd ones"}, "only whole numbers"),
    ],
)
def test_v16_what_cannot_be_computed_says_what_can(given: dict[str, object], message: str) -> None:
    with pytest.raises(SenderError, match=message):
        answers("figure-check", **given)


@given(st.sampled_from(sorted(checks.UNITS)), st.sampled_from(sorted(checks.UNITS)), st.integers(-(10**6), 10**6))
def test_v16_a_conversion_there_and_back_changes_nothing(given_unit: str, wanted: str, value: int) -> None:
    there = checks.converted(Decimal(value), given_unit, wanted)
    if there is None:
        assert checks.UNITS[given_unit][0] != checks.UNITS[wanted][0]
    else:
        back = checks.converted(there, wanted, given_unit)
        assert back is not None
        assert abs(back - value) < Decimal("1e-12")


@given(st.integers(-200, 10_000))
def test_a_round_temperature_is_the_same_in_both_units_without_any_tolerance(steps: int) -> None:
    celsius, fahrenheit = str(5 * steps), str(32 + 9 * steps)
    for value, unit, claimed, claimed_unit in ((celsius, "C", fahrenheit, "F"), (fahrenheit, "F", celsius, "C")):
        given = {"numbers": value, "unit": unit, "claimed": claimed, "claimed_unit": claimed_unit, "tolerance_ratio": 0}
        right = [
            answers("figure-check", operation="the first alone", relation=relation, **given)["is_right"]
            for relation in ("equals", "is less than", "is more than")
        ]
        assert right == [True, False, False]


# V19: people, and a training run in cars


def test_v19_the_published_team_lacks_whoever_minds_ethics_and_cost() -> None:
    assert (len(checks.ROLES), checks.missing_roles(checks.ROLES)) == (11, checks.OMITTED_ROLES)
    assert answers("team-roles")["missing"] == "ethics and safety, cost"
    full = answers("team-roles", roles=", ".join((*checks.ROLES, *checks.OMITTED_ROLES)).upper())
    assert (full["missing"], full["missing_count"], full["other"]) == ("none", 0, "none")
    assert answers("team-roles", roles="LLMOps\nbarista")["other"] == "barista"


def test_v19_a_large_training_run_emits_what_five_cars_do() -> None:
    run_kg, car_kg = (checks.converted(Decimal(pounds), "lb", "kg") for pounds in (626_000, 125_200))
    assert run_kg is not None
    assert car_kg is not None
    assert (round(run_kg / 1000, 2), round(car_kg / 1000, 2)) == (Decimal("283.95"), Decimal("56.79"))
    found = answers("energy", watts=1000, hours=1000, grid_g_per_kwh="283.95", cards=1000)
    assert (round(found["co2e_kg"]), round(found["car_lifetimes"])) == (283_950, 5)
