"""Owners: who is told about a feature where a rule names no channels of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from stanchion_server.alerts import owners as services
from stanchion_server.alerts.models import Owner
from stanchion_server.tenants.models import Project, Scope
from stanchion_server.web.api import base, shapes
from stanchion_server.web.api.policies import checked


@dataclass(frozen=True, slots=True)
class OwnerView:
    """An empty `feature` means the whole project. Without a channel, or where it is archived, messages name the person
    and go to the default channels."""

    id: int
    feature: str
    topic: str
    person: str
    channel: int | None


class OwnerChange(serializers.Serializer[Any]):
    """Only what is named is changed."""

    feature = serializers.CharField(max_length=200, required=False, allow_blank=True)
    topic = serializers.CharField(max_length=40, required=False)
    person = serializers.CharField(max_length=150, required=False)
    channel = serializers.IntegerField(required=False, allow_null=True, min_value=1, max_value=2**62)


class NewOwner(OwnerChange):
    """For the whole project, for `any` topic, without a channel, where they are left out."""

    person = serializers.CharField(max_length=150)


class Owners(base.Resource):
    write_scopes = (Scope.ADMIN,)

    @base.described("list_alert_owners", "Owners by feature", shapes.list_schema(OwnerView), (), tag="alerts")
    def get(self, request: Request) -> Response:
        return self.answer({"items": [owner_view(one) for one in services.owners(self.asker.project_id)]})

    @base.described(
        "add_alert_owner", "A new owner", shapes.schema_of(OwnerView), (), tag="alerts", status=201, request=NewOwner
    )
    def post(self, request: Request) -> Response:
        project = Project.objects.get(pk=self.asker.project_id)
        row = services.add(project, checked(NewOwner, request), self.asker.actor)
        return Response(shapes.plain(owner_view(row)), status=201)


class OneOwner(base.Resource):
    write_scopes = (Scope.ADMIN,)

    @base.described("read_alert_owner", "One owner", shapes.schema_of(OwnerView), (), "number", tag="alerts")
    def get(self, request: Request, number: int) -> Response:
        found = services.owner(self.asker.project_id, number)
        if found is None:
            raise base.not_found("owner", str(number))
        return self.answer(owner_view(found))

    @base.described(
        "change_alert_owner", "Changed", shapes.schema_of(OwnerView), (), "number", tag="alerts", request=OwnerChange
    )
    def patch(self, request: Request, number: int) -> Response:
        changes = checked(OwnerChange, request)
        return self.answer(owner_view(services.change(self.asker.project_id, number, changes, self.asker.actor)))

    @base.described("delete_alert_owner", "No longer told", shapes.schema_of(OwnerView), (), "number", tag="alerts")
    def delete(self, request: Request, number: int) -> Response:
        return self.answer(owner_view(services.delete(self.asker.project_id, number, self.asker.actor)))


def owner_view(row: Owner) -> OwnerView:
    return OwnerView(row.pk, row.feature, row.topic, row.person, row.channel_id)
