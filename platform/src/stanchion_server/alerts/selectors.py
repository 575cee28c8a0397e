"""Reads of rules, incidents and silences: the project first."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from stanchion_server.alerts.messages import duration
from stanchion_server.alerts.models import Incident, IncidentEvent, Rule, Silence
from stanchion_server.kernel import clock

MOST_LISTED = 100
MOST_EVENTS = 1_000
STATES: Mapping[str, bool | None] = {"open": True, "resolved": False, "all": None}
"""What `incidents` takes as `is_open`, by the word that people ask with."""


def incidents(
    project_id: int, is_open: bool | None = None, rule: str | None = None, before: int | None = None,
    limit: int = MOST_LISTED,
) -> tuple[Incident, ...]:  # fmt: skip
    """The newest first; open ones only, resolved ones only, or both (None). `before` is the number of the last one
    seen."""
    rows = Incident.objects.filter(project_id=project_id).select_related("rule").order_by("-pk")
    if is_open is not None:
        rows = rows.filter(resolved_at__isnull=is_open)
    if rule is not None:
        rows = rows.filter(rule__name=rule)
    if before is not None:
        rows = rows.filter(pk__lt=before)
    return tuple(rows[: min(limit, 1_000)])


def incident(project_id: int, number: int) -> Incident | None:
    return Incident.objects.filter(project_id=project_id, pk=number).select_related("rule", "project").first()


def timeline(project_id: int, number: int) -> tuple[IncidentEvent, ...]:
    """The oldest first."""
    rows = IncidentEvent.objects.filter(project_id=project_id, incident_id=number).order_by("at", "pk")
    return tuple(rows[:MOST_EVENTS])


def rules(project_id: int) -> tuple[Rule, ...]:
    """By name, with what each remembers."""
    rows = Rule.objects.filter(project_id=project_id, archived_at=None).select_related("standing")
    return tuple(rows.prefetch_related("channels").order_by("name"))


def rule(project_id: int, number: int) -> Rule | None:
    rows = Rule.objects.filter(project_id=project_id, archived_at=None, pk=number).select_related("standing")
    return rows.prefetch_related("channels").first()


def silences(project_id: int, now: datetime | None = None) -> tuple[Silence, ...]:
    """Those in force or to come, then the newest that ended."""
    rows = Silence.objects.filter(project_id=project_id).order_by("-ends_at")[:MOST_LISTED]
    return tuple(rows)


def post_mortem(incident: Incident, events: tuple[IncidentEvent, ...]) -> str:
    """Markdown to go on from: what is known, when what happened, and the questions that people must answer."""
    ended = incident.resolved_at
    known: Mapping[str, str] = {
        "Rule": f"{incident.rule.name}, version {incident.rule_version}",
        "Severity": incident.severity,
        "Began": f"{incident.started_at:%Y-%m-%d %H:%M:%S} UTC",
        "Ended": f"{ended:%Y-%m-%d %H:%M:%S} UTC" if ended else "not yet",
        "Lasted": duration((ended or clock.now()) - incident.started_at),
        "Worst value": "unknown" if incident.peak is None else f"{incident.peak:.6g}",
        "Reason": str(incident.facts.get("reason", "")),
        "Acknowledged by": incident.acknowledged_by or "nobody",
        "Assigned to": incident.assigned_to or "nobody",
    }
    lines = [f"# INC-{incident.pk}: {_line(incident.title)}", ""]
    lines += [f"- **{name}:** {_line(value)}" for name, value in known.items()]
    lines += ["", "## What changed shortly before", ""]
    lines += [f"- {_line(text)}" for text in incident.changes] or ["Nothing that is known."]
    lines += ["", "## Timeline (UTC)", ""]
    lines += [
        f"- {event.at:%Y-%m-%d %H:%M:%S} **{event.get_kind_display()}** {_line(event.text)}"
        + (f" ({_line(event.actor)})" if event.actor else "")
        for event in events
    ]
    lines += ["", "## Impact", "", "## Root cause", "", "## What went well, what did not", "", "## Follow-ups", ""]
    return "\n".join(lines)


def _line(text: str) -> str:
    """On one line, with nothing that Markdown or HTML would act on."""
    flat = " ".join(text.split())
    for character in "\\`*_[]<>#|":
        flat = flat.replace(character, "\\" + character)
    return flat
