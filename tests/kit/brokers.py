"""Real Redis and RabbitMQ servers on loopback ports of their own, in folders of their own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kombu import Connection
from kombu.exceptions import OperationalError

from kit.product import free_port
from kit.sending import wait_until

RABBITMQ = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
START_LIMIT_S = 180.0


class Broker:
    """A broker that can be killed and started again on its port."""

    def __init__(self, command: list[str], url: str, env: dict[str, str], folder: Path) -> None:
        self.url, self._command, self._env, self._folder = url, command, env, folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self._folder / "broker.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command, env=self._env, cwd=self._folder, stdout=log, stderr=log, start_new_session=True
            )
        wait_until(self.answers, START_LIMIT_S, f"a broker at {self.url}")

    def kill(self) -> None:
        """kill -9 of the server and of what it started."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def answers(self) -> bool:
        try:
            with Connection(self.url, connect_timeout=3) as connection:
                connection.ensure_connection(max_retries=1, timeout=3)
                return True
        except (OperationalError, OSError):
            return False

    def has_queue(self, name: str) -> bool:
        """Whether a worker or a sender has declared it; kombu keeps that in Redis under a name of its own."""
        with Connection(self.url, connect_timeout=3) as connection:
            channel = connection.channel()
            if self.url.startswith("redis"):
                return bool(channel.client.exists(f"_kombu.binding.{name}"))
            try:
                channel.queue_declare(name, passive=True)
            except connection.channel_errors:
                return False
            return True

    def empty(self, *queues: str) -> None:
        """Every message in these queues is gone."""
        with Connection(self.url, connect_timeout=3) as connection:
            channel = connection.channel()
            for name in queues:
                channel.queue_purge(name)


def missing(kind: str) -> str:
    """Why this kind cannot be started here, empty when it can."""
    if kind == "redis":
        return "" if shutil.which("redis-server") else "redis-server is not installed: run script/brokers"
    return "" if RABBITMQ.exists() else "rabbitmq-server is not installed: run script/brokers"


@contextmanager
def running(kind: str, folder: Path) -> Iterator[Broker]:
    folder.mkdir(parents=True)
    broker = _redis(folder) if kind == "redis" else _rabbitmq(folder)
    try:
        broker.start()
        yield broker
    finally:
        broker.kill()
        if kind == "rabbitmq":
            wait_until(lambda: _is_epmd_gone(broker), 20, "the end of Erlang's port mapper")


def _is_epmd_gone(broker: Broker) -> bool:
    """It outlives RabbitMQ, and refuses to end while it still believes in the node that was killed."""
    asked = subprocess.run(["epmd", "-kill"], env=broker._env, check=False, capture_output=True, text=True)
    return "Killed" in asked.stdout or "Cannot connect" in asked.stdout + asked.stderr


def _redis(folder: Path) -> Broker:
    port = free_port()
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
               "--maxmemory-policy", "noeviction", "--dir", str(folder)]  # fmt: skip
    return Broker(command, f"redis://127.0.0.1:{port}/0", dict(os.environ), folder)


def _rabbitmq(folder: Path) -> Broker:
    port = free_port()
    env = {
        **os.environ, "HOME": str(folder), "RABBITMQ_NODENAME": f"stanchion{port}@localhost",
        "RABBITMQ_NODE_PORT": str(port), "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_DIST_PORT": str(free_port()), "ERL_EPMD_PORT": str(free_port()), "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_MNESIA_BASE": str(folder / "data"), "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"), "RABBITMQ_PID_FILE": str(folder / "pid"),
        "RABBITMQ_CONFIG_FILE": str(folder / "none"),
    }  # fmt: skip
    return Broker([str(RABBITMQ)], f"amqp://guest:guest@127.0.0.1:{port}//", env, folder)
