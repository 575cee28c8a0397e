"""`manage.py up` as a person meets it: one folder, one command, and whatever is killed comes back."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 60.0
NEWEST = "last_value - (NOT is_called)::int"
SOME = 5  # a message has its number before it can be seen, so the first few may only seem to be taken

pytestmark = [pytest.mark.faults, pytest.mark.slow]


class LocalMode:
    """A started `manage.py up` and ways to look at it."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self.log = folder.parent / "up.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                up_command(folder, port), env=clean_environment(), stdout=log, stderr=subprocess.STDOUT
            )

    def healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def children(self) -> dict[str, int]:
        """The direct children by what they are."""
        found = {}
        for stat_file in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat_file.read_text().rpartition(")")[2].split()
                command = (stat_file.parent / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if int(fields[1]) == self.process.pid and fields[0] != "Z":
                for name, sign in (
                    ("postgres", "bin/postgres"),
                    ("web", " granian "),
                    ("worker", " worker "),
                    ("beat", " beat "),
                ):
                    if sign in command:
                        found[name] = int(stat_file.parent.name)
        return found

    def database_url(self) -> str:
        lines = (self.folder / "environment").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)["DATABASE_URL"]

    def messages_sent(self) -> int:
        """The number of the newest message in the queue of short work; 0 while the database is away."""
        return self.number(f"SELECT {NEWEST} FROM pgmq.q_default_msg_id_seq")

    def messages_taken(self) -> int:
        """The number up to which a worker took each message; 0 while the database is away.

        One that a killed worker held lies in the queue until it is delivered again, so what is gone would not tell.
        """
        return self.number(f"""
            SELECT coalesce((SELECT min(msg_id) - 1 FROM pgmq.q_default WHERE read_ct = 0),
                            (SELECT {NEWEST} FROM pgmq.q_default_msg_id_seq))
        """)

    def number(self, query: str) -> int:
        try:
            with psycopg.connect(self.database_url(), connect_timeout=3) as connection:
                row = connection.execute(query.encode()).fetchone()
        except psycopg.Error:
            return 0
        return int(row[0]) if row else 0

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(30)


def up_command(folder: Path, port: int) -> list[str]:
    return [sys.executable, str(ROOT / "manage.py"), "up", "--port", str(port), "--data-dir", str(folder)]


def clean_environment() -> dict[str, str]:
    hidden = ("DATABASE_URL", "DJANGO_SETTINGS_MODULE", "PYTHONPATH")
    return {
        name: value for name, value in os.environ.items() if name not in hidden and not name.startswith("STANCHION_")
    }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(condition: Callable[[], bool], what: str, log: Path) -> float:
    began_s = time.monotonic()
    while not condition():
        if time.monotonic() - began_s > PATIENCE_S:
            pytest.fail(f"{what} did not happen within {PATIENCE_S:.0f} s\n{log.read_text()[-3000:]}")
        time.sleep(0.05)
    return time.monotonic() - began_s


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalMode]:
    started = LocalMode(tmp_path_factory.mktemp("local") / "data", free_port())
    try:
        wait_for(started.healthy, "the first start", started.log)
        wait_for(lambda: started.messages_taken() > 0, "the first wake-up", started.log)
        yield started
    finally:
        started.stop()


def test_the_first_start_leaves_credentials_that_only_the_owner_can_read(local: LocalMode) -> None:
    path = local.folder / "bootstrap.json"
    credentials = json.loads(path.read_text())
    assert set(credentials) == {"url", "otlp_endpoint", "project", "api_key", "admin_key", "username", "password"}
    assert credentials["url"] == f"http://127.0.0.1:{local.port}"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((local.folder / "secret_key").stat().st_mode) == 0o600
    assert stat.S_IMODE(local.folder.stat().st_mode) == 0o700


def test_a_second_start_on_the_same_folder_says_so_and_harms_nothing(local: LocalMode) -> None:
    second = subprocess.run(
        up_command(local.folder, free_port()), env=clean_environment(), capture_output=True, text=True, timeout=30
    )
    assert second.returncode == 1
    assert "already running" in second.stderr and str(local.port) in second.stderr
    assert local.healthy()


def test_a_busy_port_is_reported_before_anything_starts(local: LocalMode, tmp_path: Path) -> None:
    other = subprocess.run(
        up_command(tmp_path / "other", local.port), env=clean_environment(), capture_output=True, text=True, timeout=30
    )
    assert other.returncode == 1
    assert f"port {local.port} is in use" in other.stderr
    assert not (tmp_path / "other" / "postgres").exists()


@pytest.mark.parametrize("name", ["web", "worker", "beat", "postgres"])
def test_a_killed_process_comes_back_and_work_goes_on(local: LocalMode, name: str) -> None:
    victim = local.children()[name]
    os.kill(victim, signal.SIGKILL)
    wait_for(lambda: local.children().get(name, victim) != victim, f"a new {name}", local.log)
    wait_for(local.healthy, "health", local.log)
    wait_for(lambda: local.messages_sent() > 0, "the database", local.log)
    sent = local.messages_sent()
    wait_for(lambda: local.messages_taken() > sent + SOME, "more wake-ups", local.log)


def test_ctrl_c_stops_everything_and_a_restart_keeps_the_data(local: LocalMode) -> None:
    credentials = (local.folder / "bootstrap.json").read_text()
    children = list(local.children().values())
    began_s = time.monotonic()
    assert local.stop(signal.SIGINT) == 0
    assert time.monotonic() - began_s < 10
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]

    again = LocalMode(local.folder, local.port)
    try:
        wait_for(again.healthy, "the second start", again.log)
        assert (local.folder / "bootstrap.json").read_text() == credentials
        with psycopg.connect(again.database_url()) as connection:
            row = connection.execute("SELECT count(*) FROM tenants_organisation").fetchone()
        assert row == (1,)
    finally:
        assert again.stop() == 0


def test_a_killed_supervisor_leaves_no_process_and_the_folder_starts_again(tmp_path: Path) -> None:
    first = LocalMode(tmp_path / "data", free_port())
    try:
        wait_for(first.healthy, "the start", first.log)
        wait_for(lambda: len(first.children()) == 4, "four children", first.log)
        children = list(first.children().values())
    finally:
        first.stop(signal.SIGKILL)
    wait_for(lambda: not [pid for pid in children if Path(f"/proc/{pid}").exists()], "the end of orphans", first.log)
    second = LocalMode(tmp_path / "data", first.port)
    try:
        wait_for(second.healthy, "the start after a kill", second.log)
    finally:
        assert second.stop() == 0
