"""Rate limits of providers, and how near recorded traffic came to them."""

from __future__ import annotations

import dataclasses
from decimal import Decimal
from typing import Any

from django.http import HttpResponse
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from stanchion_server.costs import rate_limits, selectors_headroom
from stanchion_server.costs.headroom import Headroom
from stanchion_server.costs.selectors_headroom import LimitReading
from stanchion_server.kernel import clock
from stanchion_server.tenants.models import Project, Scope
from stanchion_server.web.api import base, shapes, tables
from stanchion_server.web.api.budgets import read


def _limit() -> serializers.DecimalField:
    return serializers.DecimalField(15, 3, min_value=Decimal("0.001"), required=False, allow_null=True)


class LimitBody(serializers.Serializer[Any]):
    """Requests a second and a minute, tokens a minute in and out, tokens a second, requests at a time; null where it is
    not known. An empty `model` stands for all models of the provider together."""

    provider = serializers.CharField(max_length=60, required=False)
    model = serializers.CharField(max_length=200, required=False, allow_blank=True)
    rps = _limit()
    rpm = _limit()
    input_tpm = _limit()
    output_tpm = _limit()
    tps = _limit()
    concurrency = _limit()


class NewLimit(LimitBody):
    provider = serializers.CharField(max_length=60)


class RateLimits(base.Resource):
    """At most fifty to a project, by provider and model."""

    write_scopes = (Scope.ADMIN,)
    known = (tables.AS,)

    @base.described(
        "list_rate_limits", "Rate limits and the headroom left", shapes.list_schema(LimitReading), known, tag="costs"
    )
    def get(self, request: Request) -> Response | HttpResponse:
        """As CSV, a line for each dimension of each limit."""
        project_id = self.asker.project_id
        found = selectors_headroom.readings(project_id, selectors_headroom.limits(project_id), clock.now())
        return _table(found) if self.values.get("as") == "csv" else self.answer({"items": found})

    @base.described(
        "add_rate_limit", "A new rate limit", shapes.schema_of(LimitReading), (), tag="costs", status=201,
        request=NewLimit,
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        project = Project.objects.get(pk=self.asker.project_id)
        row = rate_limits.add(project, read(NewLimit, request.data), self.asker.actor)
        return Response(shapes.plain(_one(self.asker.project_id, row.pk)), status=201)


class OneRateLimit(base.Resource):
    write_scopes = (Scope.ADMIN,)

    @base.described(
        "read_rate_limit", "One rate limit and its headroom", shapes.schema_of(LimitReading), (), "number", tag="costs"
    )
    def get(self, request: Request, number: int) -> Response:
        return self.answer(_one(self.asker.project_id, number))

    @base.described(
        "change_rate_limit", "The given fields changed", shapes.schema_of(LimitReading), (), "number", tag="costs",
        request=LimitBody,
    )  # fmt: skip
    def patch(self, request: Request, number: int) -> Response:
        rate_limits.change(self.asker.project_id, number, read(LimitBody, request.data), self.asker.actor)
        return self.answer(_one(self.asker.project_id, number))

    @base.described("delete_rate_limit", "No longer known", {}, (), "number", tag="costs", status=204)
    def delete(self, request: Request, number: int) -> Response:
        rate_limits.delete(self.asker.project_id, number)
        return Response(status=204)


def _one(project_id: int, number: int) -> LimitReading:
    row = selectors_headroom.rate_limit(project_id, number)
    return selectors_headroom.readings(project_id, [row], clock.now())[0]


def _table(found: list[LimitReading]) -> HttpResponse:
    columns = [field.name for field in dataclasses.fields(Headroom)]
    lines = [
        [one.provider, one.model, *(shapes.plain(part)[name] for name in columns)]
        for one in found
        for part in one.dimensions
    ]
    return tables.table(["provider", "model", *columns], lines, "rate-limits")
