"""Two clocks for one player: one on which a fortnight passes in half a minute, and the real one."""

from __future__ import annotations

import threading
import time
from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """`is_past` says that nothing really waits, so whoever times something must ask this clock."""

    is_past: bool

    def now_ns(self) -> int: ...

    def wait(self, seconds: float) -> None: ...


class PastClock:
    """Stands still until somebody waits."""

    is_past = True

    def __init__(self, start: datetime) -> None:
        self._now_ns = int(start.timestamp() * 1000) * 1_000_000

    def now_ns(self) -> int:
        return self._now_ns

    def wait(self, seconds: float) -> None:
        self._now_ns += round(seconds * 1_000_000_000)


class LiveClock:
    """The time of day. Raises Stopping out of a wait once `stop` is set."""

    is_past = False

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop

    def now_ns(self) -> int:
        return time.time_ns()

    def wait(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise Stopping


class Stopping(Exception):
    """The demo is asked to end."""
