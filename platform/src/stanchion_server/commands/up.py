"""Everything on one machine: PostgreSQL, web, worker and beat under one supervisor.

Imports no Django: the settings need what this makes first, and the supervisor stays small.
"""

from __future__ import annotations

import argparse
import errno
import fcntl
import http.client
import importlib.util
import json
import os
import secrets
import shutil
import signal
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from stanchion_server.commands.supervisor import Program, Stopped, Supervisor
from stanchion_server.kernel import postgres

REPOSITORY = Path(__file__).resolve().parents[4]
DEFAULT_FOLDER = REPOSITORY / ".data"
STOP = ((signal.SIGTERM, 5.0),)
# An idle worker needs seconds for SIGTERM, and one without its broker ignores it; its messages are delivered again.
STOP_WORKER = ((signal.SIGTERM, 2.0), (signal.SIGQUIT, 0.5))
BUSY_PATIENCE_S = 2.0
# More than the six requests the door lets work at once: the others are there to refuse in time.
WEB_THREADS = 16
WEB_BACKPRESSURE = 256
WORKER_THREADS = 12
"""More than can be held for many seconds: by the two lanes of scorers, a back-test, drift and its report, savings,
three senders of alerts (`turns.at_most`) and the heartbeat. The short tasks, settling before all, find one free."""


