"""One embedded PostgreSQL per test process, started when first needed and removed at the end."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from stanchion_server.kernel import postgres, process

OWN_SERVER = "STANCHION_TESTS_OWN_POSTGRES"
FOLDER = Path(tempfile.gettempdir()) / f"stanchion-tests-{os.getpid()}"


def planned_url() -> str:
    """Where this process's own server will listen."""
    return f"postgresql://{postgres.OWNER}@/{postgres.OWNER}?host={quote(str(FOLDER), safe='')}"


def is_ours() -> bool:
    return os.environ.get("DATABASE_URL") == planned_url()


@contextmanager
def running() -> Iterator[postgres.Server]:
    """A server that trades durability for speed, in a folder that lasts as long as this context."""
    server = postgres.prepare(FOLDER, durable=False)
    try:
        with (server.data / "log").open("wb") as log:
            child = server.start(log)
        try:
            server.wait_until_ready(child)
            server.create_database()
            yield server
        finally:
            process.stop(child, postgres.STOP_ORDER)
    finally:
        shutil.rmtree(FOLDER, ignore_errors=True)
