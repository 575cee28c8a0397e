"""From claimed jobs to examples, in a handful of reads however many calls there are."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from stanchion_server.ingest import messages
from stanchion_server.ingest.records import Charge, SpanKind, Status
from stanchion_server.quality import reading
from stanchion_server.quality.records import CallKey, Example
from stanchion_server.traces.selectors import reading as rows_of
from stanchion_wire.decisions import ACTIONS

AROUND = (SpanKind.RETRIEVER, SpanKind.RERANKER, SpanKind.TOOL)
MAX_AROUND = 40
FACTS = (
    "feature", "provider", "model", "environment", "release", "service", "prompt_name", "prompt_version", "user_id",
    "session_id",
)  # fmt: skip
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Gathered:
    """A call that is to be scored. `is_kept`: it failed, was blocked or rated badly, so no share leaves it out."""

    example: Example
    is_kept: bool


@dataclass(frozen=True, slots=True)
class Found:
    """What became of the keys: `calls` to score, `unreadable` with a reason. The others are gone, not charged, or no
    calls of a language model."""

    calls: tuple[Gathered, ...]
    unreadable: Mapping[CallKey, str]


class _Part(NamedTuple):
    source: int
    start_time: datetime
    body: bytes


class _Span(NamedTuple):
    span_id: int
    start_time: datetime


class _Rated(NamedTuple):
    span_id: int | None
    tone: int | None
    correction: str


@dataclass(slots=True)
class _Around:
    """What the traces of a batch hold beside the calls."""

    spans: dict[UUID, list[_Span]] = field(default_factory=dict)
    parts: dict[tuple[UUID, int], list[_Part]] = field(default_factory=dict)
    ratings: dict[UUID, list[_Rated]] = field(default_factory=dict)
    blocked: set[UUID] = field(default_factory=set)


def gather(project_id: int, keys: Sequence[CallKey]) -> Found:
    calls = _calls(project_id, keys)
    if not calls:
        return Found((), {})
    around = _around(project_id, calls)
    found: list[Gathered] = []
    unreadable: dict[CallKey, str] = {}
    for key, row in calls.items():
        # One call's odd texts must not cost the others their scores.
        try:
            found.append(_gathered(key, row, around))
        except Exception as error:
            unreadable[key] = f"The call's stored texts cannot be read: {type(error).__name__}."
    return Found(tuple(found), unreadable)


def _calls(project_id: int, keys: Sequence[CallKey]) -> dict[CallKey, rows_of.Row]:
    sql = f"""SELECT c.trace_id, c.span_id, c.start_time, c.parent_span_id, c.status, c.error_type, c.parameters::text,
        {", ".join("c." + name for name in FACTS)}
        FROM unnest(%s::uuid[], %s::bigint[], %s::timestamptz[]) AS wanted(t, s, a) JOIN llm_calls c
            ON c.project_id = %s AND c.trace_id = t AND c.span_id = s AND c.start_time = a
        WHERE c.charge = %s AND c.kind = %s AND c.start_time BETWEEN %s AND %s"""  # noqa: S608 - names of our own
    if not keys:
        return {}
    times = [key.start_time for key in keys]
    found = rows_of.rows(
        sql,
        (
            [key.trace_id for key in keys], [key.span_id for key in keys], times, project_id, int(Charge.CHARGED),
            int(SpanKind.LLM), min(times), max(times),
        ),
    )  # fmt: skip
    return {CallKey(project_id, *row[:3]): row[3:] for row in found}


def _around(project_id: int, calls: Mapping[CallKey, rows_of.Row]) -> _Around:
    traces = list({key.trace_id for key in calls})
    first, last = min(key.start_time for key in calls) - _DAY, max(key.start_time for key in calls) + _DAY
    found = _Around()
    for trace, span, time in rows_of.rows(
        "SELECT trace_id, span_id, start_time FROM spans WHERE project_id = %s AND trace_id = ANY (%s)"
        " AND start_time BETWEEN %s AND %s AND kind = ANY (%s) ORDER BY start_time",
        (project_id, traces, first, last, [int(kind) for kind in AROUND]),
    ):
        found.spans.setdefault(trace, []).append(_Span(span, time))
    spans = {key.span_id for key in calls}.union(span.span_id for some in found.spans.values() for span in some)
    for trace, span, source, time, body in rows_of.rows(
        "SELECT trace_id, span_id, source, start_time, body FROM contents WHERE project_id = %s AND trace_id = ANY (%s)"
        " AND span_id = ANY (%s) AND start_time BETWEEN %s AND %s ORDER BY source, start_time, digest",
        (project_id, traces, list(spans), first, last),
    ):
        found.parts.setdefault((trace, span), []).append(_Part(source, time, body))
    for trace, *rated in rows_of.rows(
        "SELECT trace_id, span_id, tone, correction FROM ratings WHERE project_id = %s AND trace_id = ANY (%s)"
        " AND (tone = -1 OR correction <> '') ORDER BY rated_at",
        (project_id, traces),
    ):
        found.ratings.setdefault(trace, []).append(_Rated(*rated))
    found.blocked = _blocked(project_id, traces, first, last)
    return found


def _blocked(project_id: int, traces: Sequence[UUID], first: datetime, last: datetime) -> set[UUID]:
    sql = """SELECT DISTINCT trace_id FROM guard_decisions WHERE project_id = %s AND trace_id = ANY (%s)
        AND start_time BETWEEN %s AND %s AND action = %s AND mode <> 'shadow'"""
    return {row[0] for row in rows_of.rows(sql, (project_id, list(traces), first, last, ACTIONS.index("block")))}


def _gathered(key: CallKey, row: rows_of.Row, around: _Around) -> Gathered:
    parent, status, error_type, parameters, *facts = row
    texts = reading.texts_of(_merged(around.parts.get((key.trace_id, key.span_id), ())), _before(key, around))
    ratings = [
        rated for rated in around.ratings.get(key.trace_id, ()) if rated.span_id in (None, key.span_id, parent)
    ]  # as `feedback.selectors` joins ratings and calls
    is_error = status == Status.ERROR or bool(error_type)
    example = Example(
        key=key, prompt=texts.prompt, question=texts.question, response=texts.response, system=texts.system,
        history=texts.history, contexts=texts.contexts, tool_calls=texts.tool_calls,
        not_text=texts.not_text,
        reference=next((rated.correction for rated in reversed(ratings) if rated.correction), None),
        expected_format=reading.expected_format(json.loads(parameters)) if parameters else None,
        is_error=is_error, facts=dict(zip(FACTS, facts, strict=True)),
    )  # fmt: skip
    is_bad = any(rated.tone == -1 for rated in ratings)
    return Gathered(example, is_error or is_bad or key.trace_id in around.blocked)


def _before(key: CallKey, around: _Around) -> list[Mapping[str, Any]]:
    spans = [span for span in around.spans.get(key.trace_id, ()) if span.start_time <= key.start_time]
    found = (around.parts.get((key.trace_id, span.span_id)) for span in spans[-MAX_AROUND:])
    return [_merged(parts) for parts in found if parts]


def _merged(parts: Iterable[_Part]) -> messages.Content:
    return messages.merge(parts)
