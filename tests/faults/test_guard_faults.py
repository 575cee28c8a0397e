"""The check API through faults: switches over several web processes, and a database that dies while checks are made."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from kit import product
from kit.guard_door import Door, open_key, published, second_web
from kit.guarding import CANARY, document
from kit.load import Load
from kit.product import Product
from kit.sending import Sender, wait_until
from stanchion_server.ingest.records import Charge, SpanKind
from stanchion_server.policies import engine

pytestmark = [pytest.mark.faults, pytest.mark.slow]
BITES_WITHIN_S = 5.0
SLACK_S = 1.5  # a request that was already being judged, and this machine


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    with product.running(tmp_path_factory.mktemp("guard")) as running:
        open_key(running)
        yield running


def test_a_kill_switch_bites_in_every_web_process_within_five_seconds(server: Product) -> None:
    key = server.target.api_key
    with Door(server.port, key) as here, second_web(server) as port, Door(port, key) as there:
        published(here, "chat", document())
        for switch, action in (("off", "allow"), ("on", "block"), ("block_all", "block")):
            for door in (here, there):
                door.check(CANARY, "chat")
            assert here.send("POST", "policies/chat/rollout", {"switch": switch})[0] == 200
            thrown_s = time.monotonic()
            text = "good morning" if switch == "block_all" else CANARY
            assert here.check(text, "chat")[1]["action"] == action, "at once where it was thrown"
            while there.check(text, "chat")[1]["action"] != action:
                assert time.monotonic() - thrown_s < BITES_WITHIN_S + SLACK_S
                time.sleep(0.02)


def test_checks_go_on_while_the_database_dies_and_every_one_is_recorded(server: Product) -> None:
    answered: list[str] = []
    with Door(server.port, server.target.api_key) as door:
        assert door.check("warm")[0] == 200
        server.kill("bin/postgres", "-D")
        ends_s = time.monotonic() + 3
        while time.monotonic() < ends_s:
            check_id = f"fault-{len(answered)}"
            assert door.check("good morning", check_id=check_id)[0] == 200
            answered.append(check_id)
    wait_until(server.answers, 60, "recovery")
    count = "SELECT count(*), count(DISTINCT check_id) FROM guard_decisions WHERE check_id LIKE 'fault-%'"
    wait_until(lambda: server.ask(count)[0][0] >= len(answered), 60, "writing the decisions")
    assert server.ask(count) == [(len(answered), len(answered))]
    assert len(answered) > 10


def test_a_web_process_that_is_asked_to_end_writes_what_waits(server: Product) -> None:
    """The last checks are younger than the pause in which decisions are gathered."""
    with Door(server.port, server.target.api_key) as door:
        assert door.check("warm")[0] == 200
        for number in range(20):
            assert door.check("good morning", check_id=f"term-{number}")[0] == 200
    os.kill(server.processes("granian")[0], signal.SIGTERM)
    count = "SELECT count(*) FROM guard_decisions WHERE check_id LIKE 'term-%'"
    wait_until(lambda: server.number(count) == 20, 20, "writing the last decisions")
    wait_until(server.answers, 60, "the web process's return")


def test_a_back_test_whose_worker_is_killed_counts_every_call_once(server: Product) -> None:
    load = Load(seed="replayed", end_s=time.time(), total=20, days=0.01, spans=512)
    sent = Sender(server.target, [load.export(index) for index in range(load.total)], retries=20).run(120)
    assert sent.statuses[200] == load.total
    server.wait_until_settled()
    calls = server.number(
        f"SELECT count(*) FROM llm_calls WHERE charge = {Charge.CHARGED:d} AND kind = {SpanKind.LLM:d}"
    )
    now = datetime.now(UTC)
    wanted = {"window_start": (now - timedelta(days=1)).isoformat(), "window_end": now.isoformat()}
    with Door(server.port, server.target.api_key) as door:
        published(door, "replayed", engine.starting_text("default"))
        status, made = door.send("POST", "policies/replayed/backtests", wanted)
        assert (status, made["calls_total"]) == (201, calls)
        address = f"policies/replayed/backtests/{made['id']}"
        wait_until(lambda: door.send("GET", address)[1]["state"] == "running", 90, "the first slice")
        server.kill("celery", "worker")
        wait_until(lambda: door.send("GET", address)[1]["state"] == "done", 240, "the end of the back-test")
        told = door.send("GET", address)[1]
    assert (told["calls_done"], told["result"]["calls"] + told["result"]["without_content"]) == (calls, calls)
