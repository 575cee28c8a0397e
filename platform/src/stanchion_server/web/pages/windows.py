"""Maintenance windows: listed with what comes next, made, changed, ended before their time, deleted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_POST

from stanchion_server.alerts import quiet_services, window_selectors, windows
from stanchion_server.alerts.models import Change, MaintenanceWindow
from stanchion_server.kernel.errors import SenderError
from stanchion_server.web.pages import alert_history, matching
from stanchion_server.web.pages.frame import Visit, project_page

FIELDS = ("name", "starts", "length_min", "time_zone", "matchers")


@require_http_methods(["GET", "POST"])
@project_page
def maintenance(visit: Visit) -> HttpResponse:
    """The windows, and a form for another one."""
    form, refusal, status = _empty_form(), "", 200
    if visit.request.method == "POST":
        visit.require_admin()
        form = _said(visit.request.POST)
        try:
            made = windows.add(visit.project, _values(visit.request.POST), visit.who)
        except SenderError as error:
            refusal, status = error.message, error.http_status
        else:
            messages.success(visit.request, f"The window “{made.name}” is made.")
            return redirect("maintenance_windows", visit.project.slug)
    found = [_shown(one) for one in window_selectors.windows(visit.project.pk)]
    return visit.render("pages/alert_windows.html", "silences", status, windows=found, refusal=refusal, **_form(form))


@require_http_methods(["GET", "POST"])
@project_page
def window(visit: Visit, number: int) -> HttpResponse:
    """One window; a POST changes it."""
    found = _found(visit, number)
    form, refusal, status = _form_of(found.row), "", 200
    if visit.request.method == "POST":
        visit.require_admin()
        form = _said(visit.request.POST)
        try:
            windows.change(visit.project.pk, number, _values(visit.request.POST), visit.who)
        except SenderError as error:
            refusal, status = error.message, error.http_status
        else:
            messages.success(visit.request, "The window is changed.")
            return redirect("maintenance_window", visit.project.slug, number)
    return visit.render(
        "pages/alert_window.html",
        "silences",
        status,
        refusal=refusal,
        one=_shown(found),
        lines=alert_history.of(visit, Change.Kind.WINDOW, number),
        **_form(form),
    )


@require_POST
@project_page
def end_window(visit: Visit, number: int) -> HttpResponse:
    visit.require_admin()
    ended = windows.end(visit.project.pk, number, visit.who)
    messages.success(visit.request, f"“{ended.name}” is over for now; the next one comes as planned.")
    return redirect("maintenance_windows", visit.project.slug)


@require_POST
@project_page
def delete_window(visit: Visit, number: int) -> HttpResponse:
    visit.require_admin()
    gone = windows.delete(visit.project.pk, number, visit.who)
    messages.success(visit.request, f"The window “{gone.name}” is deleted.")
    return redirect("maintenance_windows", visit.project.slug)


def _found(visit: Visit, number: int) -> window_selectors.Ahead:
    found = window_selectors.window(visit.project.pk, number)
    if found is None:
        raise SenderError("not_found", "There is no such maintenance window in this project.", 404)
    return found


def _shown(found: window_selectors.Ahead) -> dict[str, Any]:
    """What a page says of a window: times by the window's own clock, with UTC beside them."""
    row, zone = found.row, ZoneInfo(found.row.time_zone)
    return {
        "row": row, "matches": quiet_services.told(row.matchers), "when": _when(row),
        "running": _times(found.running, zone) if found.running else None,
        "upcoming": [_times(one, zone) for one in found.upcoming],
    }  # fmt: skip


def _times(occurrence: Sequence[datetime], zone: ZoneInfo) -> dict[str, Any]:
    start, end = occurrence
    local, until = start.astimezone(zone), end.astimezone(zone)
    ends = f"{until:%H:%M}" if until.date() == local.date() else f"{until:%a %H:%M}"
    return {"start": start, "end": end, "local": f"{local:%a %Y-%m-%d %H:%M}", "until": f"{ends} {until:%Z}"}


def _when(row: MaintenanceWindow) -> str:
    days = "every day" if len(row.weekdays) == 7 else ", ".join(windows.DAYS[day][:3] for day in row.weekdays)
    hours, minutes = divmod(row.length_min, 60)
    parts = (f"{hours} h" if hours else "", f"{minutes} min" if minutes else "")
    return f"{days}, {row.starts:%H:%M} for {' '.join(part for part in parts if part)}, {row.time_zone}"


def _form(form: dict[str, Any]) -> dict[str, Any]:
    return {"form": form, "days": list(enumerate(windows.DAYS)), "zones": windows.zones()}


def _empty_form() -> dict[str, Any]:
    return {"name": "", "starts": "02:00", "length_min": "60", "time_zone": "UTC", "matchers": "", "weekdays": []}


def _form_of(row: MaintenanceWindow) -> dict[str, Any]:
    return {
        "name": row.name, "starts": f"{row.starts:%H:%M}", "length_min": str(row.length_min),
        "time_zone": row.time_zone, "matchers": matching.written(row.matchers), "weekdays": list(row.weekdays),
    }  # fmt: skip


def _said(post: QueryDict) -> dict[str, Any]:
    days = [int(day) for day in post.getlist("weekdays") if day in set("0123456")]
    return {**{name: post.get(name, "") for name in FIELDS}, "weekdays": days}


def _values(post: QueryDict) -> dict[str, Any]:
    said = _said(post)
    length_min = said["length_min"].strip()
    if not length_min.isascii() or not length_min.isdecimal() or len(length_min) > 6:
        raise SenderError("bad_length", f"length_min is {length_min[:40]!r}: it must be 1 to 1440 minutes.")
    return {**said, "length_min": int(length_min), "matchers": matching.read(said["matchers"])}
