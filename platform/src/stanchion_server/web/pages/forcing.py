"""What of a policy is in force: live, shadow, canary, switch, enforced; and who changed it when."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods

from stanchion_server.kernel.errors import SenderError
from stanchion_server.policies import selectors, services
from stanchion_server.policies.models import Switch
from stanchion_server.web.pages.frame import Visit, project_page
from stanchion_server.web.pages.guardrails import policy_of

LARGEST = 2**31 - 1


class LiveForm(forms.Form):
    live = forms.IntegerField(min_value=1, max_value=LARGEST, required=False)


class ShadowForm(forms.Form):
    shadow = forms.IntegerField(min_value=1, max_value=LARGEST, required=False)
    shadow_until = forms.CharField(max_length=40, required=False)


class CanaryForm(forms.Form):
    canary = forms.IntegerField(min_value=1, max_value=LARGEST, required=False)
    canary_percent = forms.IntegerField(min_value=0, max_value=100, required=False)
    canary_until = forms.CharField(max_length=40, required=False)


class SwitchForm(forms.Form):
    switch = forms.ChoiceField(choices=Switch.choices)
    reason = forms.CharField(max_length=400, required=False)
    sure = forms.BooleanField(required=False)


class EnforceForm(forms.Form):
    is_enforced = forms.ChoiceField(choices=(("yes", "yes"), ("no", "no")))


FORMS: Mapping[str, type[forms.Form]] = {
    "live": LiveForm, "shadow": ShadowForm, "canary": CanaryForm, "switch": SwitchForm, "enforce": EnforceForm,
}  # fmt: skip


@require_http_methods(["GET", "POST"])
@project_page
def force(visit: Visit, name: str) -> HttpResponse:
    """POST changes one thing: `what` says which."""
    policy, refusal = policy_of(visit, name), ""
    if visit.request.method == "POST":
        visit.require_admin()
        try:
            services.roll_out(visit.project.pk, policy.pk, _wanted(visit), visit.who)
        except SenderError as error:
            refusal = error.message
        else:
            messages.success(
                visit.request,
                "Changed. The server obeys within five seconds, applications that judge by themselves within ten.",
            )
            return redirect("policy_force", visit.project.slug, policy.name)
    return visit.render(
        "pages/policy_force.html",
        "guardrails",
        400 if refusal else 200,
        refusal=refusal,
        said=visit.request.POST,
        policy=policy,
        tab="force",
        versions=selectors.versions(visit.project.pk, policy.pk),
        events=[(event, _told(event.detail)) for event in selectors.events(visit.project.pk, policy.pk)[:100]],
        switches=Switch.choices,
    )


def _wanted(visit: Visit) -> dict[str, Any]:
    kind = FORMS.get(visit.request.POST.get("what", ""))
    if kind is None:
        raise SenderError("bad_change", f"What shall change? One of: {', '.join(FORMS)}.")
    form = kind(visit.request.POST)
    if not form.is_valid():
        field, reasons = next(iter(form.errors.items()))
        raise SenderError("bad_change", f"Nothing is changed. {field.replace('_', ' ').capitalize()}: {reasons[0]}")
    said = dict(form.cleaned_data)
    for field in ("shadow_until", "canary_until"):
        if field in said:
            said[field] = _until(said[field])
    if isinstance(form, CanaryForm) and said["canary"] is not None and not said["canary_percent"]:
        raise SenderError("bad_change", "Nothing is changed. A canary takes a share of 1 to 100 percent.")
    if isinstance(form, CanaryForm):
        said["canary_percent"] = said["canary_percent"] or 0
    if isinstance(form, EnforceForm):
        return {"is_enforced": said["is_enforced"] == "yes"}
    if isinstance(form, SwitchForm):
        _confirmed(said)
    return said


def _confirmed(said: dict[str, Any]) -> None:
    is_sure, reason = said.pop("sure"), said["reason"]
    if said["switch"] != Switch.ON and not (is_sure and reason):
        raise SenderError("not_confirmed", "Nothing is changed. Give a reason and tick the box that says you are sure.")


def _until(text: str) -> datetime | None:
    """In UTC; an empty text is for ever."""
    if not text.strip():
        return None
    try:
        moment = datetime.fromisoformat(text.strip())
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise SenderError("bad_time", f"“{text[:40]}” is no time: write UTC like 2026-01-31T14:00.") from None
    return moment


def _told(detail: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """What changed: name, before, after."""
    if "after" not in detail:
        return [
            ("version" if name == "number" else name, "", _plain(value))
            for name, value in detail.items()
            if name != "request"
        ]
    before = detail.get("before") or {}
    changed = [(name, before.get(name), value) for name, value in detail["after"].items() if before.get(name) != value]
    return [(name.replace("_", " ").removeprefix("is "), _plain(old), _plain(new)) for name, old, new in changed]


def _plain(value: object) -> str:
    if value is None or value == "":
        return "none"
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
