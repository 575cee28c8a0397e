"""What a period will have cost at its end, and when a budget is gone."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stanchion_server.costs import forecasting, spent
from stanchion_server.costs.periods import PERIODS, PeriodName, period_at, step_start
from stanchion_server.costs.spent import Spend

money = st.decimals(0, 10_000, places=4)
shares = st.lists(st.floats(0, 1), min_size=1, max_size=31)
moments = st.integers(0, 500_000_000).map(lambda after_s: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(seconds=after_s))
CENT = Decimal("0.01")


def decimals(*values: float) -> list[Decimal]:
    return [Decimal(str(value)) for value in values]


@given(money, st.lists(money, max_size=45), st.integers(0, 6), shares, st.floats(0, 31))
def test_a_forecast_holds_what_was_spent_its_steps_and_its_band(
    spent_usd: Decimal, before: list[Decimal], place: int, left: list[float], elapsed: float
) -> None:
    found = forecasting.outlook(spent_usd, before, place, 7, left, elapsed)
    if found is None:
        assert len(before) < forecasting.FEWEST and elapsed < forecasting.LEAST_ELAPSED
        return
    assert found.usd >= spent_usd and len(found.steps) == len(left)
    assert abs(spent_usd + sum(found.steps, Decimal(0)) - found.usd) < CENT
    if found.low_usd is not None and found.high_usd is not None:
        assert spent_usd <= found.low_usd <= found.usd <= found.high_usd
    else:
        assert found.method == "linear"


@given(st.lists(st.integers(0, 500), min_size=7, max_size=7), st.integers(2, 6), st.integers(0, 6), st.integers(1, 25))
def test_weeks_that_are_all_alike_go_on_as_they_are(week: list[int], weeks: int, place: int, ahead: int) -> None:
    """Days more than three times as dear as the middle one are the exception: see the cap."""
    middle = sorted(week)[3]
    week = [min(value, 3 * middle) for value in week]
    before = [Decimal(week[(place - 7 * weeks + day) % 7]) for day in range(7 * weeks)]
    found = forecasting.outlook(Decimal(0), before, place, 7, [1.0] * ahead, 10)
    assert found is not None and found.method == "profile"
    wanted = sum(week[(place + day) % 7] for day in range(ahead))
    assert abs(found.usd - wanted) <= CENT
    assert found.high_usd is not None and found.high_usd - found.usd <= CENT


def test_one_odd_day_does_not_carry_the_month() -> None:
    calm = decimals(*[10] * 28)
    odd = [*calm[:-1], Decimal(1_000)]
    found = forecasting.outlook(Decimal(0), odd, 0, 7, [1.0] * 10, 20)
    assert found is not None and found.usd < 150


def test_a_lasting_rise_is_followed_within_a_week() -> None:
    risen = decimals(*[10] * 21, *[20] * 7)
    found = forecasting.outlook(Decimal(0), risen, 0, 7, [1.0] * 10, 20)
    assert found is not None and found.usd == 200


@pytest.mark.parametrize(("seed", "spread"), [(1, 0.1), (2, 0.3), (3, 0.6)])
def test_the_band_holds_about_eight_of_ten_months_with_independent_days(seed: int, spread: float) -> None:
    chance = random.Random(seed)
    inside = 0
    for _ in range(400):
        days = [max(0.0, chance.gauss(100, 100 * spread)) * (0.5 if day % 7 > 4 else 1) for day in range(57)]
        found = forecasting.outlook(Decimal(0), decimals(*days[:42]), 0, 7, [1.0] * 15, 15)
        assert found is not None and found.low_usd is not None and found.high_usd is not None
        inside += found.low_usd <= Decimal(str(sum(days[42:]))) <= found.high_usd
    assert 0.68 <= inside / 400 <= 0.92


@given(moments, st.sampled_from(PERIODS))
def test_a_moment_lies_in_its_period_and_its_steps_end_with_it(at: datetime, name: PeriodName) -> None:
    period = period_at(name, at)
    assert period.start <= at < period.end
    assert period_at(name, period.end).start == period.end
    left = period.left(at)
    assert all(0 <= share <= 1 for share in left)
    assert abs(sum(left) * period.step - (period.end - at)) < timedelta(seconds=1)
    if name == "week":
        assert period.start.weekday() == 0


DAY = timedelta(days=1)
FIRST = datetime(2026, 11, 1, tzinfo=UTC)


def month(*usd: float, start: datetime = FIRST) -> list[tuple[datetime, Spend]]:
    return [(start + place * DAY, Spend(Decimal(str(value)), 1)) for place, value in enumerate(usd)]


def told(limit: int, *usd: float, now: datetime) -> spent.Statement:
    return spent.statement(Decimal(limit), period_at("month", now), month(*usd), now)


def test_a_spent_budget_says_when_it_was_crossed() -> None:
    found = told(25, 10, 10, 10, 10, now=FIRST + 3.5 * DAY)
    assert found.spent_usd == 40 and found.overruns_at == FIRST + 2.5 * DAY


def test_a_budget_that_will_not_last_says_when_it_will_be_gone() -> None:
    found = told(100, 10, 10, 10, 5, now=FIRST + 3.5 * DAY)
    assert found.overruns_at == FIRST + 10 * DAY
    assert found.outlook is not None and found.outlook.usd == 300
    assert found.burn_ratio == pytest.approx((35 / 100) / (3.5 / 30))
    assert found.recent_burn_ratio == pytest.approx(10 / 100 * 30)


def test_a_budget_that_lasts_has_no_overrun() -> None:
    found = told(301, 10, 10, 10, 5, now=FIRST + 3.5 * DAY)
    assert found.overruns_at is None and found.points[-1].total_usd == 300


def test_days_before_the_first_call_are_no_history() -> None:
    now = FIRST + 20.5 * DAY
    nothing = [(at, Spend()) for at, _spend in month(*[0] * 17)]
    steps = [*nothing, *month(30, 30, 30, 15, start=FIRST + 17 * DAY)]
    found = spent.statement(Decimal(1_000), period_at("month", now), steps, now)
    assert found.outlook is not None and found.outlook.usd == 105 + Decimal(30) * Decimal("9.5")


def test_without_history_the_rate_goes_on_and_there_is_no_band() -> None:
    now = FIRST + 0.5 * DAY
    found = spent.statement(Decimal(100), period_at("month", now), month(5), now)
    assert found.outlook is not None and found.outlook.method == "linear"
    assert found.outlook.usd == 300 and found.outlook.low_usd is None


def test_in_the_first_hours_nothing_is_foretold() -> None:
    now = FIRST + timedelta(hours=2)
    found = spent.statement(Decimal(100), period_at("month", now), month(5), now)
    assert found.outlook is None and found.overruns_at is None


@given(st.lists(st.integers(0, 40), min_size=1, max_size=28), st.integers(1, 400), st.floats(0.01, 0.99))
def test_an_overrun_is_told_exactly_when_the_expected_total_reaches_the_limit(
    usd: list[int], limit: int, gone: float
) -> None:
    now = FIRST + (len(usd) - 1 + gone) * DAY
    found = told(limit, *usd, now=now)
    total = found.points[-1].total_usd
    assert (found.overruns_at is not None) == (total >= limit)
    if found.overruns_at is not None:
        assert found.points[0].at <= found.overruns_at <= period_at("month", now).end
        assert (found.overruns_at <= now) == (found.spent_usd >= limit)
    assert step_start(now, DAY) == FIRST + (len(usd) - 1) * DAY
