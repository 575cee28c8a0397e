from __future__ import annotations

import pytest
from django.db import DatabaseError
from django.test import Client

from stanchion_server.web import health


def test_the_process_is_alive_without_a_database() -> None:
    answer = Client().get("/healthz")
    assert (answer.status_code, answer.content) == (200, b"ok")


@pytest.mark.django_db
def test_it_is_ready_when_the_database_has_every_migration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_has_migrated", False)
    assert Client().get("/readyz").json() == {"ready": True}


@pytest.mark.django_db
def test_it_is_not_ready_when_a_migration_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    from django.db.migrations.recorder import MigrationRecorder

    monkeypatch.setattr(health, "_has_migrated", False)
    MigrationRecorder.Migration.objects.filter(app="tenants").order_by("name").reverse()[0].delete()
    answer = Client().get("/readyz")
    assert (answer.status_code, answer.json()["problem"]) == (503, "migrations are not applied")


def test_it_is_not_ready_when_the_database_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    class Away:
        def cursor(self) -> None:
            raise DatabaseError("connection refused: host=10.0.0.1 password=secret")

        def close(self) -> None:
            pass

    monkeypatch.setattr(health, "connection", Away())
    answer = Client().get("/readyz")
    assert answer.status_code == 503
    assert b"secret" not in answer.content
