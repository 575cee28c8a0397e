"""Sends export requests over several connections, bounded in count and time, and keeps what was acknowledged."""

from __future__ import annotations

import http.client
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from kit.load import Export, SpanKey

CONNECTION_TIMEOUT_S = 20.0
RETRY_PAUSE_S = 0.2


@dataclass
class Delivery:
    """What became of the requests. `statuses` counts answers (0: none came); `latencies_s` is one per answer."""

    acknowledged: set[SpanKey] = field(default_factory=set)
    statuses: Counter[int] = field(default_factory=Counter)
    latencies_s: list[float] = field(default_factory=list)
    without_retry_after: int = 0
    wall_s: float = 0.0

    def percentile_ms(self, percent: float) -> float:
        ordered = sorted(self.latencies_s)
        return 1000 * ordered[min(len(ordered) - 1, int(percent / 100 * len(ordered)))] if ordered else 0.0


@dataclass(frozen=True)
class Target:
    """The server's address and an ingest key."""

    url: str
    api_key: str
    path: str = "/v1/traces"


class Sender:
    """`connections` threads take requests in turn; a refused one is sent again up to `retries` times."""

    def __init__(
        self,
        target: Target,
        exports: Sequence[Export],
        *,
        connections: int = 4,
        retries: int = 0,
        retry_pause_s: float = RETRY_PAUSE_S,
    ) -> None:
        self.delivery = Delivery()
        self._target, self._exports, self._retries, self._retry_pause_s = target, exports, retries, retry_pause_s
        self._next = 0
        self._lock = threading.Lock()
        self._stop_at_s = float("inf")
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(connections)]
        self._began_s = 0.0

    def start(self, limit_s: float) -> None:
        self._began_s = time.monotonic()
        self._stop_at_s = self._began_s + limit_s
        for thread in self._threads:
            thread.start()

    def finish(self) -> Delivery:
        for thread in self._threads:
            thread.join()
        self.delivery.wall_s = time.monotonic() - self._began_s
        return self.delivery

    def run(self, limit_s: float) -> Delivery:
        self.start(limit_s)
        return self.finish()

    def _work(self) -> None:
        address = urlsplit(self._target.url)
        connection = http.client.HTTPConnection(
            address.hostname or "127.0.0.1", address.port, timeout=CONNECTION_TIMEOUT_S
        )
        while (export := self._take()) is not None:
            for _attempt in range(self._retries + 1):
                if self._send(connection, export) or time.monotonic() > self._stop_at_s:
                    break
                time.sleep(self._retry_pause_s)
        connection.close()

    def _take(self) -> Export | None:
        with self._lock:
            if self._next >= len(self._exports) or time.monotonic() > self._stop_at_s:
                return None
            self._next += 1
            return self._exports[self._next - 1]

    def _send(self, connection: http.client.HTTPConnection, export: Export) -> bool:
        """Whether the server answered 200. A connection that fails is closed and opened again by the next request."""
        began_s = time.monotonic()
        headers = {"authorization": f"Bearer {self._target.api_key}", **export.headers}
        try:
            connection.request("POST", self._target.path, export.body, headers)
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            self._note(0, None, ())
            return False
        took_s = time.monotonic() - began_s
        lacks_hint = answer.status == 503 and answer.headers.get("retry-after") is None
        with self._lock:
            self.delivery.without_retry_after += lacks_hint
        self._note(answer.status, took_s, export.keys if answer.status == 200 else ())
        return answer.status == 200

    def _note(self, status: int, took_s: float | None, keys: Sequence[SpanKey]) -> None:
        with self._lock:
            self.delivery.statuses[status] += 1
            self.delivery.acknowledged.update(keys)
            if took_s is not None:
                self.delivery.latencies_s.append(took_s)


def wait_until(condition: Callable[[], bool], limit_s: float, what: str) -> None:
    """Asks every 0.1 s; raises TimeoutError, naming `what`, when it stays false for `limit_s`."""
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not happen within {limit_s:.0f} s")
        time.sleep(0.1)
