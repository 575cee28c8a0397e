"""Alerts: what is wrong now and what was, one incident, the rules, and silences."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from stanchion_server.alerts import acting, documents, paths, quiet_services, rounds, selectors, services
from stanchion_server.alerts.conditions.watching import shown
from stanchion_server.alerts.models import Incident
from stanchion_server.kernel import clock
from stanchion_server.kernel.errors import SenderError
from stanchion_server.web.pages import matching
from stanchion_server.web.pages.frame import Visit, project_page

LENGTHS = {"1": "1 hour", "4": "4 hours", "24": "a day", "168": "a week"}


@require_GET
@project_page
def alerts(visit: Visit) -> HttpResponse:
    """`state` in the query is open, resolved or all; `before` goes on after an incident's number."""
    state, before = visit.request.GET.get("state", "all"), visit.request.GET.get("before", "")
    if state not in selectors.STATES:
        raise SenderError("bad_state", f"state is {state[:40]!r}: it must be one of {', '.join(selectors.STATES)}.")
    if before and not (before.isascii() and before.isdecimal() and len(before) <= 18):
        raise SenderError("bad_before", f"before is {before[:40]!r}: it must be the number of an incident.")
    found = selectors.incidents(visit.project.pk, selectors.STATES[state], before=int(before) if before else None)
    return visit.render(
        "pages/alerts.html", "alerts", incidents=[(one, _shown(one, one.peak)) for one in found], state=state,
        states=selectors.STATES, is_late=rounds.is_late(clock.now()),
        last=found[-1].pk if len(found) == selectors.MOST_LISTED else None,
    )  # fmt: skip


@require_GET
@project_page
def incident(visit: Visit, number: int) -> HttpResponse:
    found = incident_of(visit, number)
    source = str(found.facts.get("source", ""))
    return visit.render(
        "pages/alert_incident.html", "alerts", incident=found, value=_value(found), peak=_shown(found, found.peak),
        threshold=_shown(found, found.facts.get("threshold")), events=selectors.timeline(visit.project.pk, found.pk),
        members=[(dict(member["labels"]), member.get("shown", "")) for member in found.members],
        view_path=paths.view(visit.project.slug, source, found.labels),
        force_path=paths.force(visit.project.slug, found.labels), lengths=LENGTHS.items(),
    )  # fmt: skip


@require_POST
@project_page
def act(visit: Visit, number: int, action: str) -> HttpResponse:
    """acknowledge, assign, snooze, note or resolve; then the incident again."""
    visit.require_reader()
    project_id, who, text = visit.project.pk, visit.who, visit.request.POST.get("text", "")
    if action == "acknowledge":
        acting.acknowledge(project_id, number, who)
    elif action == "assign":
        acting.assign(project_id, number, text, who)
    elif action == "snooze":
        acting.snooze(project_id, number, clock.now() + _length(visit.request.POST.get("hours", "")), who)
    elif action == "note":
        acting.note(project_id, number, text, who)
    elif action == "resolve":
        acting.resolve(project_id, number, who, text)
    else:
        raise SenderError("not_found", "There is no such action.", 404)
    return redirect("incident", visit.project.slug, number)


