"""Rate limits: what providers allow, what was used of it, and when growth will meet it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_POST

from stanchion_server.costs import rate_limits as services
from stanchion_server.costs import selectors_headroom
from stanchion_server.costs.models import RateLimit
from stanchion_server.costs.selectors_headroom import LimitReading
from stanchion_server.kernel import clock
from stanchion_server.kernel.errors import SenderError
from stanchion_server.web.pages.frame import Visit, project_page

if TYPE_CHECKING:  # the class takes its parameter in the type stubs only
    _Form = forms.ModelForm[RateLimit]
else:
    _Form = forms.ModelForm

USUALLY_WITHIN = timedelta(minutes=2)
"""A minute that has begun waits for its end, for charges and for a tick."""
LABELS = {
    "provider": "Provider", "model": "Model", "rps": "Requests a second", "rpm": "Requests a minute",
    "input_tpm": "Input tokens a minute", "output_tpm": "Output tokens a minute", "tps": "Tokens a second",
    "concurrency": "Requests at a time",
}  # fmt: skip
HINTS = {"provider": "as calls tell it: openai", "model": "empty: all of the provider’s models together"}


class LimitForm(_Form):
    class Meta:
        model = RateLimit
        fields = services.FIELDS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in services.FIELDS:
            field = self.fields[name]
            field.label, field.help_text = LABELS[name], HINTS.get(name, "")
            if isinstance(field.widget, forms.NumberInput):
                field.widget.attrs.update({"step": "any", "min": "0"})

    def _post_clean(self) -> None:
        """The service checks the whole, for the API alike."""


@require_http_methods(["GET", "POST"])
@project_page
def rate_limits(visit: Visit) -> HttpResponse:
    """The list, and a new limit by POST."""
    form, refusal, status = LimitForm(), "", 200
    if visit.request.method == "POST":
        visit.require_admin()
        form = LimitForm(visit.request.POST)
        try:
            row = services.add(visit.project, _wanted(form), visit.who)
        except SenderError as error:
            refusal, status = _told(error), error.http_status
        else:
            messages.success(visit.request, f"The limits of {row} are known.")
            return redirect("rate_limits", visit.project.slug)
    found = _readings(visit, selectors_headroom.limits(visit.project.pk))
    return visit.render(
        "pages/rate_limits.html", "rate_limits", status, found=found, form=form, refusal=refusal, labels=LABELS,
        behind=_behind(found),
    )  # fmt: skip


@require_http_methods(["GET", "POST"])
@project_page
def rate_limit(visit: Visit, number: int) -> HttpResponse:
    """One limit, and its change by POST."""
    row = selectors_headroom.rate_limit(visit.project.pk, number)
    form, refusal, status = LimitForm(instance=row), "", 200
    if visit.request.method == "POST":
        visit.require_admin()
        form = LimitForm(visit.request.POST, instance=row)
        try:
            services.change(visit.project.pk, number, _wanted(form), visit.who)
        except SenderError as error:
            refusal, status = _told(error), error.http_status
        else:
            messages.success(visit.request, "The limits are changed.")
            return redirect("rate_limits", visit.project.slug)
    (one,) = _readings(visit, [row])
    return visit.render(
        "pages/rate_limit.html", "rate_limits", status, one=one, form=form, refusal=refusal, labels=LABELS,
        behind=_behind([one]),
    )  # fmt: skip


@require_POST
@project_page
def delete_rate_limit(visit: Visit, number: int) -> HttpResponse:
    visit.require_admin()
    gone = services.delete(visit.project.pk, number)
    messages.success(visit.request, f"The limits of {gone} are deleted.")
    return redirect("rate_limits", visit.project.slug)


def _readings(visit: Visit, rows: list[RateLimit]) -> list[LimitReading]:
    return selectors_headroom.readings(visit.project.pk, rows, clock.now())


def _behind(found: list[LimitReading]) -> LimitReading | None:
    """Any of them where minutes have waited longer than counting takes; all tell the same."""
    now = clock.now()
    late = (one for one in found if one.settled_until is not None and now - one.settled_until > USUALLY_WITHIN)
    return next(late, None)


def _wanted(form: LimitForm) -> dict[str, Any]:
    if not form.is_valid():
        field, reasons = next(iter(form.errors.items()))
        raise SenderError("bad_limit", f"{form.fields[field].label}: {reasons[0]}")
    return dict(form.cleaned_data)


def _told(error: SenderError) -> str:
    """The sentence under the field's label instead of its name."""
    name, _colon, rest = error.message.partition(": ")
    return f"{LABELS[name]}: {rest}" if name in LABELS else error.message
