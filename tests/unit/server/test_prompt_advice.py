"""Advice on what is asked and how: hand-counted examples and published vectors."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stanchion_server.costs.advice import approved, asking_back, condensing, forms, prefixes, several, templates
from stanchion_server.costs.advice.approved import Approved
from stanchion_server.costs.advice.forms import Form
from stanchion_server.costs.advice.prefixes import Beginning
from stanchion_server.costs.advice.records import CallFact, Finding, Graded, ModelName, PromptName, Tariff
from stanchion_server.costs.caching.records import Traffic
from stanchion_server.ingest.records import Status

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
DEAR, SMALL = ModelName("openai", "gpt-4o"), ModelName("openai", "gpt-4o-mini")
PRICES: dict[ModelName, Tariff | None] = {
    DEAR: Tariff(Decimal(10), Decimal(40), Decimal(5), Decimal(10)),
    SMALL: Tariff(Decimal(1), Decimal(4), Decimal("0.5"), Decimal(1)),
}
CALL = CallFact(
    trace_id=UUID(int=1), span_id=1, start_time=NOON, duration_s=2.0, feature="support", model=DEAR, service="web",
    prompt=PromptName("answer", "3"), session_id="", has_user=False, is_streamed=False, status=int(Status.OK),
    tool_call_count=0, input_tokens=100, output_tokens=10, cached_input_tokens=0, usd=Decimal(1_400),
)  # fmt: skip
GROUP = prefixes.group_of(CALL)


def calls(count: int, every_s: float = 1.0, **values: Any) -> list[CallFact]:
    return [replace(CALL, start_time=NOON + timedelta(seconds=number * every_s), **values) for number in range(count)]


def figures(found: Finding) -> dict[str, str]:
    return dict(found.figures)


class TestSeveralQuestions:
    @pytest.mark.parametrize(("size", "ratio"), [(1, 1.0), (2, 1.652), (4, 2.452), (6, 2.923), (10, 3.455)])
    def test_tokens_fall_as_the_estimator_says(self, size: int, ratio: float) -> None:
        assert several.total_ratio(60, 300, 40, 40, size) == pytest.approx(ratio, abs=5e-4)

    def test_a_burst_sends_its_beginning_once_for_every_four_questions(self) -> None:
        (found,) = several.find(calls(60, input_tokens=340, output_tokens=40), {GROUP: Beginning(40, 300, 340)}, PRICES)
        assert found.usd == 45 * 300 * 10 and (found.calls, found.confidence) == (60, "low")
        told = figures(found)
        assert (told["Tokens that prompts begin with"], told["Tokens of a question"]) == ("300", "40")
        assert told["With 4 in a prompt"].endswith("tokens ÷ 2.45")
        assert any("get worse, mixed up or lost" in text for text in found.assumptions)

    def test_bursts_are_a_minute_long_and_lone_questions_wait_for_nobody(self) -> None:
        shared = {GROUP: Beginning(40, 300, 340)}
        assert several.find(calls(60, every_s=61, input_tokens=340), shared, PRICES) == []
        (found,) = several.find(calls(60, every_s=30, input_tokens=340), shared, PRICES)
        assert figures(found)["Bursts of several questions"] == "30, up to 2 questions"
        assert found.usd == 30 * 300 * 10

    def test_tokens_that_the_providers_cache_told_cost_less(self) -> None:
        some = calls(40, input_tokens=340, cached_input_tokens=300)
        (found,) = several.find(some, {GROUP: Beginning(40, 300, 340)}, PRICES)
        assert found.usd == 30 * 300 * 5

    @pytest.mark.parametrize(
        "values",
        [{"has_user": True}, {"session_id": "s"}, {"is_streamed": True}, {"tool_call_count": 1},
         {"input_tokens": 900}, {"status": int(Status.ERROR)}, {"input_tokens": None}],
        ids=str,
    )  # fmt: skip
    def test_people_agents_and_long_questions_are_left_alone(self, values: dict[str, Any]) -> None:
        some = calls(60, **{"input_tokens": 340, **values})
        assert (
            several.find(some, {GROUP: Beginning(40, 300, 340 if values.get("input_tokens") != 900 else 900)}, PRICES)
            == []
        )

    @given(st.lists(st.integers(0, 600), min_size=20, max_size=80), st.integers(1, 12))
    def test_no_size_saves_more_than_the_beginnings_cost(self, seconds: list[int], size: int) -> None:
        some = [replace(CALL, start_time=NOON + timedelta(seconds=at), input_tokens=340) for at in seconds]
        for found in several.find(some, {GROUP: Beginning(40, 300, 340)}, PRICES):
            assert 0 < found.usd < len(some) * 300 * 10
        assert several.total_ratio(len(seconds), 300, 40, 40, size) >= 1


def answered(text: str) -> dict[str, Any]:
    return {"output": [{"role": "assistant", "parts": [{"type": "text", "text": text}]}]}


class TestForms:
    @pytest.mark.parametrize(
        ("text", "form"),
        [('{"a": 1}', Form.JSON), ("[1, 2]", Form.JSON), ('```json\n{"a": 1}\n```', Form.JSON),
         ('{"a": 1', Form.BROKEN), ("It is 1.", Form.PROSE), ("```python\nx\n```", Form.PROSE), ("", None),
         ("{" * 5_000, Form.BROKEN), ("{" + " " * 100_000, Form.BROKEN), ("x" * 100_001, None)],
        ids=lambda value: str(value)[:12],
    )  # fmt: skip
    def test_the_form_of_an_answer_is_told_by_its_text(self, text: str, form: Form | None) -> None:
        assert forms.form_of(answered(text)) is form

    def test_calls_of_tools_and_calls_without_an_answer_have_no_form(self) -> None:
        asked = {"output": [{"role": "assistant", "parts": [{"type": "tool_call", "id": "1", "name": "f"}]}]}
        assert forms.form_of(asked) is None and forms.form_of({}) is None

    def test_prose_that_is_longer_than_json_is_found_with_both_lengths(self) -> None:
        """Prose of 749 characters against 90 as JSON: 188 and 23 tokens."""
        some = [*calls(30, output_tokens=188), *calls(40, output_tokens=23), *calls(1, output_tokens=23)]
        told = {place: Form.PROSE if place < 30 else Form.JSON for place in range(70)} | {70: Form.BROKEN}
        (found,) = forms.find(some, told, PRICES)
        assert (found.usd, found.calls, found.confidence) == (30 * 165 * 40, 30, "low")
        assert figures(found)["as JSON"] == "23, by 40"
        assert figures(found)["Begun like JSON and not readable"] == "1 of 41"

    def test_answers_of_other_models_and_of_prompts_without_a_name_are_not_compared(self) -> None:
        told = {place: Form.PROSE if place < 30 else Form.JSON for place in range(60)}
        for change in ({"model": SMALL}, {"feature": "search"}, {"prompt": PromptName("sort", "3")}):
            some = [*calls(30, output_tokens=188), *calls(30, output_tokens=23, **change)]
            assert forms.find(some, told, PRICES) == [], change
        nameless = PromptName("", "")
        some = [*calls(30, output_tokens=188, prompt=nameless), *calls(30, output_tokens=23, prompt=nameless)]
        assert forms.find(some, told, PRICES) == []
        versions = [
            *calls(30, output_tokens=188), *calls(30, output_tokens=23, prompt=PromptName("answer", "4")),
        ]  # fmt: skip
        assert len(forms.find(versions, told, PRICES)) == 1

    def test_short_prose_few_answers_and_chance_are_no_finding(self) -> None:
        told = {place: Form.PROSE if place < 30 else Form.JSON for place in range(60)}
        assert forms.find([*calls(30, output_tokens=20), *calls(30, output_tokens=23)], told, PRICES) == []
        assert forms.find(calls(59, output_tokens=20), {place: told[place] for place in range(59)}, PRICES) == []
        noisy = [call for size in (1, 199) for call in calls(15, output_tokens=size)]
        assert forms.find([*noisy, *calls(30, output_tokens=99)], told, PRICES) == []


PRICED = Decimal("0.0000015"), Decimal("0.000002")
"""Input and output token of GPT-3.5 Turbo with 4K of context, 2023."""


def legal(session: str, turns: Sequence[tuple[int, int]]) -> list[CallFact]:
    """A conversation of (input, output) tokens, a minute a turn."""
    return [
        replace(
            CALL, session_id=session, start_time=NOON + timedelta(minutes=turn), input_tokens=given, output_tokens=said,
            usd=given * PRICED[0] + said * PRICED[1],
        )
        for turn, (given, said) in enumerate(turns)
    ]  # fmt: skip


class TestAskingBack:
    def conversations(self, back: int, straight: int) -> tuple[list[CallFact], dict[int, asking_back.Turn]]:
        found: list[CallFact] = []
        turns: dict[int, asking_back.Turn] = {}
        for number in range(back):
            found += legal(f"back {number}", [(9, 53), (72, 57), (139, 69)])
            turns |= {len(found) - 3 + turn: asking_back.Turn(36, turn < 2) for turn in range(3)}
        for number in range(straight):
            found += legal(f"straight {number}", [(27, 140)])
            turns[len(found) - 1] = asking_back.Turn(107, False)
        return found, turns

    def test_the_published_dialogue_costs_as_much_with_and_without_context_up_front(self) -> None:
        found, turns = self.conversations(20, 30)
        (one,) = asking_back.find(found, turns, {})
        told = figures(one)
        assert told["A conversation in which it asked back"].startswith("$0.0006880, 3.0 turns, 20")
        assert told["and one in which it did not"].startswith("$0.0003205, 1.0 turns, 30")
        assert one.usd == 20 * ((9 + 72) * PRICED[0] + (53 + 57) * PRICED[1])
        assert (one.calls, one.seconds, one.confidence) == (40, 80.0, "low")
        assert told["Three or more"] == "$0.0006880, 20 conversations"
        assert told["First message below 107 characters, the shorter half"].endswith("25 conversations")

    def test_conversations_rated_well_tell_what_one_of_them_costs(self) -> None:
        found, turns = self.conversations(20, 30)
        (one,) = asking_back.find(found, turns, {"back 1": True, "straight 1": False})
        assert figures(one)["Cost of rated conversations for each rated well"] == "$0.0010085, 1 of 2"

    def test_too_few_no_dearer_or_unpriced_conversations_are_no_finding(self) -> None:
        assert asking_back.find(*self.conversations(19, 30), {}) == []
        found, turns = self.conversations(20, 30)
        same = [replace(call, usd=Decimal(3) if "straight" in call.session_id else Decimal(1)) for call in found]
        assert asking_back.find(same, turns, {}) == []
        assert asking_back.find([replace(call, usd=None) for call in found], turns, {}) == []

    @pytest.mark.parametrize(
        ("text", "asks"),
        [("Which order do you mean?", True), ("どちらですか？", True), ("It is on its way.", False),
         ("Long story. " * 30 + "Anything else?", False), ("", False)],
        ids=lambda value: str(value)[:12],
    )  # fmt: skip
    def test_a_short_answer_that_ends_with_a_question_asks_back(self, text: str, asks: bool) -> None:
        told = asking_back.turn_of(replace(CALL, session_id="s"), 10, answered(text))
        assert told == asking_back.Turn(10, asks)

    def test_calls_outside_sessions_and_steps_of_agents_are_no_turns(self) -> None:
        assert asking_back.turn_of(CALL, 10, answered("Why?")) is None
        assert asking_back.turn_of(replace(CALL, session_id="s", tool_call_count=1), 10, answered("Why?")) is None

    def test_a_question_that_nobody_answered_asked_back_in_vain(self) -> None:
        found, turns = self.conversations(20, 30)
        last = {place: replace_turn(turn, found, place) for place, turn in turns.items()}
        (one,) = asking_back.find(found, last, {})
        assert one.calls == 40


def replace_turn(turn: asking_back.Turn, found: Sequence[CallFact], place: int) -> asking_back.Turn:
    return replace(turn, asks_back=turn.asks_back or place == len(found) - 1)


class TestCondensing:
    long = {GROUP: Beginning(40, 100, 5_100)}

    def test_the_smaller_models_price_is_taken_off(self) -> None:
        some = calls(50, input_tokens=5_100, output_tokens=100)
        (found,) = condensing.find(some, self.long, {}, PRICES, [])
        # 5,000 tokens: three quarters at 10 saved, all at 1 and a quarter at 4 paid.
        assert found.usd == 50 * 5_000 * (Decimal("7.5") - 2) and found.confidence == "low"
        assert figures(found)["Context tokens of a call, before"] == "5,000"
        assert figures(found)["and after"] == "1,250"

    def test_the_beginning_and_the_history_are_not_what_is_shortened(self) -> None:
        some = calls(50, input_tokens=5_100, output_tokens=100)
        carried = dict.fromkeys(range(50), condensing.Carried(5_100, 4_000, 3_000))
        assert condensing.find(some, self.long, carried, PRICES, []) == []
        assert condensing.find(some, {GROUP: Beginning(40, 4_000, 5_100)}, {}, PRICES, []) == []

    def test_definitions_of_tools_and_their_results_are_no_context_to_shorten(self) -> None:
        some = calls(50, input_tokens=10_200, output_tokens=100)
        half = {GROUP: Beginning(40, 100, 5_100, data_characters=5_100)}
        (found,) = condensing.find(some, half, {}, PRICES, [])
        told = figures(found)
        assert told["Context tokens of a call, before"] == "5,000"
        assert told["Definitions of tools and other JSON, left as they are"] == "5,100"
        assert condensing.find(some, {GROUP: Beginning(40, 100, 1_100, data_characters=9_100)}, {}, PRICES, []) == []

    def test_json_beside_the_texts_is_measured_where_it_is_sent(self) -> None:
        called = {"type": "tool_call", "name": "find", "arguments": {"q": "shoes"}}
        content = {"tools": [{"name": "find"}], "input": [{"role": "user", "parts": [{"type": "text", "text": "Hi"}]}]}
        assert prefixes.data_of(content) == len('[{"name":"find"}]')
        content["input"].append({"role": "assistant", "parts": [called]})
        assert prefixes.data_of(content) == len('[{"name":"find"}]') + len(json.dumps(called, separators=(",", ":")))
        samples = prefixes.Samples(calls(60))
        for call in calls(60):
            samples.add(call, content)
        assert samples.beginnings()[GROUP].data_characters == prefixes.data_of(content)

    def test_writers_short_context_few_calls_and_the_smaller_model_itself_are_left_alone(self) -> None:
        def found(count: int = 50, **values: Any) -> list[Finding]:
            some = calls(count, **{"input_tokens": 5_100, "output_tokens": 100, **values})
            beginnings = {prefixes.group_of(some[0]): self.long[GROUP]}
            return condensing.find(some, beginnings, {}, PRICES, [])

        assert found() and not found(output_tokens=600) and not found(input_tokens=1_500) and not found(count=49)
        assert not found(model=SMALL)

    def test_scored_relevance_of_the_sources_is_told_where_it_is_recorded(self) -> None:
        graded = [Graded("support", DEAR, "context_relevance 2", 80, 20), Graded("search", DEAR, "x 1", 80, 20)]
        some = calls(50, input_tokens=5_100, output_tokens=100)
        (found,) = condensing.find(some, self.long, {}, PRICES, graded)
        assert figures(found)["Calls whose sources were scored irrelevant"] == "25.0% of 80"


class TestTemplates:
    def test_a_template_tells_its_fixed_share_what_that_costs_and_its_twins(self) -> None:
        text = "You are a friendly helper. " * 20
        other = replace(CALL, prompt=PromptName("reply", "1"))
        version = replace(CALL, prompt=PromptName("answer", "4"))
        beginnings = {
            GROUP: Beginning(40, 75, 100, text),
            prefixes.group_of(other): Beginning(40, 75, 100, f"{text} And brief."),
            prefixes.group_of(version): Beginning(40, 50, 100, text),
        }
        first, *rest = templates.told([*calls(10), other, version], beginnings, PRICES)
        assert (first.prompt.name, first.calls, first.tokens, first.fixed_tokens) == ("answer", 10, 100, 75)
        assert (first.fixed_ratio, first.fixed_usd, first.twins) == (0.75, 7_500, ("reply",))
        assert {one.prompt.name: one.twins for one in rest} == {"reply": ("answer",), "answer": ("reply",)}

    def test_own_hardware_has_no_price_per_token(self) -> None:
        free: dict[ModelName, Tariff | None] = {DEAR: Tariff(Decimal(0), Decimal(0), Decimal(0), Decimal(0))}
        (one,) = templates.told([CALL], {GROUP: Beginning(9, 50, 100, "")}, free)
        assert one.fixed_usd is None

    def test_short_and_other_beginnings_are_no_twins_and_none_is_no_template(self) -> None:
        other = replace(CALL, prompt=PromptName("reply", "1"))
        for mine, theirs in (("Hello.", "Hello."), ("a" * 300, "a" * 200 + "b" * 100)):
            beginnings = {GROUP: Beginning(9, 50, 100, mine), prefixes.group_of(other): Beginning(9, 50, 100, theirs)}
            assert [one.twins for one in templates.told([CALL, other], beginnings, PRICES)] == [(), ()]
        assert templates.told([CALL], {GROUP: Beginning(9, 0, 100, "")}, PRICES) == []

    def test_what_prompts_begin_with_is_kept_with_its_length(self) -> None:
        shared = prefixes.beginning([*(f"Be brief. {number}" for number in range(9)), "Otherwise"])
        assert shared is not None and shared.text == "Be brief. " and shared.characters == len(shared.text)


def asked(texts: Sequence[int], keys: Sequence[int] | None = None) -> Traffic:
    """A call a second, answered at once."""
    count = len(texts)
    return Traffic(
        np.arange(count).astype(float), np.zeros(count), np.array(keys or [0] * count), np.array(texts),
        np.zeros(count, np.int64), np.full(count, 1.0), np.ones(count, bool), np.ones(count, bool),
    )  # fmt: skip


ROWS = np.array([[1, 0], [0.95, 0.3122], [0.85, 0.5268], [0, 1]], dtype=np.float32)
"""Questions with cosines of 0.95, 0.85 and 0 to the first."""


class TestApproved:
    def test_later_questions_get_the_likest_answer_that_was_approved_by_then(self) -> None:
        found = approved.match(asked([0, 1, 0, 2, 3, 1]), ROWS, [Approved(0, 2.0, False), Approved(1, 4.5, False)])
        assert found.answer.tolist() == [-1, -1, 0, 0, -1, 1]
        assert found.likeness[[2, 5]].tolist() == [2.0, 2.0] and found.likeness[3] == pytest.approx(0.85)

    def test_other_instructions_and_the_own_answer_do_not_count(self) -> None:
        found = approved.match(asked([0, 0, 0], [0, 1, 0]), ROWS, [Approved(0, 0.0, True)])
        assert found.answer.tolist() == [-1, -1, 0]

    def test_a_finding_counts_answered_questions_and_those_with_an_example(self) -> None:
        traffic, good = asked([0, *[0] * 4, *[1] * 3, *[2] * 2, 3]), [Approved(0, 0.5, True)]
        some = [replace(CALL, usd=Decimal(1)) for _call in range(len(traffic))]
        matches = approved.match(traffic, ROWS, good)
        (found,) = approved.find(some, [40] * len(some), good, matches)
        assert found.calls == 7 and found.confidence == "low"
        assert found.usd == 7 - 11 * approved.LOOKUP_USD - 110 * approved.EMBEDDING_USD_PER_MTOK / 1_000_000
        told = figures(found)
        assert told["Approved answers"] == "1, 1 of them written anew by people"
        assert told["of them with the very same words"] == "4"
        assert [value for name, value in told.items() if name.startswith("Further")] == ["2"]

    def test_few_answered_questions_are_no_finding(self) -> None:
        traffic, good = asked([0] * 5), [Approved(0, 0.5, False)]
        matches = approved.match(traffic, ROWS, good)
        assert approved.find([CALL] * 5, [40] * 5, good, matches) == []

    @given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 1)), min_size=1, max_size=30), st.data())
    def test_matches_are_those_of_a_loop_over_all_pairs(self, told: list[tuple[int, int]], data: st.DataObject) -> None:
        traffic = asked([text for text, _key in told], [key for _text, key in told])
        good = [
            Approved(place, data.draw(st.integers(place, 30)) + 0.5, False)
            for place in data.draw(st.sets(st.integers(0, len(told) - 1), max_size=5))
        ]
        found = approved.match(traffic, ROWS, good)
        for place, (text, key) in enumerate(told):
            likes = [
                2.0 if told[one.place][0] == text else float(ROWS[text] @ ROWS[told[one.place][0]])
                for one in good
                if one.at_s <= place != one.place and told[one.place][1] == key
            ]
            best = max((like for like in likes if like >= 0.8 - 1e-6), default=None)
            assert (found.answer[place] >= 0) == (best is not None)
            if best is not None:
                assert found.likeness[place] == pytest.approx(best, abs=1e-6)
