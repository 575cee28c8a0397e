"""Where samples come from: NVML, or `nvidia-smi` where NVML cannot be loaded."""

from __future__ import annotations

from typing import Protocol

from stanchion_gpu import nvml, smi
from stanchion_gpu.records import Sample


class Source(Protocol):
    """`least_s` is the shortest time between two readings that is worth what one takes."""

    name: str
    least_s: float

    @property
    def errors(self) -> int: ...

    def read(self) -> list[Sample]: ...

    def close(self) -> None: ...


class Nvml(nvml.Reader):
    name = "nvml"
    least_s = 0.0


class Smi:
    """`nvidia-smi` as a source; a failed call is an error. Cards that only a call before named are lost."""

    name = "nvidia-smi"
    least_s = smi.EVERY_S

    def __init__(self) -> None:
        self.errors = 0
        self._last = smi.read()

    def read(self) -> list[Sample]:
        try:
            now = smi.read()
        except smi.NoTool:
            self.errors += 1
            now = []
        there = {sample.card.uuid for sample in now}
        self._last = now + [smi.lost(sample) for sample in self._last if sample.card.uuid not in there]
        return self._last

    def close(self) -> None:
        """Nothing is held between calls."""


def open_source(wanted: str) -> Source:
    """NVML, or the tool where NVML cannot be loaded. NoDriver says why there is neither."""
    reason = ""
    if wanted in ("auto", "nvml"):
        try:
            return Nvml()
        except nvml.NoDriver as error:
            if wanted == "nvml":
                raise
            reason = str(error)
    try:
        return Smi()
    except smi.NoTool as error:
        raise nvml.NoDriver("; ".join(part for part in (reason, str(error)) if part)) from error
