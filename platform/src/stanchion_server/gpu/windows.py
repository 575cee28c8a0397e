"""Points of cards and engines into sums of five minutes. Pure.

A slot covers the time just after its start up to its end. An interval between two points belongs whole to the slot in
which it ends, so every joule is counted in exactly one slot.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

from stanchion_wire import gpu

SLOT = timedelta(minutes=5)
LONGEST_GAP = timedelta(minutes=10)
"""Between two points that lie further apart nothing is known."""
SHORTEST_SILENCE_S = 60.0
MOST_RATIO = 1.05
"""A share beyond this was sent in another unit, in percent for instance: it is not known, rather than full load."""
MOST_PROCESSES = 16
DELTA = 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Point:
    """One stored point: `attributes` are the point's, over those of its resource."""

    series_id: int
    name: str
    time: datetime
    start_time: datetime | None
    temporality: int
    value: float
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DeviceWindow:
    """One card in one slot; None is not reported. Utilisation and power are means, memory and temperature the largest.
    `energy_method` is counter, integrated (by the sender, or here from power), or empty. `throttled_s` is by reason,
    `errors` by type."""

    start: datetime
    samples: int
    covered_s: float
    utilization_ratio: float | None
    utilization_max_ratio: float | None
    memory_bytes: int | None
    memory_limit_bytes: int | None
    power_w: float | None
    power_limit_w: float | None
    temperature_c: float | None
    energy_j: float | None
    energy_method: str
    throttled_s: Mapping[str, float]
    errors: Mapping[str, float]
    state: str
    deployment: str
    job_kind: str
    run_id: str
    processes: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class EngineWindow:
    """One serving engine in one slot; counters as increases."""

    start: datetime
    model: str
    deployment: str
    up_ratio: float | None
    running: float | None
    waiting: float | None
    waiting_max: float | None
    kv_cache_ratio: float | None
    kv_cache_max_ratio: float | None
    preemptions: float | None
    prompt_tokens: float | None
    generated_tokens: float | None
    requests: float | None


@dataclass(frozen=True, slots=True)
class Rise:
    """What a counter gained up to `time`."""

    time: datetime
    amount: float
    attributes: Mapping[str, Any]


