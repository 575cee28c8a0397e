"""Advice: what each finding comes to, by hand-counted examples and by what must hold for any traffic."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stanchion_server.costs.advice import caches, history, lengths, prefixes, tariffs, waste, whatif
from stanchion_server.costs.advice.records import CallFact, Finding, Graded, ModelName, PromptName, Tariff
from stanchion_server.costs.caching import sweep
from stanchion_server.costs.caching.records import Outcome
from stanchion_server.costs.pricing import PriceBook
from stanchion_server.ingest.records import Status

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
DEAR, CHEAP = ModelName("openai", "gpt-4o"), ModelName("openai", "gpt-4o-mini")
PRICES = {
    DEAR: Tariff(Decimal(10), Decimal(40), Decimal(5), Decimal(10)),
    CHEAP: Tariff(Decimal(1), Decimal(4), Decimal("0.5"), Decimal(1)),
}
CALL = CallFact(
    trace_id=UUID(int=1), span_id=1, start_time=NOON, duration_s=2.0, feature="support", model=DEAR, service="web",
    prompt=PromptName("answer", "3"), session_id="", has_user=True, is_streamed=False, status=int(Status.OK),
    tool_call_count=0, input_tokens=100, output_tokens=10, cached_input_tokens=0, usd=Decimal(1_400),
)  # fmt: skip


def calls(count: int, every: timedelta = timedelta(minutes=1), **values: object) -> list[CallFact]:
    return [replace(CALL, start_time=NOON + number * every, **values) for number in range(count)]  # type: ignore[arg-type]


def test_a_cheaper_model_is_priced_with_the_same_tokens_and_its_quality_is_not_known_without_scores() -> None:
    (found,) = whatif.find(whatif.used(calls(30)), {**PRICES}, [])
    assert (found.subject, found.usd, found.spend_usd) == ("gpt-4o → gpt-4o-mini", Decimal(37_800), Decimal(42_000))
    assert found.confidence == "low" and found.assumptions[0].startswith("Quality is not known")
    assert whatif.find(whatif.used(calls(19)), PRICES, []) == []


def graded(dear: int, cheap: int, scored: int = 100) -> list[Graded]:
    return [Graded("support", DEAR, "judge 1", scored, dear), Graded("support", CHEAP, "judge 1", scored, cheap)]


def test_scores_decide_whether_a_cheaper_model_is_proposed() -> None:
    used = whatif.used(calls(30))
    (as_good,) = whatif.find(used, PRICES, graded(300, 300, scored=3_000))
    assert as_good.confidence == "medium" and ("Flagged by judge 1", "10.0% instead of 10.0%") in as_good.figures
    assert "1.5 points more" in as_good.assumptions[0]
    assert whatif.find(used, PRICES, graded(10, 40)) == []
    (unknown,) = whatif.find(used, PRICES, graded(1, 4, scored=10))
    assert unknown.confidence == "low" and unknown.assumptions[0].startswith("Quality is not known")


def test_a_difference_that_chance_may_hide_is_no_proof_of_quality() -> None:
    (found,) = whatif.find(whatif.used(calls(30)), PRICES, graded(49, 60))
    assert found.confidence == "low" and "points more" in found.assumptions[0]
    (silent,) = whatif.find(whatif.used(calls(30)), PRICES, graded(0, 0, scored=50))
    assert silent.confidence == "low"


def test_a_model_without_a_price_is_neither_proposed_nor_replaced() -> None:
    assert whatif.find(whatif.used(calls(30, usd=None)), PRICES, []) == []
    assert whatif.find(whatif.used(calls(30)), {DEAR: PRICES[DEAR], CHEAP: None}, []) == []


def test_a_limit_saves_the_output_beyond_the_95th_percentile() -> None:
    some = [*calls(95), *calls(5, output_tokens=110)]
    (found,) = lengths.find(some, PRICES)
    assert (found.usd, found.calls) == (5 * 100 * PRICES[DEAR].output_usd, 5)
    assert found.seconds == pytest.approx(5 * 2.0 * 100 / 110)
    assert lengths.find(calls(99, output_tokens=5), PRICES) == []


@given(st.lists(st.integers(0, 5_000), min_size=1, max_size=60))
def test_a_higher_cap_never_saves_more_and_the_longest_saves_nothing(found: list[int]) -> None:
    caps = sorted({lengths.percentile(sorted(found), percent) for percent in (50, 75, 90, 95, 99, 100)})
    saved = [sum(max(0, length - cap) for length in found) for cap in caps]
    assert saved == sorted(saved, reverse=True) and saved[-1] == 0


def said(role: str, text: str) -> dict[str, object]:
    return {"role": role, "parts": [{"type": "text", "text": text}]}


def conversation(session: str, turns: int) -> list[tuple[CallFact, dict[str, object]]]:
    """Instructions of 80 letters, questions and answers of 10: turn n has 90 + 20 n letters, a token each."""
    told: list[dict[str, object]] = []
    found = []
    for turn in range(turns):
        told = [*told, said("user", f"question {turn}")]
        answer = said("assistant", f"{session} says {turn:02}")
        call = replace(
            CALL, session_id=session, start_time=NOON + turn * timedelta(seconds=9), input_tokens=90 + 20 * turn
        )
        content = {"system": [{"type": "text", "text": "i" * 80}], "input": told, "output": [answer]}
        found.append((call, content))
        told = [*told, answer]
    return found


def looked_at(pairs: list[tuple[CallFact, dict[str, object]]]) -> list[Finding]:
    """What is found in calls with their contents, in order of time."""
    conversations = history.Conversations()
    told = {place: conversations.carried(call, content) for place, (call, content) in enumerate(pairs)}
    carried = {place: one for place, one in told.items() if one is not None}
    return history.find([call for call, _content in pairs], carried, PRICES)


def sessions(turns: int, count: int = 5) -> list[tuple[CallFact, dict[str, object]]]:
    return list(itertools.chain.from_iterable(conversation(f"s{number}", turns) for number in range(count)))


def test_history_older_than_two_exchanges_is_what_the_recorded_inputs_hold_of_it() -> None:
    (found,) = looked_at(sessions(5))
    # Turns 3 and 4 carry one and two exchanges too many, of 20 tokens each.
    assert found.usd == 5 * (20 + 40) * PRICES[DEAR].input_usd
    assert (found.calls, found.confidence) == (10, "low")
    assert dict(found.figures)["of them history sent again"] == f"{20 + 40 + 60 + 80}"
    assert looked_at(sessions(5, count=4)) == [] == looked_at(sessions(3))


def test_calls_of_like_size_are_no_history_without_texts_that_show_it() -> None:
    sizes = [200, *[3_000] * 9]
    pairs: list[tuple[CallFact, dict[str, object]]] = []
    for session, place in itertools.product(range(5), range(10)):
        call = replace(CALL, session_id=f"s{session}", input_tokens=sizes[place])
        pairs.append(
            (call, {"input": [said("user", f"document {place}")], "output": [said("assistant", f"it is {place}")]})
        )
    assert looked_at(pairs) == []
    assert looked_at([(call, {}) for call, _content in sessions(5)]) == []
    assert looked_at([(replace(call, session_id=""), content) for call, content in sessions(5)]) == []


def test_calls_with_another_purpose_are_another_conversation() -> None:
    prompts = [PromptName(f"step {number}", "1") for number in range(5)]
    apart = [(replace(call, prompt=prompts[place % 5]), content) for place, (call, content) in enumerate(sessions(5))]
    assert looked_at(apart) == []


def test_examples_are_no_history_even_where_they_are_answered_alike() -> None:
    examples = [
        said(role, text) for number in range(6) for role, text in (("user", f"{number}?"), ("assistant", "good"))
    ]
    pairs: list[tuple[CallFact, dict[str, object]]] = [
        (
            replace(CALL, session_id=f"s{session}"),
            {"input": [*examples, said("user", f"{place}!")], "output": [said("assistant", "good")]},
        )
        for session, place in itertools.product(range(5), range(10))
    ]
    assert looked_at(pairs) == []


def test_a_session_with_several_conversations_is_one_session() -> None:
    other = PromptName("other", "1")
    some = sessions(5, count=4)
    assert looked_at([*some, *((replace(call, prompt=other), content) for call, content in some)]) == []


def test_of_many_choices_the_first_few_are_remembered() -> None:
    conversations = history.Conversations()
    call = replace(CALL, session_id="s")
    choices = [said("assistant", f"choice {number}") for number in range(history.MOST_CHOICES + 1)]
    assert conversations.carried(call, {"input": [said("user", "?")], "output": choices}) is None
    for choice, is_known in ((choices[-2], True), (choices[-1], False)):
        told = [said("user", "?"), choice, said("user", "and?")]
        assert (conversations.carried(call, {"input": told}) is not None) == is_known


def test_what_is_sent_beside_texts_is_never_taken_for_history() -> None:
    picture = {"role": "user", "parts": [{"type": "media"}]}
    assert (
        looked_at([(call, {**content, "input": [picture, *content["input"]]}) for call, content in sessions(5)]) == []
    )  # type: ignore[misc]
    (bare,) = looked_at(sessions(5))
    (tooled,) = looked_at([(call, {**content, "tools": ["t" * 500]}) for call, content in sessions(5)])
    assert tooled.usd < bare.usd


MESSAGES = st.lists(st.tuples(st.sampled_from(["user", "assistant", "tool"]), st.text("abc ", max_size=4)), max_size=12)


@given(st.lists(st.tuples(MESSAGES, st.text("abc ", max_size=4)), max_size=6))
def test_no_call_carries_more_than_it_was_sent(turns: list[tuple[list[tuple[str, str]], str]]) -> None:
    conversations = history.Conversations()
    for told, answer in turns:
        content = {"input": [said(*one) for one in told], "output": [said("assistant", answer)]}
        found = conversations.carried(replace(CALL, session_id="s"), content)
        assert found is None or 0 <= found.older <= found.history <= found.characters == sum(
            len(one) for _by, one in told
        )


def test_failures_count_what_they_cost_and_say_whose_cost_is_not_known() -> None:
    failed = int(Status.ERROR)
    some = [*calls(60), *calls(30, status=failed, usd=None), *calls(10, status=failed)]
    (found,) = waste.failures(some)
    assert (found.usd, found.calls, found.seconds, found.confidence) == (Decimal(14_000), 40, 80.0, "low")
    assert any("The cost of 30 of them is not known" in one for one in found.assumptions)
    assert found.where == {"feature": "support", "status": "error"}
    assert waste.failures(calls(60)) == []


def test_failures_of_more_features_than_are_told_are_counted_together() -> None:
    many = [
        replace(
            calls(1)[0],
            feature=f"f{place}",
            status=int(Status.ERROR),
            usd=Decimal(place + 1),
            trace_id=UUID(int=place + 1),
        )
        for place in range(60)
    ]
    found = waste.failing(many)
    assert [one.feature for one in found.findings] == [f"f{place}" for place in range(59, 9, -1)]
    assert (found.left_features, found.left_calls, found.left_usd) == (10, 10, 55)
    assert waste.failing(many[:50]).left_features == 0


def test_traffic_nobody_waits_for_can_be_batched_for_half_and_other_traffic_cannot() -> None:
    (found,) = waste.batchable(calls(40, has_user=False))
    assert (found.usd, found.confidence) == (Decimal(28_000), "low")
    (untold,) = waste.batchable(calls(40, has_user=False, is_streamed=None))
    assert "Whether 40 of them stream is not recorded." in untold.assumptions
    assert waste.batchable(calls(40)) == [] == waste.batchable(calls(40, has_user=False, is_streamed=True))
    assert waste.batchable(calls(40, has_user=False, session_id="s")) == []
    assert waste.batchable(calls(40, has_user=False, tool_call_count=1)) == []
    assert waste.batchable(calls(40, has_user=False, model=ModelName("own", "llama"))) == []


def test_the_shared_beginning_is_that_of_four_fifths_of_the_prompts() -> None:
    same = "instructions " * 20
    found = prefixes.beginning([*(same + str(number) * 40 for number in range(10, 18)), "other", "another"])
    assert found is not None and found.characters in (len(same), len(same) + 1)
    assert prefixes.beginning([same] * 7) is None


@given(st.text("ab", max_size=9), st.lists(st.text("ab", max_size=6), min_size=8, max_size=12))
def test_prompts_that_share_a_beginning_are_found_to_share_at_least_that(same: str, rest: list[str]) -> None:
    found = prefixes.beginning([same + one for one in rest])
    assert found is not None and found.characters >= len(same)


def test_a_long_shared_beginning_is_cheaper_from_the_providers_cache_unless_it_is_there_already() -> None:
    some = calls(60, input_tokens=4_000)
    group = prefixes.group_of(CALL)
    shared = {group: prefixes.Beginning(10, 5_000, 10_000)}
    (found,) = prefixes.find(some, shared, PRICES)
    assert found.usd == 59 * 2_000 * (PRICES[DEAR].input_usd - PRICES[DEAR].cached_usd)
    assert prefixes.find(calls(60, input_tokens=4_000, cached_input_tokens=2_000), shared, PRICES) == []
    assert prefixes.find(calls(60, timedelta(hours=1), input_tokens=4_000), shared, PRICES) == []
    assert prefixes.find(some, {group: prefixes.Beginning(10, 2_000, 10_000)}, PRICES) == []


def test_only_a_provider_whose_smallest_cached_prompt_is_known_is_told_with_medium_confidence() -> None:
    other = ModelName("gcp.gemini", "gemini-2.5-pro")
    some = [*calls(60, input_tokens=4_000), *calls(60, input_tokens=4_000, model=other)]
    shared = {prefixes.group_of(call): prefixes.Beginning(10, 5_000, 10_000) for call in some}
    known, unknown = prefixes.find(some, shared, {**PRICES, other: PRICES[DEAR]})
    assert (known.confidence, unknown.confidence) == ("medium", "low")
    assert any("not known here" in one for one in unknown.assumptions)
    assert not any("not known here" in one for one in known.assumptions)


@pytest.mark.parametrize(
    ("name", "tokens"),
    [
        ("claude-opus-4-6", 4096), ("claude-haiku-4-5-20251001", 4096), ("claude-3-5-haiku-20241022", 2048),
        ("claude-sonnet-4-6", 2048), ("claude-sonnet-4-5-20250929", 1024), ("claude-opus-4-20250514", 1024),
        ("claude-opus-5-5", None), ("other", None),
    ],
)  # fmt: skip
def test_the_smallest_prompt_that_anthropic_caches_is_that_of_the_model(name: str, tokens: int | None) -> None:
    assert prefixes.smallest_cached_tokens(ModelName("anthropic", name)) == tokens


def test_a_beginning_that_its_model_is_too_short_for_is_no_saving() -> None:
    haiku, sonnet = ModelName("anthropic", "claude-haiku-4-5"), ModelName("anthropic", "claude-sonnet-4-5")
    some = [*calls(60, input_tokens=4_000, model=haiku), *calls(60, input_tokens=4_000, model=sonnet)]
    shared = {prefixes.group_of(call): prefixes.Beginning(10, 5_000, 10_000) for call in some}
    (found,) = prefixes.find(some, shared, {haiku: PRICES[DEAR], sonnet: PRICES[DEAR]})
    assert (found.where["model"], found.confidence) == ("claude-sonnet-4-5", "medium")


def prompt(text: str) -> dict[str, object]:
    return {"system": [{"type": "text", "text": text}], "input": [said("user", "x")]}


def test_prompts_are_kept_only_of_groups_with_calls_enough() -> None:
    some = [
        *calls(60, feature="big"),
        *calls(prefixes.FEWEST_CALLS - 1, feature="small"),
        *calls(60, status=int(Status.ERROR)),
    ]
    samples = prefixes.Samples(some)
    for call in some:
        samples.add(call, prompt(call.feature * 9))
    assert {group[0] for group in samples.beginnings()} == {"big"}


def test_prompts_that_are_kept_stay_within_the_budget_whatever_clients_send(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefixes, "BUDGET", 40_000)
    monkeypatch.setattr(prefixes, "MOST_GROUPS", 4)
    some = [call for number in range(9) for call in calls(50, feature=f"f{number}", input_tokens=100 + number)]
    samples = prefixes.Samples(some)
    for call in some:
        samples.add(call, prompt("p" * 5_000))
    assert 30_000 < samples.kept_characters <= 40_000
    found = samples.beginnings()
    assert {group[0] for group in found} == {"f5", "f6", "f7", "f8"}
    assert {one.mean_characters for one in found.values()} == {len(prefixes.text_of(prompt("p" * 5_000)))}


def outcome(setting: object, hits: int, equal: int, usd: float) -> sweep.Worth:
    told = Outcome(setting, 100, hits, equal, usd, 0, 9.0, None, None, None)  # type: ignore[arg-type]
    return sweep.worth(told, 4_000)


def looked(like_usd: float, equal_usd: float, like_hits: int = 30) -> caches.Looked:
    worths = (outcome(sweep.DEFAULT, like_hits, 20, like_usd), outcome(sweep.EXACT, 20, 20, equal_usd))
    return caches.Looked(worths, 100, 120, Decimal(9), "spelling", "It cannot see meaning.")


def test_a_cache_is_advised_where_it_is_worth_its_upkeep_and_by_likeness_only_where_that_brings_more() -> None:
    assert [one.kind for one in caches.find(looked(3, 2))] == ["exact_cache", "semantic_cache"]
    assert [one.kind for one in caches.find(looked(2, 2, like_hits=20))] == ["exact_cache"]
    assert caches.find(looked(0, 0)) == []
    like = caches.find(looked(3, 2))[1]
    assert like.confidence == "low" and any("cannot see meaning" in one for one in like.assumptions)


def test_prices_per_token_are_those_of_the_price_list() -> None:
    found = tariffs.of(ModelName("openai", "gpt-4o-mini"), PriceBook(), NOON)
    assert found is not None
    mtok = [rate * 1_000_000 for rate in (found.input_usd, found.output_usd, found.cached_usd)]
    assert mtok == [Decimal("0.15"), Decimal("0.6"), Decimal("0.075")]
    assert tariffs.of(ModelName("nobody", "no-such-model"), PriceBook(), NOON) is None
