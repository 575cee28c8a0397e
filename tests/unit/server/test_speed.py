"""What is read from a stream, and what several streams say about speed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stanchion_server.commands.speed import running, stream
from stanchion_server.commands.speed.stream import NoAnswer
from stanchion_server.costs.calculators import speed
from stanchion_server.costs.calculators.speed import Case, Run


def ticking(step_s: float = 0.5) -> Callable[[], float]:
    """A clock that moves on by `step_s` whenever it is read, from 100."""
    times = iter(100 + step_s * count for count in range(1, 10_000))
    return lambda: next(times)


def lines(*events: Any) -> Iterator[bytes]:
    for event in events:
        yield f"data: {event if isinstance(event, str) else json.dumps(event)}\n".encode()
        yield b"\n"


def piece(**delta: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta}]}


USAGE = {"choices": [], "usage": {"prompt_tokens": 12, "completion_tokens": 20}}


def test_the_first_token_is_the_first_piece_with_text_and_tokens_are_the_providers() -> None:
    told = lines(piece(role="assistant", content=""), piece(content="a"), piece(content="b"), piece(), USAGE, "[DONE]")
    run = stream.read(told, 1, 100, ticking())
    assert (run.first_token_s, run.total_s) == (0.5, 1.0)
    assert (run.output_tokens, run.input_tokens, run.is_estimated) == (20, 12, False)
    assert (run.tokens_per_s, run.decode_tokens_per_s) == (20, 38)


def test_without_a_usage_block_pieces_are_counted_and_called_an_estimate() -> None:
    run = stream.read(lines(piece(reasoning_content="hm"), piece(content="a"), "[DONE]"), 1, 100, ticking())
    assert (run.output_tokens, run.input_tokens, run.is_estimated) == (2, None, True)


@pytest.mark.parametrize(
    ("events", "text"),
    [
        ([piece(role="assistant"), "[DONE]"], "without a token"), ([], "without a token"),
        ([piece(content="a"), {"error": {"message": "overloaded"}}], "overloaded"),
        ([{"choices": [None]}, {"choices": "x"}, ["y"], USAGE], "without a token"),
    ],
)  # fmt: skip
def test_a_stream_without_an_answer_is_no_run(events: list[Any], text: str) -> None:
    with pytest.raises(NoAnswer, match=text):
        stream.read(lines(*events), 1, 100, ticking())


def test_v3_best_and_worst_of_table_1_1() -> None:
    found = speed.spread([(45, 13), (48, 26), (50, 10), (46, 40)])
    assert (found.mean_best, found.mean_worst, found.mean) == (47.25, 22.25, 34.75)
    assert (found.lowest, found.highest_worst) == (10, 40)


def test_requests_at_a_time_get_together_more_than_each_alone() -> None:
    case = Case(1, (Run(1, 0.1, 2.0, 20), Run(1, 0.2, 2.0, 40)), 1, 2.0)
    assert (case.best, case.worst, case.mean, case.together_tokens_per_s) == (20, 10, 15, 30)
    nothing = Case(1, (), 3, 1.0)
    assert (nothing.best, nothing.worst, nothing.mean, nothing.together_tokens_per_s) == (None,) * 4


def test_an_answer_of_one_token_has_no_speed_after_it() -> None:
    assert Run(1, 0.5, 0.5, 1).decode_tokens_per_s is None
    assert Run(1, 0.0, 0.0, 1).tokens_per_s == 0


def test_prompts_grow_by_whole_passages() -> None:
    sizes = [running.prompt(length).count(running.PASSAGE) for length in (1, 2, 3)]
    assert sizes == [1, 2, 3]


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=50))
def test_percentiles_occurred_and_rise(values: list[float]) -> None:
    found = [speed.percentile(values, rank) for rank in (1, 50, 90, 100)]
    assert all(one in values for one in found)
    assert found == sorted(found)  # type: ignore[type-var]
    assert found[-1] == max(values)
    assert speed.percentile([], 50) is None
