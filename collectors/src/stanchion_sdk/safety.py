"""The one border where our own mistakes stop: nothing of ours is raised into the application.

A failure is counted under the place it happened and logged once per place, without the application's data.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from contextlib import suppress

log = logging.getLogger("stanchion_sdk")

failures: Counter[str] = Counter()
_said_at: dict[str, float] = {}


def note(place: str, error: BaseException) -> None:
    """Counts a failure of ours and says it once per place. Never raises."""
    failures[place] += 1
    say_rarely(place, "stanchion: %s failed (%s); the application is not affected", place, type(error).__name__)


def say_rarely(topic: str, message: str, *values: object, every_s: float = 3600.0) -> None:
    """Logs a warning at most once per topic and period. Never raises."""
    now = time.monotonic()
    if topic in _said_at and now - _said_at[topic] < every_s:
        return
    _said_at[topic] = now
    with suppress(Exception):  # a logging handler of the host may itself be broken
        log.warning(message, *values)
