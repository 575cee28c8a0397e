"""A policy's draft: written, checked line by line, and published as a version that never changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_POST

from stanchion_server.kernel.errors import SenderError
from stanchion_server.policies import engine, selectors, services
from stanchion_server.policies.models import Policy
from stanchion_server.web.pages.bench import choices_of
from stanchion_server.web.pages.frame import Visit, project_page
from stanchion_server.web.pages.guardrails import policy_of

MAX_QUOTED = 200


@dataclass(frozen=True, slots=True)
class Told:
    """One problem of a text, with the line it is about; `line` 0 where it is about no line."""

    line: int
    text: str
    quoted: str


@dataclass(frozen=True, slots=True)
class State:
    """How a text stands: what keeps it from being a policy, else which of its own tests fail."""

    problems: tuple[Told, ...]
    failing: tuple[str, ...]
    tests: int
    unavailable: tuple[tuple[str, str], ...]
    lines: int

    @property
    def is_publishable(self) -> bool:
        return not self.problems and not self.failing


class DraftForm(forms.Form):
    document = forms.CharField(strip=False, required=False)
    seen = forms.CharField(max_length=64, required=False)

    def clean_document(self) -> str:
        """Browsers send line ends of their own."""
        return str(self.cleaned_data["document"]).replace("\r\n", "\n")


class NoteForm(forms.Form):
    note = forms.CharField(max_length=400, required=False)


@require_http_methods(["GET", "POST"])
@project_page
def policy(visit: Visit, name: str) -> HttpResponse:
    """POST keeps the draft, whatever it says; one that somebody else changed meanwhile is replaced only when asked
    twice."""
    found = policy_of(visit, name)
    if visit.request.method != "POST":
        return _page(visit, found, found.draft)
    visit.require_admin()
    form = DraftForm(visit.request.POST)
    if not form.is_valid():
        field, reasons = next(iter(form.errors.items()))
        return _page(visit, found, found.draft, 400, refusal=f"The draft is not saved. {field}: {reasons[0]}")
    text = form.cleaned_data["document"]
    if form.cleaned_data["seen"] != _seen(found) and text != found.draft:
        return _page(visit, found, text, 409, is_overtaken=True)
    try:
        services.save_draft(visit.project.pk, found.pk, text, visit.who)
    except SenderError as error:
        if error.http_status != 413:
            raise
        return _page(visit, found, text, 413, refusal=f"The draft is not saved. {error.message}")
    messages.success(visit.request, "The draft is saved.")
    return redirect("policy", visit.project.slug, found.name)


@require_POST
@project_page
def problems(visit: Visit, name: str) -> HttpResponse:
    """How an unsaved text stands: asked by HTMX while a person types."""
    visit.require_admin()
    policy_of(visit, name)
    form = DraftForm(visit.request.POST)
    state = state_of(form.cleaned_data["document"] if form.is_valid() else "")
    return visit.render("pages/_problems.html", "guardrails", state=state)


@require_POST
@project_page
def publish(visit: Visit, name: str) -> HttpResponse:
    visit.require_admin()
    found, form = policy_of(visit, name), NoteForm(visit.request.POST)
    if not form.is_valid():
        raise SenderError("bad_note", f"The draft is not published. Note: {form.errors['note'][0]}")
    try:
        version = services.publish(visit.project.pk, found.pk, visit.who, form.cleaned_data["note"])
    except SenderError as error:
        if error.http_status != 422:
            raise
        return _page(visit, found, found.draft, 422, refusal="The draft cannot be published: see its problems below.")
    messages.success(visit.request, f"The draft is version {version.number}. It judges nothing until it is in force.")
    if (said := engine.compile_text(version.document).name) != found.name:
        named = f"Its text calls itself “{said}”. Decisions, pages and the API call it “{found.name}”."
        messages.warning(visit.request, named)
    return redirect("policy_force", visit.project.slug, found.name)


@require_POST
@project_page
def archive(visit: Visit, name: str) -> HttpResponse:
    visit.require_admin()
    found = policy_of(visit, name)
    if not visit.request.POST.get("sure"):
        raise SenderError("not_confirmed", "The policy is not archived: tick the box that says you are sure.")
    services.archive(visit.project.pk, found.pk, visit.who)
    messages.success(
        visit.request, f"“{found.name}” is archived: it judges nothing, and another policy may take its name."
    )
    return redirect("guardrails", visit.project.slug)


def state_of(document: str) -> State:
    lines = document.split("\n")
    found = engine.problems_of(document)
    if found:
        told = tuple(Told(one.line or 0, _said(one), _quoted(lines, one.line)) for one in found[:100])
        return State(told, (), 0, (), len(lines))
    compiled = engine.compile_text(document)
    failing = tuple(engine.failing_cases(compiled))
    return State((), failing, len(compiled.cases), compiled.unavailable, len(lines))


def _said(problem: Any) -> str:
    return ": ".join(part for part in (problem.where, problem.text) if part)


def _quoted(lines: list[str], line: int | None) -> str:
    return lines[line - 1].strip()[:MAX_QUOTED] if line and line <= len(lines) else ""


def _page(visit: Visit, found: Policy, text: str, status: int = 200, **more: Any) -> HttpResponse:
    versions = selectors.versions(visit.project.pk, found.pk)
    lines = text.count("\n") + 1
    context = {
        "policy": found,
        "tab": "draft",
        "text": "\n" + text,  # a browser drops the first line end of a textarea
        "seen": _seen(found),
        "state": state_of(text),
        "gutter": "\n".join(str(number) for number in range(1, lines + 1)),
        "rows": min(max(lines, 12), 600),
        "newest": versions[0] if versions else None,
        "is_published": bool(versions) and versions[0].document == found.draft,
        "bench": choices_of(found, versions),
    }
    return visit.render("pages/policy.html", "guardrails", status, **{**context, **more})


def _seen(found: Policy) -> str:
    return found.draft_changed_at.isoformat()
