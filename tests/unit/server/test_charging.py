"""Several records of one provider call are one charge; several calls stay several charges."""

from __future__ import annotations

import random
import time
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.calls import NOON, trace
from stanchion_server.costs import charging
from stanchion_server.costs.charging import CallFacts, Decision, Key
from stanchion_server.ingest.records import Charge


def facts(span_id: int, **values: Any) -> CallFacts:
    start = NOON + timedelta(seconds=values.pop("after_s", 0))
    defaults: dict[str, Any] = {
        "trace_id": trace(1), "span_id": span_id, "start_time": start, "parent_span_id": None,
        "duration_ns": 1_000_000_000, "kind": 1, "scope": "a", "is_rollup": False, "response_id": "", "pair_key": None,
        "model": "gpt-4o", "request_model": "gpt-4o", "token_source": "reported", "tokens_ambiguous": False,
        "provider": "openai", "input_tokens": 100, "output_tokens": 20,
    }  # fmt: skip
    return CallFacts(**(defaults | values))


def decide(*calls: CallFacts, parents: dict[UUID, dict[int, int | None]] | None = None) -> dict[int, Decision]:
    return {key[1]: decision for key, decision in charging.decide(calls, parents or {}).items()}


def charged(decisions: dict[int, Decision]) -> list[int]:
    return sorted(span for span, decision in decisions.items() if decision.charge is Charge.CHARGED)


