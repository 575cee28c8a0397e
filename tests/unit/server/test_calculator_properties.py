"""What holds for every input: an answer or a refusal that names the remedy, exact sums, and more that costs more."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stanchion_server.costs.calculators import (
    batching,
    capacity,
    catalogue,
    conversations,
    headroom,
    hosting,
    measured,
    memory,
    serving,
    workload,
)
from stanchion_server.costs.calculators.conversations import Turn
from stanchion_server.costs.calculators.fields import Field
from stanchion_server.costs.calculators.memory import GIB
from stanchion_server.costs.calculators.showing import shown
from stanchion_server.kernel.errors import SenderError

NAMES = tuple(catalogue.BY_NAME)
amounts = st.decimals(Decimal("0.01"), Decimal(10_000), places=2)
counts = st.integers(1, 5_000)


def texts(field: Field) -> st.SearchStrategy[str]:
    """Values within the field's bounds, the bounds themselves among them."""
    if field.kind == "text":
        return st.sampled_from(["engine=MPI", "", "=\nx", "option.device_map=Auto"])
    if field.kind == "choice":
        return st.sampled_from(field.options)
    edges = [f"{field.low:f}", f"{field.high:f}"]
    if field.kind == "whole":
        return st.one_of(st.sampled_from(edges), st.integers(int(field.low), int(field.high)).map(str))
    number = st.one_of(st.sampled_from(edges), st.integers(int(field.low) + 1, int(field.high)).map(str))
    if field.kind == "number":
        return number
    cells = st.lists(number, min_size=field.cells or 1, max_size=field.cells or 4).map("/".join)
    if field.is_named:
        return st.lists(cells, min_size=1, max_size=3).map(
            lambda rows: ", ".join(f"n{place}:{row}" for place, row in enumerate(rows))
        )
    return st.lists(cells, min_size=1, max_size=min(4, field.most_rows)).map(", ".join)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=30, deadline=None)
@given(st.data())
def test_within_its_bounds_a_calculator_answers_or_says_what_to_change(name: str, data: st.DataObject) -> None:
    fields = catalogue.find(name).fields
    said = {field.name: data.draw(texts(field), field.name) for field in fields if data.draw(st.booleans())}
    try:
        answer = catalogue.ask(name, said)
    except SenderError as error:
        assert error.http_status == 400
        return
    cells = [line.value for line in answer.result.lines]
    cells += [cell for table in answer.result.tables for row in table.rows for cell in row]
    assert answer.result.lines
    assert all(cell.is_finite() for cell in cells if isinstance(cell, Decimal))
    assert all(
        len(row) == len(table.columns) == len(table.units) for table in answer.result.tables for row in table.rows
    )


JUNK = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        ["NaN", "Infinity", "-1", "1e400", "1e-400", "9" * 50, "²", "1/2/3", ":", "a:1", "\0", "1,,2", "\ud800"]
    ),
)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=30, deadline=None)
@given(st.data(), JUNK)
def test_whatever_is_written_is_answered_or_refused(name: str, data: st.DataObject, text: str) -> None:
    field = data.draw(st.sampled_from(catalogue.find(name).fields))
    try:
        catalogue.ask(name, {field.name: text})
    except SenderError as error:
        assert field.name in error.message


@pytest.mark.parametrize(("name", "field"), [("serving-properties", "properties"), ("comparison", "scores")])
def test_half_a_character_is_refused(name: str, field: str) -> None:
    with pytest.raises(SenderError, match=field):
        catalogue.ask(name, {field: "\ud800:1/2"})


@settings(max_examples=200)
@given(st.integers(1, 400), st.integers(1, 400), st.integers(1, 500), st.integers(1, 60_000), st.integers(-1, 1))
def test_as_many_sessions_fit_as_are_not_over_a_limit(
    sessions: int, per_session: int, tokens: int, rpm: int, shifted: int
) -> None:
    """Token limits at, right under and right over the demand: rounding may not decide."""
    limit_tpm = max(Decimal(1), (Decimal(sessions * per_session * tokens) / 60).quantize(Decimal(1)) + shifted)
    given = {
        "sessions": sessions, "requests_per_session_hour": per_session, "input_tokens": tokens, "output_tokens": 0,
        "limit_rpm": rpm, "limit_tpm": limit_tpm,
    }  # fmt: skip
    lines = catalogue.ask("api-cost", {name: f"{value}" for name, value in given.items()}).result.lines
    found = {line.name: line.value for line in lines}
    assert found["is_over_rpm"] == (sessions * per_session > 60 * rpm)
    assert found["is_over_tpm"] == (sessions * per_session * tokens > 60 * int(limit_tpm))
    assert (sessions <= found["most_sessions"]) == (not found["is_over_rpm"] and not found["is_over_tpm"])


