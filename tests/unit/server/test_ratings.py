"""How a rating reads, which of two is kept, and what is said to one that cannot be read."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stanchion_server.feedback import parsing
from stanchion_server.feedback.ratings import Fate, Rating, Source, Tone, fate_of, tone_of
from stanchion_server.kernel.errors import SenderError

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def read(item: Any) -> Rating:
    return parsing.rating_of(item, Source.API, NOW, 90)


def refusal(item: Any) -> SenderError:
    with pytest.raises(SenderError) as caught:
        read(item)
    return caught.value


@pytest.mark.parametrize(
    ("score", "label", "tone"),
    [
        (1, "", Tone.POSITIVE), (0, "", Tone.NEGATIVE), (-1, "", Tone.NEGATIVE), (0.5, "", Tone.NEUTRAL),
        (0.75, "", Tone.POSITIVE), (0.49, "", Tone.NEGATIVE), (None, "", None), (None, "off topic", None),
        (None, "thumbs_up", Tone.POSITIVE), (None, "Thumbs Down", Tone.NEGATIVE), (None, "thumbs-down", Tone.NEGATIVE),
        (None, "👎🏽", Tone.NEGATIVE), (0.5, "thumbs_up", Tone.POSITIVE), (0, "neutral", Tone.NEUTRAL),
        (1, "off topic", Tone.POSITIVE),
    ],
)  # fmt: skip
def test_a_known_label_decides_and_else_the_score(score: float | None, label: str, tone: Tone | None) -> None:
    assert tone_of(score, label) is tone


def test_what_the_sdk_sends_is_read_field_by_field() -> None:
    sent = {
        "id": "f" * 32, "name": "helpful", "score": 0.5, "label": "thumbs_up", "comment": "ok", "correction": "Paris",
        "trace_id": TRACE, "span_id": SPAN, "session_id": "s-1", "time_ns": 1_795_176_000_123_456_789,
    }  # fmt: skip
    rating = read(sent)
    assert (rating.id, rating.name, rating.score, rating.label) == ("f" * 32, "helpful", 0.5, "thumbs_up")
    assert rating.trace_id is not None and rating.trace_id.hex == TRACE
    assert rating.rated_at == datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)
    assert (rating.comment, rating.correction, rating.session_id, rating.tone) == ("ok", "Paris", "s-1", Tone.POSITIVE)


def test_nothing_but_a_target_and_a_word_is_needed() -> None:
    rating = read({"trace_id": TRACE.upper(), "score": 1})
    assert (rating.id, rating.name, rating.rated_at) == ("", parsing.DEFAULT_NAME, NOW)
    assert read({"session_id": "s", "comment": "good"}).tone is None
    assert read({"session_id": "s", "label": "up", "score": None, "trace_id": None}).score is None


GOOD = {"trace_id": TRACE, "score": 1}


@pytest.mark.parametrize(
    ("item", "code", "says"),
    [
        ([], "bad_item", "a list"), (None, "bad_item", "null"), ("x", "bad_item", "a text"),
        (7, "bad_item", "a number"),
        ({"score": 1}, "no_target", "session_id"), ({"score": 1, "span_id": SPAN}, "no_target", "its trace_id"),
        ({"trace_id": TRACE}, "empty_rating", "score, label, comment"),
        ({**GOOD, "colour": 1}, "unknown_field", "Known:"),
        ({**GOOD, "score": 4}, "bad_score", "five stars"), ({**GOOD, "score": float("nan")}, "bad_score", "nan"),
        ({**GOOD, "score": float("inf")}, "bad_score", "inf"), ({**GOOD, "score": 10**400}, "bad_score", "40 digits"),
        ({**GOOD, "score": "1"}, "bad_score", "not a text"),
        ({**GOOD, "score": True}, "bad_score", "not true or false"),
        ({**GOOD, "trace_id": "xyz"}, "bad_trace_id", "32 hex"),
        ({**GOOD, "trace_id": "0" * 32}, "bad_trace_id", "zero"),
        ({**GOOD, "trace_id": 12}, "bad_trace_id", "32 hex"), ({**GOOD, "trace_id": ""}, "bad_trace_id", "32 hex"),
        ({**GOOD, "trace_id": "٠" * 32}, "bad_trace_id", "32 hex"),
        ({**GOOD, "span_id": "1" * 17}, "bad_span_id", "16"),
        ({**GOOD, "span_id": []}, "bad_span_id", "a list"), ({**GOOD, "comment": {}}, "bad_field", "an object"),
        ({**GOOD, "comment": "x" * 65_537}, "too_long", "65536"), ({**GOOD, "label": "x" * 101}, "too_long", "100"),
        ({**GOOD, "id": "a b"}, "bad_id", "a b"), ({**GOOD, "id": ""}, "bad_id", "1 to 128"),
        ({**GOOD, "id": "page-1-x"}, "bad_id", "page-"), ({**GOOD, "id": 5}, "bad_id", "5"),
        ({**GOOD, "id": "a\0"}, "bad_id", r"\x00"), ({**GOOD, "time_ns": 1_795_176_000}, "bad_time", "nanoseconds"),
        ({**GOOD, "time_ns": 1.5}, "bad_time", "whole number"), ({**GOOD, "time_ns": 10**30}, "bad_time", "90 days"),
        ({**GOOD, "time_ns": -1}, "bad_time", "90 days"), ({**GOOD, "time_ns": True}, "bad_time", "whole number"),
        ({**GOOD, "\ud800": 1}, "unknown_field", r"\ud800"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_remedy(item: Any, code: str, says: str) -> None:
    error = refusal(item)
    assert error.code == code
    assert says in error.message
    error.message.encode()


def test_texts_are_kept_as_those_of_spans_are() -> None:
    rating = read(
        {**GOOD, "comment": "a\0b\ud83d c", "correction": "use sk-proj-abcdefghijklmnopqrstuvwx", "label": "\0"}
    )
    assert (rating.comment, rating.label) == ("a\ufffdb\ufffd c", "\ufffd")
    assert rating.correction == "use [secret masked]"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "empty"), (b" \n", "empty"), (b"{", "not JSON"), (b"[" * 100_000, "nested too deeply"), (b"[]", "empty"),
        (b'"x"', "a text"), (b"1" * 5000, "not JSON"), (b"\xff\xfe\xfa", "not UTF-8"), (b"null", "null"),
    ],
)  # fmt: skip
def test_a_body_that_cannot_be_read_says_why(body: bytes, says: str) -> None:
    with pytest.raises(SenderError, match=says):
        parsing.items_of(body)


def test_a_list_has_a_stated_bound() -> None:
    assert len(parsing.items_of(json.dumps([1] * parsing.MAX_ITEMS).encode())[0]) == parsing.MAX_ITEMS
    with pytest.raises(SenderError, match="at most 500") as caught:
        parsing.items_of(json.dumps([1] * (parsing.MAX_ITEMS + 1)).encode())
    assert caught.value.http_status == 413


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from([TRACE, SPAN, "thumbs_up"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(parsing.FIELDS), JSON, max_size=6) | JSON)
def test_any_json_is_a_rating_or_a_refusal_that_can_be_sent(item: Any) -> None:
    try:
        rating = read(item)
    except SenderError as error:
        error.message.encode()
    else:
        for text in (rating.name, rating.label, rating.comment, rating.correction, rating.session_id, rating.user):
            assert "\0" not in text
            text.encode()


def test_the_later_one_wins_in_whatever_order_they_come() -> None:
    first = read({**GOOD, "id": "a"})
    later = replace(first, score=0.0, rated_at=NOW + timedelta(seconds=1))
    assert fate_of(first, None) is Fate.NEW
    assert fate_of(first, first) is Fate.SAME
    assert fate_of(later, first) is Fate.REPLACES
    assert fate_of(first, later) is Fate.OUTDATED
    assert fate_of(replace(first, rated_at=later.rated_at), first) is Fate.SAME
    assert fate_of(replace(first, score=0.0), first) is Fate.CONTRADICTS
    assert fate_of(replace(later, span_id=7), first) is Fate.OTHER_TARGET
