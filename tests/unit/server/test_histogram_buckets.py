"""Log buckets: one per cent of error, and percentiles from counts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stanchion_server.traces import histogram


@given(st.floats(0.001, 1e9))
def test_a_value_comes_back_within_one_per_cent(duration_ms: float) -> None:
    assert abs(histogram.value_of(histogram.bucket_of(duration_ms)) / duration_ms - 1) < 0.0101


def test_zero_falls_into_the_lowest_bucket() -> None:
    assert histogram.bucket_of(0) == histogram.bucket_of(0.001) < histogram.bucket_of(0.01)


def test_a_percentile_is_the_value_below_which_that_part_lies() -> None:
    counts = {histogram.bucket_of(100): 98, histogram.bucket_of(5000): 2}
    assert round(histogram.percentile(counts, 0.5) or 0) in range(99, 102)
    assert round(histogram.percentile(counts, 0.99) or 0) in range(4950, 5051)
    assert histogram.percentile({}, 0.5) is None
