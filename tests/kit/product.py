"""The whole product in a folder of its own: started with `manage.py up`, watched through /proc, asked through SQL."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from kit.sending import Target, wait_until

ROOT = Path(__file__).resolve().parents[2]
START_LIMIT_S = 90.0
SETTLE_LIMIT_S = 120.0
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class Product:
    """A running server. `pid` is the supervisor's; everything else is below it."""

    def __init__(self, folder: Path, port: int, process: subprocess.Popen[bytes]) -> None:
        self.folder, self.port, self._process = folder, port, process

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def target(self) -> Target:
        facts = json.loads((self.folder / "bootstrap.json").read_text())
        return Target(f"http://127.0.0.1:{self.port}", facts["api_key"])

    @property
    def log(self) -> str:
        return (self.folder / "test.log").read_text(errors="replace")

    def processes(self, *words: str) -> list[int]:
        """Descendants whose command line holds all `words`, outermost first."""
        return [pid for pid in tree(self.pid) if all(word in command_of(pid) for word in words)]

    def kill(self, *words: str) -> int:
        """kill -9 of the outermost descendant that matches."""
        pid = self.processes(*words)[0]
        os.kill(pid, signal.SIGKILL)
        return pid

    def kill_all(self, *words: str) -> list[int]:
        """kill -9 of every descendant that matches."""
        pids = self.processes(*words)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        return pids

    def connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        lines = (self.folder / "environment").read_text().splitlines()
        values = dict(line.split("=", 1) for line in lines)
        return psycopg.connect(values["DATABASE_URL"], autocommit=True, connect_timeout=5)

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        with self.connect() as connection:
            return connection.execute(sql.encode()).fetchall()

    def number(self, sql: str) -> int:
        return int(self.ask(sql)[0][0])

    def answers(self) -> bool:
        """Whether web and database both work."""
        try:
            return self.number("SELECT 1") == 1 and web_answers(self.port)
        except psycopg.OperationalError:
            return False

    def span_keys(self) -> set[tuple[str, str]]:
        rows = self.ask("SELECT replace(trace_id::text, '-', ''), lpad(to_hex(span_id), 16, '0') FROM spans")
        return {(row[0], row[1]) for row in rows}

    def wait_until_settled(self) -> None:
        """Until no minute is waiting for its sums."""
        wait_until(lambda: self.number("SELECT count(*) FROM dirty_minutes") == 0, SETTLE_LIMIT_S, "settling")

    def wait_until_scored(self) -> None:
        """Until no recorded call is waiting for its scores."""
        wait_until(
            lambda: self.number("SELECT count(*) FROM score_jobs WHERE state = 0") == 0, SETTLE_LIMIT_S, "scoring"
        )


def web_answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.sendall(b"GET /healthz HTTP/1.0\r\nhost: 127.0.0.1\r\n\r\n")
            return b" 200 " in connection.recv(64)
    except OSError:
        return False


@contextmanager
def running(
    folder: Path,
    variables: Mapping[str, str] | None = None,
    *,
    port: int | None = None,
    python: str = sys.executable,
) -> Iterator[Product]:
    """Starts the product in `folder`, on `port` or a free one, and stops it; its output goes to `folder`/test.log."""
    port = port or free_port()
    left_out = ("DATABASE_URL", "DJANGO_SETTINGS_MODULE", "STANCHION_ALLOW_EPHEMERAL_SECRET", "PYTHONPATH")
    env = {name: value for name, value in os.environ.items() if name not in left_out}
    command = [python, str(ROOT / "manage.py"), "up", "--port", str(port), "--data-dir", str(folder)]
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "test.log").open("wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder, env={**env, **(variables or {})}
        )
    product = Product(folder, port, process)
    try:
        wait_until(lambda: _is_ready(product, process), START_LIMIT_S, f"starting the server ({folder}/test.log)")
        yield product
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _is_ready(product: Product, process: subprocess.Popen[bytes]) -> bool:
    if process.poll() is not None:
        raise RuntimeError(f"the server ended with {process.returncode}:\n{product.log[-3000:]}")
    return "ready in" in product.log


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def tree(pid: int) -> list[int]:
    """The process and its descendants, outermost first."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [pid]
    for parent in found:
        found += sorted(children.get(parent, []))
    return found


def cpu_s(pid: int) -> float:
    """CPU seconds of the process and its descendants, those that ended and were waited for included."""
    return sum(sum(map(int, fields[11:15])) for each in tree(pid) if (fields := _stat(each))) / _TICKS_PER_S


def resident_bytes(pid: int) -> int:
    """Memory of the process and its descendants, shared pages divided among those that share them."""
    total = 0
    for each in tree(pid):
        try:
            rollup = Path(f"/proc/{each}/smaps_rollup").read_text()
        except OSError:
            continue
        total += sum(int(line.split()[1]) * 1024 for line in rollup.splitlines() if line.startswith("Pss:"))
    return total


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the command's name: state, parent, ..."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return []
    return text[text.rindex(")") + 2 :].split()
