"""Rules, channels and incidents for tests of alerts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from stanchion_server.alerts.models import Channel, Incident, Rule
from stanchion_server.tenants.models import Project

AT = datetime(2026, 11, 24, 12, tzinfo=UTC)


def rule(project: Project, name: str = "errors", **more: Any) -> Rule:
    stamps = {"created_at": AT, "created_by": "ann", "changed_at": AT, "changed_by": "ann"}
    return Rule.objects.create(project=project, name=name, **{"definition": {}, **stamps, **more})


def channel(project: Project, name: str = "on call", **more: Any) -> Channel:
    return Channel.objects.create(
        project=project, name=name, **{"kind": "slack", "created_at": AT, "created_by": "ann", **more}
    )


def incident(rule: Rule, group_key: str = "", **more: Any) -> Incident:
    stamps = {"started_at": AT, "changed_at": AT}
    return Incident.objects.create(
        project_id=rule.project_id, rule=rule, group_key=group_key,
        **{"rule_version": rule.version, "severity": rule.severity, "title": rule.name, **stamps, **more},
    )  # fmt: skip