def test_a_refusal_names_the_value_and_the_remedy() -> None:
    with pytest.raises(SenderError, match=r"sessions='-3'.*a whole number from 0 to 100000000") as refused:
        catalogue.ask("api-cost", {"sessions": "-3"})
    assert refused.value.http_status == 400
    with pytest.raises(SenderError, match=r"'sesions' is not a parameter here\. Known: input_tokens"):
        catalogue.ask("api-cost", {"sesions": "3"})
    with pytest.raises(SenderError, match="There is no calculator 'dice'") as unknown:
        catalogue.ask("dice", {})
    assert unknown.value.http_status == 404
    with pytest.raises(SenderError, match="overlap=2000 must be less than section=2000"):
        catalogue.ask("sections", {"overlap": "2000"})
    with pytest.raises(SenderError, match="took 0 s"):
        catalogue.ask("batch-trials", {"trials": "1/0"})


def test_every_default_is_within_its_own_bounds() -> None:
    for calculator in catalogue.ALL:
        assert len({field.name for field in calculator.fields}) == len(calculator.fields)
        for field in calculator.fields:
            if field.example:
                assert field.default is None
                assert field.read(field.example) is not None
            if field.default is not None:
                assert field.read(field.default) is not None, (calculator.name, field.name)


@given(counts, counts, amounts, amounts, st.integers(1, 100))
def test_prices_add_up_exactly_over_requests(fresh: int, output: int, p: Decimal, q: Decimal, times: int) -> None:
    one = hosting.usd_per_turn(fresh, output, p, q)
    assert one * times == hosting.usd_per_turn(fresh * times, output * times, p, q)
    assert hosting.usd_per_turn(fresh + 1, output, p, q) > one
    assert hosting.usd_per_turn(fresh, output + 1, p, q) > one


@given(st.integers(0, 100_000), amounts, amounts)
def test_the_instances_needed_carry_the_demand_and_one_fewer_would_not(
    sessions: int, per_hour: Decimal, rpm: Decimal
) -> None:
    needed = workload.instances_needed(sessions, per_hour, rpm)
    hourly = sessions * per_hour
    assert hourly <= needed * rpm * 60
    assert needed == 1 or hourly > (needed - 1) * rpm * 60
    assert workload.instances_needed(sessions + 1, per_hour, rpm) >= needed


@given(st.lists(st.builds(Turn, amounts, amounts), min_size=1, max_size=8))
def test_a_history_never_makes_a_conversation_cheaper(turns: list[Turn]) -> None:
    found = conversations.billed(turns)
    assert found.input_with_history >= found.input_alone
    assert conversations.billed(turns[:-1]).output < found.output
    assert (found.input_with_history == found.input_alone) == (len(turns) == 1)


@given(counts, st.integers(1, 64), counts, counts)
def test_more_questions_in_a_prompt_never_cost_more_tokens(n: int, size: int, shared: int, each: int) -> None:
    assert batching.prompt_tokens(n, size + 1, shared, each) <= batching.prompt_tokens(n, size, shared, each)
    assert batching.prompt_tokens(n, n, shared, each) == shared + n * each


@given(st.integers(1, 100_000), st.integers(2, 5_000), st.data())
def test_sections_cover_the_document_and_one_fewer_would_not(length: int, section: int, data: st.DataObject) -> None:
    overlap = data.draw(st.integers(0, section - 1))
    count = batching.sections(length, section, overlap)
    step = section - overlap
    assert section + (count - 1) * step >= length
    assert count == 1 or section + (count - 2) * step < length


@given(st.integers(1, 10_000), st.integers(1, 512))
def test_blocks_hold_all_tokens_and_waste_less_than_a_block(tokens: int, size: int) -> None:
    assert 0 <= memory.unused_slots(tokens, size) < size
    assert memory.blocks(tokens, size) * size - memory.unused_slots(tokens, size) == tokens


@given(st.integers(0, 500), st.integers(0, 8), st.integers(0, 64))
def test_a_stream_never_keeps_more_than_sinks_and_window(token: int, sinks: int, recent: int) -> None:
    kept, positions = memory.window(token, sinks, recent)
    assert len(kept) == len(set(kept)) == min(token, sinks + recent)
    assert kept == tuple(sorted(kept)) and all(one < token for one in kept)
    assert len(positions) == len(kept) + 1


