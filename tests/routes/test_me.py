"""What a key may learn about itself, and `stanchion doctor` against the server itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from stanchion_sdk import doctor
from stanchion_sdk.settings import Settings
from stanchion_server.tenants import access, services
from stanchion_server.tenants.models import Project


@pytest.fixture(autouse=True)
def _empty_caches() -> Iterator[None]:
    access.forget_everything()
    yield
    access.forget_everything()


def a_project(name: str = "Acme") -> Project:
    return services.create_project(services.create_organisation(name), f"{name} main")


@pytest.mark.django_db
@pytest.mark.parametrize("scopes", [("ingest",), ("read:metrics", "guard"), ("admin",)])
def test_every_key_learns_its_own_scopes_and_no_more(scopes: tuple[str, ...]) -> None:
    project = a_project()
    key = services.create_key(project, "ours", scopes)
    answer = Client(headers={"x-api-key": key}).get("/api/v1/me")
    assert answer.status_code == 200
    assert answer.json() == {"project": project.slug, "who": "The API key “ours”", "scopes": sorted(scopes)}


@pytest.mark.django_db
def test_nobody_else_is_told_anything() -> None:
    project, other = a_project(), a_project("Other")
    key = services.create_key(project, "ours", ("admin",))
    assert Client().get("/api/v1/me").status_code == 401
    assert Client(headers={"x-api-key": key[:-4] + "aaaa"}).get("/api/v1/me").status_code == 401
    assert Client(headers={"x-api-key": key}).get(f"/api/v1/me?project={other.slug}").status_code == 404


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("scopes", "ending"),
    [(("ingest", "read:metrics"), "and read back"), (("ingest",), "for which the key would need read:metrics")],
)
def test_the_doctor_sends_a_span_to_the_real_server_and_reads_it_back(
    live_server: Any, scopes: tuple[str, ...], ending: str
) -> None:
    key = services.create_key(a_project(), "ours", scopes)
    url = str(live_server.url)
    found = {step.name: step for step in doctor.examine(Settings(url, url + "/v1/traces", key))}
    assert all(step.passed for step in found.values()), found
    assert found["scopes"].said.endswith("the key has: " + ", ".join(sorted(scopes)))
    assert found["test span"].said.endswith(ending)
