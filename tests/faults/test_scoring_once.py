"""Whatever is killed: each call that should be scored has one score per scorer and version, and none is missing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from kit import product, score_audit
from kit.load import Load
from kit.product import Product
from kit.sending import Sender, wait_until

pytestmark = [pytest.mark.faults, pytest.mark.slow]
REQUESTS = 12
RECOVERY_LIMIT_S = 90.0
SCORING_LIMIT_S = 400.0
MORE_BEATS, WAKE_UPS = 3, 300
SOURCES = [product.ROOT / name / "src" for name in ("platform", "guardrails", "collectors")]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Product]:
    with product.running(tmp_path / "data", {"PYTHONPATH": str(score_audit.PLUGIN)}) as running:
        yield running


class Beside:
    """More Celery processes on the product's database and broker."""

    def __init__(self, server: Product) -> None:
        lines = (server.folder / "environment").read_text().splitlines()
        paths = os.pathsep.join(str(path) for path in (*SOURCES, score_audit.PLUGIN))
        settings = {"DJANGO_SETTINGS_MODULE": "stanchion_server.config.settings", "PYTHONPATH": paths}
        self._env = {**os.environ, **dict(line.split("=", 1) for line in lines), **settings}
        self._folder = server.folder
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-P", "-m", "celery", "--quiet", "--app", "stanchion_server.config.celery"]
        with (self._folder / "beside.log").open("ab") as log:
            process = subprocess.Popen(
                [*command, *arguments, "--loglevel", "warning"], env=self._env, cwd=self._folder, stdout=log, stderr=log
            )
        self._processes.append(process)
        return process

    def stop(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()


def test_every_call_is_scored_once_through_kills_two_beats_an_emptied_broker_and_a_database_restart(
    server: Product,
) -> None:
    beside = Beside(server)
    try:
        beside.start("beat", "--scheduler", "celery.beat.Scheduler", "--pidfile", "")
        worker = beside.start("worker", "--pool", "prefork", "--concurrency", "1", "--queues", "default",
                              "--without-gossip", "--without-mingle")  # fmt: skip
        load = Load(seed="scores", end_s=time.time(), total=REQUESTS, days=0.01, spans=128)
        sender = Sender(server.target, [load.export(index) for index in range(REQUESTS)], retries=300)
        sender.start(limit_s=200)

        die_at_work(server, lambda: server.kill_all("celery", "worker"))
        die_at_work(server, lambda: kill_with_children(worker.pid))
        server.ask("SELECT pgmq.purge_queue('default')")
        die_at_work(server, lambda: server.kill("bin/postgres", "-D"))
        wait_until(server.answers, RECOVERY_LIMIT_S, "recovery")
        die_at_work(server, lambda: server.kill_all("celery", "worker"))

        assert sender.finish().statuses[200] == REQUESTS, server.log[-2000:]
        expire_leases(server)
        wait_until(lambda: left(server) == 0, SCORING_LIMIT_S, "the end of all jobs")
    finally:
        beside.stop()
    with server.connect() as connection:
        assert score_audit.faults(connection) == []
    wait_until(lambda: server.number("SELECT count(*) FROM dirty_score_minutes") == 0, 120, "the sums")
    sums = server.number("SELECT coalesce(sum(scores), 0) FROM score_rollups WHERE grain_minutes = 60")
    assert sums == server.number("SELECT count(*) FROM scores")


def test_calls_are_scored_where_more_wake_ups_are_sent_than_are_needed(server: Product) -> None:
    beside = Beside(server)
    try:
        for _ in range(MORE_BEATS):
            beside.start("beat", "--scheduler", "celery.beat.Scheduler", "--pidfile", "")
        wait_until(lambda: sent(server) > WAKE_UPS, RECOVERY_LIMIT_S, "wake-ups of every beat")
        load = Load(seed="many", end_s=time.time(), total=1, days=0.01, spans=64)
        assert Sender(server.target, [load.export(0)], retries=50).run(60).statuses[200] == 1
        assert left(server) > 0, "nothing waits for a score, so the test would show nothing"
        wait_until(lambda: left(server) == 0, RECOVERY_LIMIT_S, "every score")
    finally:
        beside.stop()


def sent(server: Product) -> int:
    try:
        return server.number("SELECT last_value FROM pgmq.q_default_msg_id_seq")
    except psycopg.errors.UndefinedTable:  # made by the first of worker and beat
        return 0


def die_at_work(server: Product, kill) -> None:  # type: ignore[no-untyped-def]
    """Kills while jobs are in work, and lets the next worker have them at once."""
    wait_until(lambda: leased(server) > 0, RECOVERY_LIMIT_S, "a batch in work")
    kill()
    wait_until(lambda: server.answers(), RECOVERY_LIMIT_S, "recovery")
    expire_leases(server)


def kill_with_children(pid: int) -> None:
    for each in reversed(product.tree(pid)):
        os.kill(each, signal.SIGKILL)


def leased(server: Product) -> int:
    try:
        return server.number("SELECT count(*) FROM score_jobs WHERE leased_until > now()")
    except psycopg.Error:
        return 0


def expire_leases(server: Product) -> None:
    """A minute's wait, made short; a worker that is alive loses its lease too, which must harm nothing."""
    server.ask(
        "UPDATE score_jobs SET leased_until = NULL, not_before = now() WHERE leased_until IS NOT NULL RETURNING 1"
    )


def left(server: Product) -> int:
    try:
        return server.number("SELECT count(*) FROM score_jobs WHERE state = 0")
    except psycopg.Error:
        return -1
