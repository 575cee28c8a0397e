"""Scorers: what there is, whether it can run here, and what a project wants of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from stanchion_server.quality import services
from stanchion_server.quality.models import ScorerSetting
from stanchion_server.quality.sampling import Rule
from stanchion_server.quality.scorers import registry
from stanchion_server.quality.scorers.known import Known
from stanchion_server.quality.selectors import settings
from stanchion_server.tenants.models import Scope
from stanchion_server.web.api import base, shapes
from stanchion_server.web.api.policies import checked


@dataclass(frozen=True, slots=True)
class RuleView:
    """For one feature, or with an empty one for all that have no rule of their own. Null is the scorer's usual."""

    feature: str
    is_on: bool
    sample_ratio: float | None
    threshold: float | None


@dataclass(frozen=True, slots=True)
class ScorerView:
    """`unavailable` says why it cannot run here and what helps, null where it can. `direction` says which end is
    good."""

    id: str
    title: str
    family: str
    lane: str
    direction: str
    threshold: float | None
    usual_ratio: float
    blind_to: str
    unavailable: str | None
    rules: tuple[RuleView, ...]


class NewRule(serializers.Serializer[Any]):
    """Parameters that are left out stay as they are."""

    feature = serializers.CharField(max_length=200, required=False, allow_blank=True, default="")
    is_on = serializers.BooleanField(required=False, default=True)
    sample_ratio = serializers.FloatField(min_value=0, max_value=1, required=False, allow_null=True, default=None)
    threshold = serializers.FloatField(min_value=0, max_value=1, required=False, allow_null=True, default=None)
    parameters = serializers.DictField(required=False)


class Scorers(base.Resource):
    @base.described("list_scorers", "All scorers", shapes.list_schema(ScorerView), (), tag="quality")
    def get(self, request: Request) -> Response:
        known = registry.known(settings.rules(self.asker.project_id).parameters(""))
        rules: dict[str, list[RuleView]] = {}
        for row in ScorerSetting.objects.filter(project_id=self.asker.project_id).order_by("scorer", "feature"):
            rules.setdefault(row.scorer, []).append(rule_view(row))
        return self.answer({"items": [view_of(one, tuple(rules.get(one.id, ()))) for one in known]})


class OneScorer(base.Resource):
    """PUT keeps a rule for a feature; DELETE takes the one for all features back to the usual."""

    write_scopes = (Scope.ADMIN,)

    @base.described(
        "set_scorer_rule", "The rule that is kept", shapes.schema_of(RuleView), (), "name", tag="quality",
        request=NewRule,
    )  # fmt: skip
    def put(self, request: Request, name: str) -> Response:
        said = checked(NewRule, request)
        before = ScorerSetting.objects.filter(
            project_id=self.asker.project_id, scorer=name, feature=said["feature"]
        ).first()
        rule = Rule(said["is_on"], said["sample_ratio"], said["threshold"], before.parameters if before else {})
        if "parameters" in said:
            rule = replace(rule, parameters=said["parameters"])
        row = services.set_rule(self.asker.project_id, name, said["feature"], rule, self.asker.actor)
        return self.answer(rule_view(row))

    @base.described(
        "remove_scorer_rule", "Whether there was one",
        {"type": "object", "properties": {"removed": {"type": "boolean"}}, "required": ["removed"]}, (), "name",
        tag="quality",
    )  # fmt: skip
    def delete(self, request: Request, name: str) -> Response:
        return Response({"removed": services.remove_rule(self.asker.project_id, name, "")})


def rule_view(row: ScorerSetting) -> RuleView:
    return RuleView(row.feature, row.is_on, row.sample_ratio, row.threshold)


def view_of(one: Known, rules: tuple[RuleView, ...]) -> ScorerView:
    return ScorerView(
        one.id, one.title, one.family, one.lane, one.direction, one.threshold, one.usual_ratio, one.blind_to,
        one.availability(), rules,
    )  # fmt: skip
