"""Reads cards through NVML. The only module that knows pynvml.

What a card says it does not support is asked once and then left out for it. A card that does not answer any more is
`FAILED` in each sample until it does; the others are read on. Cards and MIG instances are looked for again every
LOOK_AGAIN_S, and a driver that was loaded anew is taken up.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pynvml

from stanchion_gpu.quantities import decoded, first, known, percent, scaled, state, value_of
from stanchion_gpu.records import Card, GpuProcess, Sample, State

MIB_PER_KIB = 1024
MOST_MIG_INSTANCES = 16
# The driver's PCIe reading takes 20 ms each way (NVML API reference, nvmlDeviceGetPcieThroughput), so not each second.
PCIE_EVERY = 10
# Processes come and go slowly beside the cost of listing them.
PROCESSES_EVERY = 5

LOOK_AGAIN_S = 30.0

# nvml.h: a card's NVLink counters are those of the link in `scopeId`, and of all links together with this. Without one
# pynvml asks for link 0.
ALL_LINKS = 0xFFFF_FFFF

_GONE = (
    pynvml.NVML_ERROR_GPU_IS_LOST,
    pynvml.NVML_ERROR_GPU_NOT_FOUND,
    pynvml.NVML_ERROR_UNINITIALIZED,
    pynvml.NVML_ERROR_DRIVER_NOT_LOADED,
    pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH,  # a new driver beside the old library
)
_NEVER = (
    pynvml.NVML_ERROR_NOT_SUPPORTED,
    pynvml.NVML_ERROR_FUNCTION_NOT_FOUND,
    pynvml.NVML_ERROR_NO_PERMISSION,
    pynvml.NVML_ERROR_INVALID_ARGUMENT,
    pynvml.NVML_ERROR_ARGUMENT_VERSION_MISMATCH,
)
# An answer: there is nothing to tell. Of processes that did nothing lately drivers say "not found", and pynvml makes an
# error of a success with an empty list.
_EMPTY = (pynvml.NVML_SUCCESS, pynvml.NVML_ERROR_NOT_FOUND, pynvml.NVML_ERROR_NO_DATA)


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
        self._answers = 0
        self._kept: dict[str, Any] = {}
        self.errors = 0
        self.is_lost = False
        self.is_instance = parent is not None
        self.has_instances = False  # then their processes are listed with them
        self.card = Card(
            uuid=self._text("nvmlDeviceGetUUID") or name,
            name=name,
            model=self._text("nvmlDeviceGetName"),
            serial=self._text("nvmlDeviceGetSerial"),
            parent=parent,
            driver_version=driver_version,
            memory_bytes=known(getattr(self._memory(), "total", None)),
        )

    def found_again(self, other: Device) -> None:
        """Takes the handle under which the driver knows the card now, and its place in the line."""
        self._handle, self.has_instances = other._handle, other.has_instances
        self.card = replace(other.card, memory_bytes=other.card.memory_bytes or self.card.memory_bytes)

    def listen(self, events: Any) -> None:
        with contextlib.suppress(pynvml.NVMLError):
            pynvml.nvmlDeviceRegisterEvents(self._handle, pynvml.nvmlEventTypeXidCriticalError, events)

    def read(self, xids: tuple[int, ...]) -> Sample:
        """Never raises: a card that is lost is a sample that says so."""
        errors, self._answers = self.errors, 0
        try:
            sample = self._sample(xids)
            self.is_lost = self._answers == 0 and self.errors > errors  # each call failed, none was unsupported
        except CardLost:
            self.is_lost = True
        if not self.is_lost:
            return sample
        self._unsupported.clear()
        self._kept.clear()
        return Sample(card=self.card, state=State.FAILED, xids=xids)

    def _sample(self, xids: tuple[int, ...]) -> Sample:
        self._round += 1
        busy = self._ask("nvmlDeviceGetUtilizationRates")
        memory = self._memory()
        uncorrected = self._number("nvmlDeviceGetTotalEccErrors", pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, 0)
        sent, received = self._nvlink()
        return Sample(
            card=self.card,
            state=State.DEGRADED if uncorrected or self._needs_reset() or self._needs_repair() else State.OK,
            utilization_ratio=percent(getattr(busy, "gpu", None)),
            memory_busy_ratio=percent(getattr(busy, "memory", None)),
            encoder_ratio=percent(first(self._ask("nvmlDeviceGetEncoderUtilization"))),
            decoder_ratio=percent(first(self._ask("nvmlDeviceGetDecoderUtilization"))),
            memory_used_bytes=known(getattr(memory, "used", None)),
            power_w=scaled(self._number("nvmlDeviceGetPowerUsage"), 1000),
            power_limit_w=scaled(self._seldom("nvmlDeviceGetEnforcedPowerLimit"), 1000),
            energy_j=scaled(self._number("nvmlDeviceGetTotalEnergyConsumption"), 1000),
            temperature_c=self._temperature(),
            memory_temperature_c=self._field(pynvml.NVML_FI_DEV_MEMORY_TEMP) or None,  # some cards say 0 for "none"
            graphics_hz=self._clock(pynvml.NVML_CLOCK_GRAPHICS),
            sm_hz=self._clock(pynvml.NVML_CLOCK_SM),
            memory_hz=self._clock(pynvml.NVML_CLOCK_MEM),
            performance_state=state(self._number("nvmlDeviceGetPowerState")),
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
            answer = getattr(pynvml, function)(self._handle, *arguments)
        except pynvml.NVMLError as error:
            self._note(key, error.value)
            return None
        self._answers += 1
        return answer

    def _note(self, key: str, code: int) -> None:
        if code in _GONE:
            raise CardLost
        if code == pynvml.NVML_ERROR_RESET_REQUIRED:
            self._kept["reset"] = True
        elif code in _NEVER:
            self._unsupported.add(key)
        elif code not in _EMPTY:
            self.errors += 1

    def _number(self, function: str, *arguments: Any) -> int | None:
        return known(self._ask(function, *arguments))

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

    def _memory(self) -> Any:
        """As nvidia-smi tells it: only the second version leaves out of "used" what the driver reserves."""
        memory = self._ask("nvmlDeviceGetMemoryInfo", pynvml.nvmlMemory_v2)
        return memory if memory is not None else self._ask("nvmlDeviceGetMemoryInfo")

    def _needs_reset(self) -> bool:
        return bool(self._kept.pop("reset", False))

    def _needs_repair(self) -> bool:
        """A row of memory waits to be replaced by a spare one, or there was none left."""
        if "rows" not in self._kept or self._round % PCIE_EVERY == 1:
            self._kept["rows"] = self._ask("nvmlDeviceGetRemappedRows")
        rows = self._kept["rows"]
        return rows is not None and bool(rows[2] or rows[3])

    def _temperature(self) -> float | None:
        """The new call first; drivers before R570 know only the old one."""
        value = self._number("nvmlDeviceGetTemperatureV", pynvml.NVML_TEMPERATURE_GPU)
        return value if value is not None else self._number("nvmlDeviceGetTemperature", pynvml.NVML_TEMPERATURE_GPU)

    def _throttle(self) -> int | None:
        value = self._number("nvmlDeviceGetCurrentClocksEventReasons")
        return value if value is not None else self._number("nvmlDeviceGetCurrentClocksThrottleReasons")

    def _clock(self, clock: int) -> float | None:
        return scaled(self._number("nvmlDeviceGetClockInfo", clock), 1e-6)

    def _pcie(self, way: int) -> float | None:
        return scaled(self._seldom("nvmlDeviceGetPcieThroughput", way), 1 / MIB_PER_KIB)

    def _nvlink(self) -> tuple[int | None, int | None]:
        sent = self._field(pynvml.NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_TX, ALL_LINKS)
        received = self._field(pynvml.NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_RX, ALL_LINKS)
        return (
            None if sent is None else int(sent) * MIB_PER_KIB,
            None if received is None else int(received) * MIB_PER_KIB,
        )

    def _field(self, field: int, scope: int = 0) -> float | None:
        key = f"field {field}"
        if key in self._unsupported:
            return None
        values = self._ask("nvmlDeviceGetFieldValues", ((field, scope),))
        if values is None:
            return None
        if values[0].nvmlReturn != pynvml.NVML_SUCCESS:
            self._note(key, values[0].nvmlReturn)
            return None
        return known(value_of(values[0]))

    def _processes(self) -> tuple[GpuProcess, ...] | None:
        """None when neither kind of process can be listed; in the rounds between, the list that was read last."""
        if self.has_instances:
            return None
        if "processes" in self._kept and self._round % PROCESSES_EVERY != 1:
            kept: tuple[GpuProcess, ...] | None = self._kept["processes"]
            return kept
        lists = [self._ask(f"nvmlDeviceGet{kind}RunningProcesses") for kind in ("Compute", "Graphics")]
        found: dict[int, GpuProcess] = {}
        shares = self._shares() if any(lists) else {}
        for one in (entry for listed in lists if listed for entry in listed):
            found[one.pid] = GpuProcess(one.pid, known(one.usedGpuMemory), shares.get(one.pid))
        self._kept["processes"] = None if all(listed is None for listed in lists) else tuple(found.values())
        return self._kept["processes"]  # type: ignore[no-any-return]

    def _shares(self) -> dict[int, float]:
        """Per process, the newest share of the card's time; empty where the card does not tell."""
        samples = self._ask("nvmlDeviceGetProcessUtilization", self._kept.get("seen_us", 0))
        if not samples:
            return {}
        self._kept["seen_us"] = max(one.timeStamp for one in samples)
        oldest_first = sorted(samples, key=lambda one: one.timeStamp)
        return {one.pid: one.smUtil / 100 for one in oldest_first if one.smUtil <= 100}


