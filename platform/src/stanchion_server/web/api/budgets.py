"""Budgets: what may be spent, what is, and what it will come to."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.http import HttpResponse
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from stanchion_server.costs import budgets, selectors_budgets, stops
from stanchion_server.costs.budgeted import PeriodChoice, Scope
from stanchion_server.costs.selectors_budgets import Standing
from stanchion_server.costs.spent import Point
from stanchion_server.kernel import clock
from stanchion_server.kernel.errors import SenderError
from stanchion_server.tenants.models import Project
from stanchion_server.tenants.models import Scope as KeyScope
from stanchion_server.web.api import base, shapes, tables


@dataclass(frozen=True, slots=True)
class BudgetView:
    """A budget and how its current period stands; the numbers as `selectors_budgets.BudgetReading` tells them.

    `unpriced_calls` cost something that nobody knows and are in no sum; nor are the dollars of `hosted_calls_left_out`,
    as self-hosted hours are told apart by feature only: a stop does not count them either. `stop_state` is off; armed:
    nothing is stopped yet; stopping: checks are blocked until `stopped_until`; or unconfirmed: no worker looked, so
    nothing is stopped.
    """

    id: int
    name: str
    owner: str
    scope: str
    scope_key: str
    scope_value: str
    period: str
    period_start: datetime
    period_end: datetime
    limit_usd: Decimal
    spent_usd: Decimal
    spent_ratio: float
    unpriced_calls: int
    hosted_calls_left_out: int
    burn_ratio: float | None
    recent_burn_ratio: float | None
    forecast_usd: Decimal | None
    forecast_low_usd: Decimal | None
    forecast_high_usd: Decimal | None
    forecast_ratio: float | None
    forecast_method: str
    overruns_at: datetime | None
    notify_percents: tuple[int, ...]
    reached_percent: int
    is_hard_stop: bool
    stop_state: stops.State
    stopped_until: datetime | None
    created_at: datetime
    created_by: str
    changed_at: datetime
    changed_by: str


@dataclass(frozen=True, slots=True)
class BudgetDetail:
    """`points` are the steps of the period (hours for a day's budget, else days) with the running total: what was
    spent, then what is expected."""

    budget: BudgetView
    points: tuple[Point, ...]


class BudgetBody(serializers.Serializer[Any]):
    """`scope_key` names the attribute, `scope_value` the feature, service, environment or the attribute's value."""

    name = serializers.CharField(max_length=80, required=False)
    scope = serializers.ChoiceField(Scope.choices, required=False)
    scope_key = serializers.CharField(max_length=200, required=False, allow_blank=True)
    scope_value = serializers.CharField(max_length=200, required=False, allow_blank=True)
    period = serializers.ChoiceField(PeriodChoice.choices, required=False)
    limit_usd = serializers.DecimalField(14, 2, min_value=Decimal("0.01"), required=False)
    owner = serializers.CharField(max_length=120, required=False)
    notify_percents = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=1_000), max_length=budgets.MOST_THRESHOLDS, required=False
    )
    is_hard_stop = serializers.BooleanField(required=False)


class NewBudget(BudgetBody):
    """A month for the whole project, thresholds at 80 and 100 percent, unless told otherwise."""

    name = serializers.CharField(max_length=80)
    limit_usd = serializers.DecimalField(14, 2, min_value=Decimal("0.01"))
    owner = serializers.CharField(max_length=120)


class Budgets(base.Resource):
    """At most a hundred to a project, by name."""

    write_scopes = (KeyScope.ADMIN,)
    known = (tables.AS,)

    @base.described("list_budgets", "Budgets and how they stand", shapes.list_schema(BudgetView), known, tag="costs")
    def get(self, request: Request) -> Response | HttpResponse:
        now = clock.now()
        found = [view(one, now) for one in selectors_budgets.standings(self.asker.project_id, now)]
        return _table(BudgetView, found, "budgets") if _is_table(self) else self.answer({"items": found})

    @base.described(
        "add_budget", "A new budget", shapes.schema_of(BudgetDetail), (), tag="costs", status=201, request=NewBudget
    )
    def post(self, request: Request) -> Response:
        project = Project.objects.get(pk=self.asker.project_id)
        row = budgets.add(project, read(NewBudget, request.data), self.asker.actor)
        return Response(shapes.plain(_detail(self.asker.project_id, row.pk)), status=201)


class OneBudget(base.Resource):
    write_scopes = (KeyScope.ADMIN,)
    known = (tables.AS,)

    @base.described(
        "read_budget", "One budget, step by step", shapes.schema_of(BudgetDetail), known, "number", tag="costs"
    )
    def get(self, request: Request, number: int) -> Response | HttpResponse:
        """As CSV, the steps."""
        found = _detail(self.asker.project_id, number)
        return _table(Point, found.points, f"budget-{number}") if _is_table(self) else self.answer(found)

    @base.described(
        "change_budget", "Changed; a stop is taken back", shapes.schema_of(BudgetDetail), (), "number", tag="costs",
        request=BudgetBody,
    )  # fmt: skip
    def patch(self, request: Request, number: int) -> Response:
        budgets.change(self.asker.project_id, number, read(BudgetBody, request.data), self.asker.actor)
        return self.answer(_detail(self.asker.project_id, number))

    @base.described("delete_budget", "Gone from lists, rules and stops", {}, (), "number", tag="costs", status=204)
    def delete(self, request: Request, number: int) -> Response:
        budgets.archive(self.asker.project_id, number, self.asker.actor)
        return Response(status=204)


def read(shape: type[serializers.Serializer[Any]], data: Any) -> dict[str, Any]:
    """The body's values. Raises SenderError that names the field, what it held and the remedy."""
    if not isinstance(data, dict):
        raise SenderError("bad_body", "The body must be a JSON object.")
    form = shape(data=data)
    unknown = sorted(set(data) - set(form.fields))
    if unknown:
        raise SenderError("unknown_field", f"{unknown[0][:80]!r} is not a field. Known: {', '.join(form.fields)}.")
    if not form.is_valid():
        field, reasons = next(iter(form.errors.items()))
        reason = next(iter(reasons.values()))[0] if isinstance(reasons, dict) else reasons[0]
        given = f" is {repr(data[field])[:80]}" if field in data else ""
        raise SenderError("bad_field", f"{field}{given}: {reason}")
    values: dict[str, Any] = form.validated_data
    return values


def view(one: Standing, now: datetime) -> BudgetView:
    told: dict[str, Any] = {"id": one.budget.pk, "stop_state": stops.state_of(one.budget, now)}
    for field in dataclasses.fields(BudgetView):
        if field.name not in told:
            source = one.reading if hasattr(one.reading, field.name) else one.budget
            told[field.name] = getattr(source, field.name)
    return BudgetView(**told)


def _detail(project_id: int, number: int) -> BudgetDetail:
    now = clock.now()
    found = selectors_budgets.standing(project_id, number, now)
    return BudgetDetail(view(found, now), found.statement.points)


def _is_table(resource: base.Resource) -> bool:
    return bool(resource.values.get("as") == "csv")


def _table(shape: type[BudgetView] | type[Point], rows: Any, name: str) -> HttpResponse:
    columns = [field.name for field in dataclasses.fields(shape)]
    plain = [shapes.plain(row) for row in rows]
    return tables.table(columns, [[_cell(row[one]) for one in columns] for row in plain], name)


def _cell(value: Any) -> Any:
    return " ".join(str(one) for one in value) if isinstance(value, list) else value