def slot_of(time: datetime) -> datetime:
    """The slot that a point of this time ends in: one on the boundary closes the slot before it."""
    return _EPOCH + -(-(time - _EPOCH) // SLOT) * SLOT - SLOT


def touched(time: datetime) -> tuple[datetime, ...]:
    """The slots whose sums a point of this time may change: its own, and those of the points after it."""
    own = slot_of(time)
    return own, own + SLOT, own + 2 * SLOT


def device(points: Sequence[Point], start: datetime) -> DeviceWindow | None:
    """`points` are one card's, from LONGEST_GAP before the slot to its end. None when the slot has none."""
    inside = [point for point in points if slot_of(point.time) == start]
    if not inside:
        return None
    by_name = _by_name(inside)
    usage = [point for point in by_name[gpu.UTILIZATION] if 0 <= point.value <= MOST_RATIO]
    general = [p for p in usage if p.attributes.get(gpu.HW_GPU_TASK, "general") == "general"] or usage
    energy_j, method = _energy(points, start)
    last = max(inside, key=lambda point: point.time)
    return DeviceWindow(
        start=start,
        samples=len({point.time for point in inside}),
        covered_s=_covered_s(points, start),
        utilization_ratio=_mean(general),
        utilization_max_ratio=_largest([p for p in by_name[gpu.UTILIZATION_MAX] if p.value <= MOST_RATIO] or general),
        memory_bytes=_whole(_largest(by_name[gpu.MEMORY_USAGE])),
        memory_limit_bytes=_whole(_largest(by_name[gpu.MEMORY_LIMIT])),
        power_w=_mean(by_name[gpu.POWER]),
        power_limit_w=_largest(by_name[gpu.POWER_LIMIT]),
        temperature_c=_largest(by_name[gpu.TEMPERATURE]),
        energy_j=energy_j,
        energy_method=method,
        throttled_s=_summed(points, start, gpu.THROTTLED, gpu.REASON),
        errors=_summed(points, start, gpu.ERRORS, gpu.ERROR_TYPE),
        state=_state(by_name[gpu.STATUS]),
        deployment=_label(last, gpu.DEPLOYMENT),
        job_kind=_label(last, gpu.JOB_KIND),
        run_id=_label(last, gpu.RUN_ID),
        processes=_processes(inside),
    )


def engine(points: Sequence[Point], start: datetime) -> EngineWindow | None:
    """As `device`, for one engine."""
    inside = [point for point in points if slot_of(point.time) == start]
    if not inside:
        return None
    by_name = _by_name(inside)
    last = max(inside, key=lambda point: point.time)
    gained = {
        name: _total(points, start, name)
        for name in (gpu.PREEMPTIONS, gpu.PROMPT_TOKENS, gpu.GENERATED_TOKENS, gpu.REQUESTS)
    }
    return EngineWindow(
        start=start,
        model=_label(last, gpu.ENGINE_MODEL) or _label(last, gpu.MODEL),
        deployment=_label(last, gpu.DEPLOYMENT),
        up_ratio=_mean(by_name[gpu.ENGINE_UP]),
        running=_mean(by_name[gpu.RUNNING]),
        waiting=_mean(by_name[gpu.WAITING]),
        waiting_max=_largest(by_name[gpu.WAITING]),
        kv_cache_ratio=_mean(by_name[gpu.KV_CACHE_USE]),
        kv_cache_max_ratio=_largest(by_name[gpu.KV_CACHE_USE]),
        preemptions=gained[gpu.PREEMPTIONS],
        prompt_tokens=gained[gpu.PROMPT_TOKENS],
        generated_tokens=gained[gpu.GENERATED_TOKENS],
        requests=gained[gpu.REQUESTS],
    )


def rises(points: Iterable[Point]) -> list[Rise]:
    """What counters gained between points at most LONGEST_GAP apart; the first point of a series gains nothing.

    A counter that begins anew, by another start time or by falling below half, has gained what it stands at: what it
    had gained before it was reset or wrapped is lost, never negative. One that falls by less is out of order:
    the sender's clock was set back, and points of then and of now lie between each other. It gains again above its
    largest value; taken for a reset it would gain all that it ever counted with each such pair.
    """
    found = []
    series: dict[int, list[Point]] = defaultdict(list)
    for point in points:
        series[point.series_id].append(point)
    for each in series.values():
        ordered = sorted(each, key=lambda point: point.time)
        if ordered[0].temporality == DELTA:
            found += [Rise(point.time, max(0.0, point.value), point.attributes) for point in ordered]
        else:
            found += _gains(ordered)
    return found


def _gains(ordered: Sequence[Point]) -> Iterator[Rise]:
    """Each start time has a largest value of its own: a sender that began anew with its clock set back writes points of
    both its lives between each other."""
    life, peaks = ordered[0].start_time, {ordered[0].start_time: ordered[0].value}
    for before, after in itertools.pairwise(ordered):
        life = after.start_time or life
        peak = peaks.get(life, 0.0)
        if after.value < peak / 2:
            peak = 0.0
        is_close = after.time - before.time <= LONGEST_GAP
        if is_close:
            yield Rise(after.time, max(0.0, after.value - peak), after.attributes)
        peaks[life] = max(peak, after.value) if is_close else after.value


def _energy(points: Sequence[Point], start: datetime) -> tuple[float | None, str]:
    """Joules by the counter; from power where there is no counter yet, or none at all."""
    counters = [point for point in points if point.name == gpu.ENERGY]
    found = [rise for rise in rises(counters) if slot_of(rise.time) == start]
    if found:
        by_sender = any(rise.attributes.get(gpu.ENERGY_METHOD) == "integrated" for rise in found)
        return sum(rise.amount for rise in found), "integrated" if by_sender else "counter"
    power = sorted((point for point in points if point.name == gpu.POWER), key=lambda point: point.time)
    parts = [
        after.value * (after.time - before.time).total_seconds()
        for before, after in itertools.pairwise(power)
        if after.time - before.time <= LONGEST_GAP and slot_of(after.time) == start
    ]
    return (sum(parts), "integrated") if parts else (None, "")


def _covered_s(points: Iterable[Point], start: datetime) -> float:
    """Seconds of the slot near samples: a gap counts up to three usual intervals, at least a minute."""
    times = sorted({point.time for point in points})
    gaps = [(after - before).total_seconds() for before, after in itertools.pairwise(times)]
    if not gaps:
        return 0.0
    longest = min(LONGEST_GAP.total_seconds(), max(SHORTEST_SILENCE_S, 3 * median(gaps)))
    inside = sum(gap for gap, time in zip(gaps, times[1:], strict=True) if slot_of(time) == start and gap <= longest)
    return min(inside, SLOT.total_seconds())


def _by_name(points: Iterable[Point]) -> dict[str, list[Point]]:
    found: dict[str, list[Point]] = defaultdict(list)
    for point in points:
        found[point.name].append(point)
    return found


def _mean(points: Sequence[Point]) -> float | None:
    return sum(point.value for point in points) / len(points) if points else None


def _largest(points: Sequence[Point]) -> float | None:
    return max((point.value for point in points), default=None)


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


def _summed(points: Iterable[Point], start: datetime, name: str, key: str) -> dict[str, float]:
    found: dict[str, float] = defaultdict(float)
    for rise in rises(point for point in points if point.name == name):
        if slot_of(rise.time) == start and rise.amount:
            found[str(rise.attributes.get(key, ""))[:60]] += rise.amount
    return {reason: round(amount, 3) for reason, amount in sorted(found.items())}


def _total(points: Iterable[Point], start: datetime, name: str) -> float | None:
    found = [rise.amount for rise in rises(p for p in points if p.name == name) if slot_of(rise.time) == start]
    return sum(found) if found else None


def _state(points: Sequence[Point]) -> str:
    """The state that holds at the slot's end."""
    holding = [point for point in points if point.value == 1]
    return _label(max(holding, key=lambda point: point.time), gpu.HW_STATE) if holding else ""


def _label(point: Point, name: str) -> str:
    return str(point.attributes.get(name, ""))[:200]


def _processes(points: Iterable[Point]) -> list[dict[str, Any]]:
    """The largest by memory, with their labels; memory is the largest seen in the slot."""
    found: dict[str, dict[str, Any]] = {}
    for point in points:
        if point.name != gpu.PROCESS_MEMORY:
            continue
        pid = _label(point, gpu.PROCESS_PID)
        known = found.setdefault(pid, {"pid": pid, "memory_bytes": 0})
        known["memory_bytes"] = max(known["memory_bytes"], int(point.value))
        known["name"] = _label(point, gpu.PROCESS_NAME)
        known.update({name: _label(point, name) for name in gpu.LABELS if point.attributes.get(name)})
    ranked = sorted(found.values(), key=lambda one: (-one["memory_bytes"], one["pid"]))
    return ranked[:MOST_PROCESSES]
