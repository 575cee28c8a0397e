"""Redis and RabbitMQ carry the wake-ups of the workers; whatever happens to them, every call is scored once."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from kit import brokers, product, score_audit
from kit.load import Load
from kit.product import Product
from kit.sending import Sender, wait_until

pytestmark = [pytest.mark.faults, pytest.mark.slow]
REQUESTS = 3
SCORING_LIMIT_S = 240.0
QUEUES = ("default", "score_fast", "score_slow")


@pytest.mark.parametrize("kind", ["redis", "rabbitmq"])
def test_calls_are_scored_end_to_end_and_again_after_the_broker_was_emptied_killed_and_started(
    kind: str, tmp_path: Path
) -> None:
    if why := brokers.missing(kind):
        pytest.skip(why)
    with brokers.running(kind, tmp_path / "broker") as broker:
        variables = {"STANCHION_BROKER_URL": broker.url, "PYTHONPATH": str(score_audit.PLUGIN)}
        with product.running(tmp_path / "data", variables) as server:
            send_and_wait(server, "first")
            assert all(broker.has_queue(name) for name in QUEUES)
            broker.empty(*QUEUES)
            send_and_wait(server, "emptied")
            broker.kill()
            send(server, "away")
            broker.start()
            wait_for_scores(server)
            with server.connect() as connection:
                assert score_audit.faults(connection) == []


def send_and_wait(server: Product, seed: str) -> None:
    send(server, seed)
    wait_for_scores(server)


def send(server: Product, seed: str) -> None:
    load = Load(seed=seed, end_s=time.time(), total=REQUESTS, days=0.005, spans=64)
    sender = Sender(server.target, [load.export(index) for index in range(REQUESTS)], retries=50)
    assert sender.run(60).statuses[200] == REQUESTS


def wait_for_scores(server: Product) -> None:
    wait_until(
        lambda: server.number("SELECT count(*) FROM score_jobs WHERE state = 0") == 0, SCORING_LIMIT_S, "every score"
    )
