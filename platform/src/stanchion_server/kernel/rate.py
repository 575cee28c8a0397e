"""Token buckets per sender, in a table that cannot grow without bound."""

from __future__ import annotations

import threading
from collections import OrderedDict


class TokenBuckets:
    """One bucket per name, `burst` tokens when full, refilled at `rate_per_s`; the least recently used name is
    forgotten beyond `max_names`. Process-local and thread-safe. Times are monotonic seconds."""

    def __init__(self, rate_per_s: float, burst: float, max_names: int) -> None:
        self._rate_per_s = rate_per_s
        self._burst = burst
        self._max_names = max_names
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def has_token(self, name: str, now_s: float) -> bool:
        """Whether `take` would succeed; takes nothing."""
        with self._lock:
            return self._level(name, now_s) >= 1.0

    def take(self, name: str, now_s: float) -> bool:
        """Takes one token; False when there is none."""
        with self._lock:
            level = self._level(name, now_s)
            is_taken = level >= 1.0
            self._buckets[name] = (level - 1.0 if is_taken else level, now_s)
            self._buckets.move_to_end(name)
            while len(self._buckets) > self._max_names:
                self._buckets.popitem(last=False)
            return is_taken

    def __len__(self) -> int:
        return len(self._buckets)

    def clear(self) -> None:
        with self._lock:
            self._buckets.clear()

    def _level(self, name: str, now_s: float) -> float:
        level, at_s = self._buckets.get(name, (self._burst, now_s))
        return min(self._burst, level + (now_s - at_s) * self._rate_per_s)
