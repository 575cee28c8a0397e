"""What people do with an incident. Each is one transaction that writes the timeline and what channels are owed."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from django.db import transaction

from stanchion_server.alerts import history, incidents, memory, outbox
from stanchion_server.alerts.models import Incident, IncidentEvent, Standing
from stanchion_server.alerts.records import Group, key_of
from stanchion_server.kernel import clock
from stanchion_server.kernel.errors import SenderError

Kind = IncidentEvent.Kind
LONGEST_SNOOZE = timedelta(days=7)
MOST_NOTE_CHARACTERS = 2_000


@transaction.atomic
def acknowledge(project_id: int, number: int, actor: str) -> Incident:
    """Stops repeats and escalation, not the end. A second time changes nothing."""
    incident = _open(project_id, number)
    if incident.acknowledged_at is None:
        incident.acknowledged_at, incident.acknowledged_by = clock.now(), actor
        _done(incident, ("acknowledged_at", "acknowledged_by"), Kind.ACKNOWLEDGED, actor, "")
    return incident


@transaction.atomic
def assign(project_id: int, number: int, person: str, actor: str) -> Incident:
    """To a name; an empty one takes the assignment back."""
    incident = _open(project_id, number)
    incident.assigned_to = _text(person, "person", 150)
    _done(incident, ("assigned_to",), Kind.ASSIGNED, actor, incident.assigned_to or "nobody")
    return incident


@transaction.atomic
def snooze(project_id: int, number: int, until: datetime, actor: str) -> Incident:
    """No repeats and no escalation until then; its end is told all the same."""
    incident, now = _open(project_id, number), clock.now()
    if not now < until <= now + LONGEST_SNOOZE:
        raise SenderError("bad_until", f"`until` must lie within the next {LONGEST_SNOOZE.days} days.")
    incident.snoozed_until = until
    _done(incident, ("snoozed_until",), Kind.SNOOZED, actor, f"until {until:%Y-%m-%d %H:%M} UTC")
    return incident


@transaction.atomic
def note(project_id: int, number: int, text: str, actor: str) -> Incident:
    """Also on an incident that is over."""
    incident = _locked(project_id, number)
    text = _text(text, "text", MOST_NOTE_CHARACTERS)
    if not text:
        raise SenderError("bad_text", "A note needs some text.")
    _done(incident, (), Kind.NOTE, actor, text)
    return incident


@transaction.atomic
def resolve(project_id: int, number: int, actor: str, reason: str = "") -> Incident:
    """By hand. What is still wrong then opens another incident, after the time that the rule asks for."""
    incident = _open(project_id, number)
    _forget(incident)
    text = _text(reason, "reason", 400) or "resolved by hand"
    incidents.end(incident, clock.now(), text, actor)
    _done(incident, incidents.ENDED, Kind.RESOLVED, actor, text)
    return incident


def _forget(incident: Incident) -> None:
    """The rule's groups inside the incident begin anew."""
    standing = Standing.objects.select_for_update().filter(rule_id=incident.rule_id).first()
    if standing is None:
        return
    inside = {key_of(tuple((name, value) for name, value in member["labels"])) for member in incident.members}
    groups = memory.from_json(standing.groups)
    kept = {key: _calm(group) if key in inside else group for key, group in groups.items()}
    standing.groups = memory.to_json(kept)
    standing.save(update_fields=["groups"])


def _calm(group: Group) -> Group:
    return replace(group, state="ok", since=group.judged_at, bad_since=None, last_bad_at=None, is_flapping=False)


def _done(incident: Incident, names: tuple[str, ...], kind: Kind, actor: str, text: str) -> None:
    if names:
        incident.save(update_fields=list(names))
    now = clock.now()
    IncidentEvent.objects.create(
        project_id=incident.project_id, incident=incident, at=now, kind=kind, actor=actor, text=text
    )
    history.note(incident.project_id, history.Kind.INCIDENT, incident.pk, str(incident), kind.value, actor)
    outbox.settle(incident.project_id, now)
    incident.refresh_from_db()


def _open(project_id: int, number: int) -> Incident:
    incident = _locked(project_id, number)
    if incident.resolved_at is not None:
        raise SenderError("is_over", f"INC-{number} is over since {incident.resolved_at:%Y-%m-%d %H:%M} UTC.", 409)
    return incident


def _locked(project_id: int, number: int) -> Incident:
    rows = Incident.objects.select_for_update(of=("self",), no_key=True).select_related("rule", "project")
    incident = rows.filter(project_id=project_id, pk=number).first()
    if incident is None:
        raise SenderError("not_found", f"Your project has no incident {number}.", 404)
    return incident


def _text(value: str, name: str, most: int) -> str:
    value = value.strip()
    if len(value) > most or "\0" in value:
        raise SenderError(f"bad_{name}", f"`{name}` has at most {most} characters, without NUL.")
    return value
