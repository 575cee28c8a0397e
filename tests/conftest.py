"""What every test shares: the database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kit import postgres


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
