"""Drift: the monitors with their last verdicts, and one monitor with its runs."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from stanchion_server.drift import columns, judging, readings, selectors, services
from stanchion_server.drift.models import DriftMonitor, Reference
from stanchion_server.kernel import clock
from stanchion_server.kernel.errors import SenderError
from stanchion_server.web.pages.bands import SPARK_HEIGHT, SPARK_WIDTH, band_of
from stanchion_server.web.pages.frame import Visit, project_page

HOURS = {1: "hour", 6: "6 hours", 24: "24 hours", 72: "3 days", 168: "7 days", 336: "14 days", 672: "28 days"}


class MonitorForm(forms.Form):
    name = forms.CharField(max_length=63)
    feature = forms.CharField(max_length=200, required=False)
    reference = forms.ChoiceField(choices=Reference.choices)
    reference_hours = forms.TypedChoiceField(choices=list(HOURS.items()), coerce=int)
    reference_start = forms.DateTimeField(required=False)
    reference_end = forms.DateTimeField(required=False)
    current_hours = forms.TypedChoiceField(choices=list(HOURS.items()), coerce=int)
    every_hours = forms.TypedChoiceField(choices=list(HOURS.items()), coerce=int)
    columns = forms.MultipleChoiceField(choices=list(columns.NAMES.items()), required=False)
    scores = forms.CharField(max_length=2_000, required=False)
    alpha = forms.FloatField(min_value=judging.LEAST_ALPHA, max_value=judging.MOST_ALPHA)


@require_GET
@project_page
def drift(visit: Visit) -> HttpResponse:
    """Monitors, and what left its band in the newest quarter of an hour; `feature` in the query narrows the bands."""
    watched = selectors.monitors(visit.project.pk)
    feature = visit.request.GET.get("feature", "")
    if len(feature) > 200 or "\0" in feature:
        raise SenderError("bad_feature", "A feature's name has at most 200 characters.")
    told = readings.readings(visit.project.pk, clock.now(), feature)
    return visit.render(
        "pages/drift.html", "drift", watched=[(one, _labels(one.columns)) for one in watched], feature=feature,
        bands=[band_of(one) for one in told], out=sum(one.reading.verdict == "anomaly" for one in told),
        chart_width=SPARK_WIDTH, chart_height=SPARK_HEIGHT,
    )  # fmt: skip


@require_http_methods(["GET", "POST"])
@project_page
def new_monitor(visit: Visit) -> HttpResponse:
    visit.require_admin()
    form = MonitorForm(visit.request.POST or None, initial=_initial())
    refusal, status = "", 200
    if visit.request.method == "POST":
        try:
            monitor = services.create(visit.project, _wanted(form), visit.who)
        except SenderError as error:
            refusal, status = error.message, error.http_status
        else:
            messages.success(visit.request, f"The monitor “{monitor.name}” is made.")
            return redirect("drift_monitor", visit.project.slug, monitor.pk)
    return visit.render(
        "pages/drift_monitor_new.html", "drift", status, form=form, refusal=refusal, hours=HOURS.items(),
        groups=_groups(), references=Reference.choices, chosen=form["columns"].value() or [],
    )  # fmt: skip


@require_GET
@project_page
def monitor(visit: Visit, number: int) -> HttpResponse:
    found = monitor_of(visit, number)
    runs = selectors.runs(visit.project.pk, found.pk, limit=selectors.MOST_LISTED).items
    return visit.render(
        "pages/drift_monitor.html", "drift", monitor=found, runs=runs, compares=compares(found),
        named=_labels(found.columns), is_waiting=any(run.state in ("queued", "running") for run in runs),
    )  # fmt: skip


@require_POST
@project_page
def run_monitor(visit: Visit, number: int) -> HttpResponse:
    visit.require_admin()
    run = services.run_now(visit.project.pk, monitor_of(visit, number).pk, visit.who)
    return redirect("drift_run", visit.project.slug, run.pk)


@require_POST
@project_page
def pause_monitor(visit: Visit, number: int) -> HttpResponse:
    """Pauses a monitor that runs, and lets a paused one run again."""
    visit.require_admin()
    found = monitor_of(visit, number)
    changed = services.change(visit.project.pk, found.pk, {"is_paused": not found.is_paused}, visit.who)
    messages.success(visit.request, "The monitor is paused." if changed.is_paused else "The monitor runs again.")
    return redirect("drift_monitor", visit.project.slug, found.pk)


@require_POST
@project_page
def archive_monitor(visit: Visit, number: int) -> HttpResponse:
    visit.require_admin()
    services.archive(visit.project.pk, monitor_of(visit, number).pk, visit.who)
    messages.success(visit.request, "The monitor is archived; its runs stay.")
    return redirect("drift", visit.project.slug)


def monitor_of(visit: Visit, number: int) -> DriftMonitor:
    found = selectors.monitor(visit.project.pk, number)
    if found is None:
        raise Http404("No such monitor in this project.")
    return found


def compares(monitor: DriftMonitor) -> str:
    """What is compared with what, as a sentence's end."""
    now = f"the last {hours(monitor.current_hours)}"
    if monitor.reference == Reference.TRAILING:
        return f"{now} with the {hours(monitor.reference_hours)} before"
    sort = "calls frozen from" if monitor.reference == Reference.FROZEN else "the time from"
    return f"{now} with {sort} {_minute(monitor.reference_start)} to {_minute(monitor.reference_end)} UTC"


def hours(count: int) -> str:
    days, rest = divmod(count, 24)
    return HOURS.get(count) or (f"{days} days" if not rest else f"{count} hours")


def _minute(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M}"


def _labels(names: tuple[str, ...] | list[str]) -> list[str]:
    return [columns.label_of(name) for name in names]


def _groups() -> list[tuple[str, list[tuple[str, str]]]]:
    named = (
        ("Numbers", [(name, label) for name, (label, _unit) in columns.NUMBERS.items()]),
        ("Categories", list(columns.CATEGORIES.items())),
        ("Texts and users", [*columns.TEXTS.items(), *columns.USERS.items()]),
    )
    return list(named)


def _initial() -> dict[str, Any]:
    return {
        "reference": Reference.TRAILING,
        "reference_hours": 168,
        "current_hours": 24,
        "every_hours": 24,
        "alpha": 0.05,
    }


def _wanted(form: MonitorForm) -> services.Wanted:
    if not form.is_valid():
        field, reasons = next(iter(form.errors.items()))
        raise SenderError("bad_monitor", f"{str(field).replace('_', ' ').capitalize()}: {reasons[0]}")
    said = dict(form.cleaned_data)
    scores = [f"{columns.SCORE}{name}" for name in said.pop("scores").split()]
    return services.Wanted(**{**said, "columns": (*said["columns"], *scores)})
