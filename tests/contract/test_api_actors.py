"""What is changed over REST carries the name of who changed it: a person's own, or the key's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.test import Client

from stanchion_server.costs.advised import SavingsReport
from stanchion_server.policies.models import Policy
from stanchion_server.tenants import access, services
from stanchion_server.tenants.models import Project, Scope, User

pytestmark = pytest.mark.django_db


@pytest.fixture
def project() -> Iterator[Project]:
    access.forget_everything()
    organisation = services.create_organisation("Acme")
    yield services.create_project(organisation, "Shop")
    access.forget_everything()


def test_a_persons_change_carries_their_name_and_a_keys_the_keys(project: Project) -> None:
    services.create_owner(project.organisation, "ada", "x" * 12)
    ada = Client()
    ada.force_login(User.objects.get(username="ada"))
    robot = Client(headers={"authorization": f"Bearer {services.create_key(project, 'robot', (Scope.ADMIN,))}"})
    for client, name in ((ada, "hers"), (robot, "its")):
        assert client.post("/api/v1/policies", {"name": name}, "application/json").status_code == 201
    found = dict(Policy.objects.values_list("name", "draft_changed_by"))
    assert found == {"hers": "ada", "its": "API key robot"}
    for client, actor in ((ada, "ada"), (robot, "API key robot")):
        assert client.post("/api/v1/savings").status_code == 202
        assert SavingsReport.objects.get().requested_by == actor
        SavingsReport.objects.all().delete()