class CannotStart(Exception):
    """The message says why and what to do."""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="up", description="Run PostgreSQL, web, worker and beat on this machine.")
    add_arguments(parser)
    options = parser.parse_args(arguments)
    try:
        if options.demo:
            refuse_demo_without_clients()
        return run(options.host, options.port, options.data_dir.absolute(), with_demo=options.demo)
    except (CannotStart, postgres.PostgresError, TimeoutError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0 listens to other machines too")
    parser.add_argument("--data-dir", type=Path, default=DEFAULT_FOLDER, help="database, keys and secrets")
    parser.add_argument(
        "--demo", action="store_true", help="made-up traffic in a project of its own: two weeks, then live"
    )


def run(host: str, port: int, folder: Path, *, with_demo: bool) -> int:
    """Start everything, keep it, and stop it when asked. Raises CannotStart before anything runs."""
    began_s = time.monotonic()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = take_lock(folder, f"http://{host}:{port}")
    refuse_busy_port(host, port)
    first_start = not (folder / "bootstrap.json").exists()
    supervisor = Supervisor(folder)
    status = 0
    try:
        start_all(supervisor, host, port, folder, with_demo=with_demo)
        announce(supervisor, host, port, folder, first_start=first_start, seconds=time.monotonic() - began_s)
        if with_demo:
            start_demo(supervisor, host, port, folder)
        supervisor.run()
    except Stopped:
        supervisor.say("server", "stopping")
    except BaseException:
        status = 1
        raise
    finally:
        stopping_s = time.monotonic()
        supervisor.stop()
        if status == 0:
            supervisor.say("server", f"stopped in {time.monotonic() - stopping_s:.1f} s; the data is in {folder}")
        lock.close()
    return status


def start_all(supervisor: Supervisor, host: str, port: int, folder: Path, *, with_demo: bool) -> None:
    """In the order of need; the supervisor stops in the opposite order."""
    database_url = os.environ.get("DATABASE_URL") or start_postgres(supervisor, folder)
    env = environment(host, port, folder, database_url)
    write_environment(folder, env)
    command = [*manage("bootstrap"), "--file", str(folder / "bootstrap.json")]
    if with_demo:
        command += ["--demo-file", str(demo_file(folder))]
    if supervisor.finish(Program("setup", command, env, STOP)) != 0:
        raise CannotStart("the database could not be prepared; the reason is above.")
    supervisor.start(web(host, port, env), timeout_s=60)
    supervisor.start(worker(env), timeout_s=60)
    supervisor.start(beat(env), timeout_s=60)


def start_postgres(supervisor: Supervisor, folder: Path) -> str:
    if not (folder / "postgres" / "PG_VERSION").exists():
        supervisor.say("server", f"making a database in {folder}")
    server = postgres.prepare(folder / "postgres")
    supervisor.start(
        Program(
            "postgres",
            server.command(),
            {**os.environ},
            postgres.STOP_ORDER,
            on_parent_death=signal.SIGINT,
            identity=server.identity,
            is_ready=server.is_ready,
        ),
        timeout_s=postgres.READY_TIMEOUT_S,
    )
    server.create_database()
    return server.url()


def web(host: str, port: int, env: Mapping[str, str]) -> Program:
    command = [*python(), "-m", "granian", "--interface", "wsgi", "--host", host, "--port", str(port)]
    command += ["--workers", "1", "--blocking-threads", str(WEB_THREADS), "--backpressure", str(WEB_BACKPRESSURE)]
    command += ["--respawn-failed-workers", "--workers-kill-timeout", "3", "--log-level", "error", "--http", "1"]
    command += ["--no-ws", "stanchion_server.config.wsgi:application"]
    return Program("web", command, env, STOP, is_ready=lambda _: answers(host, port))


def worker(env: Mapping[str, str]) -> Program:
    command = [*celery("celery"), "worker", "--pool", "threads", "--concurrency", str(WORKER_THREADS)]
    command += ["--loglevel", "warning", "--without-gossip", "--without-mingle", "--without-heartbeat"]
    every = "default,maintenance,deliver,score_fast,score_slow"
    command += ["--queues", every if "STANCHION_BROKER_URL" in env else "default"]
    return Program("worker", command, env, STOP_WORKER, on_parent_death=signal.SIGKILL)


def beat(env: Mapping[str, str]) -> Program:
    # In memory: the schedule has no state worth a file, and a stale one would fire everything at once.
    command = [*celery("beat"), "beat", "--scheduler", "celery.beat.Scheduler", "--pidfile", ""]
    command += ["--loglevel", "warning"]
    return Program("beat", command, env, STOP, on_parent_death=signal.SIGKILL)


def demo_file(folder: Path) -> Path:
    return folder / "demo.json"


def demo(folder: Path) -> Program:
    """An application like a customer's: it gets the address and a key, and nothing of the server's own settings."""
    wanted = {name: value for name, value in os.environ.items() if not name.startswith(("STANCHION_", "OTEL_"))}
    env = {**wanted, "PYTHONPATH": source_roots(), "PYTHONUNBUFFERED": "1"}
    command = [*python(), "-m", "stanchion_demo", "--folder", str(folder)]
    return Program("demo", ["nice", "-n", "5", *command] if shutil.which("nice") else command, env, STOP)


def demo_path(project: str) -> str:
    return f"/p/{project}/overview"


def start_demo(supervisor: Supervisor, host: str, port: int, folder: Path) -> None:
    project = json.loads(demo_file(folder).read_text())["project"]
    supervisor.say("server", f"demo: http://{_reachable(host)}:{port}{demo_path(project)} (made-up traffic)")
    supervisor.start(demo(folder), timeout_s=60)


def refuse_demo_without_clients() -> None:
    """Raises CannotStart unless the providers' own clients are installed."""
    missing = [name for name in ("openai", "anthropic") if importlib.util.find_spec(name) is None]
    if missing:
        raise CannotStart(f"--demo needs {' and '.join(missing)}. Run script/environment demo, or leave --demo out.")


def source_roots() -> str:
    return os.pathsep.join(entry for entry in sys.path if entry.endswith(f"{os.sep}src"))


def python() -> list[str]:
    return [sys.executable, "-P"]  # -P: the working directory is no place for imports


def celery(application: str) -> list[str]:
    return [*python(), "-m", "celery", "--quiet", "--app", f"stanchion_server.config.{application}"]


def manage(command: str) -> list[str]:
    return [*python(), "-m", "django", command]


def environment(host: str, port: int, folder: Path, database_url: str) -> dict[str, str]:
    """What the children get: the caller's variables, completed. A variable that is set wins."""
    url = f"http://{_reachable(host)}:{port}"
    added = {
        "DATABASE_URL": database_url,
        "DJANGO_SETTINGS_MODULE": "stanchion_server.config.settings",
        "PYTHONPATH": source_roots(),
        "PYTHONUNBUFFERED": "1",
        "STANCHION_DATA_DIR": str(folder),
        "STANCHION_LOG_FORMAT": "bare",
        "STANCHION_PUBLIC_URL": url,
        "STANCHION_SECRET_KEY": secret_key(folder),
    }
    if host not in ("127.0.0.1", "localhost", "::1"):
        added["STANCHION_ALLOWED_HOSTS"] = "*"
    return {**added, **os.environ, "PYTHONPATH": added["PYTHONPATH"], "STANCHION_DATA_DIR": str(folder)}


def secret_key(folder: Path) -> str:
    path = folder / "secret_key"
    if not path.exists():
        _write_private(path, secrets.token_urlsafe(50))
    return path.read_text().strip()


def write_environment(folder: Path, env: Mapping[str, str]) -> None:
    """For `STANCHION_DATA_DIR=... manage.py <command>` on the same database."""
    names = ("DATABASE_URL", "STANCHION_SECRET_KEY", "STANCHION_PUBLIC_URL")
    _write_private(folder / "environment", "".join(f"{name}={env[name]}\n" for name in names))


def take_lock(folder: Path, url: str) -> IO[str]:
    """Hold the folder for as long as this process lives; the kernel frees the lock even after kill -9."""
    lock = (folder / "lock").open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.seek(0)
        raise CannotStart(f"a server is already running on {folder} ({lock.read().strip()}).") from None
    lock.truncate(0)
    lock.write(f"process {os.getpid()}, {url}")
    lock.flush()
    return lock


def refuse_busy_port(host: str, port: int) -> None:
    """The previous server may need a moment to let go of it after a kill -9."""
    deadline = time.monotonic() + BUSY_PATIENCE_S
    while True:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
                return
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise CannotStart(f"cannot listen on {host} port {port}: {error.strerror}.") from None
        if time.monotonic() > deadline:
            raise CannotStart(f"port {port} is in use by another program. Choose another with --port.")
        time.sleep(0.1)


def answers(host: str, port: int) -> bool:
    """Whether the web server says that it is alive."""
    connection = http.client.HTTPConnection(_reachable(host), port, timeout=2)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == http.client.OK
    except OSError:
        return False
    finally:
        connection.close()


def announce(supervisor: Supervisor, host: str, port: int, folder: Path, *, first_start: bool, seconds: float) -> None:
    supervisor.say("server", f"ready in {seconds:.1f} s: http://{_reachable(host)}:{port}")
    path = folder / "bootstrap.json"
    if first_start and path.exists():
        credentials = json.loads(path.read_text())
        supervisor.say("server", f"sign in as {credentials['username']} with password {credentials['password']}")
        supervisor.say("server", f"ingest key {credentials['api_key']}")
    if path.exists():
        supervisor.say("server", f"all credentials: {path}")
    supervisor.say("server", "Ctrl-C stops everything")


def _reachable(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "[::1]", "::1": "[::1]"}.get(host, host)  # noqa: S104 - compares


def _write_private(path: Path, text: str) -> None:
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    partial.replace(path)
