"""Reads cards through NVML. The only module that knows pynvml.

What a card says it does not support is asked once and then left out for it. A card that does not answer any more is
`FAILED` in each sample until it does; the others are read on.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pynvml

from stanchion_gpu.records import Card, GpuProcess, Sample, State

MIB_PER_KIB = 1024
MOST_MIG_INSTANCES = 16
# The driver's PCIe reading takes 20 ms each way (NVML API reference, nvmlDeviceGetPcieThroughput), so not each second.
PCIE_EVERY = 10
# Processes come and go slowly beside the cost of listing them.
PROCESSES_EVERY = 5
# "Not available" in unsigned 64 bits, and the blank values near the top of signed ones.
BLANK = 1 << 62

_GONE = (pynvml.NVML_ERROR_GPU_IS_LOST, pynvml.NVML_ERROR_UNKNOWN)
_NEVER = (
    pynvml.NVML_ERROR_NOT_SUPPORTED,
    pynvml.NVML_ERROR_FUNCTION_NOT_FOUND,
    pynvml.NVML_ERROR_NO_PERMISSION,
    pynvml.NVML_ERROR_INVALID_ARGUMENT,
    pynvml.NVML_ERROR_ARGUMENT_VERSION_MISMATCH,
)


class NoDriver(Exception):
    """No NVIDIA driver, or one that does not answer. The message says which, for people."""


class CardLost(Exception):
    """The card fell off the bus."""


class Device:
    """One card or MIG instance, and what it is known not to support."""

    def __init__(self, handle: Any, name: str, driver_version: str | None, parent: str | None = None) -> None:
        self._handle = handle
        self._unsupported: set[str] = set()
        self._round = 0
        self._kept: dict[str, Any] = {}
        self.errors = 0
        self.is_instance = parent is not None
        self.card = Card(
            uuid=str(self._ask("nvmlDeviceGetUUID") or name),
            name=name,
            model=self._text("nvmlDeviceGetName"),
            serial=self._text("nvmlDeviceGetSerial"),
            parent=parent,
            driver_version=driver_version,
            memory_bytes=_known(getattr(self._ask("nvmlDeviceGetMemoryInfo"), "total", None)),
        )

    def read(self, xids: tuple[int, ...]) -> Sample:
        """Never raises: a card that is lost is a sample that says so."""
        try:
            return self._sample(xids)
        except CardLost:
            self._unsupported.clear()
            return Sample(card=self.card, state=State.FAILED, xids=xids)

    def _sample(self, xids: tuple[int, ...]) -> Sample:
        self._round += 1
        busy = self._ask("nvmlDeviceGetUtilizationRates")
        memory = self._ask("nvmlDeviceGetMemoryInfo")
        uncorrected = self._number("nvmlDeviceGetTotalEccErrors", pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, 0)
        sent, received = self._nvlink()
        return Sample(
            card=self.card,
            state=State.DEGRADED if uncorrected or self._needs_reset() else State.OK,
            utilization_ratio=_percent(getattr(busy, "gpu", None)),
            memory_busy_ratio=_percent(getattr(busy, "memory", None)),
            encoder_ratio=_percent(_first(self._ask("nvmlDeviceGetEncoderUtilization"))),
            decoder_ratio=_percent(_first(self._ask("nvmlDeviceGetDecoderUtilization"))),
            memory_used_bytes=_known(getattr(memory, "used", None)),
            power_w=_scaled(self._number("nvmlDeviceGetPowerUsage"), 1000),
            power_limit_w=_scaled(self._seldom("nvmlDeviceGetEnforcedPowerLimit"), 1000),
            energy_j=_scaled(self._number("nvmlDeviceGetTotalEnergyConsumption"), 1000),
            temperature_c=self._temperature(),
            memory_temperature_c=self._field(pynvml.NVML_FI_DEV_MEMORY_TEMP),
            graphics_hz=self._clock(pynvml.NVML_CLOCK_GRAPHICS),
            sm_hz=self._clock(pynvml.NVML_CLOCK_SM),
            memory_hz=self._clock(pynvml.NVML_CLOCK_MEM),
            performance_state=_state(self._number("nvmlDeviceGetPowerState")),
            throttle_bits=self._throttle(),
            ecc_corrected=self._number("nvmlDeviceGetTotalEccErrors", pynvml.NVML_MEMORY_ERROR_TYPE_CORRECTED, 0),
            ecc_uncorrected=uncorrected,
            pcie_received_bytes_per_s=self._pcie(pynvml.NVML_PCIE_UTIL_RX_BYTES),
            pcie_sent_bytes_per_s=self._pcie(pynvml.NVML_PCIE_UTIL_TX_BYTES),
            nvlink_received_bytes=received,
            nvlink_sent_bytes=sent,
            xids=xids,
            processes=self._processes(),
        )

    def _ask(self, function: str, *arguments: Any) -> Any:
        """The answer, or None: not supported (then never asked again), or this once not read (counted)."""
        key = function if not arguments else f"{function}{arguments}"
        if key in self._unsupported:
            return None
        try:
            return getattr(pynvml, function)(self._handle, *arguments)
        except pynvml.NVMLError as error:
            self._note(key, error.value)
            return None

    def _note(self, key: str, code: int) -> None:
        if code in _GONE:
            raise CardLost
        if code == pynvml.NVML_ERROR_RESET_REQUIRED:
            self._kept["reset"] = True
        elif code in _NEVER:
            self._unsupported.add(key)
        else:
            self.errors += 1

    def _number(self, function: str, *arguments: Any) -> int | None:
        return _known(self._ask(function, *arguments))

    def _text(self, function: str) -> str | None:
        answer = self._ask(function)
        return None if answer is None else (answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer)

    def _seldom(self, function: str, *arguments: Any) -> int | None:
        """A reading that hardly changes or is dear: asked in one round of PCIE_EVERY, else what was read then."""
        key = f"{function}{arguments}"
        if key not in self._kept or self._round % PCIE_EVERY == 1:
            self._kept[key] = self._number(function, *arguments)
        value = self._kept[key]
        return value if isinstance(value, int) else None

    def _needs_reset(self) -> bool:
        return bool(self._kept.pop("reset", False))

    def _temperature(self) -> float | None:
        """The new call first; drivers before R570 know only the old one."""
        value = self._number("nvmlDeviceGetTemperatureV", pynvml.NVML_TEMPERATURE_GPU)
        return value if value is not None else self._number("nvmlDeviceGetTemperature", pynvml.NVML_TEMPERATURE_GPU)

    def _throttle(self) -> int | None:
        value = self._number("nvmlDeviceGetCurrentClocksEventReasons")
        return value if value is not None else self._number("nvmlDeviceGetCurrentClocksThrottleReasons")

    def _clock(self, clock: int) -> float | None:
        return _scaled(self._number("nvmlDeviceGetClockInfo", clock), 1e-6)

    def _pcie(self, way: int) -> float | None:
        return _scaled(self._seldom("nvmlDeviceGetPcieThroughput", way), 1 / MIB_PER_KIB)

    def _nvlink(self) -> tuple[int | None, int | None]:
        sent = self._field(pynvml.NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_TX)
        received = self._field(pynvml.NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_RX)
        return (
            None if sent is None else int(sent) * MIB_PER_KIB,
            None if received is None else int(received) * MIB_PER_KIB,
        )

    def _field(self, field: int) -> float | None:
        key = f"field {field}"
        if key in self._unsupported:
            return None
        values = self._ask("nvmlDeviceGetFieldValues", (field,))
        if values is None:
            return None
        if values[0].nvmlReturn != pynvml.NVML_SUCCESS:
            self._note(key, values[0].nvmlReturn)
            return None
        return _known(_value_of(values[0]))

    def _processes(self) -> tuple[GpuProcess, ...] | None:
        """None when neither kind of process can be listed; in the rounds between, the list that was read last."""
        if "processes" in self._kept and self._round % PROCESSES_EVERY != 1:
            kept: tuple[GpuProcess, ...] | None = self._kept["processes"]
            return kept
        lists = [self._ask(f"nvmlDeviceGet{kind}RunningProcesses") for kind in ("Compute", "Graphics")]
        found: dict[int, GpuProcess] = {}
        shares = self._shares() if any(lists) else {}
        for one in (entry for listed in lists if listed for entry in listed):
            found[one.pid] = GpuProcess(one.pid, _known(one.usedGpuMemory), shares.get(one.pid))
        self._kept["processes"] = None if all(listed is None for listed in lists) else tuple(found.values())
        return self._kept["processes"]  # type: ignore[no-any-return]

    def _shares(self) -> dict[int, float]:
        """Per process, the newest share of the card's time; empty where the card does not tell."""
        samples = self._ask("nvmlDeviceGetProcessUtilization", self._kept.get("seen_us", 0))
        if not samples:
            return {}
        self._kept["seen_us"] = max(one.timeStamp for one in samples)
        return {one.pid: one.smUtil / 100 for one in samples if one.smUtil <= 100}