LAYOUTS = {
    "native span as child": [{}, {"scope": "b", "parent_span_id": 1, "after_s": 0.1}],
    "native span as sibling": [{"parent_span_id": 9}, {"scope": "b", "parent_span_id": 9, "after_s": 0.1}],
    "native span in another trace": [{}, {"scope": "b", "trace_id": trace(2), "after_s": 0.1}],
    "gateway with another name for the provider": [{}, {"scope": "b", "trace_id": trace(2), "provider": "anthropic"}],
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_one_response_id_is_one_charge(layout: list[dict[str, Any]]) -> None:
    calls = [facts(number + 1, response_id="chatcmpl-1", **values) for number, values in enumerate(layout)]
    assert len(charged(decide(*calls))) == 1


@pytest.mark.parametrize("layout", ["native span as child", "native span as sibling"])
def test_without_a_response_id_equal_tokens_at_the_same_time_are_one_charge(layout: str) -> None:
    first, second = (facts(number + 1, **values) for number, values in enumerate(LAYOUTS[layout]))
    assert len(charged(decide(first, second))) == 1


def test_retries_with_different_response_ids_are_two_charges() -> None:
    assert charged(decide(facts(1, response_id="a"), facts(2, response_id="b"))) == [1, 2]


def test_a_record_without_an_id_joins_only_one_of_two_calls_that_it_resembles() -> None:
    decisions = decide(
        facts(1, response_id="a"), facts(2, response_id="b", after_s=0.2), facts(3, scope="b", after_s=0.21)
    )
    assert charged(decisions) == [1, 2]
    assert decisions[3].primary == (trace(1), 2, NOON + timedelta(seconds=0.2))


def test_parallel_equal_calls_of_one_instrumentation_stay_apart() -> None:
    assert len(charged(decide(*(facts(number, parent_span_id=99) for number in range(1, 6))))) == 5


def test_parallel_equal_calls_seen_by_two_instrumentations_pair_up() -> None:
    calls = [facts(n, parent_span_id=99, scope=s, after_s=n % 5 / 10) for n, s in enumerate("aaaaabbbbb", start=1)]
    assert len(charged(decide(*calls))) == 5


@pytest.mark.parametrize(
    "values",
    [
        {"after_s": 5}, {"input_tokens": 101}, {"input_tokens": None, "output_tokens": None},
        {"model": "gpt-5", "request_model": "gpt-5"}, {"trace_id": trace(2)}, {"kind": 2},
    ],
)  # fmt: skip
def test_a_record_without_an_id_that_differs_is_another_call(values: dict[str, Any]) -> None:
    assert charged(decide(facts(1, response_id="a"), facts(2, scope="b", **values))) == [1, 2]


def test_a_response_id_seen_again_after_a_day_is_another_call() -> None:
    day = timedelta(hours=24, seconds=1).total_seconds()
    assert charged(decide(facts(1, response_id="a"), facts(2, response_id="a", after_s=day))) == [1, 2]


def test_a_response_id_that_never_changes_is_no_id() -> None:
    calls = [facts(number, response_id="same", trace_id=trace(number)) for number in range(1, 30)]
    assert len(charged(decide(*calls))) == 29


def test_a_split_stream_is_joined_by_its_pair_key() -> None:
    request = facts(1, pair_key=7, input_tokens=None, output_tokens=None, feature="chat")
    response = facts(2, pair_key=7, duration_ns=0, after_s=1)
    decisions = decide(request, response)
    assert charged(decisions) == [2]
    assert decisions[2].values["feature"] == "chat"


def test_the_record_with_most_usage_detail_is_charged_and_takes_what_it_lacks() -> None:
    outer = facts(1, response_id="x", feature="search", user_id="u1", finish_reasons=("stop",))
    inner = facts(2, response_id="x", scope="b", parent_span_id=1, cached_input_tokens=80, reasoning_tokens=5)
    decisions = decide(outer, inner)
    assert charged(decisions) == [2]
    assert decisions[2].values == {"feature": "search", "user_id": "u1", "finish_reasons": ("stop",)}
    assert decisions[2].sources == {"feature": 1, "user_id": 1, "finish_reasons": 1}
    assert decisions[1].primary == inner.key


def test_a_token_detail_is_not_taken_from_a_record_with_another_total() -> None:
    one = facts(1, response_id="x", cached_input_tokens=10, cache_write_tokens=1)
    other = facts(2, response_id="x", scope="b", input_tokens=90, reasoning_tokens=4)
    assert "audio_input_tokens" not in decide(one, other)[1].values
    assert decide(one, other)[1].values == {"reasoning_tokens": 4}


def test_estimated_tokens_lose_against_reported_ones() -> None:
    estimated = facts(1, response_id="x", token_source="estimated", cached_input_tokens=1, reasoning_tokens=1)
    assert charged(decide(estimated, facts(2, response_id="x", scope="b"))) == [2]


def test_a_rollup_is_charged_only_when_no_call_below_reports_usage() -> None:
    agent = facts(1, is_rollup=True, kind=6)
    leaf = facts(3, parent_span_id=2, input_tokens=None, output_tokens=None)
    parents = {trace(1): {1: None, 2: 1, 3: 2}}
    assert charged(decide(agent, leaf, parents=parents)) == [1, 3]
    assert charged(decide(agent, facts(3, parent_span_id=2), parents=parents)) == [3]


def test_of_nested_rollups_the_lowest_stands_in() -> None:
    calls = [facts(1, is_rollup=True), facts(2, is_rollup=True, parent_span_id=1)]
    assert charged(decide(*calls, parents={trace(1): {1: None, 2: 1}})) == [2]


def test_a_call_in_another_branch_does_not_cover_a_rollup_but_a_lost_parent_does() -> None:
    calls = [facts(1, is_rollup=True, parent_span_id=9), facts(2, parent_span_id=8)]
    assert charged(decide(*calls, parents={trace(1): {9: None, 8: 9, 1: 9, 2: 8}})) == [1, 2]
    assert charged(decide(*calls, parents={trace(1): {9: None, 1: 9, 2: 8}})) == [2]


RECORDS = st.lists(
    st.tuples(
        st.integers(1, 3), st.sampled_from(["", "", "r1", "r2"]), st.sampled_from("abc"),
        st.sampled_from([100, 101, None]),
        st.integers(0, 4), st.sampled_from([None, 1, 2, 3]), st.booleans(), st.sampled_from([None, 5]),
    ),
    max_size=9,
)  # fmt: skip


@given(RECORDS, st.randoms(use_true_random=False))
def test_the_decision_does_not_depend_on_the_order_of_the_records(
    records: list[tuple[Any, ...]], shuffler: random.Random
) -> None:
    calls = [
        facts(
            number, trace_id=trace(in_trace), response_id=response, scope=scope, input_tokens=tokens, after_s=after / 4,
            parent_span_id=parent, is_rollup=is_rollup, pair_key=pair,
        )
        for number, (in_trace, response, scope, tokens, after, parent, is_rollup, pair) in enumerate(records, start=1)
    ]  # fmt: skip
    shuffled = list(calls)
    shuffler.shuffle(shuffled)
    decisions: dict[Key, Decision] = charging.decide(calls, {})
    assert charging.decide(shuffled, {}) == decisions
    assert len(decisions) == len(calls)
    for decision in decisions.values():
        assert decision.primary is None or decisions[decision.primary].charge is Charge.CHARGED


def test_the_same_question_streamed_twice_at_once_is_two_calls() -> None:
    halves = (
        facts(1, pair_key=7, input_tokens=None, output_tokens=None),
        facts(2, pair_key=7, input_tokens=None, output_tokens=None, after_s=0.1),
        facts(3, pair_key=7, duration_ns=0, after_s=1),
        facts(4, pair_key=7, duration_ns=0, after_s=2),
    )

    assert len(charged(decide(*halves))) == 2


def test_a_span_below_the_half_without_usage_belongs_to_the_pair() -> None:
    """Logfire's request span ends before the answer; the client's own span is its child and knows the usage."""
    request = facts(1, pair_key=7, input_tokens=None, output_tokens=None)
    native = facts(2, parent_span_id=1, scope="b", response_id="msg_1")
    answer = facts(3, trace_id=trace(2), pair_key=7, duration_ns=0, after_s=1)

    assert len(charged(decide(request, native, answer))) == 1


def test_a_record_that_tells_nothing_belongs_to_the_one_below_it() -> None:
    mute = facts(1, input_tokens=None, output_tokens=None)
    native = facts(2, parent_span_id=1, scope="b", response_id="msg_1", after_s=0.1)

    assert charged(decide(mute, native)) == [2]


def test_thousands_of_equal_calls_at_once_are_decided_in_bounded_time_and_stay_apart() -> None:
    """Embeddings have no response id, and pieces of one length have equal counts; comparing all with all took 37 s for
    two thousand and gigabytes for more."""
    twice = [
        facts(number + 1, after_s=number / 1000, duration_ns=10**12, scope="ab"[number % 2]) for number in range(800)
    ]
    batch = [facts(number + 1, after_s=number / 1000, duration_ns=10**12) for number in range(4000)]
    asked = [facts(number + 1, after_s=number / 1000, pair_key=5) for number in range(4000)]
    began = time.process_time()
    assert len(charged(decide(*batch))) == 4000
    assert len(charged(decide(*asked))) == 4000
    assert len(charged(decide(*twice))) == 400
    assert time.process_time() - began < 20