@given(amounts, st.sampled_from(("fp32", "fp16", "int8", "int4")))
def test_training_takes_more_than_an_adapter_and_an_adapter_more_than_answering(billion: Decimal, dtype: str) -> None:
    found = memory.need(billion * 10**9, dtype)
    assert found.weights < found.inference < found.adapter_training
    assert memory.need(billion * 10**9, "fp32").training > found.adapter_training


@given(st.lists(st.tuples(st.lists(amounts, min_size=3, max_size=3)), min_size=2, max_size=5))
def test_wins_of_all_contestants_add_up_to_the_pairs(scores: list[tuple[list[Decimal]]]) -> None:
    rows = [(str(place), own) for place, (own,) in enumerate(scores)]
    found = measured.standings(rows, is_high_good=True)
    assert sum(one.wins for one in found) == Decimal(3 * len(rows) * (len(rows) - 1)) / 2
    turned = measured.standings(rows, is_high_good=False)
    assert [one.wins + other.wins for one, other in zip(found, turned, strict=True)] == [3 * (len(rows) - 1)] * len(
        rows
    )


@given(st.lists(st.lists(st.integers(1, 6), min_size=1, max_size=3), min_size=1, max_size=4))
def test_one_more_engine_never_makes_the_space_smaller(engines: list[list[int]]) -> None:
    assert serving.combinations([*engines, [1]], [2, 3]) == serving.combinations(engines, [2, 3]) + 6


# Headroom


def test_growth_in_a_straight_line_meets_the_limit_when_it_says() -> None:
    peaks = [Decimal(100 + 10 * minute) for minute in range(6)]
    assert headroom.growth(peaks) == 10
    assert headroom.minutes_until(peaks, Decimal(200)) == 5


def test_no_growth_is_no_prediction_and_a_limit_that_was_met_is_met_now() -> None:
    flat, falling = [Decimal(5)] * 4, [Decimal(9), Decimal(5)]
    assert headroom.minutes_until(flat, Decimal(10)) is None
    assert headroom.minutes_until(falling, Decimal(10)) is None
    assert headroom.minutes_until([Decimal(5)], Decimal(10)) is None
    assert headroom.minutes_until([Decimal(12), Decimal(5)], Decimal(10)) == 0


@given(st.lists(amounts, min_size=1, max_size=30), st.decimals(Decimal("0.01"), Decimal(20_000), places=2))
def test_a_higher_limit_is_met_later_and_used_less(peaks: list[Decimal], limit: Decimal) -> None:
    now, later = headroom.headroom("x", peaks, limit), headroom.headroom("x", peaks, limit * 2)
    assert later.used < now.used
    if now.minutes_left is not None and later.minutes_left is not None:
        assert later.minutes_left >= now.minutes_left


def test_the_fullest_limit_and_the_one_met_first_may_differ() -> None:
    answer = catalogue.ask("headroom", {
        "peaks_rpm": "900, 900, 900", "limit_rpm": "1000", "peaks_tpm": "100, 200, 300", "limit_tpm": "1000",
    })  # fmt: skip
    found = {line.name: line.value for line in answer.result.lines}
    assert (found["limiting"], found["used_ratio"]) == ("Requests per minute", Decimal("0.9"))
    assert (found["first_throttled"], found["minutes_left"]) == ("Tokens per minute", 7)


# Capacity


@given(
    st.sampled_from(capacity.PRESETS), st.sampled_from(("fp16", "int8", "int4")), st.integers(1, 200_000),
    st.integers(1, 200),
)  # fmt: skip
def test_the_fewest_cards_hold_the_model_and_a_full_request(
    shape: capacity.Shape, dtype: str, tokens: int, gib: int
) -> None:
    card = capacity.CardType("x", gib * GIB)
    found = capacity.fit(shape, dtype, "fp16", tokens, card)
    larger = capacity.fit(shape, dtype, "fp16", tokens, capacity.CardType("x", 2 * gib * GIB))
    if found.cards is None:
        return
    assert found.requests >= 1
    assert larger.cards is not None and larger.cards <= found.cards
    if found.cards > 1:
        usable = (found.cards - 1) * (card.memory_bytes - memory.CONTEXT_BYTES)
        request = tokens * capacity.kv_bytes(shape, "fp16")
        assert memory.need(shape.parameters_billion * 10**9, dtype).inference + request > usable


