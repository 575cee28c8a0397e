"""What guards decided, what people say of it, and back-tests of what they would decide."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from stanchion_server.kernel import clock
from stanchion_server.policies import backtests, selectors, services
from stanchion_server.policies.gaps import Gap
from stanchion_server.policies.models import Backtest
from stanchion_server.reports import guardrails
from stanchion_server.tenants.models import Scope
from stanchion_server.web.api import base, parameters, shapes
from stanchion_server.web.api.parameters import CURSOR, LIMIT, RANGE, Parameter
from stanchion_server.web.api.policies import checked, policy_of
from stanchion_wire.decisions import ACTIONS, MODES, SOURCES

DEFAULT_RANGE = timedelta(days=7)
FILTERS = (
    Parameter("policy", parameters.text, "Only decisions of this policy."),
    Parameter("policy_version", parameters.text, "Only of this version."),
    Parameter("mode", parameters.one_of({name: name for name in MODES}), "In force or beside it.", options=MODES),
    Parameter("action", parameters.one_of({name: name for name in ACTIONS}), "What was done.", options=ACTIONS),
    Parameter("label", parameters.text, "Only with a finding of this label."),
    Parameter("rule", parameters.text, "Only where this rule triggered."),
    Parameter("feature", parameters.text, "Only of this feature."),
    Parameter("session", parameters.text, "Only of this session."),
    Parameter("source", parameters.one_of({name: name for name in SOURCES}), "Which door.", options=SOURCES),
    Parameter("check_id", parameters.text, "Only this check, with its shadows."),
    Parameter("trace_id", parameters.text, "Only of this trace (32 hex digits)."),
    Parameter("incomplete", parameters.truth, "Only where a check did not run (`true`), or all did.", type="boolean"),
    Parameter(
        "limited",
        parameters.truth,
        "Only where a detector judged what it was not measured to work on (`true`), or none.",
        type="boolean",
    ),
    Parameter("limited_rule", parameters.text, "Only where this rule did."),
    Parameter("limited_reason", parameters.text, "Only for this reason: “language de not covered”."),
)
RENAMED = {"session": "session_id", "incomplete": "is_incomplete", "limited": "is_limited"}


@dataclass(frozen=True, slots=True)
class BacktestView:
    """`result` grows while it runs; `number` is None for the draft, `baseline` None for what was decided then."""

    id: int
    policy: str
    number: int | None
    baseline: int | None
    window_start: datetime
    window_end: datetime
    features: tuple[str, ...]
    state: str
    calls_total: int | None
    calls_done: int
    result: dict[str, Any]
    error: str
    created_at: datetime
    created_by: str
    finished_at: datetime | None


class NewReview(serializers.Serializer[Any]):
    is_violation = serializers.BooleanField()
    note = serializers.CharField(max_length=1000, required=False, allow_blank=True, default="")


class NewBacktest(serializers.Serializer[Any]):
    """`number` null tests the draft, `baseline` null compares with what was decided at the time."""

    number = serializers.IntegerField(min_value=1, max_value=2**31 - 1, required=False, allow_null=True, default=None)
    baseline = serializers.IntegerField(min_value=1, max_value=2**31 - 1, required=False, allow_null=True, default=None)
    window_start = serializers.DateTimeField()
    window_end = serializers.DateTimeField()
    features = serializers.ListField(child=serializers.CharField(max_length=200), max_length=50, required=False)
    max_calls = serializers.IntegerField(min_value=1, max_value=backtests.MAX_CALLS, required=False, default=10_000)


class Decisions(base.Resource):
    known = (*RANGE, *FILTERS, CURSOR, LIMIT)

    @base.described(
        "list_decisions", "Decisions, the newest first", shapes.page_schema(selectors.DecisionView), known, tag="guard"
    )
    def get(self, request: Request) -> Response:
        wanted, values = filter_of(self.values)
        found = selectors.decisions(self.asker.project_id, wanted, values.get("cursor"), values.get("limit", 50))
        return self.answer(found)


class Effects(base.Resource):
    known = (*RANGE, *FILTERS)

    @base.described("read_effects", "What each version did", shapes.list_schema(selectors.Effect), known, tag="guard")
    def get(self, request: Request) -> Response:
        wanted, _values = filter_of(self.values)
        return self.answer({"items": selectors.effects(self.asker.project_id, wanted)})


class Gaps(base.Resource):
    known = RANGE

    @base.described("list_gaps", "Stretches in which a guard did not run", shapes.list_schema(Gap), known, tag="guard")
    def get(self, request: Request) -> Response:
        """Open ones first. Without a range, what is open now."""
        values = dict(self.values)
        project_id = self.asker.project_id
        if not values:
            return self.answer({"items": guardrails.open_gaps(project_id, clock.now())})
        return self.answer(
            {"items": guardrails.coverage_gaps(project_id, *parameters.time_range(values, DEFAULT_RANGE))}
        )


class Review(base.Resource):
    write_scopes = (Scope.WRITE_SCORES,)

    @base.described(
        "review_decision", "The decision with the review", shapes.schema_of(selectors.DecisionView), (), "check_id",
        tag="guard", request=NewReview,
    )  # fmt: skip
    def put(self, request: Request, check_id: str) -> Response:
        project_id = self.asker.project_id
        values = checked(NewReview, request)
        found = services.review_decision(project_id, check_id, values["is_violation"], self.asker.actor, values["note"])
        return self.answer(found)


class Backtests(base.Resource):
    write_scopes = (Scope.ADMIN,)

    @base.described("list_backtests", "The newest first", shapes.list_schema(BacktestView), (), "name", tag="guard")
    def get(self, request: Request, name: str) -> Response:
        policy = policy_of(self, name)
        rows = Backtest.objects.filter(project_id=self.asker.project_id, policy=policy).select_related("policy")
        return self.answer({"items": [view_of(row) for row in rows.order_by("-created_at")[:100]]})

    @base.described(
        "add_backtest", "A back-test that a worker will run", shapes.schema_of(BacktestView), (), "name", tag="guard",
        status=201, request=NewBacktest,
    )  # fmt: skip
    def post(self, request: Request, name: str) -> Response:
        values = checked(NewBacktest, request)
        wanted = backtests.Wanted(**{**values, "features": tuple(values.get("features", ()))})
        row = backtests.create(policy_of(self, name), wanted, self.asker.actor)
        return Response(shapes.plain(view_of(row), self.hidden), status=201)


class OneBacktest(base.Resource):
    write_scopes = (Scope.ADMIN,)

    @base.described("read_backtest", "How far it is", shapes.schema_of(BacktestView), (), "name", "number", tag="guard")
    def get(self, request: Request, name: str, number: int) -> Response:
        return self.answer(view_of(self._row(name, number)))

    @base.described("cancel_backtest", "Stopped", shapes.schema_of(BacktestView), (), "name", "number", tag="guard")
    def delete(self, request: Request, name: str, number: int) -> Response:
        backtests.cancel(self.asker.project_id, self._row(name, number).pk)
        return self.answer(view_of(self._row(name, number)))

    def _row(self, name: str, number: int) -> Backtest:
        rows = Backtest.objects.filter(project_id=self.asker.project_id, policy__name=name, pk=number)
        row = rows.select_related("policy").first()
        if row is None:
            raise base.not_found("back-test", str(number))
        return row


def filter_of(given: dict[str, Any]) -> tuple[selectors.DecisionFilter, dict[str, Any]]:
    """The filter, and what is left of the values."""
    values = dict(given)
    start, end = parameters.time_range(values, DEFAULT_RANGE)
    names = {parameter.name for parameter in FILTERS}
    named = {RENAMED.get(name, name): value for name, value in values.items() if name in names}
    wanted = replace(selectors.DecisionFilter(start, end), **named)
    return wanted, {name: value for name, value in values.items() if name not in names}


def view_of(row: Backtest) -> BacktestView:
    names = [name for name in BacktestView.__slots__ if name not in ("policy", "features")]
    values = {name: getattr(row, name) for name in names}
    return BacktestView(policy=row.policy.name, features=tuple(row.features), **values)
