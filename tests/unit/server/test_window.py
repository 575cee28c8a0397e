from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from kit import otlp
from stanchion_server.ingest import decode, window
from stanchion_server.ingest.records import Alteration, Decoded
from stanchion_server.kernel import clock

NOW = clock.now().replace(microsecond=0)
NOW_NS = int(NOW.timestamp()) * 10**9
DAY_NS = 86_400 * 10**9


def decoded(start_ns: int, duration_ns: int = 1_000) -> Decoded:
    body = otlp.as_protobuf(otlp.traces([otlp.span(start_ns=start_ns, duration_ns=duration_ns)]))
    return decode.decode_traces(body, "protobuf", NOW_NS, decode.Limits())


def judged(start_ns: int, duration_ns: int = 1_000, days: int = 30) -> Decoded:
    return window.split_by_window(decoded(start_ns, duration_ns), NOW, days)


def test_what_lies_in_the_window_passes_untouched() -> None:
    for start_ns in (NOW_NS, NOW_NS - 30 * DAY_NS, NOW_NS + 300 * 10**9):
        found = decoded(start_ns)
        assert window.split_by_window(found, NOW, 30) is found


def test_a_span_before_the_late_window_is_refused_with_its_time_and_the_remedy() -> None:
    found = judged(NOW_NS - 8 * DAY_NS, days=7)
    (rejection,) = found.rejections
    assert (found.spans, rejection.reason, rejection.count) == ((), "too_old", 1)
    assert (NOW - timedelta(days=8)).isoformat() in rejection.detail
    assert "late window" in rejection.detail


def test_a_span_a_day_ahead_is_refused_and_one_some_minutes_ahead_is_flagged() -> None:
    assert judged(NOW_NS + DAY_NS + 1).rejections[0].reason == "too_far_in_future"
    assert judged(NOW_NS + 301 * 10**9).spans[0].alterations & Alteration.CLOCK_SKEW


def test_an_end_that_cannot_be_true_costs_the_duration_and_not_the_span() -> None:
    span = judged(NOW_NS, 400 * DAY_NS).spans[0]
    assert (span.start_ns, span.end_ns) == (NOW_NS, NOW_NS)
    assert span.alterations & Alteration.CLOCK_SKEW


def test_a_log_record_without_a_time_is_of_now() -> None:
    body = otlp.as_protobuf(otlp.logs([otlp.log("x", time_ns=0)]))
    found = window.split_by_window(decode.decode_logs(body, "protobuf", NOW_NS, decode.Limits()), NOW, 30)
    assert found.logs[0].observed_ns == NOW_NS
    assert not found.rejections


@given(st.lists(st.integers(0, 2**64 - 1), max_size=20))
def test_every_item_is_kept_or_counted_as_refused(starts: list[int]) -> None:
    body = otlp.as_protobuf(otlp.traces([otlp.span(start_ns=start, duration_ns=0) for start in starts]))
    found = window.split_by_window(decode.decode_traces(body, "protobuf", NOW_NS, decode.Limits()), NOW, 30)
    assert len(found.spans) + sum(rejection.count for rejection in found.rejections) == len(starts) == found.sent
