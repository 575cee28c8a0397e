"""Samples summed over an interval, and counters that never fall."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stanchion_gpu import meters
from stanchion_gpu.records import Card, Sample, State

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
