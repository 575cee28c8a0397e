"""Where did time and money go? One trace as a waterfall, and one span in full."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.http import Http404, HttpResponse
from django.views.decorators.http import require_GET

from stanchion_server.feedback import selectors as feedback
from stanchion_server.feedback.selectors import RatingView, Tally
from stanchion_server.gpu import selectors as gpu
from stanchion_server.ingest.records import Charge, SpanKind, Status
from stanchion_server.policies.selectors import DecisionView
from stanchion_server.traces import selectors
from stanchion_server.traces.selectors import CallDetail, SpanContent, SpanNode, TraceView
from stanchion_server.web.pages import deciding, rating, scored, spantexts
from stanchion_server.web.pages.frame import Visit, project_page
from stanchion_wire.decisions import PREFIX

ROWS_AT_FIRST = 400
MAX_DEPTH_SHOWN = 24
INDENT_PX = 14
AROUND = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the waterfall; bar places are in thousandths of the trace's length."""

    node: SpanNode
    indent: int
    bar_x: float
    bar_width: float
    first_token_x: float | None
    is_duplicate: bool
    tally: Tally | None
    decision: DecisionView | None


@dataclass(frozen=True, slots=True)
class Rated:
    """A rating beside the name of the span it is about; None where that has not arrived, or it is about none."""

    view: RatingView
    span_name: str | None


@require_GET
@project_page
def trace(visit: Visit, trace_id: str, span_id: str = "") -> HttpResponse:
    """The whole page; with `span_id` that span is open. HTMX asks for the span alone."""
    if visit.request.headers.get("HX-Request") and span_id:
        return visit.render("pages/_span.html", "calls", **_span(visit, trace_id, span_id))
    view = selectors.trace(visit.project.pk, trace_id)
    if view is None:
        raise Http404("No span of this trace is stored in this project.")
    opened = span_id or _first_interesting(view)
    ratings, ratings_in_all = feedback.of_trace(visit.project.pk, trace_id, _sessions(view))
    tallies = _tallies(ratings)
    names = {node.span_id: node.name for node in view.spans}
    decided = _decided(visit, view)
    limit = len(view.spans) if visit.request.GET.get("rows") == "all" else ROWS_AT_FIRST
    return visit.render(
        "pages/trace.html",
        "calls",
        view=view,
        rows=[_row(node, view.duration_ms, tallies, decided) for node in _kept(view, limit, opened)],
        hidden=max(0, len(view.spans) - limit),
        ratings=[Rated(found, names.get(found.span_id or "")) for found in ratings],
        tally=_tally(ratings),
        ratings_hidden=ratings_in_all - len(ratings),
        own_of_trace=rating.own(visit, view.trace_id) if visit.may_read else {},
        duplicates=sum(1 for node in view.spans if _is_duplicate(node)),
        gpus_then=_around(view) if gpu.has_cards(visit.project.pk) else "",
        **_span(visit, trace_id, opened),
    )


def _around(view: TraceView) -> str:
    """The trace's time with a quarter of an hour on both sides, as a page's range."""
    start, end = view.start_time - AROUND, view.start_time + timedelta(milliseconds=view.duration_ms) + AROUND
    return f"from={start:%Y-%m-%dT%H:%M:%SZ}&to={end:%Y-%m-%dT%H:%M:%SZ}"


def _sessions(view: TraceView) -> set[str]:
    return {node.call.session_id for node in view.spans if node.call}


def _tallies(ratings: Iterable[RatingView]) -> dict[str, Tally]:
    found: dict[str, Tally] = {}
    for rated in ratings:
        if rated.span_id:
            found[rated.span_id] = found.get(rated.span_id, Tally()).plus(rated.rating, 1)
    return found


def _tally(ratings: Iterable[RatingView]) -> Tally:
    total = Tally()
    for rated in ratings:
        total = total.plus(rated.rating, 1)
    return total


def _kept(view: TraceView, limit: int, opened: str) -> Iterable[SpanNode]:
    """The first rows, and the open one wherever it is."""
    return [node for place, node in enumerate(view.spans) if place < limit or node.span_id == opened]


