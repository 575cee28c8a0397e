"""One call's scores, and what in its texts led to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.http import Http404, HttpResponse
from django.views.decorators.http import require_GET

from stanchion_server.kernel.ids import span_id_to_hex
from stanchion_server.policies import marking
from stanchion_server.quality import gather
from stanchion_server.quality.records import CallKey, Example
from stanchion_server.quality.selectors import scores
from stanchion_server.quality.selectors.scores import ScoreView
from stanchion_server.traces.selectors import reading
from stanchion_server.web.pages.frame import Visit, project_page

MOST_CONTEXTS = 20


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in one text, as `marking` takes it."""

    start: int
    end: int
    label: str


@dataclass(frozen=True, slots=True)
class Text:
    title: str
    marked: marking.Marked
    reasons: tuple[Mapping[str, Any], ...]


@require_GET
@project_page
def call_scores(visit: Visit, trace_id: str, span_id: str) -> HttpResponse:
    """`scorer` marks the evidence of that one alone; without it that of all flagged scores is marked."""
    found = scores.of_call(visit.project.pk, trace_id, span_id)
    if not found:
        raise Http404("No score of such a call is stored in this project.")
    chosen = visit.request.GET.get("scorer", "")
    newest = _newest(found)
    speaking = [one for one in newest if (one.scorer == chosen if chosen else one.is_flagged)]
    example = _example(visit, found[0]) if visit.may_read else None
    return visit.render(
        "pages/call_scores.html",
        "quality",
        trace_id=trace_id,
        span_id=span_id,
        first=found[0],
        scores=newest,
        older=[one for one in found if one not in newest],
        chosen=next((one for one in newest if one.scorer == chosen), None),
        texts=_texts(example, speaking) if example else (),
        is_gone=visit.may_read and example is None,
    )


def of_span(visit: Visit, trace_id: str, span_id: str) -> list[ScoreView]:
    """Of each scorer the newest version, flagged ones first."""
    return _newest(scores.of_call(visit.project.pk, trace_id, span_id))


def _newest(found: Sequence[ScoreView]) -> list[ScoreView]:
    kept: dict[str, ScoreView] = {}
    for one in found:
        kept.setdefault(one.scorer, one)
    return sorted(kept.values(), key=lambda one: (not one.is_flagged, one.scorer))


def _example(visit: Visit, one: ScoreView) -> Example | None:
    """The texts as the scorers read them, so that places fit; None when the call or its texts are gone."""
    span = reading.span_id_or_none(one.span_id)
    assert span is not None and span_id_to_hex(span) == one.span_id
    key = CallKey(visit.project.pk, UUID(hex=one.trace_id), span, one.start_time)
    calls = gather.gather(visit.project.pk, [key]).calls
    example = calls[0].example if calls else None
    return example if example and (example.prompt or example.response) else None


def _texts(example: Example, speaking: Iterable[ScoreView]) -> list[Text]:
    evidence = [row for one in speaking for row in one.evidence]
    found = [
        _text("Prompt", example.prompt, "prompt", 0, evidence),
        _text("Answer", example.response, "response", 0, evidence),
    ]
    for place, context in enumerate(example.contexts[:MOST_CONTEXTS]):
        found.append(_text(f"Context {place + 1}", context, "context", place, evidence))
    return [text for text in found if text is not None]


def _text(title: str, text: str, place: str, index: int, evidence: Sequence[Mapping[str, Any]]) -> Text | None:
    if not text:
        return None
    rows = [row for row in evidence if row["place"] == place and row["place_index"] == index]
    marks = [Mark(int(row["start"]), int(row["end"]) or len(text), str(row["label"])) for row in rows]
    return Text(title, marking.mark(text, marks), tuple(rows))
