"""Caches replayed over recorded calls: what a plain loop over all pairs finds, and nothing else."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.all_pairs import by_all_pairs
from stanchion_server.costs.caching import asked, embedding, replay, sweep
from stanchion_server.costs.caching.records import Rows, Setting, Traffic

SETTINGS = (
    Setting(0.9, 100.0),
    Setting(0.8, 100.0),
    Setting(0.95, None),
    Setting(None, 100.0),
    Setting(0.9, 30.0, capacity=4),
    Setting(0.85, None, capacity=3, is_shared=False),
    Setting(None, None, capacity=2, is_shared=False),
)


def traffic(calls: int, seed: int, texts: int, keys: int = 2, spread: float = 0.35) -> tuple[Traffic, Rows]:
    draw = np.random.default_rng(seed)
    middles = draw.standard_normal((3, 8))
    rows = middles[draw.integers(0, 3, texts)] + spread * draw.standard_normal((texts, 8))
    # In 64ths, so that sums of products are exact in any order and nobody's rounding decides who is near enough.
    rows = (np.round(64 * rows / np.linalg.norm(rows, axis=1, keepdims=True)) / 64).astype(np.float32)
    made = Traffic(
        at_s=np.sort(draw.integers(0, 4 * calls, calls)).astype(float),
        duration_s=draw.integers(0, 6, calls).astype(float),
        key=draw.integers(0, keys, calls),
        text=draw.integers(0, texts, calls),
        model=draw.integers(0, 2, calls),
        usd=draw.integers(1, 9, calls) / 64,
        is_priced=draw.random(calls) < 0.9,
        is_answered=draw.random(calls) < 0.9,
    )
    return made, rows


@pytest.mark.parametrize("setting", SETTINGS, ids=str)
@given(
    seed=st.integers(0, 2**32 - 1),
    calls=st.integers(1, 60),
    texts=st.integers(1, 30),
    block=st.integers(1, 20),
    tile=st.integers(1, 7),
    pairs=st.integers(1, 60),
)
@settings(max_examples=40, deadline=None)
def test_hits_are_those_of_a_loop_over_all_pairs(
    setting: Setting, seed: int, calls: int, texts: int, block: int, tile: int, pairs: int
) -> None:
    made, rows = traffic(calls, seed, texts)
    others = [one for one in SETTINGS if one != setting]
    found = replay.replay(made, rows, [setting, *others], replay.Portions(block, tile, pairs, fewest=1))
    hits, evicted, expired = by_all_pairs(made, rows, setting)
    outcome = found.outcomes[0]
    assert list(zip(found.served[0].asked.tolist(), found.served[0].answered.tolist(), strict=True)) == hits
    assert outcome.kept is not None
    assert (outcome.hits, outcome.kept.evicted, outcome.kept.expired) == (len(hits), evicted, expired)
    asked = [asked for asked, _answered in hits]
    assert outcome.saved_usd == pytest.approx(float(made.usd[asked].sum()))
    assert outcome.saved_s == pytest.approx(float(made.duration_s[asked].sum()))
    assert outcome.unpriced_hits == int((~made.is_priced[asked]).sum())


def test_a_sweep_gives_each_setting_what_it_gives_alone() -> None:
    made, rows = traffic(400, 5, 120)
    together = replay.replay(made, rows, SETTINGS).outcomes
    assert together == tuple(replay.replay(made, rows, [setting]).outcomes[0] for setting in SETTINGS)
    assert len({outcome.hits for outcome in together}) > 3


def calls_of(at_s: list[float], texts: list[int], **more: list[float]) -> Traffic:
    count = len(at_s)
    return Traffic(
        at_s=np.array(at_s), duration_s=np.array(more.get("duration_s", [0.0] * count)),
        key=np.array(more.get("key", [0] * count)), text=np.array(texts),
        model=np.array(more.get("model", [0] * count)),
        usd=np.full(count, 0.25), is_priced=np.ones(count, bool),
        is_answered=np.array(more.get("is_answered", [1] * count), bool),
    )  # fmt: skip


ALIKE = np.array([[1, 0], [0.96, 0.28], [0, 1]], dtype=np.float32)


def hits_of(made: Traffic, setting: Setting, rows: Rows = ALIKE) -> list[int]:
    return replay.replay(made, rows, [setting]).served[0].asked.tolist()


def test_an_answer_is_served_only_once_it_is_there() -> None:
    made = calls_of([0, 1, 5], [0, 0, 0], duration_s=[3.0, 3.0, 3.0])
    assert hits_of(made, Setting(0.9, None)) == [2]


def test_an_answer_grows_old_from_when_it_was_kept_and_not_from_when_it_was_used() -> None:
    made = calls_of([0, 6, 11, 12], [0, 1, 0, 0])
    assert hits_of(made, Setting(0.9, 10)) == [1, 3]
    assert replay.replay(made, ALIKE, [Setting(0.9, 10)]).outcomes[0].age_p95_s == 6


def test_a_failed_call_leaves_no_answer() -> None:
    assert hits_of(calls_of([0, 1], [0, 0], is_answered=[0, 1]), Setting(0.9, None)) == []


def test_other_instructions_or_other_turns_before_are_another_question() -> None:
    assert hits_of(calls_of([0, 1, 2], [0, 0, 0], key=[0, 1, 0]), Setting(0.9, None)) == [2]


def test_models_share_answers_only_where_they_are_told_to() -> None:
    made = calls_of([0, 1, 2], [0, 1, 0], model=[0, 1, 0])
    assert hits_of(made, Setting(0.9, None)) == [1, 2]
    assert hits_of(made, Setting(0.9, None, is_shared=False)) == [2]


def test_of_several_alike_the_likest_is_served() -> None:
    rows = np.array([[1, 0], [0.8, 0.6], [0.96, 0.28]], dtype=np.float32)
    served = replay.replay(calls_of([0, 1, 2], [0, 1, 2]), rows, [Setting(0.9, None)]).served[0]
    assert (served.asked.tolist(), served.answered.tolist()) == ([2], [0])


def test_no_calls_are_no_hits_and_no_ratio() -> None:
    outcome = replay.replay(calls_of([], []), ALIKE, [Setting(0.9, None)]).outcomes[0]
    assert (outcome.lookups, outcome.hits, outcome.hit_ratio, outcome.age_p50_s) == (0, 0, None, None)


def test_spelling_makes_prompts_alike_and_blanks_and_case_make_them_equal() -> None:
    assert embedding.normalised("  Where\nIS my order? ") == "where is my order?"
    rows = embedding.Lexical().rows(["where is my order 4711", "where is my order 4712", "write a poem", ""])
    assert np.linalg.norm(rows, axis=1) == pytest.approx([1, 1, 1, 0], abs=1e-5)
    assert float(rows[0] @ rows[1]) > 0.75 > 0.3 > float(rows[0] @ rows[2])


def test_upkeep_is_taken_off_and_may_leave_less_than_nothing() -> None:
    made = calls_of([0, 1], [0, 0])
    found = replay.replay(made, ALIKE, [sweep.DEFAULT, sweep.EXACT]).outcomes
    like, equal = (sweep.worth(one, characters=4_000_000) for one in found)
    assert (like.saved_usd, like.upkeep_usd) == (Decimal("0.25"), Decimal("0.020001"))
    assert (equal.net_usd, equal.upkeep_s) == (Decimal("0.249999"), 0.01)
    none = replay.replay(calls_of([0], [0]), ALIKE, [sweep.DEFAULT]).outcomes[0]
    assert sweep.worth(none, characters=4).net_usd < 0 > sweep.worth(none, characters=4).net_s


def question(**content: object) -> asked.Question | None:
    return asked.question_of({"system": [], **content}, "", "")


def named(system: str, version: str = "3", said: str = "where is it?") -> asked.Question:
    """With a prompt's name; no instructions are recorded where `system` is empty."""
    parts = [{"type": "text", "text": system}] if system else []
    found = asked.question_of({"system": parts, "input": [text("user", said)]}, "answer", version)
    assert found is not None
    return found


