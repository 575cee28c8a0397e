"""What every test shares: the path and the database."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from hypothesis import HealthCheck, settings

from kit import postgres

# How long an input takes to make tells of the machine: the first table of characters alone may take a second.
settings.register_profile("ours", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ours")

ROOT = Path(__file__).resolve().parents[1]

# `python -m pytest` puts the repository's root on the path, where `import guardrails` would find our folder.
sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != ROOT]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Browser tests come last: Playwright's event loop stays in the process, and `asyncio.run` refuses beside it."""
    items.sort(key=lambda item: "tests/browser/" in item.path.as_posix())


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[None]:
    """DATABASE_URL when it is set, else a server of this process (with pytest-xdist: one per worker)."""
    if not postgres.is_ours():
        yield
        return
    with postgres.running():
        yield


@pytest.fixture(scope="session")
def django_db_modify_db_settings(postgres_server: None, django_db_modify_db_settings_parallel_suffix: None) -> None:
    """pytest-django asks for this before it makes the test database."""


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Threads of a live server may still hold a connection when the test database is to be dropped."""
    yield
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    connection.close()


@pytest.fixture(autouse=True)
def emptied_telemetry(request: pytest.FixtureRequest) -> Iterator[None]:
    """Django empties its own tables after a test that commits; the partitioned ones are made in SQL and emptied here.

    Resources and key mappings stay: the process remembers which ones it has written.
    """
    yield
    marker = request.node.get_closest_marker("django_db")
    if marker is None or not marker.kwargs.get("transaction"):
        return
    from stanchion_server.policies.recording import recorder
    from stanchion_server.policies.shadowing import shadower

    blocker = request.getfixturevalue("django_db_blocker")
    with blocker.unblock(), connection.cursor() as cursor:
        shadower.flush()
        recorder.flush()
        cursor.execute("SELECT relname FROM pg_class WHERE relkind = 'p' AND relnamespace = 'public'::regnamespace")
        tables = [row[0] for row in cursor.fetchall()]
        cursor.execute(f"TRUNCATE dirty_minutes, dirty_score_minutes, score_jobs, score_counts, {', '.join(tables)}")


@pytest.fixture(autouse=True)
def decisions_stay_in_their_test(request: pytest.FixtureRequest) -> Iterator[None]:
    """Inside a test's transaction only the test's own thread writes decisions, by `recorder.flush()`.

    The recorder's thread has a connection of its own: what it wrote would be committed and met by the next test.
    """
    marker = request.node.get_closest_marker("django_db")
    if marker is None or marker.kwargs.get("transaction"):
        yield
        return
    from stanchion_server.policies.recording import recorder

    with recorder._writing:
        yield
        recorder._waiting.clear()
        recorder._waiting_bytes = 0
