"""Changes to rules, each one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from django.db import transaction

from stanchion_server.alerts import definitions, documents, history, incidents, outbox
from stanchion_server.alerts.compiled import written
from stanchion_server.alerts.definitions import Definition
from stanchion_server.alerts.models import Channel, Incident, IncidentEvent, Rule, Standing
from stanchion_server.kernel import clock
from stanchion_server.kernel.errors import SenderError
from stanchion_server.tenants.models import Project

MOST_RULES = 1_000
SYSTEM = "the server"
STARTER = Path(__file__).with_name("starter.yaml")
OWN_COLUMNS = ("name", "severity", "channels", "paused")


@dataclass(frozen=True, slots=True)
class Step:
    """What applying a document does to one rule."""

    name: str
    action: Literal["create", "change", "keep", "archive"]


@transaction.atomic
def save(project: Project, plain: Any, actor: str, rule_id: int | None = None) -> Rule:
    """A new rule, or another text for the one with this id. SenderError tells everything that is wrong at once."""
    definition = _parsed(plain)
    rows = Rule.objects.select_for_update().filter(project=project, archived_at=None)
    rule = _existing(rows, rule_id)
    if rule is None and rows.count() >= MOST_RULES:
        raise SenderError("too_many_rules", f"A project has at most {MOST_RULES} rules. Archive some.", 409)
    others = rows if rule is None else rows.exclude(pk=rule.pk)
    if others.filter(name=definition.name).exists():
        raise SenderError("name_taken", f"There is a rule “{definition.name}” already. Choose another name.", 409)
    return _write(project, rule, plain, definition, actor)


@transaction.atomic
def apply(
    project: Project, text: str, actor: str, *, is_dry_run: bool, is_pruning: bool = False
) -> tuple[tuple[Step, ...], tuple[documents.Mistake, ...]]:
    """Makes the project's rules those of the document; with `is_pruning` others are archived. All or nothing: a
    document with mistakes changes nothing."""
    rules, mistakes = documents.read(text)
    if mistakes:
        return (), mistakes
    known = {rule.name: rule for rule in Rule.objects.select_for_update().filter(project=project, archived_at=None)}
    steps = []
    for one in rules:
        rule = known.pop(one.definition.name, None)
        channels = _channels(project, one.definition)
        is_same = rule is not None and _is_same(rule, one.plain, channels)
        steps.append(Step(one.definition.name, "create" if rule is None else "keep" if is_same else "change"))
        if not is_dry_run and not is_same:
            _write(project, rule, one.plain, one.definition, actor)
    for rule in known.values() if is_pruning else ():
        steps.append(Step(rule.name, "archive"))
        if not is_dry_run:
            archive(project.pk, rule.pk, actor)
    return tuple(steps), ()


def export(project_id: int) -> str:
    rows = Rule.objects.filter(project_id=project_id, archived_at=None).order_by("name").prefetch_related("channels")
    return documents.write([form_of(rule) for rule in rows])


def form_of(rule: Rule) -> dict[str, Any]:
    """The rule as people write it, channels and all."""
    channels = sorted(channel.name for channel in rule.channels.all() if channel.archived_at is None)
    return definitions.dump({
        **written(rule),
        **({"channels": channels} if channels else {}),
        **({"paused": True} if rule.is_paused else {}),
    })  # fmt: skip


@transaction.atomic
def pause(project_id: int, rule_id: int, actor: str, *, is_paused: bool) -> Rule:
    """A paused rule is not judged, and its open incidents end."""
    rule = _locked(project_id, rule_id)
    if rule.is_paused != is_paused:
        rule.is_paused, rule.changed_at, rule.changed_by = is_paused, clock.now(), actor
        rule.save(update_fields=["is_paused", "changed_at", "changed_by"])
        action = "paused" if is_paused else "watched again"
        history.note(project_id, history.Kind.RULE, rule.pk, rule.name, action, actor)
        if is_paused:
            _leave(rule, "the rule was paused", actor)
    return rule


@transaction.atomic
def archive(project_id: int, rule_id: int, actor: str) -> Rule:
    """Out of the lists and never judged again; its incidents end and stay."""
    rule = _locked(project_id, rule_id)
    if rule.archived_at is None:
        rule.archived_at = rule.changed_at = clock.now()
        rule.changed_by = actor
        rule.save(update_fields=["archived_at", "changed_at", "changed_by"])
        history.note(project_id, history.Kind.RULE, rule.pk, rule.name, "archived", actor)
        _leave(rule, "the rule was archived", actor)
    return rule


def ensure_defaults() -> None:
    """Every project that never had a rule gets the starter pack."""
    for project in Project.objects.filter(alert_rules=None):
        with transaction.atomic():
            list(Project.objects.select_for_update().filter(pk=project.pk))
            if not Rule.objects.filter(project=project).exists():
                for one in _starter():
                    _write(project, None, one.plain, one.definition, SYSTEM, is_starter=True)


@cache
def _starter() -> tuple[documents.Written, ...]:
    rules, mistakes = documents.read(STARTER.read_text(encoding="utf-8"))
    assert not mistakes, mistakes
    return rules


def _parsed(plain: Any) -> Definition:
    definition, problems = definitions.parse(plain)
    if definition is None:
        raise SenderError("bad_rule", " ".join(problem.message for problem in problems)[:2_000])
    return definition


def _existing(rows: Any, rule_id: int | None) -> Rule | None:
    if rule_id is None:
        return None
    rule: Rule | None = rows.filter(pk=rule_id).first()
    if rule is None:
        raise SenderError("not_found", f"Your project has no rule {rule_id}.", 404)
    return rule


def _locked(project_id: int, rule_id: int) -> Rule:
    rule = Rule.objects.select_for_update().filter(project_id=project_id, pk=rule_id).first()
    if rule is None:
        raise SenderError("not_found", f"Your project has no rule {rule_id}.", 404)
    return rule


def _write(
    project: Project, rule: Rule | None, plain: Mapping[str, Any], definition: Definition, actor: str, *,
    is_starter: bool = False,
) -> Rule:  # fmt: skip
    now, channels = clock.now(), _channels(project, definition)
    text = {name: value for name, value in plain.items() if name not in OWN_COLUMNS and value is not None}
    before = {} if rule is None else form_of(rule)
    if rule is None:
        rule = Rule(project=project, created_at=now, created_by=actor, version=0, is_starter=is_starter)
    elif written(rule).get("watch") != text.get("watch"):
        Standing.objects.filter(rule=rule).update(groups={}, state="ok", error="", note="")
    rule.name, rule.severity, rule.definition = definition.name, definition.severity, text
    rule.every_s = int(definition.patience.every.total_seconds())
    rule.version, rule.is_paused = rule.version + 1, definition.is_paused
    rule.changed_at, rule.changed_by = now, actor
    rule.save()
    rule.channels.set(channels)
    detail = history.difference(before, form_of(rule)) if before else {}
    action = "changed" if before else "created"
    history.note(project.pk, history.Kind.RULE, rule.pk, rule.name, action, actor, detail)
    if rule.is_paused:
        _leave(rule, "the rule was paused", actor)
    return rule


def _channels(project: Project, definition: Definition) -> list[Channel]:
    """Those named, also by escalations, must be there."""
    known = {row.name: row for row in Channel.objects.filter(project=project, archived_at=None)}
    named = [*definition.channels, *(name for step in definition.escalation for name in step.channels)]
    missing = [name for name in named if name not in known]
    if missing:
        raise SenderError(
            "unknown_channel",
            f"The rule {definition.name} names the channel “{missing[0][:80]}”, which the project does not have."
            " Make the channel first.",
        )
    return [known[name] for name in definition.channels]


def _is_same(rule: Rule, plain: Mapping[str, Any], channels: Sequence[Channel]) -> bool:
    text = {name: value for name, value in plain.items() if name not in OWN_COLUMNS and value is not None}
    return (
        rule.definition == text
        and rule.severity == plain.get("severity", "warning")
        and rule.is_paused == plain.get("paused", False)
        and {channel.pk for channel in rule.channels.all()} == {channel.pk for channel in channels}
    )


def _leave(rule: Rule, reason: str, actor: str) -> None:
    """Ends the rule's open incidents, with their messages, and forgets its groups."""
    now = clock.now()
    Standing.objects.filter(rule=rule).update(groups={}, state="ok", error="", note="", judged_for=None)
    for incident in Incident.objects.select_for_update(no_key=True).filter(rule=rule, resolved_at=None):
        incidents.end(incident, now, reason, actor)
        incident.save(update_fields=list(incidents.ENDED))
        IncidentEvent.objects.create(
            project_id=rule.project_id, incident=incident, at=now, kind=IncidentEvent.Kind.RESOLVED, actor=actor,
            text=reason,
        )  # fmt: skip
    outbox.settle(rule.project_id, now)
