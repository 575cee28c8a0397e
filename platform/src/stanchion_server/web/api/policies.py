"""Policies: drafts, versions, what is in force, and the bundle an application pulls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from stanchion_server.kernel.errors import SenderError
from stanchion_server.policies import engine, fields, selectors, services
from stanchion_server.policies.bundles import bundle_of
from stanchion_server.policies.models import Policy, PolicyVersion, Switch
from stanchion_server.tenants.models import Project, Scope
from stanchion_server.web.api import base, shapes


@dataclass(frozen=True, slots=True)
class PolicyView:
    """`live`, `shadow` and `canary` are version numbers, None where there is none."""

    name: str
    description: str
    live: int | None
    shadow: int | None
    shadow_until: datetime | None
    canary: int | None
    canary_percent: int
    canary_until: datetime | None
    switch: str
    switch_reason: str
    is_enforced: bool
    revision: int
    draft: str
    draft_changed_at: datetime
    draft_changed_by: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class VersionView:
    number: int
    digest: str
    note: str
    document: str
    created_at: datetime
    created_by: str


class NewPolicy(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=63)
    description = serializers.CharField(max_length=400, required=False, allow_blank=True, default="")
    document = serializers.CharField(
        max_length=services.MAX_DOCUMENT_CHARACTERS, trim_whitespace=False, required=False, default=""
    )


class NewDraft(serializers.Serializer[Any]):
    document = serializers.CharField(max_length=services.MAX_DOCUMENT_CHARACTERS, trim_whitespace=False)


class NewVersion(serializers.Serializer[Any]):
    note = serializers.CharField(max_length=400, required=False, allow_blank=True, default="")


class Rollout(serializers.Serializer[Any]):
    """Only what is named is changed; null takes a version out."""

    live = serializers.IntegerField(min_value=1, max_value=2**31 - 1, required=False, allow_null=True)
    shadow = serializers.IntegerField(min_value=1, max_value=2**31 - 1, required=False, allow_null=True)
    shadow_until = serializers.DateTimeField(required=False, allow_null=True)
    canary = serializers.IntegerField(min_value=1, max_value=2**31 - 1, required=False, allow_null=True)
    canary_percent = serializers.IntegerField(min_value=0, max_value=100, required=False)
    canary_until = serializers.DateTimeField(required=False, allow_null=True)
    switch = serializers.ChoiceField(choices=Switch.values, required=False)
    reason = serializers.CharField(max_length=400, required=False, allow_blank=True)
    is_enforced = serializers.BooleanField(required=False)


class Policies(base.Resource):
    write_scopes = (Scope.ADMIN,)

    @base.described("list_policies", "Policies by name", shapes.list_schema(PolicyView), (), tag="guard")
    def get(self, request: Request) -> Response:
        found = selectors.policies(self.asker.project_id)
        return self.answer({"items": [view_of(policy) for policy in found]})

    @base.described(
        "add_policy", "A new policy with a draft", shapes.schema_of(PolicyView), (), tag="guard", status=201,
        request=NewPolicy,
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        values = checked(NewPolicy, request)
        project = Project.objects.get(pk=self.asker.project_id)
        policy = services.create(project, values["name"], values["document"], self.asker.actor, values["description"])
        return Response(shapes.plain(view_of(policy), self.hidden), status=201)


class OnePolicy(base.Resource):
    write_scopes = (Scope.ADMIN,)

    @base.described("read_policy", "One policy", shapes.schema_of(PolicyView), (), "name", tag="guard")
    def get(self, request: Request, name: str) -> Response:
        return self.answer(view_of(policy_of(self, name)))

    @base.described(
        "archive_policy", "Out of force and out of the lists", shapes.schema_of(PolicyView), (), "name", tag="guard"
    )
    def delete(self, request: Request, name: str) -> Response:
        policy = services.archive(self.asker.project_id, policy_of(self, name).pk, self.asker.actor)
        return self.answer(view_of(policy))


class Draft(base.Resource):
    write_scopes = (Scope.ADMIN,)

    @base.described(
        "save_draft", "The policy with its new draft", shapes.schema_of(PolicyView), (), "name", tag="guard",
        request=NewDraft,
    )  # fmt: skip
    def put(self, request: Request, name: str) -> Response:
        document = checked(NewDraft, request)["document"]
        policy = services.save_draft(self.asker.project_id, policy_of(self, name).pk, document, self.asker.actor)
        return self.answer(view_of(policy))


class Versions(base.Resource):
    write_scopes = (Scope.ADMIN,)

    @base.described("list_versions", "The newest first", shapes.list_schema(VersionView), (), "name", tag="guard")
    def get(self, request: Request, name: str) -> Response:
        rows = selectors.versions(self.asker.project_id, policy_of(self, name).pk)
        return self.answer({"items": [version_view(row) for row in rows]})

    @base.described(
        "publish_version", "The draft as an immutable version", shapes.schema_of(VersionView), (), "name", tag="guard",
        status=201, request=NewVersion,
    )  # fmt: skip
    def post(self, request: Request, name: str) -> Response:
        note = checked(NewVersion, request)["note"]
        version = services.publish(self.asker.project_id, policy_of(self, name).pk, self.asker.actor, note)
        return Response(shapes.plain(version_view(version), self.hidden), status=201)


class Force(base.Resource):
    write_scopes = (Scope.ADMIN,)

    @base.described(
        "change_rollout", "What is in force now", shapes.schema_of(PolicyView), (), "name", tag="guard", request=Rollout
    )
    def post(self, request: Request, name: str) -> Response:
        values = checked(Rollout, request)
        if not values.keys() - {"reason"}:
            names = ", ".join(sorted({*map(str, Rollout().fields)} - {"reason"}))
            raise SenderError("nothing_to_change", f"Nothing to change came. Send one or more of {names}.", 400)
        policy = services.roll_out(self.asker.project_id, policy_of(self, name).pk, values, self.asker.actor)
        return self.answer(view_of(policy))


class Bundle(base.Resource):
    scope = Scope.GUARD

    @base.described("read_bundle", "What an application needs to judge by itself", {}, (), "name", tag="guard")
    def get(self, request: Request, name: str) -> Response:
        bundle = bundle_of(self.asker.project_id, name)
        etag = f'"{bundle.etag}"'
        headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
        if etag in (request.headers.get("If-None-Match") or ""):
            return Response(status=304, headers=headers)
        return Response(bundle.content, headers=headers)


def policy_of(resource: base.Resource, name: str) -> Policy:
    policy = selectors.policy(resource.asker.project_id, name) if engine.is_name(name) else None
    if policy is None:
        raise base.not_found("policy", name)
    return policy


def checked(kind: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
    """The body's values. A field that is none is refused: what its sender meant would not happen."""
    serializer = kind(data=request.data)
    if isinstance(request.data, Mapping):
        fields.known(request.data, frozenset(serializer.fields), "")
    if not serializer.is_valid():
        name, problems = next(iter(serializer.errors.items()))
        raise SenderError("bad_field", f"{name}: {_first(problems).rstrip('.')}.", 400)
    return cast(dict[str, Any], serializer.validated_data)


def _first(problems: Any) -> str:
    """Of what a serializer tells about a field: a text, a list, or a mapping by place with gaps."""
    if isinstance(problems, Mapping):
        problems = list(problems.values())
    if not isinstance(problems, list | tuple):
        return str(problems)
    return next((found for one in problems if (found := _first(one))), "")


def view_of(policy: Policy) -> PolicyView:
    return PolicyView(**{name: getattr(policy, name) for name in PolicyView.__slots__})


def version_view(version: PolicyVersion) -> VersionView:
    return VersionView(**{name: getattr(version, name) for name in VersionView.__slots__})
