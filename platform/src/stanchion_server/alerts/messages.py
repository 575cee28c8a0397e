"""The facts of one message, from the incident as it is now. Pure apart from reading the incident's fields."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from stanchion_server.alerts import paths
from stanchion_server.alerts.conditions import BurnRate
from stanchion_server.alerts.conditions.watching import shown
from stanchion_server.alerts.definitions import Definition
from stanchion_server.alerts.facts import Facts
from stanchion_server.alerts.models import Incident
from stanchion_server.alerts.records import told
from stanchion_server.alerts.routing import Owned
from stanchion_server.alerts.telling import Owed

MOST_MEMBERS = 10


def facts_of(
    incident: Incident, definition: Definition | None, owed: Owed, now: datetime, owners: Sequence[Owned] = ()
) -> Facts:
    project, rule = incident.project, incident.rule
    inside = [dict(member["labels"]) | {"shown": member.get("shown", "")} for member in incident.members]
    unit = "" if definition is not None and isinstance(definition.condition, BurnRate) else _text(incident, "unit")
    threshold = incident.facts.get("threshold")
    return Facts(
        kind=owed.kind, incident=incident.pk, project=project.slug, project_name=project.name, rule=rule.name,
        rule_id=rule.pk, rule_version=incident.rule_version, severity=incident.severity, title=incident.title,
        reason=_text(incident, "ended") if incident.resolved_at else _text(incident, "reason"),
        dedup_key=dedup_key(incident), labels=incident.labels, unit=unit, value=incident.value, threshold=threshold,
        peak=incident.peak, samples=incident.samples, window_s=incident.facts.get("window_s"),
        shown=_shown(incident, unit, threshold, now), started_at=incident.started_at, at=now,
        resolved_at=incident.resolved_at, acknowledged_by=incident.acknowledged_by, is_flapping=incident.is_flapping,
        is_no_data=incident.is_no_data, members=tuple(inside[:MOST_MEMBERS]),
        more_members=max(0, len(inside) - MOST_MEMBERS), changes=tuple(incident.changes),
        owner=", ".join(owner.person for owner in owners), runbook_url=definition.runbook_url if definition else "",
        note=owed.note, incident_path=paths.incident(project.slug, incident.pk),
        view_path=paths.view(project.slug, _text(incident, "source"), incident.labels),
        silence_path=paths.silence(project.slug, incident.pk), force_path=paths.force(project.slug, incident.labels),
    )  # fmt: skip


def dedup_key(incident: Incident) -> str:
    """Of the rule and the group, not of the incident: what a receiver missed, the next one puts right."""
    return f"{incident.project.slug}:{incident.rule_id}:{incident.group_key or 'all'}"


def _text(incident: Incident, name: str) -> str:
    return str(incident.facts.get(name, ""))


def _shown(incident: Incident, unit: str, threshold: float | None, now: datetime) -> dict[str, str]:
    numbers = {"value": incident.value, "threshold": threshold, "peak": incident.peak}
    found = {name: shown(number, unit) for name, number in numbers.items() if number is not None}
    labels = told(tuple(incident.labels.items()))
    lasted = (incident.resolved_at or now) - incident.started_at
    return {**found, **({"group": labels} if labels else {}), "duration": duration(lasted)}


def duration(length: timedelta) -> str:
    minutes = max(0, int(length.total_seconds() // 60))
    days, hours = divmod(minutes // 60, 24)
    parts = [f"{days} d" if days else "", f"{hours} h" if hours else "", f"{minutes % 60} min" if not days else ""]
    return " ".join(part for part in parts if part)
