"""Numbers, times and hidden characters as the pages print them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stanchion_server.kernel.errors import SenderError
from stanchion_server.web.pages import formats, invisible, spantexts, timespan

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        (None, "unknown"),
        ("0", "$0"),
        ("0.000126", "$0.000126"),
        ("0.0021", "$0.0021"),
        ("0.00000016", "$0.00000016"),
        ("0.123456", "$0.1235"),
        ("0.5", "$0.50"),
        ("0.99999", "$1.00"),
        ("12.345", "$12.35"),
        ("1234567.8", "$1,234,567.80"),
    ],
)
def test_small_costs_keep_enough_digits_and_unknown_is_never_zero(amount, shown):
    assert formats.usd(None if amount is None else Decimal(amount)) == shown


@given(st.decimals(min_value="0.000000000001", max_value="1000000000", places=12))
def test_a_cost_above_zero_is_never_shown_as_zero(amount):
    assert formats.usd(amount).strip("$0.,") != ""


@pytest.mark.parametrize(
    ("milliseconds", "shown"),
    [(None, "unknown"), (0, "0 ms"), (0.25, "0.25 ms"), (420, "420 ms"), (999.7, "1 s"), (2900, "2.9 s"),
     (61_000, "61 s"), (125_000, "2 min 5 s"), (7_260_000, "2 h 1 min")],
)  # fmt: skip
def test_durations_carry_their_unit(milliseconds, shown):
    assert formats.duration(milliseconds) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text\nwith lines\t", "plain text\nwith lines\t"),
        ("a\u202eb", "a⟦U+202E⟧b"),
        ("zero\u200bwidth", "zero⟦U+200B⟧width"),
        ("x" + "".join(chr(0xE0000 + ord(c)) for c in "ignore"), "x⟦hidden: ignore⟧"),
        ("👩\u200d💻 ❤\ufe0f", "👩\u200d💻 ❤\ufe0f"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("bell\x07 esc\x1b[0m", "bell⟦U+0007⟧ esc⟦U+001B⟧[0m"),
        ("soft\u00adhyphen", "soft⟦U+00AD⟧hyphen"),
    ],
)
def test_what_cannot_be_seen_is_shown_and_what_scripts_need_is_kept(text, shown):
    assert invisible.reveal(text) == shown


@given(st.text())
def test_no_text_is_lost_or_breaks_the_display(text):
    kept = "".join(piece.text for piece in invisible.pieces(text) if not piece.title)
    assert all(char in text for char in kept)
    assert "\u202e" not in invisible.reveal(text)


def test_relative_ranges_stay_relative_and_can_be_frozen():
    span = timespan.read("now-6h", "now", NOW)
    assert (span.end - span.start, span.preset) == (timedelta(hours=6), "6h")
    assert span.frozen == "from=2026-11-20T06:00:00Z&to=2026-11-20T12:00:00Z"
    frozen = timespan.read("2026-11-20T06:00:00Z", "2026-11-20T12:00:00Z", NOW)
    assert (frozen.start, frozen.end) == (span.start, span.end)


@given(st.text(max_size=30), st.text(max_size=30))
def test_a_range_is_read_or_refused_with_a_sentence(start, end):
    try:
        span = timespan.read(start, end, NOW)
    except SenderError as error:
        assert error.message
    else:
        assert span.start < span.end


KEYS = st.sampled_from(["role", "parts", "type", "text", "input", "content", "name", "arguments"])
LEAVES = st.none() | st.booleans() | st.floats() | st.text()


def _nested(inner: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.lists(inner) | st.dictionaries(KEYS, inner)


@given(st.recursive(LEAVES, _nested, max_leaves=12))
def test_any_stored_body_can_be_shown(value):
    for key in ("system", "input", "output", "documents", "tools", "query", "result", "raw"):
        for section in spantexts.sections({key: value}):
            assert section.title