class Reader:
    """All cards of this host. NoDriver at construction; `read` answers always."""

    def __init__(self) -> None:
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError as error:
            raise NoDriver(_why_not(error.value)) from error
        self.driver_version = _decoded(pynvml.nvmlSystemGetDriverVersion())
        self.devices = self._find()
        self._events = self._listen()

    def read(self) -> list[Sample]:
        xids = self._xids()
        return [device.read(tuple(xids.get(device.card.uuid, ()))) for device in self.devices]

    @property
    def errors(self) -> int:
        """Readings that failed otherwise than by not being supported, since the start."""
        return sum(device.errors for device in self.devices)

    def close(self) -> None:
        with contextlib.suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()

    def _find(self) -> list[Device]:
        found: list[Device] = []
        for index in range(pynvml.nvmlDeviceGetCount()):
            try:
                handle = pynvml.nvmlDeviceGetHandleByIndex(index)
                device = Device(handle, f"gpu{index}", self.driver_version)
            except (pynvml.NVMLError, CardLost):
                continue  # lost before we came: the driver still counts it
            found.append(device)
            found.extend(self._instances(handle, device.card))
        return found

    def _instances(self, handle: Any, card: Card) -> list[Device]:
        try:
            if not pynvml.nvmlDeviceGetMigMode(handle)[0]:
                return []
            count = min(pynvml.nvmlDeviceGetMaxMigDeviceCount(handle), MOST_MIG_INSTANCES)
        except pynvml.NVMLError:
            return []
        found: list[Device] = []
        for index in range(count):
            with contextlib.suppress(pynvml.NVMLError, CardLost):
                instance = pynvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, index)
                found.append(Device(instance, f"{card.name}/{index}", self.driver_version, card.uuid))
        return found

    def _listen(self) -> Any:
        """The set that collects XID errors, or None where the driver has no events."""
        try:
            events = pynvml.nvmlEventSetCreate()
        except pynvml.NVMLError:
            return None
        for device in self.devices:
            if not device.is_instance:
                with contextlib.suppress(pynvml.NVMLError):
                    pynvml.nvmlDeviceRegisterEvents(device._handle, pynvml.nvmlEventTypeXidCriticalError, events)
        return events

    def _xids(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        if self._events is None:
            return found
        for _ in range(64):
            try:
                event = pynvml.nvmlEventSetWait(self._events, 0)
                uuid = _decoded(pynvml.nvmlDeviceGetUUID(event.device))
            except pynvml.NVMLError:
                break  # a timeout: no more of them
            found.setdefault(uuid, []).append(int(event.eventData))
        return found


def _why_not(code: int) -> str:
    if code == pynvml.NVML_ERROR_LIBRARY_NOT_FOUND:
        return "no NVIDIA driver on this host: libnvidia-ml.so.1 is not there"
    if code == pynvml.NVML_ERROR_DRIVER_NOT_LOADED:
        return "the NVIDIA driver is installed and not loaded (no card, or a module that failed: see dmesg)"
    if code == pynvml.NVML_ERROR_NO_PERMISSION:
        return "no permission to talk to the NVIDIA driver (/dev/nvidiactl)"
    return f"NVML does not start: {pynvml.NVMLError(code)}"


def _decoded(text: Any) -> str:
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)


def _known(value: Any) -> int | None:
    return None if value is None or abs(value) >= BLANK else int(value)


def _first(pair: Any) -> Any:
    return None if pair is None else pair[0]


def _percent(value: Any) -> float | None:
    return None if value is None or not 0 <= value <= 100 else value / 100


def _scaled(value: int | None, divisor: float) -> float | None:
    return None if value is None else value / divisor


def _state(value: int | None) -> int | None:
    return value if value is not None and 0 <= value <= 15 else None


_VALUES: tuple[Callable[[Any], Any], ...] = (
    lambda value: value.dVal,
    lambda value: value.uiVal,
    lambda value: value.ulVal,
    lambda value: value.ullVal,
    lambda value: value.sllVal,
)


def _value_of(entry: Any) -> Any:
    """The member of the union that the driver says it filled."""
    return _VALUES[entry.valueType](entry.value) if 0 <= entry.valueType < len(_VALUES) else None