def _first_interesting(view: TraceView) -> str:
    failed = next((node for node in view.spans if node.call and node.status is Status.ERROR), None)
    answer = next((node for node in view.spans if node.kind is SpanKind.LLM), None)
    model = next((node for node in view.spans if node.call), None)
    return (failed or answer or model or view.spans[0]).span_id


def _decided(visit: Visit, view: TraceView) -> Mapping[str, DecisionView]:
    """Decisions by the spans that tell of them."""
    if not any(node.kind is SpanKind.GUARDRAIL for node in view.spans):
        return {}
    return {found.span_id: found for found in deciding.of_trace(visit, view.trace_id)}


def _row(node: SpanNode, total_ms: float, tallies: Mapping[str, Tally], decided: Mapping[str, DecisionView]) -> Row:
    scale = 1000 / total_ms if total_ms > 0 else 0
    start = min(max(node.offset_ms * scale, 0), 996)
    first = node.call.time_to_first_token_ms if node.call else None
    return Row(
        node=node,
        indent=min(node.depth, MAX_DEPTH_SHOWN) * INDENT_PX,
        bar_x=round(start, 2),
        bar_width=round(min(max(node.duration_ms * scale, 4), 1000 - start), 2),
        first_token_x=None if first is None else round(min((node.offset_ms + first) * scale, 1000), 2),
        is_duplicate=_is_duplicate(node),
        tally=tallies.get(node.span_id),
        decision=decided.get(node.span_id),
    )


def _is_duplicate(node: SpanNode) -> bool:
    return node.call is not None and node.call.charge is Charge.DUPLICATE


def _span(visit: Visit, trace_id: str, span_id: str) -> dict[str, Any]:
    detail = selectors.call(visit.project.pk, trace_id, span_id)
    content = detail.content if detail else selectors.span_content(visit.project.pk, trace_id, span_id)
    if content is None:
        raise Http404("No such span is stored in this project.")
    rated_span_id = _rated_span(detail, trace_id, span_id)
    return {
        "choices": rating.CHOICES,
        "rated_span_id": rated_span_id,
        "own_of_span": rating.own(visit, content.trace_id, rated_span_id) if visit.may_read else {},
        "detail": detail,
        "content": content,
        "texts": spantexts.sections(content.body) if visit.may_read else (),
        "may_read": visit.may_read,
        "raw": _raw(content) if visit.may_read else (),
        "parameters": _parameters(detail) if detail and visit.may_read else (),
        "winners": sorted(detail.mapping.winners.items()) if detail and detail.mapping else (),
        "scores": scored.of_span(visit, trace_id, rated_span_id) if detail else (),
        "decisions": deciding.of_span(visit, trace_id, span_id) if f"{PREFIX}policy" in content.attributes else (),
        "trace_id": trace_id,
        "span_id": span_id,
    }


def _rated_span(detail: CallDetail | None, trace_id: str, span_id: str) -> str:
    """The record that is charged, where the open span is another record of the same call: lists of calls show that."""
    if detail is None or detail.primary_span_id is None or detail.primary_trace_id != trace_id:
        return span_id
    return detail.primary_span_id


def _parameters(detail: CallDetail) -> list[tuple[str, str]]:
    named = ("temperature", "top_p", "top_k", "max_tokens", "seed")
    found = [(name, getattr(detail, name)) for name in named]
    found += [(name, value) for name, value in detail.parameters.items() if name not in named]
    return [(name, _plain(value)) for name, value in found if value is not None]


def _raw(content: SpanContent) -> list[tuple[str, list[tuple[str, str]]]]:
    parts: list[tuple[str, Mapping[str, Any]]] = [
        ("Span attributes", content.attributes),
        ("Resource", content.resource),
        ("Events", {str(place + 1): event for place, event in enumerate(content.events)}),
        ("Links", {str(place + 1): link for place, link in enumerate(content.links)}),
    ]
    return [(title, [(key, _plain(value)) for key, value in sorted(part.items())]) for title, part in parts if part]


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=1, default=str)
