"""Which hours of too many calls are read, and what stands for the others."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from stanchion_server.costs.advice.records import ModelName
from stanchion_server.costs.advice.sampling import FEWEST_SLICES, HOUR, Sample, Sum, slices

START = datetime(2026, 10, 25, tzinfo=UTC)
BIG, SMALL = ModelName("openai", "gpt-4o"), ModelName("openai", "gpt-4o-mini")


def hours(*calls: int) -> list[tuple[datetime, int]]:
    return [(START + place * HOUR, number) for place, number in enumerate(calls) if number]


def read(found: list[tuple[datetime, int]], most: int) -> float:
    """Calls in what is read, were they spread evenly over their hours."""
    by_hour = dict(found)
    return sum(
        by_hour[one.start.replace(minute=0, second=0, microsecond=0)] * ((one.end - one.start) / HOUR)
        for one in slices(found, most)
    )


@given(st.lists(st.integers(0, 2_000), min_size=1, max_size=720), st.integers(50, 5_000))
def test_no_more_is_read_than_may_be_and_no_two_pieces_overlap(calls: list[int], most: int) -> None:
    found = hours(*calls)
    some = sorted(slices(found, most), key=lambda one: one.start)
    assert bool(some) == bool(found)
    assert read(found, most) <= most + 1 or len(some) == 1
    assert all(one.end <= other.start for one, other in itertools.pairwise(some))
    assert {one.start.replace(minute=0, second=0, microsecond=0) for one in some} <= dict(found).keys()


def test_whole_hours_are_read_evenly_over_days_and_hours_of_the_day() -> None:
    some = slices(hours(*[100] * 720), 20_000)
    assert len(some) == 200 and all(one.end - one.start == HOUR for one in some)
    by_hour = [sum(one.start.hour == hour for one in some) for hour in range(24)]
    by_day = [sum(one.start.date() == (START + timedelta(days=day)).date() for one in some) for day in range(30)]
    assert min(by_hour) >= 5 and max(by_hour) <= 11 and min(by_day) >= 5 and max(by_day) <= 8


def test_hours_that_are_too_full_are_cut_to_the_same_share() -> None:
    some = slices(hours(*[4_000] * 720), 20_000)
    assert len(some) == FEWEST_SLICES
    (length,) = {one.end - one.start for one in some}
    assert timedelta(minutes=6) <= length <= timedelta(minutes=6, seconds=30)


def test_a_share_is_by_cost_and_by_calls_where_nothing_has_a_price() -> None:
    sample = Sample(
        {("a", BIG): Sum(10, Decimal(1)), ("a", SMALL): Sum(10), ("b", BIG): Sum(5, Decimal(1))},
        {("a", BIG): Sum(20, Decimal(3)), ("a", SMALL): Sum(40), ("b", BIG): Sum(5, Decimal(1)),
         ("c", BIG): Sum(7, Decimal(2))},
        known_calls=72,
    )  # fmt: skip
    assert sample.share("a", "gpt-4o").scale == 3 and sample.share("a", "gpt-4o-mini").scale == 4
    assert sample.share("a").scale == 3 and sample.share("b").scale == 1 and sample.share().scale == 3
    assert sample.share("c").read.calls == 0 and sample.share("c").scale == 1


def test_sums_that_lag_make_way_for_those_of_the_project_and_for_the_number_of_calls() -> None:
    read_now = {("a", BIG): Sum(10, Decimal(1)), ("b", BIG): Sum(10, Decimal(1))}
    behind = Sample(read_now, {("a", BIG): Sum(4, Decimal(1)), ("b", BIG): Sum(36, Decimal(5))}, known_calls=50)
    assert behind.share("a").scale == 3
    unknown = Sample(read_now, {}, known_calls=50)
    assert unknown.share("a").scale == unknown.share().scale == Decimal("2.5")


def test_what_was_read_whole_stands_for_itself() -> None:
    whole = Sample({("a", BIG): Sum(10, Decimal(1))}, {})
    assert whole.is_whole and whole.share("a").scale == whole.share().scale == whole.share("b").scale == 1
