"""Rules, channels and incidents for tests of alerts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from stanchion_server.alerts.facts import Facts, to_json
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


def facts(kind: str = "trigger", **more: Any) -> dict[str, Any]:
    """The body of a notification, as the engine writes it."""
    given: dict[str, Any] = {
        "kind": kind, "incident": 42, "project": "shop", "project_name": "Shop", "rule": "errors", "rule_id": 17,
        "rule_version": 3, "severity": "critical", "title": "Blocked high", "reason": "7.2 % > 5 % for 10 min",
        "dedup_key": "shop:17:9f2c", "labels": {"feature": "refunds"}, "unit": "ratio", "value": 0.072,
        "threshold": 0.05, "peak": 0.09, "samples": 1840, "window_s": 600,
        "shown": {"value": "7.2 %", "threshold": "5 %", "peak": "9 %"}, "started_at": AT, "at": AT,
        "resolved_at": AT if kind == "resolve" else None, "runbook_url": "https://example.org/runbook",
        "members": ({"feature": "refunds", "shown": "7.2 %"},), "changes": ("policy shop v4 published",),
        "incident_path": "/p/shop/alerts/incidents/42", "view_path": "/p/shop/calls?feature=refunds",
        "silence_path": "/p/shop/alerts/incidents/42/silence",
    }  # fmt: skip
    return to_json(Facts(**{**given, **more}))
