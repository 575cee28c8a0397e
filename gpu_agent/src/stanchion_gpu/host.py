"""CPU and memory of this host."""

from __future__ import annotations

import psutil

from stanchion_gpu.records import HostReading


def read() -> HostReading:
    """CPU since the reading before; of the first reading of a process there is none."""
    memory = psutil.virtual_memory()
    times = psutil.cpu_percent(interval=None)
    return HostReading(times / 100 if _is_primed() else None, int(memory.total - memory.available), int(memory.total))


_readings = 0


def _is_primed() -> bool:
    global _readings
    _readings += 1
    return _readings > 1
