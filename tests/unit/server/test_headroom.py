"""Headroom under rate limits: shares, the fullest limit, and when a trend meets it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stanchion_server.costs import headroom
from stanchion_server.costs.headroom import DIMENSIONS, Observed, Peak, Prediction

TODAY = datetime(2026, 11, 20, tzinfo=UTC)
DAY = timedelta(days=1)
LIMITS = st.decimals(min_value="0.001", max_value="999999999999", places=3)
PEAKS = st.lists(st.integers(0, 2**63), max_size=20)


def seen(*daily: int, week: int | None = None) -> Observed:
    latest = max(daily[-7:], default=0) if week is None else week
    return Observed(Peak(latest, TODAY), Peak(latest, TODAY), daily)


@pytest.mark.parametrize(
    ("daily", "expected"),
    [
        ((100, 110, 120, 130), Prediction("predicted", TODAY - DAY + 7 * DAY)),
        ((10, 190, 195, 197, 198, 199), Prediction("not_predictable", None, "daily peaks vary too much for a trend")),
        ((130, 120, 110, 100), Prediction("not_predictable", None, "daily peaks do not grow")),
        ((100, 100, 100, 100), Prediction("not_predictable", None, "daily peaks do not grow")),
        ((100, 110, 120), Prediction("not_predictable", None, "fewer than 4 complete days are known")),
        ((), Prediction("not_predictable", None, "fewer than 4 complete days are known")),
        ((10, 11, 12, 13), Prediction("not_predictable", None, "the trend does not meet it within 90 days")),
        ((100, 110, 120, 200), Prediction("reached", None, "a peak of the last seven days met it")),
        ((300, *[100] * 9), Prediction("reached", None, "an earlier peak met it")),
    ],
)
def test_a_limit_of_200_is_met_when_the_trend_says(daily: tuple[int, ...], expected: Prediction) -> None:
    assert headroom.predict(Decimal(200), seen(*daily), TODAY) == expected


def test_a_limit_met_today_is_reached_though_no_complete_day_did() -> None:
    assert headroom.predict(Decimal(200), seen(week=200), TODAY).outlook == "reached"


def test_the_fullest_dimension_limits_and_unknown_ones_do_not() -> None:
    limits = {"rps": Decimal(10), "rpm": Decimal(400), "tps": None}
    observed = {
        "rps": Observed(Peak(5, TODAY), Peak(10, TODAY)),
        "rpm": Observed(Peak(300, TODAY), Peak(300, TODAY)),
        "tps": Observed(Peak(10**9, TODAY), Peak(10**9, TODAY)),
    }
    found = headroom.headrooms(limits, observed, TODAY)
    assert [one.dimension for one in found] == list(DIMENSIONS)
    assert headroom.limiting(found) == ("rpm", "rps")
    by_name = {one.dimension: one for one in found}
    assert (by_name["rpm"].used_24h_ratio, by_name["rpm"].left_24h) == (0.75, 100)
    assert (by_name["tps"].used_24h_ratio, by_name["tps"].left_24h, by_name["tps"].outlook) == (None, None, "no_limit")
    assert by_name["concurrency"].peak_24h is None


@given(LIMITS, PEAKS)
def test_what_is_foretold_lies_ahead_and_no_peak_has_met_it(limit: Decimal, daily: list[int]) -> None:
    told = headroom.predict(limit, seen(*daily), TODAY)
    if told.outlook == "predicted":
        assert told.on is not None and TODAY <= told.on <= TODAY + headroom.FARTHEST_DAYS * DAY
        assert max(daily) < limit
    else:
        assert told.on is None and told.reason
    assert (told.outlook == "reached") == (
        max(daily, default=0) >= limit and (len(daily) >= headroom.FEWEST_DAYS or max(daily[-7:]) >= limit)
    )


@given(LIMITS, LIMITS, st.lists(st.integers(0, 10**9), min_size=4, max_size=20))
def test_a_higher_limit_is_never_met_earlier(one: Decimal, other: Decimal, daily: list[int]) -> None:
    low, high = (headroom.predict(limit, seen(*daily), TODAY) for limit in sorted((one, other)))
    if high.on is not None:
        assert low.outlook == "reached" or (low.on is not None and low.on <= high.on)


@given(LIMITS, st.integers(0, 2**63))
def test_used_and_left_belong_together(limit: Decimal, value: int) -> None:
    peak = Peak(value, TODAY)
    (rps, *_) = headroom.headrooms({"rps": limit}, {"rps": Observed(peak, peak)}, TODAY)
    assert rps.used_24h_ratio is not None and rps.left_24h is not None
    assert (rps.used_24h_ratio >= 1) == (rps.left_24h == 0)
    assert rps.left_24h == max(Decimal(0), limit - value)
