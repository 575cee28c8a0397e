"""The texts of one span, merged from every source that carried some."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from stanchion_server.ingest import messages
from stanchion_server.kernel.ids import span_id_to_hex
from stanchion_server.traces.selectors import reading
from stanchion_server.traces.selectors.shapes import SpanContent

MAX_PARTS = 64


@dataclass(frozen=True, slots=True)
class _Part:
    source: int
    start_time: datetime
    body: bytes
    is_truncated: bool
    original_bytes: int


def span_content(project_id: int, trace_id: str, span_id: str) -> SpanContent | None:
    """Texts, attributes, events and links of one span, or None where the project has no such span."""
    trace, span = reading.trace_id_or_none(trace_id), reading.span_id_or_none(span_id)
    if trace is None or span is None:
        return None
    with reading.bounded():
        return of_span(project_id, trace, span)


def of_span(project_id: int, trace_id: UUID, span_id: int) -> SpanContent | None:
    sql = """SELECT s.name, s.status_message, s.attributes::text, s.events::text, s.links::text, r.attributes::text
        FROM spans s LEFT JOIN resources r ON r.project_id = s.project_id AND r.resource_id = s.resource_id
        WHERE s.project_id = %s AND s.trace_id = %s AND s.span_id = %s ORDER BY s.start_time LIMIT 1"""
    found = reading.rows(sql, (project_id, trace_id, span_id))
    if not found:
        return None
    name, status_message, attributes, events, links, resource = found[0]
    body, is_truncated, original_bytes = _merged(project_id, trace_id, span_id)
    return SpanContent(
        trace_id=trace_id.hex,
        span_id=span_id_to_hex(span_id),
        name=name,
        status_message=status_message,
        body=body,
        is_truncated=is_truncated,
        original_bytes=original_bytes,
        attributes=json_object(attributes),
        events=_json_list(events),
        links=_json_list(links),
        resource=json_object(resource),
    )


def json_object(text: str | None) -> Mapping[str, Any]:
    value = json.loads(text) if text else {}
    return value if isinstance(value, dict) else {}


def _json_list(text: str | None) -> tuple[Any, ...]:
    value = json.loads(text) if text else []
    return tuple(value) if isinstance(value, list) else ()


def _merged(project_id: int, trace_id: UUID, span_id: int) -> tuple[Mapping[str, Any], bool, int]:
    sql = """SELECT source, start_time, body, is_truncated, original_bytes FROM contents
        WHERE project_id = %s AND trace_id = %s AND span_id = %s ORDER BY source, start_time, digest LIMIT %s"""
    parts = [_Part(*row) for row in reading.rows(sql, (project_id, trace_id, span_id, MAX_PARTS))]
    if not parts:
        return {}, False, 0
    is_truncated = any(part.is_truncated for part in parts)
    return messages.merge(parts), is_truncated, sum(part.original_bytes for part in parts)
