"""Drift: monitors, their runs with what each found, and Evidently's page of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.http import HttpResponse
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from stanchion_server.drift import columns, readings, selectors, services
from stanchion_server.drift.models import DriftMonitor, DriftResult, DriftRun, Reference
from stanchion_server.kernel import clock
from stanchion_server.tenants.models import Project, Scope
from stanchion_server.web import sandbox
from stanchion_server.web.api import base, parameters, shapes
from stanchion_server.web.api.parameters import CURSOR, LIMIT, Parameter
from stanchion_server.web.api.policies import checked

VERDICTS = ("drift", "no_drift", "not_enough_data")


def _number(value: str) -> int:
    if not value.isascii() or not value.isdecimal() or len(value) > 18:
        raise ValueError("a whole number")
    return int(value)


RUNS = (
    Parameter("monitor", _number, "Only of this monitor, by its id.", type="integer"),
    Parameter("verdict", parameters.one_of({name: name for name in VERDICTS}), "Only with this.", options=VERDICTS),
    CURSOR,
    LIMIT,
)

BANDS = (Parameter("feature", parameters.text, "Only calls of this feature."),)


@dataclass(frozen=True, slots=True)
class MonitorView:
    """`feature` "" means all calls, `columns` [] all columns."""

    id: int
    name: str
    feature: str
    reference: str
    reference_hours: int
    reference_start: datetime | None
    reference_end: datetime | None
    current_hours: int
    every_hours: int
    columns: tuple[str, ...]
    alpha: float
    is_paused: bool
    created_at: datetime
    created_by: str
    changed_at: datetime
    changed_by: str
    archived_at: datetime | None


@dataclass(frozen=True, slots=True)
class RunView:
    """`verdict` is "" until the run is done. `calls_*` are how many calls the windows hold, `sampled_*` how many of
    them were looked at."""

    id: int
    monitor: int
    monitor_name: str
    scheduled_for: datetime
    state: str
    verdict: str
    drifted: int
    attempts: int
    error: str
    requested_by: str
    reference_start: datetime | None
    reference_end: datetime | None
    current_start: datetime | None
    current_end: datetime | None
    calls_reference: int | None
    calls_current: int | None
    sampled_reference: int | None
    sampled_current: int | None
    notes: tuple[str, ...]
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class ResultView:
    """`value`, `p` and `p_adjusted` are null where there was not enough data. Drift is `p_adjusted` up to the monitor's
    `alpha` and `value` of at least `threshold`. `words` takes `read:content`."""

    column: str
    label: str
    kind: str
    statistic: str
    verdict: str
    reason: str
    value: float | None
    threshold: float | None
    p: float | None
    p_adjusted: float | None
    n_reference: int
    n_current: int
    second_figures: Mapping[str, float]
    bars: Mapping[str, Any]
    new_values: tuple[str, ...]
    words: Mapping[str, Any] | None
    segments: tuple[Mapping[str, Any], ...]
    examples: tuple[Mapping[str, str], ...]


@dataclass(frozen=True, slots=True)
class RunDetail:
    """`report` is the state of Evidently's page: waiting, ready, unavailable, failed; null where it is gone."""

    run: RunView
    results: tuple[ResultView, ...]
    report: str | None
    report_reason: str


class NewMonitor(serializers.Serializer[Any]):
    """Times are for a fixed or frozen reference."""

    name = serializers.CharField(max_length=63)
    feature = serializers.CharField(max_length=200, required=False, allow_blank=True, default="")
    reference = serializers.ChoiceField(choices=Reference.values, required=False, default=Reference.TRAILING.value)
    reference_hours = serializers.IntegerField(required=False, min_value=1, max_value=services.MOST_HOURS, default=168)
    reference_start = serializers.DateTimeField(required=False, allow_null=True, default=None)
    reference_end = serializers.DateTimeField(required=False, allow_null=True, default=None)
    current_hours = serializers.IntegerField(required=False, min_value=1, max_value=services.MOST_HOURS, default=24)
    every_hours = serializers.IntegerField(required=False, min_value=1, max_value=services.MOST_HOURS, default=6)
    columns = serializers.ListField(
        child=serializers.CharField(max_length=120), max_length=services.MOST_COLUMNS, required=False, default=list
    )
    alpha = serializers.FloatField(required=False, default=0.05)


class MonitorChange(serializers.Serializer[Any]):
    """Only what is named is changed."""

    reference_hours = serializers.IntegerField(required=False, min_value=1, max_value=services.MOST_HOURS)
    current_hours = serializers.IntegerField(required=False, min_value=1, max_value=services.MOST_HOURS)
    every_hours = serializers.IntegerField(required=False, min_value=1, max_value=services.MOST_HOURS)
    columns = serializers.ListField(
        child=serializers.CharField(max_length=120), max_length=services.MOST_COLUMNS, required=False
    )
    alpha = serializers.FloatField(required=False)
    is_paused = serializers.BooleanField(required=False)


