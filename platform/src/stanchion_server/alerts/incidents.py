"""From the groups that fire to incidents: opened, changed and ended so that the two agree, whatever happened before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from stanchion_server.alerts import changes, evaluating, moments
from stanchion_server.alerts.compiled import Compiled
from stanchion_server.alerts.conditions.watching import shown
from stanchion_server.alerts.definitions import Definition
from stanchion_server.alerts.measures import SOURCES
from stanchion_server.alerts.models import Incident, IncidentEvent, Rule
from stanchion_server.alerts.records import Group, Labels, key_of, told

MOST_EXPLAINED = 10
"""Incidents of one tick for which what changed is looked up: it reads days of rollups."""
Kind = IncidentEvent.Kind


class Judged(Protocol):
    """A rule after its evaluations."""

    @property
    def rule(self) -> Rule: ...
    @property
    def compiled(self) -> Compiled: ...
    @property
    def groups(self) -> Mapping[str, Group]: ...
    @property
    def error(self) -> str: ...


@dataclass(slots=True)
class _Log:
    """Events to be written at the end."""

    project_id: int
    now: datetime
    rows: list[IncidentEvent]
    explained: int = 0

    def add(self, incident: Incident, kind: Kind, text: str, at: datetime | None = None) -> None:
        self.rows.append(
            IncidentEvent(project_id=self.project_id, incident=incident, at=at or self.now, kind=kind, text=text[:2000])
        )


def reconcile(project_id: int, judged: Sequence[Judged], now: datetime) -> None:
    """Inside the transaction that saved the groups. A rule that could not be judged keeps its incidents."""
    rules = [one.rule.pk for one in judged]
    open_ones = Incident.objects.select_for_update(no_key=True).filter(
        project_id=project_id, resolved_at=None, rule__in=rules
    )
    by_rule: dict[int, dict[str, Incident]] = {}
    for incident in open_ones:
        by_rule.setdefault(incident.rule_id, {})[incident.group_key] = incident
    log = _Log(project_id, now, [])
    for one in judged:
        if not one.error and one.compiled.definition is not None:
            _of_rule(one, one.compiled.definition, by_rule.get(one.rule.pk, {}), log)
    IncidentEvent.objects.bulk_create(log.rows)


def _of_rule(one: Judged, definition: Definition, known: Mapping[str, Incident], log: _Log) -> None:
    firing = evaluating.firing(one.groups, is_together=definition.is_together)
    for key, groups in firing.items():
        if key in known:
            _go_on(known[key], definition, groups, log)
        else:
            _open(one.rule, definition, key, groups, log)
    for key, incident in known.items():
        if key not in firing:
            calm = [group for group in one.groups.values() if definition.is_together or key_of(group.labels) == key]
            _end(incident, calm, log)


def _open(rule: Rule, definition: Definition, key: str, groups: Sequence[Group], log: _Log) -> None:
    lead = evaluating.lead(groups, definition.patience.is_up)
    labels = {} if definition.is_together else dict(lead.labels)
    where = dict(definition.watch.where)
    incident = Incident.objects.create(
        project_id=log.project_id, rule=rule, rule_version=rule.version, group_key=key, labels={**where, **labels},
        severity=definition.severity, title=title_of(definition, labels), started_at=min(one.since for one in groups),
        changed_at=log.now, changes=_changed(lead, {**where, **labels}, log), **_reading(lead, groups, definition),
    )  # fmt: skip
    log.add(incident, Kind.FIRED, lead.reason, incident.started_at)
    if incident.is_flapping:
        log.add(incident, Kind.FLAPPING, _FLAPS)


def _changed(lead: Group, labels: Mapping[str, str], log: _Log) -> list[str]:
    log.explained += 1
    if log.explained > MOST_EXPLAINED:
        return []
    return changes.near(log.project_id, lead.bad_since or lead.since, labels.get("feature", ""))


_FLAPS = "turned more than 4 times within an hour: one message, then quiet until it is stable for 30 minutes"


def _go_on(incident: Incident, definition: Definition, groups: Sequence[Group], log: _Log) -> None:
    lead = evaluating.lead(groups, definition.patience.is_up)
    before = {tuple(map(tuple, member["labels"])) for member in incident.members}
    after = {group.labels for group in groups}
    reading = _reading(lead, groups, definition)
    is_news = (before != after, reading["is_flapping"] != incident.is_flapping,
               reading["is_no_data"] != incident.is_no_data)  # fmt: skip
    if is_news[0]:
        log.add(incident, Kind.MEMBERS, _difference(before, after))
    if is_news[1]:
        log.add(incident, Kind.FLAPPING, _FLAPS if reading["is_flapping"] else "stable again")
    peak = evaluating.worst(incident.peak, reading["peak"], definition.patience.is_up)
    for name, value in {**reading, "peak": peak}.items():
        setattr(incident, name, value)
    if any(is_news):
        incident.changed_at = log.now
    incident.save(update_fields=[*reading, "changed_at"])


def _difference(before: set[Labels], after: set[Labels]) -> str:
    parts = [f"also {told(labels)}" for labels in sorted(after - before)]
    parts += [f"no longer {told(labels)}" for labels in sorted(before - after)]
    return "; ".join(parts)


def _end(incident: Incident, calm: Sequence[Group], log: _Log) -> None:
    group = calm[0] if calm else None
    reason = group.reason if group is not None and group.data_at == group.judged_at else "no data any more"
    end(incident, log.now, f"well again: {reason}", "")
    incident.save(update_fields=list(ENDED))
    log.add(incident, Kind.RESOLVED, f"well again: {reason}")


ENDED = ("resolved_at", "resolved_by", "changed_at", "is_settled", "facts")


def end(incident: Incident, now: datetime, reason: str, actor: str) -> None:
    """Not saved. What it owes its channels is written by `outbox.settle` in the same transaction."""
    incident.resolved_at = incident.changed_at = max(now, incident.started_at)
    incident.resolved_by = actor
    incident.is_settled = False
    incident.facts = {**incident.facts, "ended": reason[:400]}


def _reading(lead: Group, groups: Sequence[Group], definition: Definition) -> dict[str, Any]:
    unit = moments.unit_of(definition)
    ordered = [lead, *(group for group in groups if group is not lead)]
    return {
        "value": lead.value,
        "peak": lead.peak,
        "samples": lead.samples,
        "is_flapping": any(group.is_flapping for group in groups),
        "is_no_data": all(group.state == "no_data" for group in groups),
        "members": [
            {"labels": [list(label) for label in group.labels], "value": group.value, "shown": shown(group.value, unit)}
            for group in ordered
        ],
        "facts": {
            "threshold": lead.threshold, "unit": unit, "reason": lead.reason, "source": definition.watch.source,
            "measure": definition.watch.measure, "window_s": int(definition.watch.window.total_seconds()),
        },
    }  # fmt: skip


def title_of(definition: Definition, labels: Mapping[str, str]) -> str:
    """The rule's own title with {label} filled in; else what is measured, and of what."""
    everything = {**dict(definition.watch.where), **labels}
    if definition.title:
        text = definition.title
        for name, value in everything.items():
            text = text.replace("{" + name + "}", value or "(none)")
        return text[:300]
    measure = SOURCES[definition.watch.source].measures[definition.watch.measure].label
    of = told(tuple(everything.items()))
    return f"{definition.name}: {measure}{', ' + of if of else ''}"[:300]
