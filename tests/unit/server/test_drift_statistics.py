"""What the distances promise, and what a verdict rests on. No database."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stanchion_server.drift import explaining, judging, shuffling, statistics, texts
from stanchion_server.drift.records import Column, Finding, Kind

numbers = st.lists(st.floats(-1e6, 1e6).map(lambda value: round(value, 3)), min_size=2, max_size=40)
words = st.lists(st.sampled_from("abcdef"), min_size=2, max_size=40)


def column(kind: Kind, values: object, now: int, units: list[str] | None = None, name: str = "x") -> Column:
    """The last `now` values are the current window's; every row is a unit of its own unless told otherwise."""
    count = len(values)  # type: ignore[arg-type]
    flags = np.arange(count) >= count - now
    blocks, _sides = shuffling.units_of(units or [str(place) for place in range(count)], flags)
    return Column(name, kind, values, flags, blocks)  # type: ignore[arg-type]


def observed(one: Column) -> float:
    return float(statistics.of_column(one)(shuffling.sides_of(one.blocks, one.is_current)[None, :])[0])


def normal(seed: int, count: int, mean: float = 0.0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(mean, 1, count)


def judged(*columns: Column, seed: int = 0) -> dict[str, Finding]:
    return {finding.column: finding for finding in judging.judge(columns, None, judging.Rules(seed=seed))}


@settings(deadline=None)
@given(numbers, numbers)
def test_kolmogorov_smirnov_is_the_largest_gap_of_the_cumulative_shares(
    before: list[float], after: list[float]
) -> None:
    points = sorted({*before, *after})
    gaps = [abs(sum(v <= p for v in before) / len(before) - sum(v <= p for v in after) / len(after)) for p in points]
    found = observed(column("number", np.array(before + after), len(after)))
    assert found == pytest.approx(max(gaps), abs=1e-5)


@settings(deadline=None)
@given(numbers, st.floats(0.1, 1e3), st.floats(-1e3, 1e3))
def test_wasserstein_in_deviations_does_not_depend_on_the_unit(values: list[float], scale: float, shift: float) -> None:
    before, after = np.array(values), np.array(values[::-1]) * 0.5 + 1
    plain = statistics.wasserstein(before, after)
    moved = statistics.wasserstein(before * scale + shift, after * scale + shift)
    assert moved == pytest.approx(plain, rel=1e-3, abs=1e-3)


def test_wasserstein_of_a_shift_is_the_shift() -> None:
    before = normal(1, 2_000)
    assert statistics.wasserstein(before, before + 0.5 * before.std()) == pytest.approx(0.5, abs=1e-6)


@settings(deadline=None)
@given(words, words)
def test_the_jensen_shannon_distance_is_symmetric_and_within_0_and_1(before: list[str], after: list[str]) -> None:
    there = observed(column("category", before + after, len(after)))
    back = observed(column("category", after + before, len(before)))
    assert there == pytest.approx(back, abs=1e-9) and 0 <= there <= 1


def test_windows_without_a_common_value_are_at_distance_one() -> None:
    assert observed(column("category", ["a"] * 20 + ["b"] * 20, 20)) == pytest.approx(1.0)


@settings(deadline=None)
@given(numbers)
def test_psi_of_a_window_with_itself_is_zero(values: list[float]) -> None:
    assert statistics.psi(np.array(values), np.array(values)) == pytest.approx(0.0, abs=1e-9)


def test_mmd_grows_with_the_distance_of_the_clouds() -> None:
    random = np.random.default_rng(3)
    cloud = random.normal(size=(200, 5)).astype(np.float32)
    far = [statistics.mmd(cloud, (random.normal(size=(200, 5)) + shift).astype(np.float32)) for shift in (0, 0.5, 2)]
    assert abs(far[0]) < 0.02 < far[1] < far[2]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_a_p_value_is_a_share_and_never_zero(seed: int) -> None:
    random = np.random.default_rng(seed)
    one = column("number", random.normal(size=80), 30)
    sides = shuffling.sides_of(one.blocks, one.is_current)
    chance = shuffling.judge(statistics.of_column(one), sides, observed(one), 199, random)
    assert 1 / 200 <= chance.p <= 1


def test_windows_that_differ_in_everything_get_the_smallest_p_value() -> None:
    one = column("number", np.concatenate((normal(1, 100), normal(2, 100, mean=5))), 100)
    sides = shuffling.sides_of(one.blocks, one.is_current)
    chance = shuffling.judge(statistics.of_column(one), sides, observed(one), 999, np.random.default_rng(0))
    assert (chance.p, chance.shuffles) == (1 / 1000, 999)


def test_the_correction_is_that_of_benjamini_and_hochberg() -> None:
    assert shuffling.adjusted([0.01, 0.04, 0.03, 0.5]) == pytest.approx([0.04, 0.16 / 3, 0.16 / 3, 0.5])


@settings(deadline=None)
@given(st.lists(st.floats(0.001, 1), min_size=1, max_size=30))
def test_the_correction_keeps_the_order_and_lowers_nothing(values: list[float]) -> None:
    found = shuffling.adjusted(values)
    assert all(after >= before - 1e-12 for before, after in zip(values, found, strict=True))
    assert sorted(range(len(values)), key=lambda i: values[i]) == sorted(
        range(len(values)), key=lambda i: (found[i], values[i])
    )


def test_a_shift_is_drift_and_chance_is_not() -> None:
    found = judged(
        column("number", np.concatenate((normal(1, 400), normal(2, 300, mean=0.5))), 300, name="moved"),
        column("number", np.concatenate((normal(3, 400), normal(4, 300))), 300, name="still"),
    )
    assert {name: finding.verdict for name, finding in found.items()} == {"moved": "drift", "still": "no_drift"}


def test_few_rows_are_not_enough_data_whatever_they_look_like() -> None:
    finding = judged(column("number", np.concatenate((np.zeros(400), np.ones(49))), 49))["x"]
    assert (finding.verdict, finding.p, finding.value) == ("not_enough_data", None, None)
    assert "49 values in the current window" in finding.reason


def test_rows_of_few_sessions_are_not_enough_data() -> None:
    units = [str(place) for place in range(400)] + [f"s{place % 5}" for place in range(300)]
    finding = judged(column("number", np.concatenate((normal(1, 400), normal(2, 300, 3))), 300, units))["x"]
    assert finding.verdict == "not_enough_data" and "5 sessions" in finding.reason


def test_a_change_that_is_sure_but_tiny_is_no_drift() -> None:
    values = np.concatenate((normal(1, 20_000), normal(2, 20_000, mean=0.05)))
    finding = judged(column("number", values, 20_000))["x"]
    assert finding.p_adjusted is not None and finding.p_adjusted <= 0.05
    assert (finding.verdict, finding.reason) == ("no_drift", "sure, but too small to count")


def test_rows_of_one_session_count_as_one_witness() -> None:
    """Forty sessions of 25 calls that each have a level of their own: taken one by one they would alarm."""
    alarms = {"by session": 0, "by call": 0}
    for seed in range(30):
        random = np.random.default_rng(seed)
        values = np.repeat(random.normal(size=40), 25) + 0.1 * random.normal(size=1_000)
        units = [str(place // 25) for place in range(1_000)]
        alarms["by session"] += judged(column("number", values, 500, units))["x"].verdict == "drift"
        alarms["by call"] += judged(column("number", values, 500))["x"].verdict == "drift"
    assert alarms["by session"] <= 5 and alarms["by call"] >= 20


def test_a_value_that_is_new_is_found_and_named() -> None:
    values = ["a"] * 200 + ["b"] * 200 + ["a"] * 100 + ["b"] * 100 + ["c"] * 60
    finding = judged(column("category", values, 260))["x"]
    assert (finding.verdict, finding.new_values) == ("drift", ("c",))


def test_the_same_seed_gives_the_same_finding() -> None:
    values = np.concatenate((normal(1, 200), normal(2, 200, 0.2)))
    assert judged(column("number", values, 200), seed=5) == judged(column("number", values, 200), seed=5)


def test_one_number_all_along_is_no_drift() -> None:
    finding = judged(column("number", np.ones(300), 100))["x"]
    assert (finding.verdict, finding.value) == ("no_drift", 0.0)


def test_texts_about_something_new_are_drift() -> None:
    old = [f"where is my parcel number {place} it should have come on friday" for place in range(200)]
    new = [f"please write a poem about the sea and wave {place}" for place in range(60)]
    listed = [texts.words_of(text) for text in [*old, *old[:140], *new]]
    rows = texts.vectors(listed, np.random.default_rng(0))
    assert judged(column("text", rows, 200))["x"].verdict == "drift"


def test_words_of_scripts_without_spaces_are_pairs() -> None:
    assert texts.words_of("東京タワー") == ["東京", "京タ", "タワ", "ワー"]


def test_topics_keep_texts_of_one_kind_together() -> None:
    kinds = ("parcel delivery courier address", "refund invoice payment card")
    listed = [texts.words_of(f"{kinds[place % 2]} {'please' if place % 3 else 'now'}") for place in range(100)]
    random = np.random.default_rng(0)
    found = texts.topics(texts.vectors(listed, random), random)
    assert not set(found[::2]) & set(found[1::2])


def test_telling_words_are_those_of_the_part() -> None:
    listed = [["refund", "please"]] * 10 + [["parcel", "please"]] * 10
    assert texts.telling_words(listed, [True] * 10 + [False] * 10) == ["refund"]


@settings(deadline=None)
@given(numbers, numbers)
def test_bars_of_numbers_hold_every_row(before: list[float], after: list[float]) -> None:
    found = explaining.bars(column("number", np.array(before + after), len(after)))
    assert sum(found.reference) == pytest.approx(1) and sum(found.current) == pytest.approx(1)
