"""The only source of the current time, so that tests can set it."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def now() -> datetime:
    return datetime.now(UTC)


def now_ns() -> int:
    return time.time_ns()


def monotonic_s() -> float:
    return time.monotonic()
