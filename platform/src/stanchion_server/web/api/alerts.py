"""Alerts: rules, incidents and what people do with them, silences and maintenance windows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.http import HttpResponse
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from stanchion_server.alerts import acting, quiet_services, selectors, services
from stanchion_server.alerts.documents import Mistake
from stanchion_server.alerts.models import Incident, IncidentEvent, Rule, Silence
from stanchion_server.kernel.errors import SenderError
from stanchion_server.tenants.models import Project, Scope
from stanchion_server.web.api import base, parameters, shapes
from stanchion_server.web.api.parameters import LIMIT, Parameter
from stanchion_server.web.api.policies import checked

TAG = "alerts"


def whole(value: str) -> int:
    if not value.isascii() or not value.isdecimal() or len(value) > 18:
        raise ValueError("a whole number")
    return int(value)


INCIDENTS = (
    Parameter("state", parameters.one_of(selectors.STATES), "Open, resolved or all.", options=tuple(selectors.STATES)),
    Parameter("rule", parameters.text, "Only of the rule with this name."),
    Parameter("before", whole, "Only older than this incident's number.", type="integer"),
    LIMIT,
)


@dataclass(frozen=True, slots=True)
class RuleView:
    """`rule` is the rule as it is written. `state` is ok, pending, firing, no_data or error; `error` says why it could
    not be judged, `note` what it left out."""

    id: int
    name: str
    version: int
    is_paused: bool
    is_starter: bool
    state: str
    judged_for: datetime | None
    error: str
    note: str
    late: int
    skipped: int
    rule: Mapping[str, Any]
    changed_at: datetime
    changed_by: str


@dataclass(frozen=True, slots=True)
class EventView:
    at: datetime
    kind: str
    actor: str
    text: str


@dataclass(frozen=True, slots=True)
class IncidentView:
    """`muted_by` says what keeps it quiet. `facts` hold threshold, unit, reason, source, measure and window."""

    id: int
    rule: str
    rule_version: int
    title: str
    severity: str
    labels: Mapping[str, str]
    started_at: datetime
    resolved_at: datetime | None
    resolved_by: str
    acknowledged_at: datetime | None
    acknowledged_by: str
    assigned_to: str
    snoozed_until: datetime | None
    value: float | None
    peak: float | None
    samples: int | None
    members: tuple[Mapping[str, Any], ...]
    facts: Mapping[str, Any]
    changes: tuple[str, ...]
    is_flapping: bool
    is_no_data: bool
    muted_by: str


@dataclass(frozen=True, slots=True)
class IncidentDetail:
    incident: IncidentView
    timeline: tuple[EventView, ...]


@dataclass(frozen=True, slots=True)
class SilenceView:
    id: int
    matchers: tuple[Mapping[str, str], ...]
    starts_at: datetime
    ends_at: datetime
    reason: str
    created_by: str
    ended_by: str


@dataclass(frozen=True, slots=True)
class Applied:
    """Either steps or mistakes; `line` counts from 1."""

    steps: tuple[services.Step, ...]
    mistakes: tuple[Mistake, ...]


class Document(serializers.Serializer[Any]):
    """Rules as YAML. A dry run tells what would happen; `prune` archives rules that are not in it."""

    yaml = serializers.CharField(max_length=512 * 1024, trim_whitespace=False)
    dry_run = serializers.BooleanField(required=False, default=True)
    prune = serializers.BooleanField(required=False, default=False)


class Act(serializers.Serializer[Any]):
    """`person` for assign, `until` for snooze, `text` for note and resolve."""

    person = serializers.CharField(max_length=150, required=False, allow_blank=True, default="")
    until = serializers.DateTimeField(required=False, allow_null=True, default=None)
    text = serializers.CharField(max_length=2_000, required=False, allow_blank=True, default="")


class NewSilence(serializers.Serializer[Any]):
    """`dry_run` only tells what it would hide."""

    matchers = serializers.ListField(child=serializers.DictField(child=serializers.CharField(allow_blank=True)))
    starts_at = serializers.DateTimeField(required=False, allow_null=True, default=None)
    ends_at = serializers.DateTimeField()
    reason = serializers.CharField(max_length=500)
    dry_run = serializers.BooleanField(required=False, default=False)


@dataclass(frozen=True, slots=True)
class Silenced:
    """`silence` is null for a dry run; `hides` are the open incidents that match."""

    silence: SilenceView | None
    hides: tuple[IncidentView, ...]


class Rules(base.Resource):
    write_scopes = (Scope.ADMIN,)

    @base.described("list_alert_rules", "Rules by name", shapes.list_schema(RuleView), (), tag=TAG)
    def get(self, request: Request) -> Response:
        return self.answer({"items": [rule_view(rule) for rule in selectors.rules(self.asker.project_id)]})

    @base.described(
        "add_alert_rule", "A new rule, as it is written in YAML", shapes.schema_of(RuleView), (), tag=TAG, status=201,
        request={"application/json": {"type": "object"}},
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        rule = services.save(project_of(self), request.data, self.asker.actor)
        return Response(shapes.plain(rule_view(rule), self.hidden), status=201)


class OneRule(base.Resource):
    write_scopes = (Scope.ADMIN,)

    @base.described("read_alert_rule", "One rule", shapes.schema_of(RuleView), (), "number", tag=TAG)
    def get(self, request: Request, number: int) -> Response:
        return self.answer(rule_view(rule_of(self, number)))

    @base.described(
        "change_alert_rule", "Another text for the rule", shapes.schema_of(RuleView), (), "number", tag=TAG,
        request={"application/json": {"type": "object"}},
    )  # fmt: skip
    def put(self, request: Request, number: int) -> Response:
        found = rule_of(self, number)
        return self.answer(rule_view(services.save(project_of(self), request.data, self.asker.actor, found.pk)))

    @base.described(
        "archive_alert_rule", "Never judged again; its incidents end and stay", shapes.schema_of(RuleView), (),
        "number", tag=TAG,
    )  # fmt: skip
    def delete(self, request: Request, number: int) -> Response:
        found = rule_of(self, number)
        return self.answer(rule_view(services.archive(self.asker.project_id, found.pk, self.asker.actor)))


class Documents(base.Resource):
    write_scopes = (Scope.ADMIN,)

    @base.described("export_alert_rules", "All rules as YAML", {"type": "string"}, (), tag=TAG)
    def get(self, request: Request) -> HttpResponse:
        return HttpResponse(services.export(self.asker.project_id), content_type="application/yaml; charset=utf-8")

    @base.described(
        "apply_alert_rules", "What was done, or would be", shapes.schema_of(Applied), (), tag=TAG, request=Document
    )
    def post(self, request: Request) -> Response:
        values = checked(Document, request)
        steps, mistakes = services.apply(
            project_of(self), values["yaml"], self.asker.actor, is_dry_run=values["dry_run"], is_pruning=values["prune"]
        )
        status = 400 if mistakes else 200
        return Response(shapes.plain(Applied(steps, mistakes), self.hidden), status=status)


class Incidents(base.Resource):
    known = INCIDENTS

    @base.described(
        "list_incidents", "Incidents, the newest first", shapes.list_schema(IncidentView), INCIDENTS, tag=TAG
    )
    def get(self, request: Request) -> Response:
        values = self.values
        found = selectors.incidents(
            self.asker.project_id,
            values.get("state"),
            values.get("rule"),
            values.get("before"),
            values.get("limit", 50),
        )
        return self.answer({"items": [incident_view(one) for one in found]})


class OneIncident(base.Resource):
    @base.described(
        "read_incident", "One incident with its timeline", shapes.schema_of(IncidentDetail), (), "number", tag=TAG
    )
    def get(self, request: Request, number: int) -> Response:
        return self.answer(detail_of(self, number))


class Action(base.Resource):
    """acknowledge, assign, snooze, note, resolve."""

    write_scopes = (Scope.WRITE_SCORES,)

    @base.described(
        "act_on_incident", "acknowledge, assign, snooze, note or resolve", shapes.schema_of(IncidentDetail), (),
        "number", "action", tag=TAG, request=Act,
    )  # fmt: skip
    def post(self, request: Request, number: int, action: str) -> Response:
        values, project_id, who = checked(Act, request), self.asker.project_id, self.asker.actor
        if action == "acknowledge":
            acting.acknowledge(project_id, number, who)
        elif action == "assign":
            acting.assign(project_id, number, values["person"], who)
        elif action == "snooze":
            if values["until"] is None:
                raise SenderError("bad_until", "snooze needs `until`.")
            acting.snooze(project_id, number, values["until"], who)
        elif action == "note":
            acting.note(project_id, number, values["text"], who)
        elif action == "resolve":
            acting.resolve(project_id, number, who, values["text"])
        else:
            raise base.not_found("action", action)
        return self.answer(detail_of(self, number))


class PostMortem(base.Resource):
    @base.described("read_post_mortem", "Markdown to go on from", {"type": "string"}, (), "number", tag=TAG)
    def get(self, request: Request, number: int) -> HttpResponse:
        incident = incident_of(self, number)
        text = selectors.post_mortem(incident, selectors.timeline(self.asker.project_id, incident.pk))
        return HttpResponse(text, content_type="text/markdown; charset=utf-8")


class Silences(base.Resource):
    write_scopes = (Scope.ADMIN,)

    @base.described("list_silences", "Silences, the latest end first", shapes.list_schema(SilenceView), (), tag=TAG)
    def get(self, request: Request) -> Response:
        return self.answer({"items": [silence_view(one) for one in selectors.silences(self.asker.project_id)]})

    @base.described(
        "add_silence", "A silence and what it hides", shapes.schema_of(Silenced), (), tag=TAG, status=201,
        request=NewSilence,
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        values = checked(NewSilence, request)
        hides = quiet_services.hidden_by(self.asker.project_id, values["matchers"])
        made = None
        if not values["dry_run"]:
            made = quiet_services.silence(
                project_of(self), values["matchers"], values["starts_at"], values["ends_at"], values["reason"],
                self.asker.actor,
            )  # fmt: skip
        body = Silenced(silence_view(made) if made else None, tuple(incident_view(one) for one in hides))
        return Response(shapes.plain(body, self.hidden), status=201 if made else 200)


class OneSilence(base.Resource):
    write_scopes = (Scope.ADMIN,)

    @base.described("end_silence", "Over now", shapes.schema_of(SilenceView), (), "number", tag=TAG)
    def delete(self, request: Request, number: int) -> Response:
        return self.answer(silence_view(quiet_services.end_silence(self.asker.project_id, number, self.asker.actor)))


def project_of(resource: base.Resource) -> Project:
    return Project.objects.get(pk=resource.asker.project_id)


def rule_of(resource: base.Resource, number: int) -> Rule:
    found = selectors.rule(resource.asker.project_id, number)
    if found is None:
        raise base.not_found("rule", str(number))
    return found


def incident_of(resource: base.Resource, number: int) -> Incident:
    found = selectors.incident(resource.asker.project_id, number)
    if found is None:
        raise base.not_found("incident", str(number))
    return found


def detail_of(resource: base.Resource, number: int) -> IncidentDetail:
    incident = incident_of(resource, number)
    events = selectors.timeline(resource.asker.project_id, incident.pk)
    return IncidentDetail(incident_view(incident), tuple(event_view(event) for event in events))


def rule_view(rule: Rule) -> RuleView:
    standing = getattr(rule, "standing", None)
    names = ("state", "judged_for", "error", "note", "late", "skipped")
    never: dict[str, Any] = {"state": "ok", "judged_for": None, "error": "", "note": "", "late": 0, "skipped": 0}
    told = {name: getattr(standing, name) for name in names} if standing is not None else never
    return RuleView(
        id=rule.pk, name=rule.name, version=rule.version, is_paused=rule.is_paused, is_starter=rule.is_starter,
        rule=services.form_of(rule), changed_at=rule.changed_at, changed_by=rule.changed_by, **told,
    )  # fmt: skip


def incident_view(row: Incident) -> IncidentView:
    special = ("id", "rule", "members", "changes")
    values = {name: getattr(row, name) for name in IncidentView.__slots__ if name not in special}
    return IncidentView(id=row.pk, rule=row.rule.name, members=tuple(row.members), changes=tuple(row.changes), **values)


def event_view(row: IncidentEvent) -> EventView:
    return EventView(row.at, row.kind, row.actor, row.text)


def silence_view(row: Silence) -> SilenceView:
    values = {name: getattr(row, name) for name in SilenceView.__slots__ if name not in ("id", "matchers")}
    return SilenceView(id=row.pk, matchers=tuple(row.matchers), **values)
