"""Sums samples of a card into what is sent for an interval. Pure: the caller brings the times.

Counters of the driver start again when it is loaded again, or wrap; ours never fall. What a counter lost while it was
away is not guessed: after a fall only what it has counted since is added.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from stanchion_gpu.records import Card, EngineReading, GpuProcess, Histogram, Sample, State
from stanchion_wire import gpu

# No board is built for as much; an energy step that means more is a misread counter (an 8-GPU board: 10.2 kW).
MOST_W = 15_000.0
# A gap longer than this (a suspended host) is not integrated: nobody knows what was drawn or slowed meanwhile.
MOST_GAP_S = 30.0


@dataclass(slots=True)
class Mean:
    """Of the samples that had a value; None of none."""

    total: float = 0.0
    count: int = 0
    largest: float | None = None
    last: float | None = None

    def add(self, value: float | None) -> None:
        if value is None:
            return
        self.total += value
        self.count += 1
        self.largest = value if self.largest is None else max(self.largest, value)
        self.last = value

    @property
    def mean(self) -> float | None:
        return self.total / self.count if self.count else None


class Rising:
    """A counter of ours from one of the driver's that may fall."""

    def __init__(self) -> None:
        self.total: float | None = None
        self._seen: float | None = None

    def to(self, value: float | None, most_step: float = float("inf")) -> None:
        """Moves on to the driver's value. A step beyond `most_step` is not believed and not counted."""
        if value is None:
            return
        before, self._seen = self._seen, value
        step = 0.0 if before is None else (value - before if value >= before else value)
        self.total = (self.total or 0.0) + (step if step <= most_step else 0.0)

    def would_fall(self, value: float) -> bool:
        return self._seen is not None and value < self._seen

    def start_again(self) -> None:
        """The driver's or engine's counter is at 0; ours stays where it is."""
        self._seen = 0.0

    def by(self, step: float | None) -> None:
        if step is not None:
            self.total = (self.total or 0.0) + step


GAUGES = (
    "utilization_ratio",
    "memory_busy_ratio",
    "encoder_ratio",
    "decoder_ratio",
    "memory_used_bytes",
    "power_w",
    "power_limit_w",
    "temperature_c",
    "memory_temperature_c",
    "graphics_hz",
    "sm_hz",
    "memory_hz",
    "performance_state",
)
COUNTERS = {
    "ecc_corrected": "ecc_corrected",
    "ecc_uncorrected": "ecc_uncorrected",
    "nvlink_received_bytes": "nvlink_received",
    "nvlink_sent_bytes": "nvlink_sent",
}


@dataclass(slots=True)
class CardMeter:
    """One card between two exports, and its counters since the agent's start."""

    card: Card
    state: State = State.OK
    gauges: dict[str, Mean] = field(default_factory=lambda: {name: Mean() for name in GAUGES})
    counters: dict[str, Rising] = field(default_factory=dict)
    throttled_s: dict[str, float] = field(default_factory=dict)
    xids: dict[int, int] = field(default_factory=dict)
    processes: tuple[GpuProcess, ...] | None = None
    is_energy_integrated: bool | None = None
    _at_s: float | None = None
    _energy_at_s: float | None = None

    def add(self, sample: Sample, at_s: float) -> None:
        """`at_s` is of a clock that does not jump."""
        gap_s = 0.0 if self._at_s is None else at_s - self._at_s
        self.card, self.state, self._at_s = sample.card, sample.state, at_s
        for name, gauge in self.gauges.items():
            gauge.add(getattr(sample, name))
        for name, counter in COUNTERS.items():
            self._counter(counter).to(getattr(sample, name))
        for xid in sample.xids:
            self.xids[xid] = self.xids.get(xid, 0) + 1
        self.processes = sample.processes
        self._energy(sample, at_s, gap_s)
        self._rates(sample, gap_s if gap_s <= MOST_GAP_S else 0.0)

    def start_again(self) -> None:
        """After an export: the gauges are about the time from here on; counters go on."""
        self.gauges = {name: Mean() for name in GAUGES}

    def lose(self) -> None:
        """The source gives no samples any more."""
        self.state, self.processes = State.FAILED, None

    def _energy(self, sample: Sample, at_s: float, gap_s: float) -> None:
        """By the card's counter, or for good by power when the first reading has none: one series doesn't mix both."""
        if self.is_energy_integrated is None and (sample.energy_j is not None or sample.power_w is not None):
            self.is_energy_integrated = sample.energy_j is None
        if self.is_energy_integrated and sample.power_w is not None:
            self._counter("energy_j").by(sample.power_w * min(gap_s, MOST_GAP_S))
        elif self.is_energy_integrated is False and sample.energy_j is not None:
            since_s = at_s - self._energy_at_s if self._energy_at_s is not None else 0.0
            self._counter("energy_j").to(sample.energy_j, most_step=MOST_W * max(since_s, 1.0))
            self._energy_at_s = at_s

    def _rates(self, sample: Sample, gap_s: float) -> None:
        for name in ("pcie_received", "pcie_sent"):
            rate = getattr(sample, f"{name}_bytes_per_s")
            self._counter(name).by(None if rate is None else rate * gap_s)
        if sample.throttle_bits is not None:
            for bit, reason in gpu.THROTTLE_REASONS.items():
                slowed_s = gap_s if sample.throttle_bits & bit else 0.0
                self.throttled_s[reason] = self.throttled_s.get(reason, 0.0) + slowed_s

    def _counter(self, name: str) -> Rising:
        return self.counters.setdefault(name, Rising())


class EngineMeter:
    """Counters of one engine since the agent first read it: an engine that starts again makes none fall, and what it
    had counted before the agent came is not counted."""

    def __init__(self) -> None:
        self._counters: dict[str, Rising] = {}
        self._histograms: dict[str, tuple[tuple[float, ...], list[Rising], Rising]] = {}

    def since_start(self, reading: EngineReading) -> EngineReading:
        """The reading with its counters and histograms replaced by ours."""
        counters = {name: self._risen(name, value) for name, value in reading.counters.items()}
        histograms = {name: self._filled(name, one) for name, one in reading.histograms.items()}
        return replace(reading, counters=counters, histograms=histograms)

    def _risen(self, name: str, value: float) -> float:
        counter = self._counters.setdefault(name, Rising())
        counter.to(value)
        return counter.total or 0.0

    def _filled(self, name: str, told: Histogram) -> Histogram:
        """All buckets start again together: one that fell means that the engine did."""
        known = self._histograms.get(name)
        if known is None or known[0] != told.bounds:
            known = (told.bounds, [Rising() for _ in told.counts], Rising())
            self._histograms[name] = known
        _bounds, buckets, total = known
        if any(bucket.would_fall(count) for bucket, count in zip(buckets, told.counts, strict=True)):
            for counter in (*buckets, total):
                counter.start_again()
        for bucket, count in zip(buckets, told.counts, strict=True):
            bucket.to(count)
        total.to(told.total)
        return Histogram(told.bounds, tuple(int(bucket.total or 0) for bucket in buckets), total.total or 0.0)


def add_all(meters: dict[str, CardMeter], samples: Iterable[Sample], at_s: float) -> None:
    """Each sample to the meter of its card; a card seen for the first time gets one, one without a sample loses it."""
    seen = {sample.card.uuid or sample.card.name: sample for sample in samples}
    for gone in meters.keys() - seen.keys():
        del meters[gone]
    for key, sample in seen.items():
        meters.setdefault(key, CardMeter(sample.card)).add(sample, at_s)