class Reader:
    """All cards of this host. NoDriver at construction; `read` answers always."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._events: Any = None
        self._lost: list[str] = []
        self._errors_of_dropped = 0
        self.devices: list[Device] = []
        self._start()
        if not self.devices and not self._lost:
            self.close()
            raise NoDriver("the NVIDIA driver answers and knows no card")

    def read(self) -> list[Sample]:
        if self._now_s() - self._looked_s >= LOOK_AGAIN_S:
            self._look_again()
        xids = self._xids()
        samples = [device.read(tuple(xids.get(device.card.uuid, ()))) for device in self.devices]
        return samples + [Sample(Card(uuid="", name=name), State.FAILED) for name in self._lost]

    @property
    def errors(self) -> int:
        """Readings that failed otherwise than by not being supported, since the start."""
        return self._errors_of_dropped + sum(device.errors for device in self.devices)

    def close(self) -> None:
        with contextlib.suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()

    def _start(self) -> None:
        self._looked_s = self._now_s()
        try:
            pynvml.nvmlInit()
            self.driver_version = decoded(pynvml.nvmlSystemGetDriverVersion())
            self._find()
        except pynvml.NVMLError as error:
            raise NoDriver(_why_not(error.value)) from error
        self._events = self._listen()

    def _look_again(self) -> None:
        """With no card that answers, the driver may have been loaded anew: its handles are worth nothing then."""
        self._looked_s = self._now_s()
        if all(device.is_lost for device in self.devices):
            self._events = None  # goes with the driver
            self.close()
            with contextlib.suppress(NoDriver):
                self._start()
            return
        before = {device.card.uuid for device in self.devices}
        with contextlib.suppress(pynvml.NVMLError):
            self._find()
        if not before >= {device.card.uuid for device in self.devices}:
            self._events = self._listen()

    def _find(self) -> None:
        """Cards known before keep what is known of them. Instances that are gone were taken down; cards that are gone
        are lost, and stay."""
        found: list[Device] = []
        self._lost = []
        for index in range(pynvml.nvmlDeviceGetCount()):
            try:
                found += self._card(index)
            except (pynvml.NVMLError, CardLost):
                if all(device.card.name != f"gpu{index}" for device in self.devices):
                    self._lost.append(f"gpu{index}")  # lost before we came: the driver still counts it
        before = {device.card.uuid: device for device in self.devices}
        for place, device in enumerate(found):
            if device.card.uuid in before:
                found[place] = before.pop(device.card.uuid)
                found[place].found_again(device)
        self._errors_of_dropped += sum(device.errors for device in before.values() if device.is_instance)
        self.devices = found + [device for device in before.values() if not device.is_instance]

    def _card(self, index: int) -> list[Device]:
        handle = pynvml.nvmlDeviceGetHandleByIndex(index)
        device = Device(handle, f"gpu{index}", self.driver_version)
        instances = self._instances(handle, device.card)
        device.has_instances = bool(instances)
        return [device, *instances]

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
        if self._events is not None:
            with contextlib.suppress(pynvml.NVMLError):
                pynvml.nvmlEventSetFree(self._events)
        try:
            events = pynvml.nvmlEventSetCreate()
        except pynvml.NVMLError:
            return None
        for device in self.devices:
            if not device.is_instance:
                device.listen(events)
        return events

    def _xids(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        if self._events is None:
            return found
        for _ in range(64):
            try:
                event = pynvml.nvmlEventSetWait(self._events, 0)
                uuid = decoded(pynvml.nvmlDeviceGetUUID(event.device))
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
