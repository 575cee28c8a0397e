"""Find one case among many calls."""

from __future__ import annotations

from django.http import HttpResponse, QueryDict
from django.views.decorators.http import require_GET

from stanchion_server.feedback import selectors as feedback
from stanchion_server.kernel.errors import SenderError
from stanchion_server.traces import selectors
from stanchion_server.web.pages import callfilters
from stanchion_server.web.pages.frame import Visit, project_page

PAGE_SIZE = 50
MAX_TRAIL = 20
MORE = ("session", "min_ms", "min_cost", "priced", "attribute", "records")
FACETS = ("feature", "model", "provider", "environment")


@require_GET
@project_page
def calls(visit: Visit) -> HttpResponse:
    """One page, newest first; `cursor` says where it starts, `trail` how the reader came there."""
    params = visit.request.GET
    wanted = callfilters.read(params.dict(), visit.span)
    if (wanted.filter.text is not None or wanted.filter.attributes) and not visit.may_read:
        message = "Your role sees numbers, not texts: remove the filter by text or attribute."
        raise SenderError("no_content", message, 403)
    cursor = params.get("cursor", "")
    also = feedback.call_conditions(visit.project.pk, wanted.rated) if wanted.rated else ()
    page = selectors.calls(visit.project.pk, wanted.filter, cursor or None, PAGE_SIZE, also=also)
    tallies = feedback.of_calls(visit.project.pk, page.items)
    return visit.render(
        "pages/calls.html",
        "calls",
        rows=[(call, tallies.get((call.trace_id, call.span_id))) for call in page.items],
        chips=wanted.chips,
        facets=_facets(visit) if not cursor else (),
        older=_older(params, cursor, page.next_cursor),
        newer=_newer(params) if cursor else "",
        none=callfilters.NONE,
        statuses=callfilters.STATUSES,
        kinds=callfilters.KINDS,
        rated=[(value, label) for value, (label, _) in callfilters.RATED.items()],
        may_read=visit.may_read,
        has_more=any(params.get(name) for name in MORE),
    )


def _facets(visit: Visit) -> tuple[object, ...]:
    found = selectors.facets(visit.project.pk, visit.span.start, visit.span.end)
    return tuple((name, callfilters.TEXTS[name][1], found.get(name, ())) for name in FACETS)


def _older(params: QueryDict, cursor: str, next_cursor: str | None) -> str:
    if next_cursor is None:
        return ""
    trail = [*filter(None, params.get("trail", "").split(",")), cursor or "-"]
    return _with(params, next_cursor, trail[-MAX_TRAIL:])


def _newer(params: QueryDict) -> str:
    trail = [part for part in params.get("trail", "").split(",") if part]
    back = trail.pop() if trail else "-"
    return _with(params, "" if back == "-" else back, trail)


def _with(params: QueryDict, cursor: str, trail: list[str]) -> str:
    changed = params.copy()
    for name, value in (("cursor", cursor), ("trail", ",".join(trail))):
        changed.pop(name, None)
        if value:
            changed[name] = value
    return "?" + changed.urlencode()
