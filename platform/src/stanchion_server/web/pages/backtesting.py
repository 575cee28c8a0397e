"""Back-tests: what a draft or a version would have done with the calls of a window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from stanchion_server.kernel import clock
from stanchion_server.kernel.errors import SenderError
from stanchion_server.policies import backtests as runs
from stanchion_server.policies import selectors
from stanchion_server.policies.models import Backtest, Policy
from stanchion_server.web.pages.frame import Visit, project_page
from stanchion_server.web.pages.guardrails import policy_of
from stanchion_server.web.pages.shadowing import Matrix, matrix

WINDOWS = {"1h": "Last hour", "24h": "Last 24 hours", "7d": "Last 7 days", "30d": "Last 30 days", "90d": "Last 90 days"}
_LENGTHS = {
    "1h": timedelta(hours=1), "24h": timedelta(days=1), "7d": timedelta(days=7), "30d": timedelta(days=30),
    "90d": timedelta(days=90),
}  # fmt: skip
MAX_FEATURES = 50
TERMINAL = frozenset({Backtest.State.DONE, Backtest.State.FAILED, Backtest.State.CANCELLED})


class BacktestForm(forms.Form):
    tested = forms.CharField(max_length=12)
    baseline = forms.CharField(max_length=12)
    window = forms.ChoiceField(choices=list(WINDOWS.items()))
    features = forms.CharField(max_length=4_000, required=False)
    max_calls = forms.IntegerField(min_value=1, max_value=runs.MAX_CALLS)


@dataclass(frozen=True, slots=True)
class Report:
    """A back-test's counts as they are read; `share` None while nobody knows how many calls there are."""

    share: float | None
    is_over: bool
    tally: Mapping[str, Any]
    matrix: Matrix | None
    rules: tuple[tuple[str, int], ...]
    labels: tuple[tuple[str, int], ...]
    limits: tuple[tuple[str, int], ...]
    reviewed: int


@require_http_methods(["GET", "POST"])
@project_page
def backtests(visit: Visit, name: str) -> HttpResponse:
    """The list with the form for a further one. POST queues it; a worker runs it."""
    policy = policy_of(visit, name)
    said, refusal, status = _initial(policy), "", 200
    if visit.request.method == "POST":
        visit.require_admin()
        form = BacktestForm(visit.request.POST)
        try:
            row = runs.create(policy, _wanted(policy, form), visit.who)
        except SenderError as error:
            said, refusal, status = visit.request.POST.dict(), error.message, error.http_status
        else:
            return redirect("policy_backtest", visit.project.slug, policy.name, row.pk)
    rows = Backtest.objects.filter(project=visit.project, policy=policy).order_by("-created_at")[:100]
    return visit.render(
        "pages/policy_backtests.html",
        "guardrails",
        status,
        policy=policy,
        tab="backtests",
        rows=[(row, report_of(row)) for row in rows],
        said=said,
        refusal=refusal,
        windows=WINDOWS.items(),
        versions=selectors.versions(visit.project.pk, policy.pk),
        max_calls=runs.MAX_CALLS,
    )


@require_GET
@project_page
def backtest(visit: Visit, name: str, number: int) -> HttpResponse:
    """HTMX asks for the report alone, every two seconds while it runs."""
    policy = policy_of(visit, name)
    row = _row(visit, policy, number)
    is_part = bool(visit.request.headers.get("HX-Request"))
    template = "pages/_backtest.html" if is_part else "pages/policy_backtest.html"
    return visit.render(
        template, "guardrails", policy=policy, tab="backtests", row=row, report=report_of(row), is_part=is_part
    )


@require_POST
@project_page
def cancel(visit: Visit, name: str, number: int) -> HttpResponse:
    visit.require_admin()
    policy = policy_of(visit, name)
    row = _row(visit, policy, number)
    is_stopped = runs.cancel(visit.project.pk, row.pk)
    messages.success(visit.request, "The back-test is cancelled." if is_stopped else "The back-test was over already.")
    return redirect("policy_backtest", visit.project.slug, policy.name, row.pk)


def report_of(row: Backtest) -> Report:
    told = row.result
    pairs = {tuple(key.split(">", 1)): count for key, count in told.get("matrix", {}).items()}
    is_over = row.state in TERMINAL
    share = row.calls_done / row.calls_total if row.calls_total else None
    return Report(
        share=1.0 if row.state == Backtest.State.DONE else None if share is None else min(share, 1.0),
        is_over=is_over,
        tally=told,
        matrix=matrix(pairs) if pairs else None,
        rules=_most(told.get("rules", {})),
        labels=_most(told.get("labels", {})),
        limits=_most(told.get("limits", {})),
        reviewed=sum(told.get("reviewed", {}).values()),
    )


def _most(counts: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:50])


def _row(visit: Visit, policy: Policy, number: int) -> Backtest:
    row = Backtest.objects.filter(project=visit.project, policy=policy, pk=number).first() if number < 2**63 else None
    if row is None:
        raise Http404("No such back-test in this project.")
    return row


def _initial(policy: Policy) -> dict[str, str]:
    baseline = "decided" if policy.live is None else str(policy.live)
    return {"tested": "draft", "baseline": baseline, "window": "7d", "features": "", "max_calls": "10000"}


def _wanted(policy: Policy, form: BacktestForm) -> runs.Wanted:
    if not form.is_valid():
        field, reasons = next(iter(form.errors.items()))
        raise SenderError("bad_backtest", f"{field.replace('_', ' ').capitalize()}: {reasons[0]}")
    said = form.cleaned_data
    features = tuple(name for name in (line.strip() for line in said["features"].splitlines()) if name)
    if len(features) > MAX_FEATURES:
        raise SenderError("bad_backtest", f"At most {MAX_FEATURES} features, one a line; {len(features)} came.")
    now = clock.now()
    return runs.Wanted(
        number=_number(said["tested"], "draft"),
        baseline=_number(said["baseline"], "decided"),
        window_start=now - _LENGTHS[said["window"]],
        window_end=now,
        features=features,
        max_calls=said["max_calls"],
    )


def _number(text: str, none: str) -> int | None:
    if text == none:
        return None
    if not text.isascii() or not text.isdecimal() or len(text) > 9:
        raise SenderError("bad_backtest", f"“{text[:20]}” is no version: a number, or “{none}”.")
    return int(text)
