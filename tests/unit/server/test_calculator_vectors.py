"""Published examples (*Large Language Model-Based Solutions*, Wiley 2024), computed again.

What follows from their inputs is asserted; what is printed otherwise stands in the calculator as inconsistent.
docs/calculators.md lists all twenty.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from kit.calls import NOON, call
from stanchion_server.costs import pricing
from stanchion_server.costs.calculators import (
    batching,
    catalogue,
    conversations,
    energy,
    hosting,
    measured,
    memory,
    serving,
    training,
    workload,
)
from stanchion_server.costs.calculators.conversations import Turn
from stanchion_server.costs.calculators.memory import GIB, MIB
from stanchion_server.costs.pricing import Override, PriceBook
from stanchion_server.kernel.errors import SenderError


def answers(name: str, **given: object) -> Mapping[str, Any]:
    result = catalogue.ask(name, {key: str(value) for key, value in given.items()}).result
    return {line.name: line.value for line in result.lines}


def near(value: Any, places: int = 2) -> Decimal:
    return round(Decimal(value), places)


# V1: Figures 1.9 and 1.10

APIS = {
    "A": ("60", "120", 3500, 350_000), "B": ("3", "4", 2000, 180_000),
    "C": ("11.02", "32.68", 300, 150_000), "D": ("1.63", "5.51", 300, 150_000),
}  # fmt: skip


def api(column: str) -> Mapping[str, Any]:
    fresh, output, rpm, tpm = APIS[column]
    return answers("api-cost", input_usd_per_mtok=fresh, output_usd_per_mtok=output, limit_rpm=rpm, limit_tpm=tpm)


@pytest.mark.parametrize(
    ("column", "turn", "hour", "month", "rpm", "sessions"),
    [
        ("A", "0.018", "180", "129600", 1750, 1050), ("B", "0.0007", "7", "5040", 900, 540),
        ("C", "0.00437", "43.70", "31464", 300, 180), ("D", "0.000714", "7.14", "5140.80", 300, 180),
    ],
)  # fmt: skip
def test_v1_apis_cost_and_carry_what_the_figures_say(
    column: str, turn: str, hour: str, month: str, rpm: int, sessions: int
) -> None:
    found = api(column)
    assert (found["usd_per_turn"], found["usd_per_hour"]) == (Decimal(turn), Decimal(hour))
    assert found["usd_per_month"] == Decimal(month)
    assert (found["is_over_rpm"], found["is_over_tpm"]) == (False, False)
    assert (found["effective_rpm"], found["most_sessions"]) == (rpm, sessions)
    assert (near(found["demand_rpm"], 3), near(found["demand_tpm"], 0)) == (Decimal("166.667"), 33_333)


SMALL = {"usd_per_instance_hour": "7.09", "rpm_per_instance": 12}
LARGE = {"usd_per_instance_hour": "20.36", "rpm_per_instance": 20}
CONTINUOUS = {**LARGE, "batching_factor": "9.5"}


@pytest.mark.parametrize(
    ("given", "rpm", "over", "hour", "sessions", "month"),
    [
        ({**SMALL, "instances": 1}, 12, True, "7.09", 7, "5104.80"),
        ({**SMALL, "instances": 14}, 168, False, "99.26", 100, "71467.20"),
        ({**LARGE, "instances": 1}, 20, True, "20.36", 12, "14659.20"),
        ({**LARGE, "instances": 1, "sessions": 13}, 20, True, "20.36", 12, "14659.20"),
        ({**LARGE, "instances": 9}, 180, False, "183.24", 108, "131932.80"),
        ({**CONTINUOUS, "instances": 1}, 190, False, "20.36", 114, "14659.20"),
    ],
)  # fmt: skip
def test_v1_instances_cost_and_carry_what_the_figures_say(
    given: dict[str, object], rpm: int, over: bool, hour: str, sessions: int, month: str
) -> None:
    found = answers("self-hosting", **given)
    assert (found["max_rpm"], found["is_over_rpm"]) == (rpm, over)
    assert (found["usd_per_hour"], found["usd_per_month"]) == (Decimal(hour), Decimal(month))
    assert found["most_sessions"] == sessions


def test_v1_a_token_demand_exactly_at_the_limit_is_within_it() -> None:
    given = {"sessions": 100, "requests_per_session_hour": 100, "input_tokens": 100, "output_tokens": 200}
    found = answers("api-cost", **given, limit_tpm=50_000)
    assert (found["is_over_tpm"], found["most_sessions"]) == (False, 100)
    found = answers("api-cost", input_tokens=30, output_tokens=0, requests_per_session_hour=10, limit_tpm=4000)
    assert found["most_sessions"] == 800


def test_v1_as_many_instances_as_are_needed_and_no_more() -> None:
    assert [answers("self-hosting", **one)["instances_needed"] for one in (SMALL, LARGE, CONTINUOUS)] == [14, 9, 1]
    turns = [near(answers("self-hosting", **one)["usd_per_turn"], 6) for one in (SMALL, LARGE, CONTINUOUS)]
    assert turns == [Decimal("0.009926"), Decimal("0.018324"), Decimal("0.002036")]
    assert near(answers("self-hosting", **CONTINUOUS)["usd_per_turn_when_full"], 6) == Decimal("0.001786")


def test_v1_a_demand_exactly_at_the_limit_is_within_it() -> None:
    found = answers("self-hosting", **LARGE, instances=1, sessions=12)
    assert (found["demand_rpm"], found["max_rpm"], found["is_over_rpm"]) == (20, 20, False)
    assert found["instances_needed"] == 1


@pytest.mark.parametrize(
    ("column", "meets", "reachable"), [("A", 1131, True), ("B", 29_086, False), ("C", 4659, True), ("D", 28_515, False)]
)
def test_v1_costs_meet_only_where_an_instance_can_serve_that_many(column: str, meets: int, reachable: bool) -> None:
    fresh, output, _, _ = APIS[column]
    found = answers("break-even", **CONTINUOUS, input_usd_per_mtok=fresh, output_usd_per_mtok=output)
    assert (round(found["break_even_per_hour"]), found["is_reachable"]) == (meets, reachable)
    assert found["capacity_per_hour"] == 11_400


# V2, V3 and V5: demand, rates, tails


def test_v2_tokens_not_requests_are_what_600_tokens_a_second_cannot_carry() -> None:
    found = answers("workload", limit_rps=10, limit_tokens_per_s=600, limit_concurrency=1)
    assert (found["pause_s"], found["is_worst_in_time"], found["worst_response_s"]) == (36, True, 25)
    assert (near(found["response_s"], 3), near(found["demand_rps"], 3)) == (Decimal("7.143"), Decimal("2.778"))
    assert near(found["demand_tokens_per_s"], 0) == 694
    assert (found["binding_limit"], found["is_throttled"]) == ("Requests at a time", True)
    assert (near(found["concurrency"], 1), found["streams"]) == (Decimal("19.8"), 17)
    assert near(workload.concurrency(Decimal(10_000) / 3600, Decimal("7.69")), 1) == Decimal("21.4")
    limits = (Decimal(10), Decimal(600), Decimal(1))
    dimensions = workload.dimensions(Decimal(10_000) / 3600, Decimal(250), Decimal(35), limits)
    assert [one.name.split()[0] for one in dimensions] == ["Requests", "Output", "Requests"]
    assert dimensions[1].sustainable_rps == Decimal("2.4")


def test_v5_the_tail_begins_between_the_90th_and_the_95th() -> None:
    found = answers("latency-tail")
    assert (found["met_percentile"], found["jump"]) == (98, "90 and 95")
    (table,) = catalogue.ask("latency-tail", {}).result.tables
    against = {row[0]: near(row[2]) for row in table.rows}  # type: ignore[arg-type]
    assert [against[rank] for rank in (95, 99, 100)] == [Decimal("3.88"), Decimal("4.77"), Decimal("5.50")]


def test_v5_a_rank_beyond_100_is_no_percentile() -> None:
    with pytest.raises(SenderError, match="5000 is no percentile"):
        answers("latency-tail", percentiles="5000/3", limit_s=10)


# V4: serverless compute


def test_v4_a_month_has_24_hours_a_day() -> None:
    found = answers("serverless")
    assert (found["compute_s"], found["compute_gb_s"], found["requests"]) == (55_368_000, 221_472_000, 7_200_000)
    assert near(found["usd"]) == Decimal("3685.98")
    (table,) = catalogue.ask("serverless", {}).result.tables
    assert [near(row[1]) for row in table.rows[1:3]] == [Decimal("3684.54"), Decimal("1.44")]  # type: ignore[arg-type]


def test_v4_one_active_hour_a_day_gives_the_printed_compute() -> None:
    (table,) = catalogue.ask("serverless", {"hours_per_day": "1"}).result.tables
    assert near(table.rows[1][1]) == Decimal("147.13")  # type: ignore[arg-type]


def test_v4_capacity_kept_warm_costs_less_than_twice_as_much() -> None:
    found = answers("serverless", hours_per_day=16)
    assert (found["compute_s"], found["compute_gb_s"]) == (36_912_000, 147_648_000)
    assert (near(found["usd"]), near(found["provisioned_usd"])) == (Decimal("2455.10"), Decimal("4316.42"))
    assert near(found["ratio"]) == Decimal("1.76")
    (table,) = catalogue.ask("serverless", {"hours_per_day": "16"}).result.tables
    warm = [near(row[2]) for row in table.rows]  # type: ignore[arg-type]
    assert warm == [Decimal("2880.02"), Decimal("1435.43"), Decimal("0.96"), Decimal("4316.42")]


# V6: vector stores


def test_v6_no_store_is_the_best_everywhere() -> None:
    found = answers("comparison")
    assert found["best_everywhere"] == "none"
    by_column = catalogue.ask("comparison", {}).result.tables[1]
    assert [row[1] for row in by_column.rows] == ["pgvector", "Pinecone", "OpenSearch", "OpenSearch"]


def test_v6_two_with_as_many_wins_are_both_named() -> None:
    assert answers("comparison", scores="a:1, b:1")["first"] == "a, b"


@pytest.mark.parametrize(("usd", "each"), [(21_000, "35.00"), (17_000, "28.33"), (8_400, "14.00")])
def test_v6_a_million_records_costs(usd: int, each: str) -> None:
    assert near(answers("vector-index", vectors=600_000_000, usd_per_month=usd)["usd_per_million"]) == Decimal(each)


@pytest.mark.parametrize(
    ("given", "index"),
    [
        ({"searches": 9_999}, "flat"), ({"exact": "yes"}, "flat"), ({}, "HNSW"),
        ({"memory": "scarce"}, "IVF + PQ with OPQ"), ({"vectors": 100_000_001}, "multilevel clustering"),
        ({"gpu": "yes"}, "IVF, else OPQ, else flat"),
    ],
)  # fmt: skip
def test_v6_the_index_follows_from_size_memory_and_exactness(given: dict[str, object], index: str) -> None:
    assert answers("vector-index", **given)["index"] == index


# V7 and V8: tokens and conversations


@pytest.mark.parametrize(
    ("chars", "words", "counted", "by_chars", "by_words"),
    [(249, 41, 50, "62.25", "54.7"), (1158, 200, 269, "289.5", "266.7"), (154, 27, 38, "38.5", "36.0"),
     (249, 42, 56, "62.25", "56.0")],
)  # fmt: skip
def test_v7_rules_of_thumb_beside_counted_tokens(
    chars: int, words: int, counted: int, by_chars: str, by_words: str
) -> None:
    found = answers("token-estimate", chars=chars, words=words, tokens=counted)
    assert found["tokens_by_chars"] == Decimal(by_chars)
    assert near(found["tokens_by_words"], 1) == Decimal(by_words)
    assert Decimal("4.05") <= near(found["chars_per_token"]) <= Decimal("4.98")
    is_words_closer = abs(found["words_error_ratio"]) < abs(found["chars_error_ratio"])
    assert is_words_closer == (chars != 154)


def test_v8_prompts_are_priced_per_thousand_tokens_and_input_at_its_own_price() -> None:
    rates = Decimal("1.5"), Decimal(2)
    assert hosting.usd_per_turn(56, 80, *rates) == Decimal("0.000244")
    assert hosting.usd_per_turn(56, 80, Decimal(3), Decimal(4)) == Decimal("0.000488")
    book = PriceBook.of([Override(1, "openai", "gpt-3.5-turbo-4k", NOON - timedelta(days=1), *rates)])
    said = call(response_model="gpt-3.5-turbo-4k", input_tokens=13, output_tokens=7, cached_input_tokens=0)
    assert pricing.price(said, book).usd == Decimal("0.0000335")


@pytest.mark.parametrize(
    ("turns", "with_history", "alone", "output", "usd", "usd_alone"),
    [
        ("36/210, 38/227, 38/275", 220, 29, 179, "0.000688", "0.0004015"),
        ("107/557", 27, 27, 140, "0.0003205", "0.0003205"),
        ("33/139, 31/239, 48/117, 33/138, 51/176", 559, 51, 204, "0.0012465", "0.0004845"),
        ("22/1666", 6, 6, 417, "0.000843", "0.000843"),
        ("57/589", 15, 15, 148, "0.0003185", "0.0003185"),
    ],
)  # fmt: skip
def test_v8_a_history_that_is_sent_again_costs_again(
    turns: str, with_history: int, alone: int, output: int, usd: str, usd_alone: str
) -> None:
    found = answers("conversation", turns=turns, input_usd_per_mtok="1.5", output_usd_per_mtok="2")
    assert (found["input_tokens_with_history"], found["input_tokens_alone"]) == (with_history, alone)
    assert found["output_tokens"] == output
    assert (found["usd_with_history"], found["usd_alone"]) == (Decimal(usd), Decimal(usd_alone))


# V9 and V10: shorter answers, batches, caches


@pytest.mark.parametrize(
    ("long", "short", "before", "after", "saved"),
    [
        ("1666", "589", 417, 148, "0.646"), ("749", "90", 188, 23, "0.880"), ("501", "93.2", 126, 24, "0.814"),
        ("412", "205", 103, 52, "0.502"), ("977", "175", 245, 44, "0.821"),
    ],
)  # fmt: skip
def test_v9_a_limit_or_a_format_saves(long: str, short: str, before: int, after: int, saved: str) -> None:
    found = answers("shorter-answers", long_chars=long, short_chars=short)
    assert (found["tokens_before"], found["tokens_after"]) == (before, after)
    assert near(found["chars_saved_ratio"], 3) == Decimal(saved)


def test_v10_the_best_batch_is_not_the_largest_and_out_of_memory_is_no_time() -> None:
    found = answers("batch-trials")
    assert (found["best_batch"], found["failed"]) == (200, 1)
    (table,) = catalogue.ask("batch-trials", {}).result.tables
    by_batch = {row[0]: row for row in table.rows}
    assert [near(by_batch[one][3]) for one in (100, 200, 300)] == [  # type: ignore[arg-type]
        Decimal("85.47"), Decimal("117.79"), Decimal("70.42")]  # fmt: skip
    assert near(by_batch[1][3], 3) == Decimal("1.362")  # type: ignore[arg-type]
    assert [near(by_batch[one][4], 1) for one in (100, 200, 300)] == [  # type: ignore[arg-type]
        Decimal("62.7"), Decimal("86.5"), Decimal("51.7")]  # fmt: skip
    assert [by_batch[one][1] for one in (1, 100, 200, 300)] == [1000, 10, 5, 4]
    assert by_batch[500][2:] == (None, None, None, "failed")


def test_v10_questions_that_share_their_instructions_cost_less() -> None:
    (table,) = catalogue.ask("batch-prompting", {}).result.tables
    ratios = {row[0]: near(row[3], 3) for row in table.rows}  # type: ignore[arg-type]
    assert ratios == {
        1: Decimal(1),
        2: Decimal("1.652"),
        4: Decimal("2.452"),
        6: Decimal("2.923"),
        10: Decimal("3.455"),
    }


@pytest.mark.parametrize(("hits", "usd"), [("0.3", "0.00049"), ("0.5", "0.00035"), ("0.9", "0.00007")])
def test_v10_a_cache_saves_its_hits(hits: str, usd: str) -> None:
    assert batching.expected_usd(Decimal(hits), Decimal("0.0007"), Decimal(0)) == Decimal(usd)


def test_v10_overlap_makes_one_section_more() -> None:
    assert (batching.sections(20_000, 2_000, 0), batching.sections(20_000, 2_000, 100)) == (10, 11)


# V11 to V13: memory

T4 = 15_109 * MIB


@pytest.mark.parametrize(
    ("billion", "weights", "inference", "fits"),
    [
        ("0.137", "0.51", "0.61", True), ("1.3", "4.84", "5.81", True), ("2", "7.45", "8.94", True),
        ("2.7", "10.06", "12.07", True), ("7", "26.08", "31.29", False), ("13", "48.43", "58.11", False),
        ("40", "149.01", "178.81", False), ("176", "655.65", "786.78", False),
    ],
)  # fmt: skip
def test_v11_weights_and_inference_in_fp32(billion: str, weights: str, inference: str, fits: bool) -> None:
    found = memory.need(Decimal(billion) * 10**9, "fp32")
    assert (near(found.weights / GIB), near(found.inference / GIB)) == (Decimal(weights), Decimal(inference))
    assert memory.fits(found.inference, T4) == fits


def test_v11_verdicts_on_other_cards() -> None:
    inference = {size: memory.need(Decimal(size) * 10**9, "fp32").inference for size in (7, 13, 40)}
    verdicts = [memory.fits(inference[size], gib * GIB) for gib, size in
                ((24, 7), (40, 7), (40, 13), (80, 13), (80, 40))]  # fmt: skip
    assert verdicts == [False, True, False, True, False]


FALCON = Decimal("41.304e9")


@pytest.mark.parametrize(
    ("dtype", "weights", "inference", "training_gib", "adapter"),
    [
        ("fp32", "153.87", "184.64", "615.47", "192.03"), ("fp16", "76.93", "92.32", "307.73", "99.70"),
        ("int8", "38.47", "46.16", "153.87", "53.54"), ("int4", "19.23", "23.08", "76.93", "30.47"),
    ],
)  # fmt: skip
def test_v11_falcon_by_type_of_number(
    dtype: str, weights: str, inference: str, training_gib: str, adapter: str
) -> None:
    found = memory.need(FALCON, dtype)
    for value, printed in (
        (found.weights, weights), (found.inference, inference), (found.training, training_gib),
        (found.adapter_training, adapter),
    ):  # fmt: skip
        assert abs(value / GIB - Decimal(printed)) <= Decimal("0.011")


@pytest.mark.parametrize(
    ("gib", "full", "adapters"),
    [
        (24, (26, 13, 7, 4), (9, 5, 3, 2)), (16, (39, 20, 10, 5), (13, 7, 4, 2)),
        (32, (20, 10, 5, 3), (7, 4, 2, 1)), (40, (16, 8, 4, 2), (5, 3, 2, 1)),
    ],
)  # fmt: skip
def test_v11_cards_to_train_falcon(gib: int, full: tuple[int, ...], adapters: tuple[int, ...]) -> None:
    needs = [memory.need(FALCON, dtype) for dtype in ("fp32", "fp16", "int8", "int4")]
    assert tuple(memory.cards_needed(one.training, gib * GIB) for one in needs) == full
    assert tuple(memory.cards_needed(one.adapter_training, gib * GIB) for one in needs) == adapters


@pytest.mark.parametrize(
    ("billion", "sizes"),
    [
        ("1.318", ("4.91", "2.46", "1.23")), ("6.923", ("25.79", "12.89", "6.45")),
        ("41.304", ("153.87", "76.93", "38.47")), ("68.797", ("256.29", "128.15", "64.07")),
    ],
)  # fmt: skip
def test_v11_quantization_halves(billion: str, sizes: tuple[str, ...]) -> None:
    for dtype, size in zip(("fp32", "fp16", "int8"), sizes, strict=True):
        weights = memory.need(Decimal(billion) * 10**9, dtype).weights / GIB
        assert abs(weights - Decimal(size)) <= Decimal("0.011")


NEOX, OPT = (44, Decimal(6144), 1_081_344), (40, Decimal(5120), 819_200)


@pytest.mark.parametrize(("model", "bytes_"), [(NEOX, 2_214_592_512), (OPT, 1_677_721_600)])
def test_v12_a_token_and_2048_of_them_take(model: tuple[int, Decimal, int], bytes_: int) -> None:
    layers, hidden, each = model
    found = memory.kv_bytes_per_token(layers, hidden, Decimal(2))
    assert (found, found * 2048) == (each, bytes_)


def test_v12_requests_that_fit_beside_the_weights() -> None:
    neox, opt = (memory.kv_bytes_per_token(one[0], one[1], Decimal(2)) for one in (NEOX, OPT))
    gb = Decimal(10**9)
    assert memory.requests_that_fit(40 * gb, 2048, neox) == 18
    assert [memory.requests_that_fit(free * gb, 2048, opt) for free in (40, 80, 14)] == [23, 47, 8]
    assert int(14 * gb / opt) == 17_089
    assert near(memory.reserved_waste_ratio(50, 2048), 3) == Decimal("0.976")


def test_v13_blocks_grow_one_at_a_time_and_waste_less_than_one() -> None:
    assert [memory.blocks(tokens, 4) for tokens in (7, 8, 9)] == [2, 2, 3]
    assert [memory.unused_slots(tokens, 4) for tokens in (7, 8, 9)] == [1, 0, 3]


def test_v13_a_stream_keeps_its_sinks_and_the_newest_and_counts_positions_in_the_cache() -> None:
    kept, positions = memory.window(9, 4, 3)
    assert kept == (0, 1, 2, 3, 6, 7, 8)
    assert positions == tuple(range(8))


# V15: serving engines


@pytest.mark.parametrize(
    ("family", "tokens", "container"),
    [
        ("Falcon", 1025, "DeepSpeed container with LMI-Dist"), ("Llama 2", 1023, "TensorRT-LLM container"),
        ("Mistral", 64, "DeepSpeed container with vLLM"), ("Code Llama", 1024, None), ("another", 64, None),
    ],
)  # fmt: skip
def test_v15_a_start_by_family_and_length_and_none_where_none_is_published(
    family: str, tokens: int, container: str | None
) -> None:
    assert answers("serving-start", family=family, output_tokens=tokens)["container"] == container


def test_v15_the_search_space_is_190080_settings() -> None:
    found = answers("search-space")
    assert found["combinations"] == 190_080
    assert near(found["covered_ratio"] * 100, 3) == Decimal("0.053")
    assert answers("search-space", engines="1/2/3/6, 2, 2")["combinations"] == 172_800


def test_v15_false_is_written_and_what_is_not_set_is_not() -> None:
    told = {"engine": "MPI", "option.paged_attention": False, "option.rolling_batch": None, "option.dtype": "fp16"}
    assert serving.rendered(told) == "engine=MPI\noption.paged_attention=False\noption.dtype=fp16"


@pytest.mark.parametrize(
    "properties",
    [
        {"option.load_in_4bit": True, "load_in_8bit": "true"},
        {"engine": "FasterTransformer", "option.model_id": "meta-llama/Llama-2-13b-hf"},
        {"option.device_map": "sequENTIAL"},
    ],
)  # fmt: skip
def test_v15_what_cannot_work_together_is_named(properties: dict[str, serving.Setting]) -> None:
    assert len(serving.problems(properties)) == 1
    text = "\n".join(f"{name} = {value}" for name, value in properties.items())
    assert answers("serving-properties", properties=f"# a comment\n{text}")["problems"] == 1
    assert serving.problems({"engine": "MPI", "option.device_map": "balanced", "load_in_4bit": False}) == ()


# V17: training


def test_v17_training_arithmetic() -> None:
    billion, terascale = Decimal(10**9), Decimal(10**12)
    flop = training.optimal_flops(40 * billion)
    assert near(flop / Decimal("1e23"), 3) == Decimal("1.117")
    assert near(training.days(flop, 256, 150 * terascale), 1) == Decimal("33.7")
    assert round(training.usd(Decimal(33), 256, 8, Decimal("32.7726"))) == 830_589
    assert round(training.usd(Decimal(33), 256, 8, Decimal("33.688"))) == 853_789
    assert round(training.usd(Decimal(60), 384, 8, Decimal("37.688"))) == 2_604_995
    assert round(flop / (6 * 40 * billion) / billion) == 465
    gpt3 = training.flops(175 * billion, 300 * billion)
    assert (gpt3, near(Decimal(3640) * 10**15 * 86_400 / Decimal("1e23"), 2)) == (Decimal("3.15e23"), Decimal("3.14"))


def test_v17_a_trillion_by_a_trillion_in_100_days() -> None:
    flop = training.flops(Decimal(10**12), Decimal(10**12))
    assert training.gpus_needed(flop, Decimal(100), Decimal(312 * 10**12)) == 2_226
    assert training.gpus_needed(flop, Decimal(100), Decimal(150 * 10**12)) == 4_630
    assert round(training.usd(Decimal(100), 278 * 8, 8, Decimal("32.7726"))) == 21_865_879
    assert training.usd(Decimal(1), 2_225, 8, Decimal(1)) == 279 * 24


def test_v17_loss_with_published_and_with_misprinted_exponents() -> None:
    sizes = Decimal(70 * 10**9), Decimal("1.4e12")
    assert near(training.loss(*sizes), 3) == Decimal("1.937")
    assert near(training.loss(*sizes, Decimal("0.46"), Decimal("0.54")), 3) == Decimal("1.694")


# V18 and V19: evaluations, energy

FINANCE = (
    "BloombergGPT:43.41/75.07/51.07/82.20/60.82, GPT-NeoX:30.06/50.59/44.64/73.22/60.98,"
    "OPT-66B:27.88/51.60/48.67/79.41/57.49, BLOOM-176B:36.31/53.12/50.25/76.51/55.56"
)


def test_v18_averages_and_win_rates() -> None:
    table = catalogue.ask("comparison", {"scores": FINANCE, "better": "higher"}).result.tables[0]
    assert [near(row[1]) for row in table.rows] == [  # type: ignore[arg-type]
        Decimal("62.51"), Decimal("51.90"), Decimal("53.01"), Decimal("54.35")]  # fmt: skip
    assert [row[2] for row in table.rows] == [14, 4, 5, 7]
    assert [near(row[3]) for row in table.rows] == [  # type: ignore[arg-type]
        Decimal("0.93"), Decimal("0.27"), Decimal("0.33"), Decimal("0.47")]  # fmt: skip


def test_v18_phi_2_beats_the_70b_in_code_alone() -> None:
    rows = [("70B", [Decimal(one) for one in ("66.5", "69.2", "67.6", "64.1", "38.3")]),
            ("Phi-2", [Decimal(one) for one in ("59.2", "68.8", "62.0", "61.1", "53.7")])]  # fmt: skip
    tops = [measured.best_of_column(rows, column, is_high_good=True) for column in range(5)]
    assert tops == [("70B",)] * 4 + [("Phi-2",)]


def test_v19_an_idle_card_draws_all_day() -> None:
    assert (energy.energy_kwh(Decimal(25), Decimal(24)), energy.energy_kwh(Decimal(70), Decimal(24))) == (
        Decimal("0.6"), Decimal("1.68"))  # fmt: skip
    assert round(Decimal(283_950) / energy.CAR_LIFETIME_KG) == 5


# What is printed otherwise


def test_every_published_figure_that_does_not_follow_is_kept_beside_the_computed_one() -> None:
    flagged = [one for calculator in catalogue.ALL for one in calculator.printed if not one.is_consistent]
    assert len(flagged) >= 20
    assert all(one.printed != one.computed and one.printed and one.computed for one in flagged)


def test_a_conversation_of_one_turn_has_no_history() -> None:
    found = conversations.billed([Turn(Decimal(10), Decimal(20))])
    assert found.input_with_history == found.input_alone == 3
