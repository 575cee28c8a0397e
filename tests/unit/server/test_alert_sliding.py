"""A window that slides over minutes holds what the minutes inside it hold, and nothing of those it left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from stanchion_server.alerts.records import Part, Sample, Window
from stanchion_server.alerts.sliding import Slide

AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def meaning(values: Sequence[float], counts: Mapping[int, int]) -> Sample:
    return Sample(values[1], int(values[0]), sum(bucket * count for bucket, count in counts.items()))


ROW = (st.integers(0, 60), st.sampled_from("ab"), st.integers(0, 9))


@st.composite
def recorded(draw: st.DrawFn) -> list[Part]:
    found = []
    for minute, feature, calls in sorted(draw(st.lists(st.tuples(*ROW), max_size=20))):
        cost = Decimal(calls * 1_234_567) / 10**9
        found.append(Part(AT + minute * MINUTE, (("feature", feature),), (calls, cost), (3, 5), (1, 2)))
    return found


@given(
    recorded(), st.integers(1, 20), st.integers(0, 30), st.lists(st.integers(0, 25), min_size=1, max_size=8),
    st.booleans(),
)  # fmt: skip
def test_a_slid_window_reads_as_if_it_were_summed_anew(
    parts: list[Part], length: int, lag: int, leaps: list[int], is_whole: bool
) -> None:
    slide = Slide(parts, 2, meaning, is_whole=is_whole)
    end = AT - 30 * MINUTE
    for leap in leaps:
        end += leap * MINUTE
        window = Window(end - (lag + length) * MINUTE, end - lag * MINUTE)
        inside = [part for part in parts if window.start <= part.at < window.end]
        expected = {(): Sample(0.0, 0, 0)} if is_whole else {}
        for labels in {part.labels for part in inside}:
            mine = [part for part in inside if part.labels == labels]
            total = float(sum((Decimal(part.values[1]) for part in mine), Decimal(0)))  # type: ignore[arg-type]
            expected[labels] = Sample(total, int(sum(part.values[0] for part in mine)), 13 * len(mine))
        assert slide.readings(window) == expected


def test_answers_that_were_given_stay_as_they_were() -> None:
    parts = [Part(AT + place * MINUTE, (), (1, 1)) for place in range(3)]
    slide = Slide(parts, 2, meaning, is_whole=True)
    first = slide.readings(Window(AT, AT + MINUTE))
    second = slide.readings(Window(AT, AT + 2 * MINUTE))
    assert (first[()].samples, second[()].samples) == (1, 2)