class Monitors(base.Resource):
    write_scopes = (Scope.ADMIN,)

    @base.described("list_drift_monitors", "Monitors by name", shapes.list_schema(MonitorView), (), tag="drift")
    def get(self, request: Request) -> Response:
        found = selectors.monitors(self.asker.project_id)
        return self.answer({"items": [monitor_view(one.monitor) for one in found]})

    @base.described(
        "add_drift_monitor", "A new monitor", shapes.schema_of(MonitorView), (), tag="drift", status=201,
        request=NewMonitor,
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        values = checked(NewMonitor, request)
        wanted = services.Wanted(**{**values, "columns": tuple(values["columns"])})
        project = Project.objects.get(pk=self.asker.project_id)
        monitor = services.create(project, wanted, self.asker.actor)
        return Response(shapes.plain(monitor_view(monitor), self.hidden), status=201)


class OneMonitor(base.Resource):
    write_scopes = (Scope.ADMIN,)

    @base.described("read_drift_monitor", "One monitor", shapes.schema_of(MonitorView), (), "number", tag="drift")
    def get(self, request: Request, number: int) -> Response:
        return self.answer(monitor_view(monitor_of(self, number)))

    @base.described(
        "change_drift_monitor", "Changed", shapes.schema_of(MonitorView), (), "number", tag="drift",
        request=MonitorChange,
    )  # fmt: skip
    def patch(self, request: Request, number: int) -> Response:
        found = monitor_of(self, number)
        changed = services.change(self.asker.project_id, found.pk, checked(MonitorChange, request), self.asker.actor)
        return self.answer(monitor_view(changed))

    @base.described(
        "archive_drift_monitor", "Out of the schedule; its runs stay", shapes.schema_of(MonitorView), (), "number",
        tag="drift",
    )  # fmt: skip
    def delete(self, request: Request, number: int) -> Response:
        archived = services.archive(self.asker.project_id, monitor_of(self, number).pk, self.asker.actor)
        return self.answer(monitor_view(archived))


class RunNow(base.Resource):
    write_scopes = (Scope.ADMIN,)

    @base.described(
        "run_drift_monitor", "A run that a worker will make", shapes.schema_of(RunView), (), "number", tag="drift",
        status=201, request=None,
    )  # fmt: skip
    def post(self, request: Request, number: int) -> Response:
        run = services.run_now(self.asker.project_id, monitor_of(self, number).pk, self.asker.actor)
        return Response(shapes.plain(run_view(run), self.hidden), status=201)


class Runs(base.Resource):
    known = RUNS

    @base.described("list_drift_runs", "Runs, the newest first", shapes.page_schema(RunView), RUNS, tag="drift")
    def get(self, request: Request) -> Response:
        values = self.values
        page = selectors.runs(
            self.asker.project_id, values.get("monitor"), values.get("verdict"), values.get("cursor"),
            values.get("limit", 50),
        )  # fmt: skip
        return self.answer({"items": [run_view(run) for run in page.items], "next_cursor": page.next_cursor})


class OneRun(base.Resource):
    @base.described(
        "read_drift_run", "What it found, worst first", shapes.schema_of(RunDetail), (), "number", tag="drift"
    )
    def get(self, request: Request, number: int) -> Response:
        return self.answer(detail_of(self, number))


class Retry(base.Resource):
    write_scopes = (Scope.ADMIN,)

    @base.described(
        "retry_drift_run", "A run that was put aside, or a report that failed, again", shapes.schema_of(RunDetail), (),
        "number", tag="drift", request=None,
    )  # fmt: skip
    def post(self, request: Request, number: int) -> Response:
        run = run_of(self, number)
        project_id = self.asker.project_id
        _is_again = services.retry(project_id, run.pk) or services.retry_report(project_id, run.pk)
        return self.answer(detail_of(self, number))


class Report(base.Resource):
    @base.described("read_drift_report", "Evidently's page, as a file", {}, (), "number", tag="drift")
    def get(self, request: Request, number: int) -> HttpResponse:
        html = selectors.report_html(self.asker.project_id, run_of(self, number).pk)
        if html is None:
            raise base.not_found("report of the drift run", str(number))
        return sandbox.page(html, f"drift-{number}.html", is_download=True)


class Anomalies(base.Resource):
    known = BANDS

    @base.described(
        "list_anomalies", "The newest values against their bands, anomalies first", shapes.list_schema(readings.Told),
        BANDS, tag="drift",
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        told = readings.readings(self.asker.project_id, clock.now(), self.values.get("feature", ""))
        return self.answer({"items": told})


def monitor_of(resource: base.Resource, number: int) -> DriftMonitor:
    found = selectors.monitor(resource.asker.project_id, number)
    if found is None:
        raise base.not_found("drift monitor", str(number))
    return found


def run_of(resource: base.Resource, number: int) -> DriftRun:
    found = selectors.run(resource.asker.project_id, number)
    if found is None:
        raise base.not_found("drift run", str(number))
    return found


def detail_of(resource: base.Resource, number: int) -> RunDetail:
    run = run_of(resource, number)
    may_read = resource.asker.allows(Scope.READ_CONTENT)
    results = selectors.results(resource.asker.project_id, run.pk)
    report = selectors.report(resource.asker.project_id, run.pk)
    return RunDetail(
        run=run_view(run),
        results=tuple(result_view(one, may_read=may_read) for one in results),
        report=report.state if report else None,
        report_reason=report.reason if report else "",
    )


def monitor_view(row: DriftMonitor) -> MonitorView:
    names = [name for name in MonitorView.__slots__ if name not in ("id", "columns")]
    return MonitorView(id=row.pk, columns=tuple(row.columns), **{name: getattr(row, name) for name in names})


def run_view(row: DriftRun) -> RunView:
    names = [name for name in RunView.__slots__ if name not in ("id", "monitor", "monitor_name", "notes")]
    values = {name: getattr(row, name) for name in names}
    return RunView(id=row.pk, monitor=row.monitor_id, monitor_name=row.monitor.name, notes=tuple(row.notes), **values)


def result_view(row: DriftResult, *, may_read: bool) -> ResultView:
    special = ("label", "words", "new_values", "segments", "examples")
    values = {name: getattr(row, name) for name in ResultView.__slots__ if name not in special}
    return ResultView(
        label=columns.label_of(row.column),
        words=row.words if may_read else None,
        new_values=tuple(row.new_values),
        segments=tuple(row.segments),
        examples=tuple(row.examples),
        **values,
    )
