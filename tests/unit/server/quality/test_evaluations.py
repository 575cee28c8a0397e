from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stanchion_server.kernel.errors import SenderError
from stanchion_server.quality import evaluations
from stanchion_server.quality.evaluations import Evaluation, of_event, of_item

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def item(**values: Any) -> dict[str, Any]:
    return {"trace_id": TRACE, "span_id": SPAN, "name": "faithfulness", "value": 0.8, **values}


def test_an_item_of_the_api_is_a_score_of_its_call() -> None:
    found = of_item(item(label="good", reason="all upheld", version="2"))
    assert found.trace_id == UUID(hex=TRACE) and found.span_id < 0
    assert found.evaluation == Evaluation("faithfulness", "2", 0.8, "good", "all upheld", False)


@pytest.mark.parametrize(
    ("values", "score"),
    [
        ({"value": 4, "range": [1, 5]}, 0.75), ({"value": -1, "range": [-1, 1]}, 0.0), ({"value": True}, 1.0),
        ({"value": None, "label": "Pass"}, 1.0), ({"value": None, "label": "failed"}, 0.0), ({"value": 0}, 0.0),
    ],
)  # fmt: skip
def test_other_scales_are_mapped_where_they_are_stated(values: dict[str, Any], score: float) -> None:
    assert of_item(item(**values)).evaluation.score == score


@pytest.mark.parametrize(
    ("values", "code", "word"),
    [
        ({"value": 4}, "out_of_range", "[1, 5]"), ({"value": float("nan")}, "no_value", "nan"),
        ({"value": "high"}, "no_value", "high"), ({"value": None}, "no_value", "None"),
        ({"range": [5, 1], "value": 2}, "bad_range", "[5, 1]"), ({"range": "1-5"}, "bad_range", "1-5"),
        ({"range": [0, float("inf")]}, "bad_range", "inf"), ({"name": ""}, "no_name", "name"),
        ({"name": "x" * 81}, "bad_name", "81"), ({"name": 7}, "bad_name", "int"),
        ({"score": 1}, "unknown_field", "score"),
        ({"trace_id": TRACE.upper()}, "bad_trace_id", "32"), ({"span_id": 5}, "bad_span_id", "16"),
        ({"is_flagged": "no"}, "bad_is_flagged", "true"),
    ],
)  # fmt: skip
def test_what_cannot_be_a_score_is_refused_with_value_and_remedy(values: dict[str, Any], code: str, word: str) -> None:
    with pytest.raises(SenderError) as caught:
        of_item(item(**values))
    assert caught.value.code == code and word in caught.value.message


def test_an_event_is_read_by_the_semantic_conventions_names() -> None:
    told = of_event(
        {
            evaluations.NAME: "Relevance", evaluations.VALUE: 2, evaluations.LABEL: "fail",
            evaluations.EXPLANATION: "beside the point", evaluations.RANGE: [1, 5],
        }
    )  # fmt: skip
    assert told == Evaluation("Relevance", "telemetry", 0.25, "fail", "beside the point", True)


def test_an_evaluation_that_failed_is_no_score() -> None:
    with pytest.raises(SenderError) as caught:
        of_event({evaluations.NAME: "Relevance", "error.type": "timeout"})
    assert caught.value.code == "evaluation_failed"


@given(
    st.dictionaries(st.sampled_from(evaluations.FIELDS), st.none() | st.floats() | st.text() | st.lists(st.floats()))
)
def test_any_item_is_a_score_in_range_or_a_clear_refusal(values: dict[str, Any]) -> None:
    try:
        found = of_item(item(**values))
    except SenderError as error:
        assert error.message
    else:
        assert 0.0 <= found.evaluation.score <= 1.0
