"""Alert channels: made, changed, tested. What is secret is written and never read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from stanchion_server.alerts import channel_selectors as selectors
from stanchion_server.alerts import channel_services as services
from stanchion_server.alerts.channels import KINDS
from stanchion_server.alerts.models import Channel
from stanchion_server.tenants.models import Project, Scope
from stanchion_server.web.api import base, deliveries, shapes
from stanchion_server.web.api.policies import checked


@dataclass(frozen=True, slots=True)
class ChannelView:
    """`secrets` says which are set, with the last four characters of long ones. Until `held_until` the receiver asked
    for quiet; a channel with `broken_at` is not called before it is enabled again."""

    id: int
    name: str
    kind: str
    settings: Mapping[str, str]
    secrets: Mapping[str, str]
    fallback: int | None
    is_default: bool
    held_until: datetime | None
    broken_at: datetime | None
    broken_reason: str
    created_at: datetime
    created_by: str
    archived_at: datetime | None


@dataclass(frozen=True, slots=True)
class MadeView:
    """`signing_secret` is shown this once, where one was made here."""

    channel: ChannelView
    signing_secret: str | None


class NewChannel(serializers.Serializer[Any]):
    """`values` holds what the kind asks for, for instance {"url": "https://…"}."""

    name = serializers.CharField(max_length=80)
    kind = serializers.ChoiceField(choices=list(KINDS))
    values = serializers.DictField(child=serializers.CharField(max_length=2_000, allow_blank=True))
    fallback = serializers.IntegerField(required=False, allow_null=True, default=None, min_value=1, max_value=2**62)
    is_default = serializers.BooleanField(required=False, default=False)


class ChannelChange(serializers.Serializer[Any]):
    """Only what is named is changed; a secret that is not named stays."""

    name = serializers.CharField(max_length=80, required=False)
    values = serializers.DictField(child=serializers.CharField(max_length=2_000, allow_blank=True), required=False)
    fallback = serializers.IntegerField(required=False, allow_null=True, min_value=1, max_value=2**62)
    is_default = serializers.BooleanField(required=False)


class Channels(base.Resource):
    write_scopes = (Scope.ADMIN,)

    @base.described("list_channels", "Channels by name", shapes.list_schema(ChannelView), (), tag="alerts")
    def get(self, request: Request) -> Response:
        return self.answer({"items": [channel_view(one) for one in selectors.channels(self.asker.project_id)]})

    @base.described(
        "add_channel", "A new channel", shapes.schema_of(MadeView), (), tag="alerts", status=201, request=NewChannel
    )
    def post(self, request: Request) -> Response:
        said = checked(NewChannel, request)
        project = Project.objects.get(pk=self.asker.project_id)
        made = services.create(project, services.Wanted(**said), self.asker.actor)
        return Response(shapes.plain(made_view(made)), status=201)


class OneChannel(base.Resource):
    write_scopes = (Scope.ADMIN,)

    @base.described("read_channel", "One channel", shapes.schema_of(ChannelView), (), "number", tag="alerts")
    def get(self, request: Request, number: int) -> Response:
        return self.answer(channel_view(channel_of(self, number)))

    @base.described(
        "change_channel", "Changed", shapes.schema_of(ChannelView), (), "number", tag="alerts", request=ChannelChange
    )
    def patch(self, request: Request, number: int) -> Response:
        found = channel_of(self, number)
        changes = checked(ChannelChange, request)
        return self.answer(channel_view(services.change(self.asker.project_id, found.pk, changes, self.asker.actor)))

    @base.described(
        "archive_channel", "Out of use; what waits for it goes to its fallback", shapes.schema_of(ChannelView), (),
        "number", tag="alerts",
    )  # fmt: skip
    def delete(self, request: Request, number: int) -> Response:
        found = channel_of(self, number)
        return self.answer(channel_view(services.archive(self.asker.project_id, found.pk, self.asker.actor)))


class Test(base.Resource):
    write_scopes = (Scope.ADMIN,)

    @base.described(
        "test_channel", "A test message, on the way that all take", shapes.schema_of(deliveries.DeliveryView), (),
        "number", tag="alerts", status=201, request=None,
    )  # fmt: skip
    def post(self, request: Request, number: int) -> Response:
        project = Project.objects.get(pk=self.asker.project_id)
        row = services.test(project, channel_of(self, number).pk, self.asker.actor)
        return Response(shapes.plain(deliveries.delivery_view(row)), status=201)


class Enable(base.Resource):
    write_scopes = (Scope.ADMIN,)

    @base.described(
        "enable_channel", "A broken or held channel is called again", shapes.schema_of(ChannelView), (), "number",
        tag="alerts", request=None,
    )  # fmt: skip
    def post(self, request: Request, number: int) -> Response:
        found = channel_of(self, number)
        return self.answer(channel_view(services.enable(self.asker.project_id, found.pk, self.asker.actor)))


class Rotate(base.Resource):
    write_scopes = (Scope.ADMIN,)

    @base.described(
        "rotate_signing_secret", "A new signing secret; the old one signs too for 24 hours",
        shapes.schema_of(MadeView), (), "number", tag="alerts", request=None,
    )  # fmt: skip
    def post(self, request: Request, number: int) -> Response:
        found = channel_of(self, number)
        return self.answer(made_view(services.rotate_secret(self.asker.project_id, found.pk, self.asker.actor)))


def channel_of(resource: base.Resource, number: int) -> Channel:
    found = selectors.channel(resource.asker.project_id, number)
    if found is None:
        raise base.not_found("channel", str(number))
    return found


def channel_view(row: Channel) -> ChannelView:
    special = ("id", "secrets", "fallback")
    values = {name: getattr(row, name) for name in ChannelView.__slots__ if name not in special}
    return ChannelView(id=row.pk, secrets=selectors.hint(row), fallback=row.fallback_id, **values)


def made_view(made: services.Made) -> MadeView:
    return MadeView(channel_view(made.channel), made.shown_once or None)
