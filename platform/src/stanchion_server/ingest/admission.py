"""What this process takes on at once. Beyond it the answer is 503 with `Retry-After: 1`, before any memory is spent.

Three bounds: bytes in flight (as received and, weighted, as they will be once parsed), requests in work and concurrent
parses; for the last two a request waits briefly. The web server must have more threads than requests may be in work:
the spare ones are those that refuse. A single request is always let in when nothing else is in flight, however scarce
memory is: a process that refuses everything helps nobody. The measurements are cheap and refreshed once a second.
"""

from __future__ import annotations

import gc
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from stanchion_server.kernel import clock
from stanchion_server.kernel.errors import Unavailable

REFRESH_SECONDS = 1.0
# Reserved per byte of inflated body, for what parsing makes of it: an assumption, generous for text-heavy telemetry.
PARSED_WEIGHT = 6


@dataclass(frozen=True, slots=True)
class Bounds:
    max_in_flight_bytes: int = 1 << 30
    max_requests: int = 6
    request_wait_s: float = 0.25
    max_parses: int = 2
    parse_wait_s: float = 1.0
    max_resident_bytes: int = 2 << 30
    min_free_disk_bytes: int = 512 << 20


class Gate:
    """Thread-safe; one per process."""

    def __init__(self, bounds: Bounds, data_dir: Path | None = None) -> None:
        self.bounds = bounds
        self._data_dir = data_dir
        self._lock = threading.Lock()
        self._slots = threading.BoundedSemaphore(bounds.max_requests)
        self._parses = threading.BoundedSemaphore(bounds.max_parses)
        self._in_flight_bytes = 0
        self._requests = 0
        self._checked_at_s = -REFRESH_SECONDS
        self._pressure = ""
        self._away_until_s = 0.0

    @property
    def in_flight_bytes(self) -> int:
        return self._in_flight_bytes

    @contextmanager
    def request(self, body_bytes: int) -> Iterator[Hold]:
        """Room for one request with a body of this size; raises Unavailable when there is none."""
        self._refuse_under_pressure()
        if not self._slots.acquire(timeout=self.bounds.request_wait_s):
            raise Unavailable("busy")
        hold = Hold(self)
        with self._lock:
            self._requests += 1
        try:
            hold.add(body_bytes)
            yield hold
        finally:
            with self._lock:
                self._requests -= 1
                self._in_flight_bytes -= hold.held_bytes
            self._slots.release()

    @contextmanager
    def parse(self) -> Iterator[None]:
        """One of the few places for work that takes processor and memory; raises Unavailable after a short wait."""
        if not self._parses.acquire(timeout=self.bounds.parse_wait_s):
            raise Unavailable("busy")
        try:
            yield
        finally:
            self._parses.release()

    def note_database_away(self) -> None:
        """The next second's requests need not find out one by one."""
        self._away_until_s = clock.monotonic_s() + REFRESH_SECONDS

    def _reserve(self, wanted_bytes: int) -> None:
        with self._lock:
            is_alone = self._requests <= 1
            if self._in_flight_bytes + wanted_bytes > self.bounds.max_in_flight_bytes and not is_alone:
                raise Unavailable("too_many_bytes_in_flight")
            self._in_flight_bytes += wanted_bytes

    def _refuse_under_pressure(self) -> None:
        now_s = clock.monotonic_s()
        if now_s < self._away_until_s:
            raise Unavailable("database_away")
        if now_s - self._checked_at_s >= REFRESH_SECONDS:
            self._checked_at_s = now_s
            self._pressure = self._measure()
        if self._pressure == "disk_full" or (self._pressure and self._requests > 0):
            raise Unavailable(self._pressure)

    def _measure(self) -> str:
        if self._data_dir is not None and _free_disk_bytes(self._data_dir) < self.bounds.min_free_disk_bytes:
            return "disk_full"
        if _resident_bytes() > self.bounds.max_resident_bytes:
            gc.collect()
            if _resident_bytes() > self.bounds.max_resident_bytes:
                return "memory"
        return ""


class Hold:
    """The bytes one request has reserved; given back when its `with` ends."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self.held_bytes = 0

    def add(self, wanted_bytes: int) -> None:
        """Reserves more; raises Unavailable when it does not fit."""
        self._gate._reserve(wanted_bytes)
        self.held_bytes += wanted_bytes


def _free_disk_bytes(directory: Path) -> int:
    try:
        return shutil.disk_usage(directory).free
    except OSError:
        return 1 << 62  # not there yet: nothing to protect


def _resident_bytes() -> int:
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return 0  # not Linux: this bound is off
    return pages * os.sysconf("SC_PAGE_SIZE")