def text(role: str, said: str) -> dict[str, object]:
    return {"role": role, "parts": [{"type": "text", "text": said}]}


def test_a_question_is_what_the_user_said_since_the_last_answer_and_its_key_is_what_stood_before() -> None:
    first = question(input=[text("user", "Where  IS it?")])
    later = question(input=[text("user", "hi"), text("assistant", "hello"), text("user", "where is it?")])
    assert first is not None and later is not None
    assert first.text == later.text == "where is it?" and first.key != later.key
    assert question(input=[text("user", "where is it?")], system=[text("system", "Be brief")]) != first


def test_calls_whose_question_is_not_told_by_words_are_left_out() -> None:
    picture = {"role": "user", "parts": [{"type": "blob"}, {"type": "text", "text": "what is it?"}]}
    assert question(input=[picture]) is None
    assert question(input=[text("user", "do it"), text("tool", "done")]) is None
    assert question(input=[text("user", "  ")]) is None and question() is None


def test_a_long_question_is_the_same_only_where_all_of_it_is() -> None:
    long = "excerpt " * embedding.LONGEST
    first, other, again = (named("", said=long + said) for said in ("what is new?", "what is old?", "What is  new?"))
    assert first.text == other.text and len(first.text) == embedding.LONGEST
    assert first.key != other.key and first == again
    assert first.characters == len(long) + len("what is new?")


def test_what_was_filled_into_a_prompt_is_a_part_of_the_question() -> None:
    assert named("The customer is Ann.").key != named("The customer is Bob.").key
    assert named("Be brief.", "3") == named("Be brief.", "4")
    assert named("", "3").key != named("", "4").key
    assert named("", "3") == named("", "3")


def test_figures_that_only_look_alike_are_not_the_same_words_and_composed_accents_are() -> None:
    assert embedding.normalised("10²") != embedding.normalised("102")
    assert embedding.normalised("CAFE\u0301") == embedding.normalised("caf\u00e9")
