"""Published examples V13 to V15, computed again: blocks of a paged cache, reported speeds, settings that were tried."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stanchion_server.costs.calculators import blocks, catalogue, reported, tuning
from stanchion_server.costs.calculators.serving import Setting, parsed, rendered, start
from stanchion_server.costs.calculators.tuning import Trial
from stanchion_server.kernel.errors import SenderError


def answers(name: str, **given: object) -> Mapping[str, Any]:
    result = catalogue.ask(name, {key: str(value) for key, value in given.items()}).result
    return {line.name: line.value for line in result.lines}


def test_v13_seven_tokens_take_two_blocks_and_the_ninth_a_third() -> None:
    found = list(blocks.steps(prompt=7, generated=2, block_tokens=4, free=(7, 1, 3)))
    assert [(one.tokens, one.table, one.taken, one.unused) for one in found] == [
        (7, (7, 1), (7, 1), 1), (8, (7, 1), (), 0), (9, (7, 1, 3), (3,), 3)]  # fmt: skip
    assert answers("block-table", free="7, 1, 3")["table"] == "7 1 3"


def test_v13_without_a_free_block_the_token_has_no_place() -> None:
    with pytest.raises(SenderError, match="9 tokens need 3 blocks, and 2 are free"):
        answers("block-table", free="7, 1")
    with pytest.raises(SenderError, match="names a block twice"):
        answers("block-table", free="7, 1, 7")


@given(st.integers(1, 60), st.integers(0, 60), st.integers(1, 17))
def test_v13_less_than_one_block_is_ever_unused(prompt: int, generated: int, size: int) -> None:
    for one in blocks.steps(prompt, generated, size, range(200)):
        assert len(one.table) * size - one.unused == one.tokens
        assert 0 <= one.unused < size
        assert len(set(one.table)) == len(one.table)


SAID = (
    "6.7 times", "4 times", "latency -33 %, throughput +60 %", "under 10 ms; 100 times AMD Milan", "20 times",
    "up to 7 times", "1/3 of the operations of a dense 62B", "43 % less computing, 1 % less",
)  # fmt: skip


def test_v14_speeds_of_others_are_told_as_reported_and_nothing_is_computed_of_them() -> None:
    spoken = {(one.what, one.hardware): one for one in reported.REPORTED}
    a100, a10 = spoken["Mistral 7B", "A100, 40 GB"], spoken["Mistral 7B", "A10, 24 GB"]
    other = spoken["Mistral 7B, another configuration", "not told"]
    assert [(one.latency_s, one.most_rps) for one in (a100, a10, other)] == [
        (Decimal("4.6"), Decimal("0.8")), (18, Decimal("0.4")), (Decimal("2.3"), Decimal("2.8"))]  # fmt: skip
    gains = " | ".join(one.gain for one in reported.REPORTED)
    for said in SAID:
        assert said in gains
    (table,) = catalogue.ask("reference-speeds", {}).result.tables
    assert "Reported by others, as of 2024" in table.title
    assert len(table.columns) == 5


def test_v14_ones_own_figures_stand_beside_them() -> None:
    (table,) = catalogue.ask("reference-speeds", {"latency_s": "9.2", "most_rps": "0.4"}).result.tables
    assert table.rows[0][2:6] == (Decimal("4.6"), Decimal("0.8"), Decimal(2), Decimal("0.5"))
    assert table.rows[3][2:6] == (None, None, None, None)


@pytest.mark.parametrize(
    ("family", "tokens", "text"),
    [
        ("Falcon", 1025, "engine=MPI\noption.tensor_parallel_degree=max\noption.rolling_batch=lmi-dist"),
        ("Llama 2", 1023, "engine=MPI"),
        ("Mistral", 1024, "engine=Python\noption.tensor_parallel_degree=max\noption.rolling_batch=vllm"),
    ],
)
def test_v15_a_start_is_written_as_a_file_that_reads_back(family: str, tokens: int, text: str) -> None:
    found = start(family, tokens)
    assert found is not None
    assert rendered(found.properties) == text
    assert parsed(text) == found.properties


def test_v15_a_failed_trial_loses_ten_thousand_and_is_no_speed_of_zero() -> None:
    trials = [Trial("slow", Decimal(4)), Trial("none", None), Trial("fast", Decimal(83))]
    assert [(one.loss, one.status) for one in trials] == [(-4, "ok"), (10_000, "fail"), (-83, "ok")]
    assert tuning.best(trials) == trials[2]
    assert tuning.best([Trial("none", None)]) is None
    found = answers("serving-trials")
    assert (found["best"], found["tokens_per_s"], found["slowest_tokens_per_s"], found["failed"]) == (
        "MPI prefill 256", 83, 4, 1)  # fmt: skip
    with pytest.raises(SenderError, match="trials="):
        answers("serving-trials", trials="zero:0")


CONTINUOUS: Mapping[str, Setting] = {
    "engine": "MPI", "option.rolling_batch": "auto", "option.max_rolling_batch_size": 64,
    "option.max_rolling_batch_prefill_tokens": 16080, "option.paged_attention": False,
}  # fmt: skip


def test_v15_the_published_samples_differ_in_what_their_text_says() -> None:
    paged = {**CONTINUOUS, "option.paged_attention": True}
    (one,) = tuning.differences(CONTINUOUS, paged)
    assert (one.name, one.change, one.before, one.after) == ("option.paged_attention", "changed", "False", "True")
    dynamic = parsed("batch_size=64\nmax_batch_delay=1000\noption.tensor_parallel_degree=2\nmodel_loading_timeout=900")
    changes = {one.name: one.change for one in tuning.differences(dynamic, CONTINUOUS)}
    assert (changes["batch_size"], changes["engine"]) == ("removed", "added")
    found = answers("serving-differences", before=rendered(CONTINUOUS), after=rendered(paged))
    assert (found["differences"], found["problems"]) == (1, 0)


names = st.text(st.characters(codec="ascii", categories=["Ll", "Nd"], include_characters="._"), min_size=1)
settings_of = st.dictionaries(names, st.one_of(st.none(), st.booleans(), st.integers(), names))


@given(settings_of)
def test_v15_what_is_written_reads_back_and_what_is_not_set_is_not_written(properties: dict[str, Setting]) -> None:
    text = rendered(properties)
    assert parsed(text) == {name: str(value) for name, value in properties.items() if value is not None}
    assert tuning.differences(properties, parsed(text)) == ()


@given(settings_of, settings_of)
def test_v15_two_files_differ_by_as_much_from_either_side(
    before: dict[str, Setting], after: dict[str, Setting]
) -> None:
    there, back = tuning.differences(before, after), tuning.differences(after, before)
    assert [(one.name, one.before, one.after) for one in there] == [(one.name, one.after, one.before) for one in back]
