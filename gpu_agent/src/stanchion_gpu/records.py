"""What one reading found. A field that the source does not report is None: not known, never 0."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum


class State(Enum):
    OK = "ok"
    DEGRADED = "degraded"  # works, and asks for a reset or has had uncorrected errors
    FAILED = "failed"  # does not answer: fallen off the bus


@dataclass(frozen=True, slots=True)
class GpuProcess:
    """`utilization_ratio` is the share of the card's time over the last second or so."""

    pid: int
    memory_bytes: int | None
    utilization_ratio: float | None = None


@dataclass(frozen=True, slots=True)
class Card:
    """What a card is; does not change while the driver is loaded. `parent` is the UUID of a MIG instance's card. `uuid`
    is empty for a card that has been off the bus since before the agent came."""

    uuid: str
    name: str
    model: str | None = None
    serial: str | None = None
    parent: str | None = None
    driver_version: str | None = None
    memory_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """One card at one moment. Ratios are 0 to 1. `energy_j`, `nvlink_*`, `ecc_*` are the driver's counters, which start
    again when it is loaded again. `throttle_bits` are NVML's clock event reasons. `xids` are those since the sample
    before."""

    card: Card
    state: State = State.OK
    utilization_ratio: float | None = None
    memory_busy_ratio: float | None = None
    encoder_ratio: float | None = None
    decoder_ratio: float | None = None
    memory_used_bytes: int | None = None
    power_w: float | None = None
    power_limit_w: float | None = None
    energy_j: float | None = None
    temperature_c: float | None = None
    memory_temperature_c: float | None = None
    graphics_hz: float | None = None
    sm_hz: float | None = None
    memory_hz: float | None = None
    performance_state: int | None = None
    throttle_bits: int | None = None
    ecc_corrected: int | None = None
    ecc_uncorrected: int | None = None
    pcie_received_bytes_per_s: float | None = None
    pcie_sent_bytes_per_s: float | None = None
    nvlink_received_bytes: int | None = None
    nvlink_sent_bytes: int | None = None
    xids: tuple[int, ...] = ()
    processes: tuple[GpuProcess, ...] | None = None


@dataclass(frozen=True, slots=True)
class Owner:
    """Who a process is and works for. `labels` are `stanchion_wire.gpu.LABELS` with their values."""

    executable: str | None = None
    container_id: str | None = None
    pod_uid: str | None = None
    systemd_unit: str | None = None
    engine: str | None = None
    labels: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts per bucket, one more than `bounds` (the last is above them all); cumulative since the engine's start."""

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    total: float


@dataclass(frozen=True, slots=True)
class EngineReading:
    """What a serving engine told, under our names: gauges, counters and histograms by `stanchion_wire.gpu` name. Empty
    and not up when it did not answer; `reason` says why."""

    engine: str
    endpoint: str
    is_up: bool
    model: str | None = None
    gauges: dict[str, float] = field(default_factory=dict)
    counters: dict[str, float] = field(default_factory=dict)
    histograms: dict[str, Histogram] = field(default_factory=dict)
    reason: str = ""


@dataclass(frozen=True, slots=True)
class HostReading:
    cpu_ratio: float | None
    memory_used_bytes: int
    memory_limit_bytes: int
