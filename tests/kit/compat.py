"""The foreign formats' doors for tests: a project, its keys, and requests as their clients make them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.test import Client

from stanchion_server.policies import engine
from stanchion_server.policies.recording import recorder
from stanchion_server.tenants import access
from stanchion_server.tenants import services as tenants
from stanchion_server.tenants.models import Project, Scope
from stanchion_server.traces.models import GuardDecision


@dataclass(frozen=True)
class Compat:
    """One project with a key. Bodies that are no text travel as JSON."""

    project: Project
    key: str

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        data = body if isinstance(body, str | bytes) else "" if body is None else json.dumps(body)
        return Client(headers={"authorization": f"Bearer {self.key}", **headers}).generic(
            method, f"/compat{path}", data, content_type="application/json"
        )

    def post(self, path: str, body: Any, **headers: str) -> Any:
        return self.send("POST", path, body, **headers)


def compat(name: str = "Shop", *scopes: Scope) -> Compat:
    project = tenants.create_project(tenants.create_organisation(name), name)
    return Compat(project, tenants.create_key(project, "app", list(scopes or (Scope.GUARD,))))


def clean_caches() -> Iterator[None]:
    """Keys and policies of the last test are not this one's."""
    access.forget_everything()
    engine.forget_everything()
    yield
    recorder.flush()
    access.forget_everything()
    engine.forget_everything()


def decisions(project: Project) -> list[GuardDecision]:
    assert recorder.flush()
    return list(GuardDecision.objects.filter(project_id=project.pk))
