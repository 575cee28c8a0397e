"""kill -9 of each process in mid-load: whatever was acknowledged is there afterwards, once, and the sums agree."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from kit import product
from kit.load import Load
from kit.product import Product
from kit.sending import Sender, wait_until

pytestmark = [pytest.mark.faults, pytest.mark.slow]
REQUESTS = 40
RECOVERY_LIMIT_S = 60.0
# The outermost process whose command line holds all these words is killed.
VICTIMS = {
    "the web server": ("granian",),
    "the Celery worker": ("celery", "worker"),
    "PostgreSQL": ("bin/postgres", "-D"),
    "a database connection": ("postgres:", "idle"),
    "the scheduler": ("celery.beat",),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    with product.running(tmp_path_factory.mktemp("crash")) as running:
        yield running


@pytest.mark.parametrize("victim", VICTIMS)
def test_what_was_acknowledged_survives_kill_9_of(server: Product, victim: str) -> None:
    load = Load(seed=victim, end_s=time.time(), total=REQUESTS, days=0.01, spans=256)
    sender = Sender(server.target, [load.export(index) for index in range(REQUESTS)], retries=150)
    sender.start(limit_s=60)
    wait_until(lambda: sender.delivery.statuses[200] >= 4, 30, "the first acknowledgements")
    dead = server.kill(*VICTIMS[victim])

    delivery = sender.finish()
    wait_until(server.answers, RECOVERY_LIMIT_S, "recovery")

    assert dead not in product.tree(server.pid)
    assert delivery.statuses[200] == REQUESTS, f"{delivery.statuses}\n{server.log[-2000:]}"
    missing = delivery.acknowledged - server.span_keys()
    assert not missing, f"{len(missing)} of {len(delivery.acknowledged)} acknowledged spans are gone"


def test_the_sums_agree_with_the_calls_after_all_that(server: Product) -> None:
    server.wait_until_settled()

    charged = server.number("SELECT count(*) FROM llm_calls WHERE charge = 0")
    assert charged == len(VICTIMS) * REQUESTS * 64
    assert server.number("SELECT sum(calls) FROM call_rollups WHERE grain_minutes = 1") == charged
    assert server.number("SELECT sum(calls) FROM call_rollups WHERE grain_minutes = 1440") == charged
