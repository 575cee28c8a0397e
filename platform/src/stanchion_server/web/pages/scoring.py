"""Which scorers look at which share of the calls, what that costs, what waits, and what failed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from stanchion_server.kernel import clock
from stanchion_server.kernel.errors import SenderError
from stanchion_server.quality import rescoring, services
from stanchion_server.quality.models import ScorerSetting
from stanchion_server.quality.records import LANES
from stanchion_server.quality.sampling import Rule
from stanchion_server.quality.scorers import judged, rubrics
from stanchion_server.quality.selectors import queue, settings
from stanchion_server.reports import quality as reports
from stanchion_server.reports.quality import Standing
from stanchion_server.traces.selectors import reading
from stanchion_server.web.pages import paging
from stanchion_server.web.pages.frame import Visit, project_page
from stanchion_server.web.pages.quality import OUTCOMES

WEEK = timedelta(days=7)
SHEDS = {
    0: "nothing is left out",
    1: "judges and embeddings are left out",
    2: "sampled scorers are left out as well",
    3: "only one call in ten is scored",
}


@dataclass(frozen=True, slots=True)
class Row:
    """A scorer and what is asked of it; `own` are the rules of single features."""

    standing: Standing
    general: ScorerSetting | None
    own: tuple[ScorerSetting, ...]
    scores: int
    cost_usd: Decimal


class WishForm(forms.Form):
    scorer = forms.CharField(max_length=80)
    feature = forms.CharField(max_length=200, required=False)
    state = forms.ChoiceField(choices=[("on", "on"), ("off", "off"), ("usual", "usual")])
    sample_percent = forms.FloatField(min_value=0, max_value=100, required=False)
    threshold = forms.FloatField(min_value=0, max_value=1, required=False)
    parameters = forms.JSONField(required=False)


@require_http_methods(["GET", "POST"])
@project_page
def scoring(visit: Visit) -> HttpResponse:
    """POST keeps what is wanted of one scorer."""
    refusal = ""
    if visit.request.method == "POST":
        visit.require_admin()
        try:
            _keep(visit, WishForm(visit.request.POST))
            return redirect("scoring", visit.project.slug)
        except SenderError as error:
            refusal = error.message
    rows = _rows(visit)
    return visit.render(
        "pages/scoring.html",
        "scoring",
        400 if refusal else 200,
        rows=rows,
        refusal=refusal,
        judge=visit.request.POST.get("parameters") or (_judge(visit) if visit.may_administer else ""),
        shared=judged.SHARED,
        rubrics=sorted(rubrics.STARTERS),
        cost_usd=sum((row.cost_usd for row in rows), Decimal(0)),
    )


def _keep(visit: Visit, form: WishForm) -> None:
    if not form.is_valid():
        field, reasons = next(iter(form.errors.items()))
        raise SenderError("bad_setting", f"{field.replace('_', ' ').capitalize()}: {reasons[0]}")
    said: Mapping[str, Any] = form.cleaned_data
    name, feature = said["scorer"], said["feature"].strip()
    where = f"{name} for {feature}" if feature else name
    if said["state"] == "usual":
        services.remove_rule(visit.project.pk, name, feature)
        messages.success(visit.request, f"{where}: back to the usual.")
        return
    rule = _changed(settings.rules(visit.project.pk).by_place.get((name, feature), Rule()), visit.request.POST, said)
    services.set_rule(visit.project.pk, name, feature, rule, visit.who)
    messages.success(visit.request, f"{where}: kept. Calls that arrive from now on are scored so.")


def _changed(rule: Rule, given: Mapping[str, Any], said: Mapping[str, Any]) -> Rule:
    """What a form does not ask stays as it is; what is left empty goes back to the usual."""
    rule = replace(rule, is_on=said["state"] == "on")
    if "sample_percent" in given:
        percent = said["sample_percent"]
        rule = replace(rule, sample_ratio=None if percent is None else percent / 100)
    if "parameters" in given:
        rule = replace(rule, parameters=_parameters(said["parameters"]))
    return replace(rule, threshold=said["threshold"]) if "threshold" in given else rule


def _parameters(said: Any) -> Mapping[str, Any]:
    if said is not None and not isinstance(said, dict):
        raise SenderError("bad_parameters", 'Parameters are a JSON object, like {"model": "small"}.')
    return said or {}


def _judge(visit: Visit) -> str:
    """What is stated for all judges, as JSON."""
    rule = settings.rules(visit.project.pk).of(judged.SHARED, "")
    return json.dumps(rule.parameters, indent=2, ensure_ascii=False) if rule.parameters else ""


def _rows(visit: Visit) -> list[Row]:
    now = clock.now()
    wishes: dict[str, list[ScorerSetting]] = {}
    for wish in ScorerSetting.objects.filter(project=visit.project).order_by("scorer", "feature"):
        wishes.setdefault(wish.scorer, []).append(wish)
    found = reports.standings(visit.project.pk, now - WEEK, now)
    return [_row(one, wishes.get(one.scorer, [])) for one in found if one.state != "external"]


def _row(one: Standing, wishes: list[ScorerSetting]) -> Row:
    general = next((wish for wish in wishes if not wish.feature), None)
    own = tuple(wish for wish in wishes if wish.feature)
    scores = (one.found.scores if one.found else 0) + one.other_scores
    return Row(one, general, own, scores, one.found.cost_usd if one.found else Decimal(0))


@require_GET
@project_page
def scoring_queue(visit: Visit) -> HttpResponse:
    cursor = visit.request.GET.get("cursor", "")
    page = queue.quarantined(visit.project.pk, cursor or None)
    unscored = queue.unscored(visit.project.pk, visit.span.start, visit.span.end)
    return visit.render(
        "pages/scoring_queue.html",
        "quality",
        lanes=[(lane, SHEDS[int(lane.shed)]) for lane in queue.lanes(visit.project.pk, clock.now())],
        unscored=[(one, OUTCOMES.get(one.outcome, one.outcome)) for one in unscored],
        jobs=page.items,
        older=paging.older(visit.request.GET, cursor, page.next_cursor),
        newer=paging.newer(visit.request.GET) if cursor else "",
    )


@require_POST
@project_page
def quarantined_job(visit: Visit, trace_id: str, span_id: str) -> HttpResponse:
    """`do` is retry or discard, `lane` says which of the call's jobs."""
    visit.require_admin()
    trace, span = reading.trace_id_or_none(trace_id), reading.span_id_or_none(span_id)
    lane, deed = visit.request.POST.get("lane", ""), visit.request.POST.get("do", "")
    if trace is None or span is None or lane not in LANES or deed not in ("retry", "discard"):
        raise SenderError("bad_job", "Say which job: a trace, a span, a lane, and whether to retry or discard it.")
    job = (trace, span, lane)
    does = services.retry if deed == "retry" else services.discard
    count = does(visit.project.pk, [job])
    told = "will be tried again within seconds" if deed == "retry" else "was discarded; scores made before stay"
    messages.success(visit.request, f"The job {told}." if count else "The job was not in quarantine any more.")
    return redirect("scoring_queue", visit.project.slug)


@require_POST
@project_page
def rescore(visit: Visit, name: str) -> HttpResponse:
    """The calls of the page's range, scored again by this scorer as it is now."""
    visit.require_admin()
    row = rescoring.create(visit.project.pk, rescoring.Wanted((name,), visit.span.start, visit.span.end), visit.who)
    messages.success(
        visit.request, f"{row.calls_total:,} calls are scored again, the oldest first. Scores of earlier versions stay."
    )
    return redirect(reverse("scorer", args=(visit.project.slug, name)) + f"?{visit.span.query}")
