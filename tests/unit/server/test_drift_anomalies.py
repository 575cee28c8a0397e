"""When a series has left its band, and when it only looks so."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stanchion_server.drift import anomalies
from stanchion_server.drift.anomalies import Point

START = datetime(2026, 11, 2, tzinfo=UTC)


def series(values: list[float], step: timedelta = timedelta(minutes=15), noise: float = 0.0) -> list[Point]:
    return [Point(START + step * place, value, noise) for place, value in enumerate(values)]


def steady(count: int, seed: int = 1, mean: float = 100.0) -> list[float]:
    draw = random.Random(seed)
    return [draw.gauss(mean, 10) for _number in range(count)]


def days(seed: int, count: int = 168, steps: dict[int, float] | None = None) -> list[Point]:
    """A week of hours with busy days and quiet nights; from hour h on, values are `steps[h]` times as high."""
    draw = random.Random(seed)
    values, ratio = [], 1.0
    for hour in range(count):
        ratio = (steps or {}).get(hour, ratio)
        values.append((100 + 60 * math.sin(hour / 24 * 2 * math.pi) + draw.gauss(0, 8)) * ratio)
    return series(values, timedelta(hours=1))


def test_a_spike_is_sudden_and_an_ordinary_value_is_not() -> None:
    assert anomalies.sudden(series([*steady(96), 400])).verdict == "anomaly"
    assert anomalies.sudden(series([*steady(96), 110])).verdict == "normal"


def test_the_band_is_told_with_the_verdict() -> None:
    found = anomalies.sudden(series([*steady(96), 400]))
    assert found.low is not None and found.high is not None and found.size is not None
    assert found.low < 100 < found.high < 400 and found.size > 6


def test_earlier_spikes_do_not_widen_the_band() -> None:
    values = steady(96)
    values[10] = values[50] = 5_000
    assert anomalies.sudden(series([*values, 400])).verdict == "anomaly"


def test_a_creeping_change_is_slow_before_it_is_sudden() -> None:
    values = [*steady(75), *(130 + place for place in range(25))]
    assert anomalies.slow(series(values)).verdict == "anomaly"
    assert anomalies.sudden(series(values)).verdict == "normal"


@pytest.mark.parametrize("reading", [anomalies.sudden, anomalies.slow, anomalies.level])
def test_a_short_series_is_not_enough_data(reading) -> None:  # type: ignore[no-untyped-def]
    assert reading(series([1.0] * 10)).verdict == "not_enough_data"
    assert reading([]).verdict == "not_enough_data"


def test_few_weeks_are_not_enough_data() -> None:
    now = Point(START, 900)
    assert anomalies.seasonal(now, [100, 110]).verdict == "not_enough_data"
    assert anomalies.seasonal(None, [100] * 6).verdict == "not_enough_data"
    assert anomalies.seasonal(now, [100, 110, 90, 105]).verdict == "anomaly"


def test_a_share_of_few_calls_may_jump() -> None:
    """One error of ten calls after a day without any is nothing; of a thousand it is something."""
    noise = [math.sqrt(0.001 / calls) for calls in (10, 1_000)]
    assert anomalies.sudden([*series([0.0] * 96), Point(START, 0.05, noise[0])]).verdict == "normal"
    assert anomalies.sudden([*series([0.0] * 96), Point(START, 0.05, noise[1])]).verdict == "anomaly"


def test_what_was_always_zero_and_is_not_any_more_is_an_anomaly() -> None:
    found = anomalies.sudden(series([0.0] * 96 + [3.0]))
    assert (found.verdict, found.size) == ("anomaly", None)


def test_what_was_mostly_zero_may_be_a_little_more() -> None:
    values = [0.0] * 80 + [0.02, 0.05, 0.01, 0.03] * 4
    assert anomalies.sudden(series([*values, 0.02])).verdict == "normal"
    assert anomalies.sudden(series([*values, 0.5])).verdict == "anomaly"


def test_nights_are_no_new_level() -> None:
    assert [anomalies.level(days(seed)).verdict for seed in range(5)] == ["normal"] * 5


def test_a_lasting_change_of_level_is_found_with_its_beginning() -> None:
    found = anomalies.level(days(3, steps={130: 1.6}))
    assert found.verdict == "anomaly" and found.since is not None
    assert abs((found.since - START) / timedelta(hours=1) - 130) <= 6


def test_one_spike_is_no_level() -> None:
    assert anomalies.level(days(4, steps={100: 9.0, 101: 1.0})).verdict == "normal"


@settings(deadline=None)
@given(st.lists(st.floats(0, 1e9), min_size=30, max_size=60), st.floats(0.001, 1e3))
def test_the_unit_does_not_change_a_verdict(values: list[float], scale: float) -> None:
    plain, scaled = (anomalies.sudden(series([value * ratio for value in values])) for ratio in (1.0, scale))
    assert (
        plain.size is None or scaled.size is None or math.isclose(plain.size, scaled.size, rel_tol=1e-6, abs_tol=1e-6)
    )


def test_a_morning_is_no_anomaly_where_the_days_are_known() -> None:
    """Values at noon are twice those of the night, every day."""

    def usual(at: datetime) -> float:
        return 100.0 * (2 if at.hour == 12 else 1)

    hours = [Point(START + timedelta(hours=place), usual(START + timedelta(hours=place))) for place in range(144)]
    ratios = anomalies.ratios_of_day(hours)
    quarters = [START + timedelta(days=6, hours=13) - timedelta(minutes=15 * place) for place in range(96, 0, -1)]
    points = [Point(at, usual(at) + place % 3) for place, at in enumerate(quarters)]
    assert anomalies.sudden(points).verdict == "anomaly"
    found = anomalies.with_day(anomalies.sudden(anomalies.without_day(points, ratios)), ratios)
    assert found.verdict == "normal"
    assert found.low is not None and found.high is not None and found.low < 200 < found.high
