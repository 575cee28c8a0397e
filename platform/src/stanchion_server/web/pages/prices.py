"""What this project pays where it differs from the public list. A rate is never edited: a new one gets a later date."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.db import IntegrityError, transaction
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods

from stanchion_server.costs.models import PriceOverride
from stanchion_server.web.pages.frame import Visit, project_page

RATES = (
    ("input_usd_per_mtok", "Input", True),
    ("output_usd_per_mtok", "Output", True),
    ("cached_input_usd_per_mtok", "Cached input", False),
    ("cache_write_usd_per_mtok", "Cache write", False),
    ("cache_write_1h_usd_per_mtok", "Cache write, 1 h", False),
    ("reasoning_usd_per_mtok", "Reasoning", False),
)


if TYPE_CHECKING:  # the class takes its parameter in the type stubs only
    _PriceForm = forms.ModelForm[PriceOverride]
else:
    _PriceForm = forms.ModelForm


class PriceForm(_PriceForm):
    class Meta:
        model = PriceOverride
        fields = (
            "provider",
            "model",
            "effective_from",
            *(name for name, _, _ in RATES),
            "request_usd",
            "note",
        )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["effective_from"].label = "In force from (UTC)"
        self.fields["request_usd"].label = "Per request, $"
        for name, label, _ in RATES:
            self.fields[name].label = f"{label}, $/M tokens"
            self.fields[name].widget.attrs.update({"min": "0", "step": "any"})
            self.fields[name].min_value = 0  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        for name in (*(name for name, _, _ in RATES), "request_usd"):
            if cleaned.get(name) is not None and cleaned[name] < 0:
                self.add_error(name, "A price cannot be negative.")
        return cleaned


@require_http_methods(["GET", "POST"])
@project_page
def prices(visit: Visit) -> HttpResponse:
    form = PriceForm(visit.request.POST or None)
    if visit.request.method == "POST":
        visit.require_admin()
        if form.is_valid() and _saved(form, visit):
            messages.success(
                visit.request,
                "The price is in force for calls from its date on. Run “reprice” to apply it to stored calls.",
            )
            return redirect("prices", visit.project.slug)
    rows = PriceOverride.objects.filter(project=visit.project).order_by("provider", "model", "-effective_from")
    return visit.render("pages/prices.html", "prices", 400 if form.errors else 200, rows=rows, form=form)


def _saved(form: PriceForm, visit: Visit) -> bool:
    form.instance.project = visit.project
    try:
        with transaction.atomic():
            form.save()
    except IntegrityError:
        form.add_error("effective_from", "This model already has a price from that time on. Choose a later time.")
        return False
    return True
