"""Several changes on the same calls: no dollar is counted twice, and the smallest set that halves is found."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stanchion_server.costs.advice import halving, lengths, prefixes, together, waste, whatif
from stanchion_server.costs.advice.records import (
    Batch,
    CallFact,
    Cap,
    Effect,
    Failures,
    Finding,
    History,
    Idle,
    ModelName,
    Prefix,
    PromptName,
    Replicas,
    Served,
    Swap,
    Tariff,
)
from stanchion_server.costs.advice.together import Bill, Cached, Change, Standing, Together
from stanchion_server.ingest.records import Status

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
DEAR, CHEAP, ABROAD = ModelName("openai", "gpt-4o"), ModelName("openai", "gpt-4o-mini"), ModelName("else", "tiny")
PROMPT = PromptName("answer", "3")
PRICES = {
    DEAR: Tariff(Decimal(10), Decimal(40), Decimal(5), Decimal(12)),
    CHEAP: Tariff(Decimal(1), Decimal(4), Decimal("0.5"), Decimal(1)),
    ABROAD: Tariff(Decimal(2), Decimal(60), Decimal(2), Decimal(2)),
}
CALL = CallFact(
    trace_id=UUID(int=1), span_id=1, start_time=NOON, duration_s=2.0, feature="support", model=DEAR, service="web",
    prompt=PROMPT, session_id="", has_user=False, is_streamed=False, status=int(Status.OK), tool_call_count=0,
    input_tokens=100, output_tokens=10, cached_input_tokens=0, usd=Decimal(1_400),
)  # fmt: skip
SWAP, CAP, BATCH = Swap(DEAR, CHEAP), Cap(PROMPT, 5), Batch("web")


def calls(count: int, **values: object) -> tuple[CallFact, ...]:
    return tuple(
        replace(CALL, start_time=NOON + number * timedelta(minutes=1), **values)
        for number in range(count)  # type: ignore[arg-type]
    )


def bill(some: Sequence[CallFact], **values: object) -> Bill:
    api_usd = sum((call.usd or Decimal(0) for call in some), Decimal(0))
    return Bill(tuple(some), PRICES, Decimal(1), **{"api_usd": api_usd, **values})  # type: ignore[arg-type]


def change(effect: Effect, kind: str = "", confidence: str = "low") -> Change:
    return Change(confidence, kind or type(effect).__name__, "", confidence, effect)  # type: ignore[arg-type]


def saved(one: Bill, *effects: Effect) -> Decimal:
    return Together(one).saved([change(effect) for effect in effects])


def test_a_shorter_answer_is_worth_less_at_a_cheaper_model() -> None:
    one = bill(calls(1))
    assert (saved(one, SWAP), saved(one, CAP)) == (1_260, 200)
    assert saved(one, SWAP, CAP) == saved(one, CAP, SWAP) == 1_280


def test_what_a_cache_serves_is_not_also_shortened_nor_asked_cheaper() -> None:
    one = bill(calls(2), cached={"Served": Cached((0,), Decimal(3))})
    assert saved(one, Served()) == 1_397
    assert saved(one, Served(), CAP) == 1_397 + 200
    assert saved(one, Served(), SWAP) == 2 * 1_260 + 140 - 3


def test_wrong_answers_of_a_cache_are_paid_for_all_the_same() -> None:
    one = bill(calls(2), cached={"Served": Cached((0,), Decimal(3), 0.25)})
    assert saved(one, Served()) == 1_050 - 3
    assert saved(one, Served(), SWAP) == 2 * 1_260 + 105 - 3


def test_half_of_a_batch_is_half_of_what_the_cheaper_model_costs() -> None:
    one = bill(calls(1))
    assert saved(one, BATCH) == 700
    assert saved(one, BATCH, SWAP) == 1_260 + 70
    assert saved(one, BATCH, Swap(DEAR, ABROAD)) == pytest.approx(Decimal(1_400 - 800))


def test_a_failed_call_is_neither_swapped_nor_saved_twice() -> None:
    one = bill(calls(1, status=int(Status.ERROR)), cached={"Served": Cached((0,), Decimal(0))})
    assert saved(one, SWAP) == saved(one, CAP) == 0
    assert saved(one, Failures()) == saved(one, Failures(), Served()) == 1_400


def test_old_history_is_left_out_of_the_cached_tokens_first() -> None:
    one = bill(calls(1, cached_input_tokens=30, usd=Decimal(1_250)), older_tokens={0: 40})
    assert saved(one, History()) == 30 * 5 + 10 * 10
    assert saved(one, History(), SWAP) == 1_250 - 60 * 1 - 10 * 4


def test_a_shared_beginning_is_cached_of_the_calls_that_are_still_made() -> None:
    effect = Prefix(DEAR, PROMPT, 50)
    one = bill(calls(4), cached={"Served": Cached((1, 2), Decimal(0))})
    assert saved(one, effect) == 3 * 50 * 5 - 50 * 2
    assert saved(one, effect, Served()) == 2_800 + 50 * 5 - 50 * 2
    assert saved(one, effect, SWAP) == pytest.approx(Decimal(4 * 1_260 + 75))
    assert saved(one, effect, Swap(DEAR, ABROAD)) == saved(one, Swap(DEAR, ABROAD))


def test_stopped_hours_are_worth_less_once_fewer_instances_run() -> None:
    standing = {"llama": Standing(Decimal(90), Decimal(60), Decimal(30), Decimal(1) / 3)}
    one = bill((), standing=standing)
    fewer, stops = Replicas("llama", 1, 3, Decimal(1)), Idle("llama", Decimal(1))
    assert (saved(one, fewer), saved(one, stops)) == (60, 30)
    assert saved(one, fewer, stops) == pytest.approx(Decimal(70))
    assert saved(one, Replicas("other", 1, 3, Decimal(1))) == 0


def test_alone_each_change_saves_what_its_finding_says() -> None:
    some = [*calls(96), *calls(4, output_tokens=110, usd=Decimal(5_400))]
    beginnings = {(CALL.feature, DEAR, PROMPT): prefixes.Beginning(10, 2_000, 2_500)}
    long = [replace(call, input_tokens=2_000, usd=(call.usd or Decimal(0)) + 19_000) for call in some]
    long.sort(key=lambda call: call.start_time)
    found = [
        *whatif.find(whatif.used(long), PRICES, []), *lengths.find(long, PRICES),
        *prefixes.find(long, beginnings, PRICES), *waste.batchable(long),
    ]  # fmt: skip
    assert {one.kind for one in found} == {"cheaper_model", "prompt_cache", "batch", "output_cap"}
    one = bill(long)
    for finding in found:
        (told,) = together.changes_of([finding], "support")
        assert Together(one).saved([told]) == pytest.approx(finding.usd)


def test_only_findings_about_a_feature_are_its_changes() -> None:
    def finding(feature: str, effect: Effect | None, **shares: Decimal) -> Finding:
        return Finding(
            "x", feature, "", Decimal(1), Decimal(1), None, 1, "low", (), shares=shares, effect=effect
        )  # fmt: skip

    fewer = Replicas("llama", 1, 3, Decimal(1))
    found = [
        finding("chat", SWAP), finding("other", SWAP), finding("", SWAP), finding("chat", None),
        finding("", fewer, chat=Decimal(1)), finding("", fewer, other=Decimal(1)), finding("chat", Served()),
    ]  # fmt: skip
    assert [one.effect for one in together.changes_of(found, "chat")] == [SWAP, fewer]
    assert [one.effect for one in together.changes_of(found, "")] == [SWAP]
    assert [one.id for one in together.changes_of(found, "")] == [found[2].id]


def test_the_smallest_set_halves_with_what_each_adds_after_the_others() -> None:
    some = calls(4)
    one = bill(some, cached={"exact_cache": Cached((0,), Decimal(0)), "semantic_cache": Cached((0, 1), Decimal(0))})
    exact, like, cap = change(Served(), "exact_cache"), change(Served(), "semantic_cache"), change(CAP)
    plan = halving.plan(one, [exact, like, cap])
    assert plan is not None and plan.is_half
    assert [(step.change, step.usd, step.left_usd) for step in plan.steps] == [(like, 2_800, 2_800)]
    less = halving.plan(one, [exact, cap])
    assert less is not None and not less.is_half
    assert [(step.change, step.alone_usd, step.usd) for step in less.steps] == [
        (exact, 1_400, 1_400), (cap, 800, 600),
    ]  # fmt: skip
    assert less.saved_ratio == Decimal(2_000) / 5_600


def test_two_caches_are_never_proposed_together_nor_batches_with_the_providers_cache() -> None:
    one = bill(calls(4), cached={"exact_cache": Cached((0,), Decimal(0)), "semantic_cache": Cached((1,), Decimal(0))})
    plan = halving.plan(one, [change(Served(), "exact_cache"), change(Served(), "semantic_cache")])
    assert plan is not None and len(plan.steps) == 1
    assert together.clash(change(BATCH), change(Prefix(DEAR, PROMPT, 9)))
    assert not together.clash(change(BATCH), change(SWAP))


def test_of_sets_as_small_the_one_with_fewer_doubts_is_shown() -> None:
    one = bill(calls(2))
    sure = change(BATCH, confidence="medium")
    plan = halving.plan(one, [change(SWAP), sure])
    assert plan is not None and [step.change for step in plan.steps] == [sure]


def test_no_calls_and_no_cost_are_no_plan_and_no_changes_change_nothing() -> None:
    assert halving.plan(bill(()), [change(SWAP)]) is None
    assert Together(bill(())).saved([change(SWAP), change(CAP), change(History())]) == 0
    nothing = halving.plan(bill(calls(1)), [])
    assert nothing is not None and (nothing.steps, nothing.is_half, nothing.saved_ratio) == ((), False, 0)
    other = halving.plan(bill((), gpu_usd=Decimal(5)), [change(SWAP)])
    assert other is not None and other.left_usd == 5


def test_more_changes_than_are_combined_are_counted_as_left_out() -> None:
    some = [call for number in range(14) for call in calls(1, prompt=PromptName(f"p{number}", ""))]
    changes = [Change("", "output_cap", one.prompt.name, "low", Cap(one.prompt, 5)) for one in some]
    plan = halving.plan(bill(some), changes)
    assert plan is not None and (len(plan.steps), plan.left_out, plan.is_half) == (halving.MOST_CHANGES, 4, False)


models = st.sampled_from([DEAR, CHEAP, ABROAD])
prompts = st.sampled_from([PROMPT, PromptName("other", "1")])


@st.composite
def call(draw: st.DrawFn) -> CallFact:
    model, given_tokens = draw(models), draw(st.none() | st.integers(0, 400))
    cached = draw(st.none() | st.integers(0, 500))
    return replace(
        CALL, model=model, prompt=draw(prompts), service=draw(st.sampled_from(["web", "jobs"])),
        start_time=NOON + timedelta(seconds=draw(st.integers(0, 2_000))),
        status=int(draw(st.sampled_from([Status.OK, Status.ERROR]))), input_tokens=given_tokens,
        output_tokens=draw(st.none() | st.integers(0, 300)), cached_input_tokens=cached,
        usd=draw(st.none() | st.integers(0, 9_000).map(Decimal)),
    )  # fmt: skip


def effects() -> Iterator[Change]:
    yield change(SWAP)
    yield change(Swap(CHEAP, ABROAD), "Swap2")
    yield change(CAP, confidence="medium")
    yield change(Prefix(DEAR, PROMPT, 60))
    yield change(BATCH, confidence="medium")
    yield change(History())
    yield change(Served(), "exact_cache")
    yield change(Served(), "semantic_cache")
    yield change(Failures())
    yield change(Replicas("llama", 1, 3, Decimal(1)))
    yield change(Idle("llama", Decimal(1)))


EVERY = tuple(effects())


@st.composite
def bills(draw: st.DrawFn) -> Bill:
    some = tuple(sorted(draw(st.lists(call(), max_size=12)), key=lambda one: one.start_time))
    places = st.sets(st.integers(0, len(some) - 1)) if some else st.just(set())
    cached = {
        kind: Cached(tuple(sorted(draw(places))), Decimal(draw(st.integers(0, 50))))
        for kind in ("exact_cache", "semantic_cache")
    }
    idle = draw(st.integers(0, 5_000))
    standing = Standing(
        Decimal(idle), Decimal(draw(st.integers(0, idle))), Decimal(draw(st.integers(0, idle))),
        Decimal(draw(st.integers(1, 3))) / 3,
    )  # fmt: skip
    return bill(
        some, cached=cached, gpu_usd=Decimal(draw(st.integers(0, 3_000))),
        older_tokens={place: draw(st.integers(0, 300)) for place in range(len(some))}, standing={"llama": standing},
    )  # fmt: skip


@settings(max_examples=30, deadline=None)
@given(bills(), st.sets(st.sampled_from(EVERY)))
def test_together_changes_save_at_most_their_sum_and_what_is_paid(one: Bill, some: set[Change]) -> None:
    joint = Together(one)
    whole = joint.saved(list(some))
    assert 0 <= whole <= one.usd
    assert whole <= sum((joint.saved([each]) for each in some), Decimal(0))
    assert whole <= one.api_usd + one.idle_usd


@settings(max_examples=20, deadline=None)
@given(bills(), st.permutations(EVERY))
def test_the_order_in_which_changes_are_told_does_not_matter(one: Bill, some: list[Change]) -> None:
    assert Together(one).saved(some) == Together(one).saved(EVERY)


@settings(max_examples=25, deadline=None)
@given(bills(), st.sets(st.sampled_from(EVERY), max_size=5))
def test_no_smaller_set_halves_and_no_other_saves_more(one: Bill, some: set[Change]) -> None:
    plan = halving.plan(one, sorted(some, key=lambda each: each.kind))
    if plan is None:
        assert one.usd == 0
        return
    joint = Together(one)
    sets = [
        each for size in range(len(some) + 1) for each in itertools.combinations(some, size)
        if not any(together.clash(*pair) for pair in itertools.combinations(each, 2))
    ]  # fmt: skip
    worth = {each: joint.saved(each) for each in sets}
    assert plan.is_half == (max(worth.values()) * 2 >= one.usd)
    if plan.is_half:
        assert all(worth[each] * 2 < one.usd for each in sets if len(each) < len(plan.steps))
    else:
        untold = halving.WORTH_TELLING * one.usd * plan.left_out
        assert max(worth.values()) - untold <= plan.usd - plan.left_usd <= max(worth.values())
        assert all(step.usd >= halving.WORTH_TELLING * one.usd for step in plan.steps)
    assert sum((step.usd for step in plan.steps), plan.left_usd) == plan.usd == one.usd
    assert not any(together.clash(a.change, b.change) for a, b in itertools.combinations(plan.steps, 2))
