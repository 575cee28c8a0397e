"""Rows of money: nothing is lost or counted twice, and what nobody knows is not zero."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from stanchion_server.costs import breakdown
from stanchion_server.costs.breakdown import IDLE, OTHERS, UNATTRIBUTED, USE, Amounts, Row

TEN = datetime(2026, 11, 25, 10, tzinfo=UTC)
money = st.none() | st.integers(0, 10**15).map(lambda units: Decimal(units).scaleb(-12))
amounts = st.builds(
    Amounts,
    calls=st.integers(0, 1000), unpriced_calls=st.none() | st.integers(0, 9), input_tokens=st.integers(0, 10**9),
    output_tokens=st.integers(0, 10**9), api_usd=money, gpu_usd=money, energy_usd=money, energy_wh=money, co2e_g=money,
    is_estimated=st.booleans(),
)  # fmt: skip
rows = st.lists(
    st.builds(
        Row,
        st.integers(0, 3).map(lambda hour: TEN + timedelta(hours=hour)),
        st.sampled_from((USE, IDLE, UNATTRIBUTED)),
        st.tuples(st.sampled_from(("bot", "search", "", None)), st.sampled_from(("m", ""))),
        amounts,
    ),
    max_size=12,
)


@given(rows, st.integers(1, 5))
def test_the_sum_over_groups_is_the_total_however_few_groups_are_shown(found: list[Row], most: int) -> None:
    shown = breakdown.largest(breakdown.merged(found), most)
    assert breakdown.total(shown) == breakdown.total(found)
    for bucket in {row.bucket for row in found}:
        here = [row for row in shown if row.bucket == bucket]
        assert breakdown.total(here) == breakdown.total(row for row in found if row.bucket == bucket)
        assert len({(row.kind, row.key) for row in here}) == len(here)
    assert len({row.key for row in shown if row.kind == USE}) <= most


@given(rows, st.integers(1, 5))
def test_no_use_put_among_the_others_is_dearer_than_use_that_is_shown(found: list[Row], most: int) -> None:
    plain = breakdown.merged([Row(None, row.kind, row.key, row.amounts) for row in found])
    shown = breakdown.largest(plain, most)
    kept = {(row.kind, row.key) for row in shown}
    left = [row.amounts.usd or Decimal(0) for row in plain if (row.kind, row.key) not in kept]
    assert max(left, default=Decimal(0)) <= min(
        (row.amounts.usd or Decimal(0) for row in shown if row.kind == USE), default=Decimal(0)
    ) or not left  # fmt: skip


@given(rows, st.integers(1, 5))
def test_what_is_nobodys_keeps_its_rows_however_few_groups_are_shown(found: list[Row], most: int) -> None:
    def nobodys(some: list[Row]) -> set[Row]:
        return {row for row in some if row.kind in (IDLE, UNATTRIBUTED)}

    plain = breakdown.merged(found)
    assert nobodys(breakdown.largest(plain, most)) == nobodys(plain)


def test_idling_that_costs_less_than_every_feature_is_still_a_row() -> None:
    features = [Row(None, USE, (f"f{number:02d}",), Amounts(calls=1, api_usd=Decimal(10))) for number in range(60)]
    shown = breakdown.largest([*features, Row(None, IDLE, ("",), Amounts(gpu_usd=Decimal(5)))], 50)
    assert [row.kind for row in shown] == [USE] * 50 + [OTHERS, IDLE]
    assert [row.amounts.usd for row in shown if row.kind != USE] == [Decimal(100), Decimal(5)]


@given(st.lists(amounts, max_size=6))
def test_money_is_unknown_only_where_all_of_it_is(found: list[Amounts]) -> None:
    whole = breakdown.NOTHING
    for one in found:
        whole = whole.plus(one)
    told = [one.api_usd for one in found if one.api_usd is not None]
    assert whole.api_usd == (sum(told, Decimal(0)) if told else None)
    parts = [part for one in found for part in (one.api_usd, one.gpu_usd, one.energy_usd) if part is not None]
    assert whole.usd == (sum(parts, Decimal(0)) if parts else None)


def test_money_that_belongs_to_nobody_is_told_apart() -> None:
    def row(kind: str, key: tuple[str | None, ...], usd: int) -> Row:
        return Row(None, kind, key, Amounts(gpu_usd=Decimal(usd)))

    found = [row(USE, ("bot",), 1), row(USE, ("",), 2), row(USE, (None,), 4), row(IDLE, ("",), 8), row(OTHERS, (), 16)]
    assert breakdown.nameless_usd(found) == 14
    assert breakdown.nameless_usd(found[:1]) is None


def test_a_part_larger_than_its_whole_leaves_nothing_and_keeps_the_dollars() -> None:
    whole = Amounts(calls=3, input_tokens=10, api_usd=Decimal(1))
    left = whole.without(Amounts(calls=4, input_tokens=4, gpu_usd=Decimal(9)))
    assert (left.calls, left.input_tokens, left.usd) == (0, 6, Decimal(1))


def test_what_is_not_known_of_a_part_is_not_known_of_what_is_left_unless_there_was_nothing() -> None:
    whole = Amounts(calls=3, unpriced_calls=2, cached_input_tokens=7)
    served = Amounts(calls=1, unpriced_calls=None, untokened_calls=None, cached_input_tokens=3)
    left = whole.without(served)
    assert (left.calls, left.unpriced_calls, left.untokened_calls, left.cached_input_tokens) == (2, None, 0, 4)
    assert left.plus(Amounts(unpriced_calls=5)).unpriced_calls is None


def test_calls_without_a_price_do_not_make_a_call_cheaper() -> None:
    api = Amounts(calls=100, unpriced_calls=90, input_tokens=5_000, api_usd=Decimal(10))
    assert api.usd_per_call == 1
    assert api.usd_per_1k_tokens is None
    failed = Amounts(calls=100, unpriced_calls=90, untokened_calls=90, input_tokens=5_000, api_usd=Decimal(10))
    assert (failed.usd_per_call, failed.usd_per_1k_tokens) == (1, 2)
    assert Amounts(calls=4, unpriced_calls=None, input_tokens=9, api_usd=Decimal(1)).usd_per_call is None
    assert Amounts(calls=4, unpriced_calls=4, input_tokens=9).usd_per_call is None


def test_a_paid_hour_is_shared_by_all_its_calls() -> None:
    hosted = Amounts(calls=4, unpriced_calls=4, input_tokens=2_000, gpu_usd=Decimal(8))
    assert (hosted.usd_per_call, hosted.usd_per_1k_tokens) == (2, 4)
    unknown = Amounts(calls=4, unpriced_calls=None, untokened_calls=None, input_tokens=2_000, gpu_usd=Decimal(8))
    assert (unknown.usd_per_call, unknown.usd_per_1k_tokens, unknown.tells_tokens) == (2, 4, True)
