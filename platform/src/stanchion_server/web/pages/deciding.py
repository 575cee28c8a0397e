"""What guards decided, check by check, and what people say of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_GET, require_POST

from stanchion_server.kernel import clock
from stanchion_server.kernel.errors import SenderError
from stanchion_server.policies import selectors, services
from stanchion_server.policies.selectors import DecisionFilter, DecisionView
from stanchion_server.traces.selectors.reading import trace_id_or_none
from stanchion_server.web.pages import paging
from stanchion_server.web.pages.frame import Visit, project_page
from stanchion_wire.decisions import ACTIONS, MODES, SOURCES

PAGE_SIZE = 50
LONGEST = 400
MAX_OF_SPAN = 20
_EVER = datetime(2000, 1, 1, tzinfo=UTC)
YES_NO = {"yes": True, "no": False}
TEXTS: Mapping[str, tuple[str, str]] = {
    "policy": ("policy", "Policy"),
    "version": ("policy_version", "Version"),
    "label": ("label", "Label"),
    "rule": ("rule", "Rule"),
    "feature": ("feature", "Feature"),
    "session": ("session_id", "Session"),
    "check": ("check_id", "Check"),
    "limited-rule": ("limited_rule", "Rule beyond what was measured"),
    "limited-reason": ("limited_reason", "Beyond what was measured"),
}
CHOICES: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    "mode": ("mode", "Mode", MODES),
    "action": ("action", "Action", ACTIONS),
    "source": ("source", "Door", SOURCES),
    "incomplete": ("is_incomplete", "A check did not run", tuple(YES_NO)),
    "shadow": ("is_shadow", "Without effect", tuple(YES_NO)),
    "limited": ("is_limited", "Judged beyond what was measured", tuple(YES_NO)),
}


class ReviewForm(forms.Form):
    says = forms.ChoiceField(choices=(("violation", "Violation"), ("harmless", "Harmless")))
    note = forms.CharField(max_length=1000, required=False)


@dataclass(frozen=True, slots=True)
class CheckRow:
    """One check as recorded. What a client sent is text or number as it pleased: odd values are not known."""

    rule: str
    detector: str
    outcome: str
    action: str
    reason: str
    score: float | None
    elapsed_us: float | None
    is_triggered: bool


@dataclass(frozen=True, slots=True)
class FindingRow:
    label: str
    detector: str
    reason: str
    score: float | None
    part: float | None
    start: float | None
    end: float | None


@require_GET
@project_page
def decisions(visit: Visit) -> HttpResponse:
    """One page, the newest first."""
    params = visit.request.GET
    wanted, chips = _filter(visit, params.dict())
    cursor = params.get("cursor", "")
    page = selectors.decisions(visit.project.pk, wanted, cursor or None, PAGE_SIZE)
    return visit.render(
        "pages/decisions.html",
        "decisions",
        rows=page.items,
        chips=chips,
        older=paging.older(params, cursor, page.next_cursor),
        newer=paging.newer(params) if cursor else "",
        modes=MODES,
        actions=ACTIONS,
        policies=[policy.name for policy in selectors.policies(visit.project.pk)],
    )


@require_GET
@project_page
def decision(visit: Visit, trace_id: str, span_id: str) -> HttpResponse:
    found = _one(visit, trace_id, span_id)
    return visit.render(
        "pages/decision.html",
        "decisions",
        one=found,
        beside=_beside(visit, found),
        checks=check_rows(found),
        findings=finding_rows(found),
    )


@require_POST
@project_page
def review(visit: Visit, trace_id: str, span_id: str) -> HttpResponse:
    if not visit.may_read:
        raise SenderError("not_allowed", "Only analysts, admins and owners may review.", 403)
    found, form = _one(visit, trace_id, span_id), ReviewForm(visit.request.POST)
    if not form.is_valid():
        field, reasons = next(iter(form.errors.items()))
        raise SenderError("bad_review", f"The review is not kept. {field.capitalize()}: {reasons[0]}")
    is_violation = form.cleaned_data["says"] == "violation"
    services.review_decision(visit.project.pk, found.check_id, is_violation, visit.who, form.cleaned_data["note"])
    messages.success(visit.request, "Your review is kept. Review again to change it.")
    return redirect("decision", visit.project.slug, found.trace_id, found.span_id)


def of_span(visit: Visit, trace_id: str, span_id: str) -> tuple[DecisionView, ...]:
    """The decisions that a span tells of: one, or none."""
    wanted = replace(_ever(), trace_id=trace_id, span_id=span_id)
    return selectors.decisions(visit.project.pk, wanted, limit=MAX_OF_SPAN).items


def of_trace(visit: Visit, trace_id: str) -> tuple[DecisionView, ...]:
    """The newest of a trace's decisions."""
    return selectors.decisions(visit.project.pk, replace(_ever(), trace_id=trace_id), limit=selectors.MAX_PAGE).items


