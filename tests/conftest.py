"""What every test shares: the path and the database."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit import postgres

ROOT = Path(__file__).resolve().parents[1]

# `python -m pytest` puts the repository's root on the path, where `import guardrails` would find our folder.
sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != ROOT]


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
