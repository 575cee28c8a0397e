"""Writes what incidents owe to channels, in the transaction that changed the incidents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from stanchion_server.alerts import facts, messages, quieting, routing, telling
from stanchion_server.alerts.compiled import Compiled, compiled
from stanchion_server.alerts.models import (
    Channel,
    Incident,
    IncidentEvent,
    MaintenanceWindow,
    Notification,
    Owner,
    Silence,
)

Kind = IncidentEvent.Kind
MOST_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class _Scene:
    """What all incidents of a project share at one moment."""

    now: datetime
    silences: tuple[quieting.Silence, ...]
    maintenance: tuple[quieting.Maintenance, ...]
    places: routing.Places
    causes: tuple[tuple[str, Mapping[str, str], int], ...]
    named: Mapping[int, tuple[int, ...]]
    channel_names: Mapping[int, str]


def settle(project_id: int, now: datetime) -> None:
    """Looks at every incident with something left to tell. Inside a transaction.

    Incidents are locked so that rows that point at them can still be written: a sender that holds one of their messages
    does so before it lets go. Messages are locked first and read after it, because what a sender hands over to another
    channel meanwhile is not in the statement that waited for it.
    """
    rows = Incident.objects.select_for_update(of=("self",), no_key=True).filter(project_id=project_id, is_settled=False)
    unsettled = list(rows.select_related("rule", "project").order_by("pk")[:MOST_AT_ONCE])
    if not unsettled:
        return
    scene = _scene(project_id, unsettled, now)
    told: dict[int, list[Notification]] = {}
    sent = Notification.objects.filter(project_id=project_id, incident__in=unsettled)
    list(sent.select_for_update(no_key=True).order_by("pk").values_list("pk"))
    for row in sent.order_by("incident_id", "pk").defer("body"):
        told.setdefault(cast("int", row.incident_id), []).append(row)
    events: list[IncidentEvent] = []
    for incident in unsettled:
        _settle_one(incident, told.get(incident.pk, []), scene, events)
    IncidentEvent.objects.bulk_create(events)


def _settle_one(incident: Incident, sent: Sequence[Notification], scene: _Scene, events: list[IncidentEvent]) -> None:
    rule = compiled(incident.rule)
    muted_by = muted(incident, rule, scene)
    if muted_by != incident.muted_by and incident.resolved_at is None:
        events.append(_event(incident, scene.now, Kind.MUTED if muted_by else Kind.UNMUTED, muted_by))
    plan = telling.plan(_subject(incident, rule, bool(muted_by), scene), [_row(row) for row in sent], scene.now)
    if plan.superseded:
        Notification.objects.filter(pk__in=plan.superseded).update(
            state=Notification.State.SUPERSEDED, finished_at=scene.now
        )
    _write(incident, rule, sent, plan, scene)
    for text, kind in _told(plan, scene):
        events.append(_event(incident, scene.now, kind, text))
    is_changed = muted_by != incident.muted_by or plan.is_settled != incident.is_settled
    if is_changed:
        incident.muted_by, incident.is_settled = muted_by, plan.is_settled
        incident.save(update_fields=["muted_by", "is_settled"])


def _write(incident: Incident, rule: Compiled, sent: Sequence[Notification], plan: telling.Plan, scene: _Scene) -> None:
    last: dict[int, int] = {}
    for row in sent:
        last[row.channel_id] = max(last.get(row.channel_id, 0), row.seq)
    owners = routing.owners(scene.places, _features(incident), _topic(rule))
    rows = []
    for owed in plan.owed:
        last[owed.channel] = last.get(owed.channel, 0) + 1
        body = messages.facts_of(incident, rule.definition, owed, scene.now, owners)
        rows.append(
            Notification(
                project_id=incident.project_id, incident=incident, channel_id=owed.channel, seq=last[owed.channel],
                kind=owed.kind, body=facts.to_json(body), next_attempt_at=owed.not_before, created_at=scene.now,
            )
        )  # fmt: skip
    Notification.objects.bulk_create(rows)


def _told(plan: telling.Plan, scene: _Scene) -> list[tuple[str, Kind]]:
    """The timeline's words: one row per sort of message."""
    found: dict[tuple[str, str], list[str]] = {}
    for owed in plan.owed:
        found.setdefault((owed.kind, owed.note), []).append(scene.channel_names.get(owed.channel, "a channel"))
    return [
        (
            f"{kind}{' (' + note + ')' if note else ''} to {', '.join(names)}",
            Kind.ESCALATED if note.startswith("escalated") else Kind.NOTIFIED,
        )
        for (kind, note), names in found.items()
    ]


def _event(incident: Incident, now: datetime, kind: Kind, text: str) -> IncidentEvent:
    return IncidentEvent(project_id=incident.project_id, incident=incident, at=now, kind=kind, text=text[:2_000])


