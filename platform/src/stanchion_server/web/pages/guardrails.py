"""Which policies guard this project, what they did, and how an application asks them."""

from __future__ import annotations

from dataclasses import dataclass

from django import forms
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods

from stanchion_server.kernel.errors import SenderError
from stanchion_server.policies import engine, gaps, selectors, services
from stanchion_server.policies.gaps import Gap
from stanchion_server.policies.models import Policy
from stanchion_server.reports import guardrails as reports
from stanchion_server.web.pages import snippets
from stanchion_server.web.pages.frame import Visit, project_page
from stanchion_server.web.pages.setup import endpoint

STARTS = (
    ("default", "Masks personal data and secrets, flags prompt attacks, toxic texts and the rest. Blocks nothing."),
    ("observe", "Flags everything and changes nothing: see what would happen first."),
    ("strict", "Blocks secrets, prompt attacks and what could not be checked; masks personal data, flags the rest."),
)
STOPPING = ("block", "fallback", "reask")


@dataclass(frozen=True, slots=True)
class Deed:
    """What one version did, with what people said of it; `false_alarms` None where nobody has said anything."""

    effect: selectors.Effect
    triggered: int
    stopped: int
    redacted: int
    reviewed: int
    false_alarms: float | None
    has_page: bool


class NewPolicyForm(forms.Form):
    name = forms.CharField(max_length=63)
    start = forms.ChoiceField(choices=STARTS)


@require_http_methods(["GET", "POST"])
@project_page
def guardrails(visit: Visit) -> HttpResponse:
    """POST makes a policy whose draft is the text of a built-in one."""
    is_post = visit.request.method == "POST"
    form = NewPolicyForm(visit.request.POST if is_post else None, initial={"start": "default"})
    if is_post:
        visit.require_admin()
        if form.is_valid() and (made := _made(visit, form)):
            messages.success(visit.request, f"“{made.name}” has a draft. Nothing is in force until you publish it.")
            return redirect("policy", visit.project.slug, made.name)
    span = visit.span
    found = selectors.effects(visit.project.pk, selectors.DecisionFilter(span.start, span.end))
    policies = selectors.policies(visit.project.pk)
    return visit.render(
        "pages/guardrails.html",
        "guardrails",
        400 if form.errors else 200,
        policies=policies,
        deeds=[deed(one) for one in found],
        groups=gaps.together(gaps_of(visit)),
        own={policy.name for policy in policies},
        form=form,
        starts=STARTS,
        ways=snippets.guard_snippets(endpoint(visit.request), policies[0].name if policies else "default"),
    )


def _made(visit: Visit, form: NewPolicyForm) -> Policy | None:
    start, name = form.cleaned_data["start"], form.cleaned_data["name"]
    text = engine.starting_text(start).replace(f"policy: {start}\n", f'policy: "{name}"\n', 1)
    try:
        return services.create(visit.project, name, text, visit.who)
    except SenderError as error:
        form.add_error("name", error.message)
        return None


def gaps_of(visit: Visit) -> tuple[Gap, ...]:
    """Of the visit's range, the open ones first."""
    span = visit.span
    look = reports.gaps_until_now if span.raw_to == "now" else reports.coverage_gaps
    return look(visit.project.pk, span.start, span.end)


def deed(effect: selectors.Effect) -> Deed:
    reviewed = effect.harmless + effect.violations
    return Deed(
        effect=effect,
        triggered=effect.decisions - effect.by_action.get("allow", 0),
        stopped=sum(effect.by_action.get(action, 0) for action in STOPPING),
        redacted=effect.by_action.get("redact", 0),
        reviewed=reviewed,
        false_alarms=effect.harmless / reviewed if reviewed else None,
        has_page=engine.is_name(effect.policy),
    )


def policy_of(visit: Visit, name: str) -> Policy:
    policy = selectors.policy(visit.project.pk, name) if engine.is_name(name) else None
    if policy is None:
        raise Http404("No such policy in this project.")
    return policy