@require_GET
@project_page
def post_mortem(visit: Visit, number: int) -> HttpResponse:
    found = incident_of(visit, number)
    text = selectors.post_mortem(found, selectors.timeline(visit.project.pk, found.pk))
    response = HttpResponse(text, content_type="text/markdown; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="INC-{number}.md"'
    return response


@require_http_methods(["GET", "POST"])
@project_page
def rules(visit: Visit) -> HttpResponse:
    """The rules with their states, and all of them as one document that can be changed: checked first, then applied."""
    text, steps, mistakes = services.export(visit.project.pk), (), ()
    if visit.request.method == "POST":
        visit.require_admin()
        text = visit.request.POST.get("yaml", "").replace("\r\n", "\n")
        is_dry_run = visit.request.POST.get("do") != "apply"
        steps, mistakes = _applied(visit, text, is_dry_run=is_dry_run)
        if not is_dry_run and not mistakes:
            messages.success(visit.request, "The rules are those of the document.")
            return redirect("alert_rules", visit.project.slug)
    return visit.render(
        "pages/alert_rules.html", "alert_rules", 400 if mistakes else 200, rules=selectors.rules(visit.project.pk),
        text=text, steps=steps, mistakes=mistakes, is_checked=visit.request.method == "POST",
    )  # fmt: skip


def _applied(visit: Visit, text: str, *, is_dry_run: bool) -> tuple[Any, Any]:
    try:
        return services.apply(visit.project, text, visit.who, is_dry_run=is_dry_run, is_pruning=True)
    except SenderError as error:
        return (), (documents.Mistake(None, "", error.message),)


@require_POST
@project_page
def pause_rule(visit: Visit, number: int) -> HttpResponse:
    visit.require_admin()
    rule = selectors.rule(visit.project.pk, number)
    if rule is None:
        raise SenderError("not_found", "There is no such rule.", 404)
    services.pause(visit.project.pk, number, visit.who, is_paused=not rule.is_paused)
    return redirect("alert_rules", visit.project.slug)


@require_http_methods(["GET", "POST"])
@project_page
def silences(visit: Visit) -> HttpResponse:
    """Silences, and a new one: what it would hide is shown before it is made. `incident` fills it in."""
    if visit.request.method == "POST":
        visit.require_admin()
    form = _silence_form(visit)
    hides: tuple[Incident, ...] = ()
    refusal = ""
    try:
        wanted = matching.read(form["matchers"])
        hides = quiet_services.hidden_by(visit.project.pk, wanted) if wanted else ()
        if visit.request.method == "POST" and visit.request.POST.get("do") == "make":
            ends_at = clock.now() + _length(form["hours"])
            quiet_services.silence(visit.project, wanted, None, ends_at, form["reason"], visit.who)
            messages.success(visit.request, "The silence is on; it ends by itself.")
            return redirect("silences", visit.project.slug)
    except SenderError as error:
        refusal = error.message
    return visit.render(
        "pages/alert_silences.html", "silences", 400 if refusal else 200, form=form, hides=hides, refusal=refusal,
        lengths=LENGTHS.items(), now=clock.now(),
        silences=[(one, quiet_services.told(one.matchers)) for one in selectors.silences(visit.project.pk)],
    )  # fmt: skip


@require_POST
@project_page
def end_silence(visit: Visit, number: int) -> HttpResponse:
    visit.require_admin()
    quiet_services.end_silence(visit.project.pk, number, visit.who)
    return redirect("silences", visit.project.slug)


def _silence_form(visit: Visit) -> dict[str, str]:
    if visit.request.method == "POST":
        return {name: visit.request.POST.get(name, "") for name in ("matchers", "hours", "reason")}
    number = visit.request.GET.get("incident", "")
    found = selectors.incident(visit.project.pk, int(number)) if number.isdecimal() and len(number) < 18 else None
    lines = []
    if found is not None:
        lines = [f"rule = {found.rule.name}", *(f"{name} = {value}" for name, value in found.labels.items())]
    return {"matchers": "\n".join(lines), "hours": "1", "reason": ""}


def _length(hours: str) -> timedelta:
    if hours not in LENGTHS:
        raise SenderError("bad_hours", f"The length is one of {', '.join(LENGTHS)} hours.")
    return timedelta(hours=int(hours))


def incident_of(visit: Visit, number: int) -> Incident:
    found = selectors.incident(visit.project.pk, number)
    if found is None:
        raise SenderError("not_found", "There is no such incident in this project.", 404)
    return found


def _shown(incident: Incident, number: float | None) -> str:
    return "" if number is None else shown(number, str(incident.facts.get("unit", "")))


def _value(incident: Incident) -> str:
    return _shown(incident, incident.value)
