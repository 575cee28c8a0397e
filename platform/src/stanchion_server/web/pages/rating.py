"""A person's own word on a trace or a span: one per person and target, which a later one replaces."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.models import AnonymousUser
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from stanchion_server.feedback import parsing, selectors
from stanchion_server.feedback.ratings import Rating, Source, Tone
from stanchion_server.kernel import clock
from stanchion_server.kernel.errors import SenderError
from stanchion_server.kernel.ids import span_id_from_hex
from stanchion_server.routes import feedback
from stanchion_server.traces import selectors as traces
from stanchion_server.web.pages.frame import Visit, project_page

NAME = "review"
CHOICES = (("good", "Good"), ("neutral", "Neither"), ("bad", "Bad"))
_SAYS = {"good": (1.0, "thumbs_up"), "neutral": (0.5, "neutral"), "bad": (0.0, "thumbs_down")}
_CHOICE_OF = {Tone.POSITIVE: "good", Tone.NEUTRAL: "neutral", Tone.NEGATIVE: "bad"}


class RatingForm(forms.Form):
    choice = forms.ChoiceField(choices=CHOICES)
    comment = forms.CharField(max_length=parsing.MAX_CHARS["comment"], required=False)
    correction = forms.CharField(max_length=parsing.MAX_CHARS["correction"], required=False)


@require_POST
@project_page
def rate(visit: Visit, trace_id: str, span_id: str = "") -> HttpResponse:
    visit.require_reader()
    trace = traces.trace_id_or_none(trace_id)
    is_stored = (
        traces.span_content(visit.project.pk, trace_id, span_id)
        if span_id
        else traces.trace(visit.project.pk, trace_id)
    )
    if trace is None or is_stored is None:
        raise Http404("No span of this trace is stored in this project.")
    said = _said(RatingForm(visit.request.POST))
    score, label = _SAYS[said["choice"]]
    rating = Rating(
        id=_id(visit, trace.hex, span_id),
        name=NAME,
        score=score,
        label=label,
        comment=parsing.clean(said["comment"]),
        correction=parsing.clean(said["correction"]),
        trace_id=trace,
        span_id=span_id_from_hex(span_id) if span_id else None,
        session_id="",
        user=visit.request.user.get_username(),
        source=Source.PAGE,
        rated_at=clock.now(),
    )
    feedback.keep(visit.project.pk, [rating])
    messages.success(visit.request, "Your rating is kept. Rate again to change it.")
    place = ("span", visit.project.slug, trace_id, span_id) if span_id else ("trace", visit.project.slug, trace_id)
    return redirect(*place)


def _said(form: RatingForm) -> dict[str, Any]:
    if not form.is_valid():
        field, reasons = next(iter(form.errors.items()))
        raise SenderError("bad_rating", f"The rating is not kept. {field.capitalize()}: {reasons[0]}")
    return form.cleaned_data


def _id(visit: Visit, trace_id: str, span_id: str) -> str:
    assert not isinstance(visit.request.user, AnonymousUser)
    return f"{parsing.BY_HAND}{visit.request.user.pk}-{trace_id}-{span_id or 'trace'}"


def own(visit: Visit, trace_id: str, span_id: str = "") -> dict[str, str]:
    """What the person said before of this target, as the form shows it; empty where nothing."""
    rating_id = _id(visit, trace_id, span_id)
    found = selectors.by_id(visit.project.pk, [rating_id]).get(rating_id)
    if found is None or found.tone is None:
        return {}
    return {"choice": _CHOICE_OF[found.tone], "comment": found.comment, "correction": found.correction}