def _subject(incident: Incident, rule: Compiled, is_muted: bool, scene: _Scene) -> telling.Subject:
    definition = rule.definition
    named = scene.named.get(incident.rule_id, ())
    by_name = scene.places.by_name
    steps = definition.escalation if definition else ()
    return telling.Subject(
        fired_at=incident.started_at, changed_at=incident.changed_at, resolved_at=incident.resolved_at,
        acknowledged_at=incident.acknowledged_at, snoozed_until=incident.snoozed_until,
        is_flapping=incident.is_flapping, is_muted=is_muted,
        repeat=definition.repeat if definition and incident.severity != "info" else None,
        channels=routing.channels(named, scene.places, _features(incident), _topic(rule)),
        escalations=tuple(
            (step.after, tuple(by_name[name] for name in step.channels if name in by_name)) for step in steps
        ),
    )  # fmt: skip


def _topic(rule: Compiled) -> str:
    return rule.definition.topic if rule.definition else "any"


def _features(incident: Incident) -> tuple[str, ...]:
    inside = [dict(member["labels"]).get("feature", "") for member in incident.members]
    return tuple(dict.fromkeys([incident.labels.get("feature", ""), *inside]))


def _row(row: Notification) -> telling.Row:
    is_waiting = row.state == Notification.State.WAITING
    return telling.Row(
        id=row.pk, channel=row.channel_id, kind=cast("facts.Kind", row.kind),
        is_untried=is_waiting and row.attempts == 0 and row.leased_until is None,
        is_superseded=row.state == Notification.State.SUPERSEDED, created_at=row.created_at,
    )  # fmt: skip


def muted(incident: Incident, rule: Compiled, scene: _Scene) -> str:
    causes = set(rule.definition.inhibited_by) if rule.definition else set()
    cause = next(
        (
            f"INC-{number} ({name})"
            for name, labels, number in scene.causes
            if name in causes and quieting.explains(labels, incident.labels)
        ),
        "",
    )
    return quieting.muted_by(labels_of(incident), scene.silences, scene.maintenance, cause, scene.now)


def labels_of(incident: Incident) -> list[dict[str, str]]:
    """The labels that silences are matched with: those of each group inside, and what holds for all."""
    common = {**incident.labels, "rule": incident.rule.name, "severity": incident.severity}
    inside = [{**common, **dict(member["labels"])} for member in incident.members]
    return inside or [common]


def _scene(project_id: int, unsettled: Sequence[Incident], now: datetime) -> _Scene:
    channels = {
        row.pk: row for row in Channel.objects.filter(project_id=project_id, archived_at=None).prefetch_related("rules")
    }
    named: dict[int, tuple[int, ...]] = {}
    for channel in channels.values():
        for rule in channel.rules.all():
            named[rule.pk] = (*named.get(rule.pk, ()), channel.pk)
    rows = Incident.objects.filter(project_id=project_id, resolved_at=None).select_related("rule")
    causes = tuple((row.rule.name, row.labels, row.pk) for row in rows.only("labels", "rule__name")[:MOST_AT_ONCE])
    return _Scene(
        now=now, silences=silences(project_id, now), maintenance=maintenance(project_id),
        places=_places(project_id, channels), causes=causes, named=named,
        channel_names={pk: row.name for pk, row in channels.items()},
    )  # fmt: skip


def _places(project_id: int, channels: Mapping[int, Channel]) -> routing.Places:
    return routing.Places(
        by_name={row.name: pk for pk, row in channels.items()},
        defaults=tuple(pk for pk, row in channels.items() if row.is_default),
        owners=tuple(
            routing.Owned(row.feature, row.topic, row.person, row.channel_id if row.channel_id in channels else None)
            for row in Owner.objects.filter(project_id=project_id)
        ),
    )


def silences(project_id: int, now: datetime) -> tuple[quieting.Silence, ...]:
    """Those in force."""
    rows = Silence.objects.filter(project_id=project_id, starts_at__lte=now, ends_at__gt=now).order_by("pk")
    return tuple(
        quieting.Silence(row.pk, matchers_of(row.matchers), row.starts_at, row.ends_at, row.reason) for row in rows
    )


def maintenance(project_id: int) -> tuple[quieting.Maintenance, ...]:
    rows = MaintenanceWindow.objects.filter(project_id=project_id, archived_at=None).order_by("pk")
    return tuple(window_of(row) for row in rows)


def window_of(row: MaintenanceWindow) -> quieting.Maintenance:
    return quieting.Maintenance(
        row.name, matchers_of(row.matchers), row.time_zone, frozenset(row.weekdays), row.starts,
        timedelta(minutes=row.length_min), row.ended_at,
    )  # fmt: skip


def matchers_of(plain: Sequence[Mapping[str, Any]]) -> tuple[quieting.Matcher, ...]:
    return tuple(quieting.Matcher(one["label"], one["op"], one["value"]) for one in plain)