def check_rows(found: DecisionView) -> list[CheckRow]:
    return [
        CheckRow(
            rule=_text(row, "rule"), detector=_text(row, "detector"), outcome=_text(row, "outcome"),
            action=_text(row, "action"), reason=_text(row, "reason"), score=_number(row, "score"),
            elapsed_us=_number(row, "elapsed_us"), is_triggered=row.get("triggered") is True,
        )
        for row in found.checks
    ]  # fmt: skip


def finding_rows(found: DecisionView) -> list[FindingRow]:
    return [
        FindingRow(
            label=_text(row, "label"), detector=_text(row, "detector"), reason=_text(row, "reason"),
            score=_number(row, "score"), part=_number(row, "part"), start=_number(row, "start"),
            end=_number(row, "end"),
        )
        for row in found.findings
    ]  # fmt: skip


def _one(visit: Visit, trace_id: str, span_id: str) -> DecisionView:
    found = of_span(visit, trace_id, span_id)
    if not found:
        raise Http404("No such decision is stored in this project.")
    return found[0]


def _beside(visit: Visit, found: DecisionView) -> list[DecisionView]:
    """What other versions and policies said of the same check."""
    if not found.check_id:
        return []
    wanted = replace(_ever(), check_id=found.check_id)
    rows = selectors.decisions(visit.project.pk, wanted, limit=MAX_OF_SPAN).items
    return [row for row in rows if (row.trace_id, row.span_id) != (found.trace_id, found.span_id)]


def _ever() -> DecisionFilter:
    return DecisionFilter(start=_EVER, end=clock.now() + timedelta(days=2))


def _filter(visit: Visit, params: Mapping[str, str]) -> tuple[DecisionFilter, list[tuple[str, str, str]]]:
    """The filter, and for each part of it the parameter, its name and its value. Empty parameters ask nothing."""
    given = {name: value.strip().replace("\0", "") for name, value in params.items()}
    values: dict[str, Any] = {}
    chips = []
    for name, (field, label) in TEXTS.items():
        if value := given.get(name):
            values[field] = _short(name, value)
            chips.append((name, label, value))
    for name, (field, label, options) in CHOICES.items():
        if value := given.get(name):
            if value not in options:
                raise SenderError("bad_filter", f"“{value[:60]}” is no {name}. Choose one of: {', '.join(options)}.")
            values[field] = YES_NO.get(value, value)
            chips.append((name, label, value))
    if value := given.get("trace"):
        if trace_id_or_none(value) is None:
            raise SenderError("bad_filter", f"“{value[:60]}” is no trace id: 32 hex digits.")
        values["trace_id"] = value
        chips.append(("trace", "Trace", value))
    return DecisionFilter(visit.span.start, visit.span.end, **values), chips


def _short(name: str, value: str) -> str:
    if len(value) > LONGEST:
        raise SenderError("filter_too_long", f"The filter “{name}” has {len(value)} characters; at most {LONGEST}.")
    return value


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    return value if isinstance(value, str) else ""


def _number(row: Mapping[str, Any], name: str) -> float | None:
    value = row.get(name)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
