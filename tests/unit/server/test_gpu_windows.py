"""Samples of a card into five minutes: resets, gaps and other people's collectors."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stanchion_server.gpu import identity, windows
from stanchion_server.gpu.windows import LONGEST_GAP, SLOT, Point
from stanchion_wire import gpu

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
BOOT = NOON - timedelta(days=3)


def point(
    name: str, seconds: float, value: float, *, series: int = 1, since: datetime | None = BOOT, **labels: str
) -> Point:
    attributes = {key.replace("__", "."): text for key, text in labels.items()}
    return Point(series, name, NOON + timedelta(seconds=seconds), since, 2, value, attributes)


def joules(*readings: tuple[float, float]) -> list[Point]:
    return [point(gpu.ENERGY, at, value) for at, value in readings]


@given(st.lists(st.tuples(st.integers(1, 900), st.integers(0, 10**6)), min_size=2, max_size=60))
def test_every_joule_between_close_points_is_in_exactly_one_slot(steps: list[tuple[int, int]]) -> None:
    at, total, readings = 0.0, 0.0, []
    for gap_s, gained in steps:
        at, total = at + gap_s, total + gained
        readings.append((at, total))
    points = joules(*readings)
    slots = {windows.slot_of(one.time) for one in points}
    summed = 0.0
    for slot in slots:
        near = [one for one in points if slot - LONGEST_GAP <= one.time <= slot + SLOT]
        found = windows.device(near, slot)
        summed += (found.energy_j or 0.0) if found else 0.0
    close = [b[1] - a[1] for a, b in pairwise(readings) if b[0] - a[0] <= LONGEST_GAP.total_seconds()]
    assert summed == pytest.approx(sum(close))


@given(st.floats(-1e9, 1e9))
def test_a_point_marks_its_own_slot_and_those_that_look_back_at_it(after_s: float) -> None:
    time = NOON + timedelta(seconds=after_s)
    own, *later = windows.touched(time)
    assert own < time <= own + SLOT
    assert later[-1] + SLOT >= time + LONGEST_GAP


def test_a_counter_that_begins_anew_counts_from_zero_and_never_backwards() -> None:
    restarted = NOON + timedelta(seconds=90)
    points = [
        point(gpu.ENERGY, 60, 5_000),
        point(gpu.ENERGY, 120, 700, since=restarted),
        point(gpu.ENERGY, 180, 6_900, since=restarted),
    ]
    found = windows.device(points, NOON)
    assert found is not None
    assert (found.energy_j, found.energy_method) == (6_900, "counter")


def test_a_counter_that_wraps_loses_what_it_had_and_nothing_else() -> None:
    found = windows.device([point(gpu.ENERGY, at, value, since=None) for at, value in ((60, 4e9), (120, 300))], NOON)
    assert found is not None
    assert found.energy_j == 300


def test_a_clock_that_was_set_back_makes_no_energy_of_points_out_of_order() -> None:
    before = [(10.0 * step, 5e8 + 3_000 * step) for step in range(1, 13)]
    # Set back by a minute after the twelfth; the counter goes on.
    after = [(10.0 * (step - 6) + 1, 5e8 + 3_000 * step) for step in range(13, 25)]
    found = windows.device(joules(*before, *after), NOON)
    assert found is not None
    assert found.energy_j == 3_000 * 23


def test_an_agent_that_began_anew_with_its_clock_set_back_gains_each_of_its_lives_once() -> None:
    again = BOOT + timedelta(days=1)
    before = [point(gpu.ENERGY, 10.0 * step, 5_000 + 30 * step) for step in range(1, 13)]
    after = [point(gpu.ENERGY, 10.0 * step + 61, 30 * step, since=again) for step in range(1, 13)]
    assert sum(rise.amount for rise in windows.rises([*before, *after])) == 30 * 11 + 30 * 12


@given(st.lists(st.integers(0, 10**6), min_size=2, max_size=30), st.integers(0, 300))
def test_points_out_of_order_gain_no_more_than_the_counter_did(steps: list[int], back_s: int) -> None:
    at, total, readings = 0.0, 10**9, []
    for number, gained in enumerate(steps):
        at, total = at + 10 - (back_s if number == len(steps) // 2 else 0), total + gained
        readings.append((at, total))
    gained = sum(rise.amount for rise in windows.rises(joules(*readings)))
    assert gained <= readings[-1][1] - readings[0][1]


def test_across_a_silence_nothing_is_made_up() -> None:
    points = joules((60, 1_000), (60 + 660, 90_000), (60 + 720, 91_000))
    slot = windows.slot_of(points[-1].time)
    found = windows.device(points, slot)
    assert found is not None
    assert found.energy_j == 1_000


def test_power_over_time_stands_in_for_a_missing_counter() -> None:
    found = windows.device([point(gpu.POWER, at, 70) for at in (60, 120, 180, 240)], NOON)
    assert found is not None
    assert (found.energy_j, found.energy_method, found.power_w) == (70 * 180, "integrated", 70)


def test_energy_that_the_sender_integrated_is_an_estimate_too() -> None:
    labels = {gpu.ENERGY_METHOD: "integrated"}
    points = [Point(1, gpu.ENERGY, one.time, one.start_time, 2, one.value, labels) for one in joules((60, 0), (120, 9))]
    found = windows.device(points, NOON)
    assert found is not None
    assert found.energy_method == "integrated"


def test_a_card_that_reports_little_has_unknowns_and_no_zeros() -> None:
    found = windows.device([point(gpu.TEMPERATURE, 60, 61), point(gpu.TEMPERATURE, 70, 64)], NOON)
    assert found is not None
    assert (found.temperature_c, found.utilization_ratio, found.energy_j, found.memory_bytes, found.power_w) == (
        64, None, None, None, None,
    )  # fmt: skip


def test_no_point_no_window() -> None:
    assert windows.device(joules((-200, 4)), NOON) is None


def test_decoders_do_not_dilute_utilisation() -> None:
    points = [
        point(gpu.UTILIZATION, 60, 0.9, series=1, hw__gpu__task="general"),
        point(gpu.UTILIZATION, 60, 0.0, series=2, hw__gpu__task="decoder"),
    ]
    found = windows.device(points, NOON)
    assert found is not None
    assert (found.utilization_ratio, found.utilization_max_ratio) == (0.9, 0.9)


def test_percent_sent_as_a_share_is_not_taken_for_full_load() -> None:
    found = windows.device([point(gpu.UTILIZATION, 60, 55.0), point(gpu.UTILIZATION, 120, 1.01)], NOON)
    assert found is not None
    assert found.utilization_ratio == 1.01
    found = windows.device([point(gpu.UTILIZATION, 60, 55.0)], NOON)
    assert found is not None
    assert found.utilization_ratio is None


def test_throttling_is_summed_by_reason_and_processes_keep_their_labels() -> None:
    points = [
        Point(1, gpu.THROTTLED, NOON + timedelta(seconds=at), BOOT, 2, value, {gpu.REASON: "hardware_thermal"})
        for at, value in ((60, 10.0), (120, 14.5))
    ]
    labels = {gpu.PROCESS_PID: "77", gpu.PROCESS_NAME: "vllm", gpu.FEATURE: "bot"}
    points.append(Point(2, gpu.PROCESS_MEMORY, NOON + timedelta(seconds=60), None, 0, 5e9, labels))
    found = windows.device(points, NOON)
    assert found is not None
    assert found.throttled_s == {"hardware_thermal": 4.5}
    assert [dict(one) for one in found.processes] == [
        {"pid": "77", "memory_bytes": 5_000_000_000, "name": "vllm", gpu.FEATURE: "bot"}
    ]


def test_coverage_leaves_out_the_minutes_of_a_dead_agent() -> None:
    found = windows.device([point(gpu.POWER, at, 50) for at in (*range(-60, 70, 10), *range(240, 301, 10))], NOON)
    assert found is not None
    assert found.covered_s == 60 + 60


def test_an_engine_is_gauges_and_what_its_counters_gained() -> None:
    points = [
        point(gpu.WAITING, 60, 1, series=3), point(gpu.WAITING, 120, 5, series=3), point(gpu.KV_CACHE_USE, 60, 0.75),
        point(gpu.GENERATED_TOKENS, 60, 100, series=4), point(gpu.GENERATED_TOKENS, 120, 350, series=4),
    ]  # fmt: skip
    found = windows.engine(points, NOON)
    assert found is not None
    assert (found.waiting, found.waiting_max, found.kv_cache_ratio, found.generated_tokens, found.running) == (
        3, 5, 0.75, 250, None,
    )  # fmt: skip


def test_cards_are_told_from_fans_and_from_older_conventions() -> None:
    assert identity.device_of("hw.power", {"hw.id": "GPU-1", "hw.type": "gpu"}, "h") == "GPU-1"
    assert identity.device_of("hw.power", {"hw.id": "fan0", "hw.type": "fan"}, "h") == ""
    assert identity.device_of("hw.gpu.utilization", {"id": "GPU-2"}, "h") == "GPU-2"
    assert identity.device_of("hw.gpu.utilization", {"hw.name": "gpu0"}, "h") == "h/gpu0"
    assert identity.device_of("hw.gpu.utilization", {}, "h") == ""
    assert identity.device_of("system.cpu.utilization", {"hw.id": "x"}, "h") == ""
