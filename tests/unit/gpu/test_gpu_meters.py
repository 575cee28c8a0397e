"""Samples summed over an interval, and counters that never fall."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stanchion_gpu import meters
from stanchion_gpu.records import Card, EngineReading, Histogram, Sample, State
from stanchion_wire import gpu

CARD = Card(uuid="GPU-1", name="gpu0")


def metered(*samples: Sample, every_s: float = 1.0) -> meters.CardMeter:
    meter = meters.CardMeter(CARD)
    for number, sample in enumerate(samples):
        meter.add(sample, number * every_s)
    return meter


def test_a_gauge_is_the_mean_of_the_samples_that_had_a_value() -> None:
    meter = metered(*(Sample(CARD, utilization_ratio=value) for value in (0.2, None, 0.4)))
    assert meter.gauges["utilization_ratio"].mean == pytest.approx(0.3)
    assert meter.gauges["utilization_ratio"].largest == 0.4
    assert meter.gauges["power_w"].mean is None


def test_after_an_export_gauges_start_again_and_counters_go_on() -> None:
    meter = metered(Sample(CARD, utilization_ratio=1.0, energy_j=100.0), Sample(CARD, energy_j=160.0))
    meter.start_again()
    assert meter.gauges["utilization_ratio"].mean is None
    meter.add(Sample(CARD, energy_j=200.0), 2.0)
    assert meter.counters["energy_j"].total == 100.0


def test_energy_goes_on_when_the_driver_starts_its_counter_again() -> None:
    meter = metered(*(Sample(CARD, energy_j=value) for value in (5000.0, 5300.0, 20.0, 320.0)))
    assert meter.counters["energy_j"].total == 300 + 20 + 300


def test_an_energy_step_that_no_card_can_draw_is_not_believed() -> None:
    meter = metered(*(Sample(CARD, energy_j=value) for value in (0.0, 4_294_967_295.0, 4_294_967_595.0)))
    assert meter.counters["energy_j"].total == 300.0


def test_without_a_counter_energy_is_power_over_time_and_says_so() -> None:
    meter = metered(*(Sample(CARD, power_w=100.0) for _ in range(4)))
    assert meter.is_energy_integrated
    assert meter.counters["energy_j"].total == 300.0


def test_one_missing_reading_of_the_counter_does_not_mix_in_an_estimate() -> None:
    meter = metered(Sample(CARD, energy_j=10.0), Sample(CARD, power_w=700.0), Sample(CARD, energy_j=30.0))
    assert not meter.is_energy_integrated
    assert meter.counters["energy_j"].total == 20.0


def test_the_time_of_a_suspended_host_is_not_integrated() -> None:
    meter = metered(Sample(CARD, throttle_bits=0x4), Sample(CARD, throttle_bits=0x4), every_s=3600.0)
    assert meter.throttled_s["power_cap"] == 0.0


def test_throttling_counts_each_reason_that_slows_and_no_idling() -> None:
    meter = metered(*(Sample(CARD, throttle_bits=0x1 | 0x40) for _ in range(3)))
    assert meter.throttled_s["hardware_thermal"] == 2.0
    assert meter.throttled_s["power_cap"] == 0.0


def test_a_lost_card_leaves_its_last_values_out() -> None:
    meter = metered(Sample(CARD, power_w=50.0))
    meter.start_again()
    meter.add(Sample(CARD, state=State.FAILED), 1.0)
    assert (meter.state, meter.gauges["power_w"].mean) == (State.FAILED, None)


@given(st.lists(st.floats(0, 1e12) | st.none(), max_size=40))
def test_our_counters_never_fall_whatever_the_drivers_do(values: list[float | None]) -> None:
    counter = meters.Rising()
    totals = [0.0]
    for value in values:
        counter.to(value)
        totals.append(counter.total or 0.0)
    assert totals == sorted(totals)


def test_a_card_keeps_the_way_its_energy_was_first_told() -> None:
    by_power = metered(
        Sample(CARD, power_w=100.0), Sample(CARD, power_w=100.0, energy_j=9e9), Sample(CARD, power_w=50.0)
    )
    assert by_power.is_energy_integrated is True
    assert by_power.counters["energy_j"].total == 100.0 + 50.0


def test_energy_drawn_while_the_counter_could_not_be_read_is_counted_when_it_can() -> None:
    gap = [Sample(CARD)] * 60
    meter = metered(Sample(CARD, energy_j=0.0), *gap, Sample(CARD, energy_j=40_000.0))
    assert meter.counters["energy_j"].total == 40_000.0


def test_a_card_without_a_sample_loses_its_meter() -> None:
    meters_by_card: dict[str, meters.CardMeter] = {}
    other = Card(uuid="", name="gpu7")
    meters.add_all(meters_by_card, [Sample(CARD), Sample(other, state=State.FAILED)], 0.0)
    assert set(meters_by_card) == {"GPU-1", "gpu7"}
    meters.add_all(meters_by_card, [Sample(CARD)], 1.0)
    assert set(meters_by_card) == {"GPU-1"}


def told(requests: float, *counts: int) -> EngineReading:
    histogram = Histogram((0.1, 1.0), (counts[0], counts[1], counts[2]), 0.5 * sum(counts))
    return EngineReading("vllm", "h:1", True, counters={gpu.REQUESTS: requests}, histograms={gpu.TTFT: histogram})


def test_an_engines_counters_begin_at_nothing_and_go_on_when_it_starts_again() -> None:
    meter = meters.EngineMeter()
    readings = [told(1000, 700, 200, 100), told(1010, 705, 205, 100), told(4, 3, 1, 0), told(6, 3, 2, 1)]
    ours = [meter.since_start(reading) for reading in readings]
    assert [one.counters[gpu.REQUESTS] for one in ours] == [0, 10, 14, 16]
    assert [one.histograms[gpu.TTFT].counts for one in ours] == [(0, 0, 0), (5, 5, 0), (8, 6, 0), (8, 7, 1)]
    assert [one.histograms[gpu.TTFT].total for one in ours] == [0, 5, 7, 8]


def test_an_engine_with_other_buckets_is_another_histogram() -> None:
    meter = meters.EngineMeter()
    meter.since_start(told(1, 5, 5, 5))
    other = EngineReading("vllm", "h:1", True, histograms={gpu.TTFT: Histogram((9.0,), (1, 1), 2.0)})
    assert meter.since_start(other).histograms[gpu.TTFT] == Histogram((9.0,), (0, 0), 0.0)


@given(st.lists(st.tuples(*[st.integers(0, 10**6)] * 3), min_size=1, max_size=20))
def test_buckets_of_an_engine_never_fall(rounds: list[tuple[int, int, int]]) -> None:
    meter = meters.EngineMeter()
    seen = [meter.since_start(told(0, *counts)).histograms[gpu.TTFT].counts for counts in rounds]
    for before, after in itertools.pairwise(seen):
        assert all(one <= other for one, other in zip(before, after, strict=True))
