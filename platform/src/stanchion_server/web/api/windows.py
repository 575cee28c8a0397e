"""Maintenance windows: times without messages that come again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from stanchion_server.alerts import window_selectors as selectors
from stanchion_server.alerts import windows as services
from stanchion_server.alerts.models import MaintenanceWindow
from stanchion_server.kernel import clock
from stanchion_server.tenants.models import Project, Scope
from stanchion_server.web.api import base, shapes
from stanchion_server.web.api.policies import checked


@dataclass(frozen=True, slots=True)
class Occurrence:
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class WindowView:
    """`weekdays` from 0 (Monday), `starts` HH:MM in `time_zone`. `running` is null unless it is on; `upcoming` are the
    next three that have not begun."""

    id: int
    name: str
    matchers: tuple[Mapping[str, str], ...]
    time_zone: str
    weekdays: tuple[int, ...]
    starts: str
    length_min: int
    running: Occurrence | None
    upcoming: tuple[Occurrence, ...]
    created_at: datetime
    created_by: str


class WindowChange(serializers.Serializer[Any]):
    """Only what is named is changed. No matcher matches everything."""

    name = serializers.CharField(max_length=80, required=False)
    time_zone = serializers.CharField(max_length=80, required=False)
    weekdays = serializers.ListField(child=serializers.IntegerField(), max_length=7, required=False)
    starts = serializers.CharField(max_length=40, required=False)
    length_min = serializers.IntegerField(required=False)
    matchers = serializers.ListField(
        child=serializers.DictField(child=serializers.CharField(allow_blank=True)), required=False
    )


class NewWindow(WindowChange):
    """`time_zone` is UTC, and everything matches, where they are left out."""

    name = serializers.CharField(max_length=80)
    weekdays = serializers.ListField(child=serializers.IntegerField(), max_length=7)
    starts = serializers.CharField(max_length=40)
    length_min = serializers.IntegerField()


class Windows(base.Resource):
    write_scopes = (Scope.ADMIN,)

    @base.described(
        "list_maintenance_windows", "Maintenance windows by name", shapes.list_schema(WindowView), (), tag="alerts"
    )
    def get(self, request: Request) -> Response:
        return self.answer({"items": [window_view(one) for one in selectors.windows(self.asker.project_id)]})

    @base.described(
        "add_maintenance_window", "A new window", shapes.schema_of(WindowView), (), tag="alerts", status=201,
        request=NewWindow,
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        project = Project.objects.get(pk=self.asker.project_id)
        row = services.add(project, checked(NewWindow, request), self.asker.actor)
        return Response(shapes.plain(_now(row)), status=201)


class OneWindow(base.Resource):
    write_scopes = (Scope.ADMIN,)

    @base.described("read_maintenance_window", "One window", shapes.schema_of(WindowView), (), "number", tag="alerts")
    def get(self, request: Request, number: int) -> Response:
        found = selectors.window(self.asker.project_id, number)
        if found is None:
            raise base.not_found("maintenance window", str(number))
        return self.answer(window_view(found))

    @base.described(
        "change_maintenance_window", "Changed", shapes.schema_of(WindowView), (), "number", tag="alerts",
        request=WindowChange,
    )  # fmt: skip
    def patch(self, request: Request, number: int) -> Response:
        changes = checked(WindowChange, request)
        return self.answer(_now(services.change(self.asker.project_id, number, changes, self.asker.actor)))

    @base.described(
        "delete_maintenance_window", "Out of the lists, and over where it was on", shapes.schema_of(WindowView), (),
        "number", tag="alerts",
    )  # fmt: skip
    def delete(self, request: Request, number: int) -> Response:
        return self.answer(_now(services.delete(self.asker.project_id, number, self.asker.actor)))


class End(base.Resource):
    write_scopes = (Scope.ADMIN,)

    @base.described(
        "end_maintenance_window", "The occurrence that is on is over; the next comes as planned",
        shapes.schema_of(WindowView), (), "number", tag="alerts", request=None,
    )  # fmt: skip
    def post(self, request: Request, number: int) -> Response:
        return self.answer(_now(services.end(self.asker.project_id, number, self.asker.actor)))


def _now(row: MaintenanceWindow) -> WindowView:
    return window_view(selectors.ahead(row, clock.now()))


def window_view(found: selectors.Ahead) -> WindowView:
    row, on = found.row, found.running
    return WindowView(
        id=row.pk, name=row.name, matchers=tuple(row.matchers), time_zone=row.time_zone, weekdays=tuple(row.weekdays),
        starts=f"{row.starts:%H:%M}", length_min=row.length_min, running=Occurrence(*on) if on else None,
        upcoming=tuple(Occurrence(*one) for one in found.upcoming), created_at=row.created_at,
        created_by=row.created_by,
    )  # fmt: skip