def test_a_small_card_holds_a_small_model_and_a_large_model_wants_many() -> None:
    t4, h200 = capacity.CARD_TYPES[0], capacity.CARD_TYPES[-1]
    by_name = {shape.name: shape for shape in capacity.PRESETS}
    assert capacity.fit(by_name["microsoft/phi-2"], "fp16", "fp16", 2048, t4).is_on_one
    assert capacity.fit(by_name["meta-llama/Llama-3.1-70B"], "bf16", "fp16", 4096, h200).cards == 2
    assert capacity.fit(by_name["meta-llama/Llama-3.1-70B"], "fp32", "fp16", 10**8, t4).cards is None
    tiny = capacity.CardType("x", GIB / 16)
    assert capacity.fit(by_name["microsoft/phi-2"], "fp16", "fp16", 2048, tiny).cards is None


def test_every_preset_divides_its_heads() -> None:
    for shape in capacity.PRESETS:
        assert shape.hidden % shape.heads == shape.heads % shape.kv_heads == 0, shape.name


CONFIGURATIONS = {
    # vocabulary, width of the feed-forward part, its matrices, experts, embeddings: LitGPT 0.5.13's config.py,
    # transformers 5.24.0's GPTNeoXConfig and public copies of OPT's, read 2026-11-26
    "meta-llama/Llama-3.1-8B": (128_256, 14_336, 3, 1, 2),
    "meta-llama/Llama-3.1-70B": (128_256, 28_672, 3, 1, 2),
    "mistralai/Mistral-7B-v0.3": (32_768, 14_336, 3, 1, 2),
    "mistralai/Mixtral-8x7B-v0.1": (32_000, 14_336, 3, 8, 2),
    "Qwen/Qwen2.5-7B": (152_064, 18_944, 3, 1, 2),
    "Qwen/Qwen2.5-32B": (152_064, 27_648, 3, 1, 2),
    "Qwen/Qwen2.5-72B": (152_064, 29_568, 3, 1, 2),
    "meta-llama/Llama-2-7b": (32_000, 11_008, 3, 1, 2),
    "meta-llama/Llama-2-13b": (32_000, 13_824, 3, 1, 2),
    "meta-llama/Llama-2-70b": (32_000, 28_672, 3, 1, 2),
    "tiiuae/falcon-40b": (65_024, 32_768, 2, 1, 1),
    "microsoft/phi-2": (51_200, 10_240, 2, 1, 2),
    "EleutherAI/gpt-neox-20b": (50_432, 24_576, 2, 1, 2),
    "facebook/opt-13b": (50_272, 20_480, 2, 1, 1),
}


@pytest.mark.parametrize("shape", capacity.PRESETS, ids=lambda shape: shape.name)
def test_every_presets_parameters_follow_from_its_configuration(shape: capacity.Shape) -> None:
    vocabulary, width, matrices, experts, embeddings = CONFIGURATIONS[shape.name]
    attention = shape.hidden * (2 * shape.hidden + 2 * int(shape.kv_width))
    layer = attention + matrices * experts * shape.hidden * width
    computed = shape.layers * layer + embeddings * vocabulary * shape.hidden
    # norms, biases and positions are left out here
    assert float(shape.parameters_billion) * 1e9 == pytest.approx(computed, rel=0.006)


def test_a_cards_memory_is_what_its_driver_reports_and_not_what_is_printed() -> None:
    told = {card.name: card.memory_bytes / 2**30 for card in capacity.CARD_TYPES}
    assert told["L4 or A10G, 24 GB"] < Decimal("22.5")
    assert all(gib <= int(name.rpartition(", ")[2].removesuffix(" GB")) for name, gib in told.items())


# Showing


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, "$", "not known"), (True, "", "yes"), (Decimal("0.018"), "$", "$0.018"), (Decimal(180), "$", "$180.00"),
        (Decimal("0.0004"), "$", "$0.0004"), (Decimal(0), "$", "$0.00"), (Decimal("7.09"), "$/h", "$7.09/h"),
        (Decimal("0.925925925926"), "%", "92.59 %"), (Decimal("2.777777777778"), "requests/s", "2.778 requests/s"),
        (Decimal("3685.9807"), "", "3,685.98"), (14, "", "14"), (Decimal("1e30"), "", "1," + ",".join(["000"] * 10)),
    ],
)  # fmt: skip
def test_numbers_are_shown_with_their_units_and_the_unknown_never_as_zero(value: object, unit: str, text: str) -> None:
    assert shown(value, unit) == text  # type: ignore[arg-type]
