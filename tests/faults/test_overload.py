"""More than the server can take: it refuses what it cannot store, keeps its memory, and loses nothing acknowledged."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from kit import product
from kit.load import Load
from kit.product import Product
from kit.sending import Delivery, Sender, wait_until

pytestmark = [pytest.mark.faults, pytest.mark.slow]
REQUESTS = 120
OFFERED_FOR_S = 15.0
# Far more than four times the six requests that the server works on at once.
CONNECTIONS = 150
# Sixteen more database connections with their caches, and the bodies in work; it does not grow with the time.
MOST_GROWTH_BYTES = 500 << 20


def capacity(server: Product) -> float:
    """Requests a second with a few patient connections."""
    load = Load(seed="capacity", end_s=time.time(), total=30, days=0.01, spans=256)
    delivery = Sender(server.target, [load.export(index) for index in range(load.total)], retries=20).run(30)
    return delivery.statuses[200] / delivery.wall_s


class Memory:
    """The most memory the server used while the block ran."""

    def __init__(self, server: Product) -> None:
        self._server, self._over = server, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.before_bytes = self.most_bytes = product.resident_bytes(server.pid)

    def _watch(self) -> None:
        while not self._over.wait(0.3):
            self.most_bytes = max(self.most_bytes, product.resident_bytes(self._server.pid))

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def offer(server: Product) -> Delivery:
    """Impatient senders: who is refused asks again at once."""
    load = Load(seed="overload", end_s=time.time(), total=REQUESTS, days=0.01, spans=256)
    exports = [load.export(index) for index in range(REQUESTS)] * 20
    sender = Sender(server.target, exports, connections=CONNECTIONS, retries=10_000, retry_pause_s=0.02)
    return sender.run(OFFERED_FOR_S)


def test_many_times_the_capacity_is_refused_politely_and_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    with product.running(tmp_path / "data") as server:
        possible = capacity(server)
        # Workers still load their libraries and weights when the first exports are stored; that is no growth.
        server.wait_until_scored()
        with Memory(server) as memory:
            delivery = offer(server)
        offered = sum(delivery.statuses.values()) / delivery.wall_s

        assert offered > possible, (offered, possible, delivery.statuses)
        assert delivery.statuses[503] > 0, delivery.statuses
        assert set(delivery.statuses) <= {200, 503}, delivery.statuses
        assert delivery.without_retry_after == 0
        assert memory.most_bytes - memory.before_bytes < MOST_GROWTH_BYTES
        wait_until(server.answers, 30, "the server's answer")
        assert not delivery.acknowledged - server.span_keys()
        print(f"capacity {possible:.0f}/s, offered {offered:.0f}/s, {dict(delivery.statuses)}, "
              f"{memory.before_bytes >> 20} -> {memory.most_bytes >> 20} MiB")  # fmt: skip
