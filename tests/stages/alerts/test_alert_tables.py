"""What the tables themselves promise, whatever the code does."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction

from kit import alerting
from stanchion_server.alerts.models import Notification
from stanchion_server.tenants import services as tenants
from stanchion_server.tenants.models import Project

pytestmark = pytest.mark.django_db


@pytest.fixture
def project() -> Project:
    return tenants.create_project(tenants.create_organisation("Acme"), "Shop")


def test_a_rule_and_group_have_one_open_incident_and_any_number_of_resolved_ones(project: Project) -> None:
    rule = alerting.rule(project)
    alerting.incident(rule, "a", resolved_at=alerting.AT)
    alerting.incident(rule, "a", resolved_at=alerting.AT)
    alerting.incident(rule, "a")
    alerting.incident(rule, "b")
    with pytest.raises(IntegrityError, match="alert_one_open_incident"), transaction.atomic():
        alerting.incident(rule, "a")


def test_a_message_of_an_incident_to_a_channel_has_its_number_once(project: Project) -> None:
    incident, channel = alerting.incident(alerting.rule(project)), alerting.channel(project)
    row = {"project": project, "incident": incident, "channel": channel, "seq": 1, "kind": "trigger", "body": {},
           "next_attempt_at": alerting.AT, "created_at": alerting.AT}  # fmt: skip
    Notification.objects.create(**row)
    with pytest.raises(IntegrityError, match="alert_notification_once"), transaction.atomic():
        Notification.objects.create(**row)
