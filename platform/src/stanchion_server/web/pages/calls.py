"""Find one case among many calls."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlencode

from django.http import HttpResponse
from django.views.decorators.http import require_GET

from stanchion_server.feedback import selectors as feedback
from stanchion_server.feedback.selectors import Rated
from stanchion_server.kernel.errors import SenderError
from stanchion_server.traces import selectors
from stanchion_server.web.pages import callfilters, paging
from stanchion_server.web.pages.frame import Visit, project_page

PAGE_SIZE = 50
MORE = ("session", "min_ms", "min_cost", "priced", "attribute", "records")
TUNING_FILES = (
    ("prompt and completion", "shape=prompt_completion"), ("input_text and output_text", "shape=input_output"),
    ("input", "shape=input"), ("what they hold and leave out", "as=counts"),
)  # fmt: skip
FACETS = ("feature", "model", "provider", "environment")


@require_GET
@project_page
def calls(visit: Visit) -> HttpResponse:
    """One page, newest first; `cursor` says where it starts, `trail` how the reader came there."""
    params = visit.request.GET
    wanted = callfilters.read(params.dict())
    if (wanted.filter.text is not None or wanted.filter.attributes) and not visit.may_read:
        message = "Your role sees numbers, not texts: remove the filter by text or attribute."
        raise SenderError("no_content", message, 403)
    within = replace(wanted.filter, start=visit.span.start, end=visit.span.end)
    cursor = params.get("cursor", "")
    also = feedback.call_conditions(visit.project.pk, wanted.rated) if wanted.rated else ()
    page = selectors.calls(visit.project.pk, within, cursor or None, PAGE_SIZE, also=also)
    tallies = feedback.of_calls(visit.project.pk, page.items)
    return visit.render(
        "pages/calls.html",
        "calls",
        rows=[(call, tallies.get((call.trace_id, call.span_id))) for call in page.items],
        chips=wanted.chips,
        facets=_facets(visit) if not cursor else (),
        older=paging.older(params, cursor, page.next_cursor),
        newer=paging.newer(params) if cursor else "",
        none=callfilters.NONE,
        statuses=callfilters.STATUSES,
        kinds=callfilters.KINDS,
        rated=[(value, label) for value, (label, _) in callfilters.RATED.items()],
        may_read=visit.may_read,
        has_more=any(params.get(name) for name in MORE),
        tuning=_tuning_files(visit) if wanted.rated not in (None, Rated.NONE) and visit.may_read else (),
    )


def _tuning_files(visit: Visit) -> tuple[tuple[str, str], ...]:
    """What the links say, and where they lead: the ratings of this time, whatever the other filters are."""
    span = {"start": visit.span.start.isoformat(), "end": visit.span.end.isoformat()}
    address = f"/api/v1/feedback/tuning-examples?{urlencode({'project': visit.project.slug, **span})}"
    return tuple((text, f"{address}&{asked}") for text, asked in TUNING_FILES)


def _facets(visit: Visit) -> tuple[object, ...]:
    found = selectors.facets(visit.project.pk, visit.span.start, visit.span.end)
    return tuple((name, callfilters.TEXTS[name][1], found.get(name, ())) for name in FACETS)
