"""Log records into rows for the store, and the model content that some of them carry."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from stanchion_server.ingest import messages
from stanchion_server.ingest.messages import Content, to_json
from stanchion_server.ingest.normalise_content import DETAILS_EVENT, event_content, finished, mark, without_details
from stanchion_server.ingest.records import ContentRecord, LogRecord, RawLog
from stanchion_server.kernel.ids import digest64

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def normalise_logs(logs: Sequence[RawLog]) -> tuple[tuple[LogRecord, ...], tuple[ContentRecord, ...]]:
    """Every record is kept; texts of GenAI events of a known span move to its contents, per-message events together."""
    records: list[LogRecord] = []
    contents: list[ContentRecord] = []
    grouped: dict[tuple[UUID, int], tuple[datetime, Content]] = {}
    for entry in logs:
        time = _EPOCH + timedelta(microseconds=entry.time_ns // 1000)
        content = _content(entry)
        records.append(_record(entry, time, content))
        if entry.trace_id is None or entry.span_id is None or not content:
            continue
        if entry.event_name == DETAILS_EVENT:
            contents.append(_content_record(entry.trace_id, entry.span_id, time, content))
        else:
            _append(grouped.setdefault((entry.trace_id, entry.span_id), (time, {"events": True}))[1], content)
    for (trace_id, span_id), (time, content) in grouped.items():
        contents.append(_content_record(trace_id, span_id, time, content))
    return tuple(records), tuple(contents)


def _content(entry: RawLog) -> Content:
    if entry.trace_id is None or entry.span_id is None or not entry.event_name.startswith("gen_ai."):
        return {}
    content = event_content(entry.event_name, entry.attributes, entry.body)
    return {section: value for section, value in content.items() if value}


def _append(grouped: Content, content: Content) -> None:
    for section, value in content.items():
        grouped[section] = grouped.get(section, []) + value


def _content_record(trace_id: UUID, span_id: int, time: datetime, content: Content) -> ContentRecord:
    packed = messages.pack(finished(content))
    return ContentRecord(
        trace_id=trace_id,
        span_id=span_id,
        start_time=time,
        digest=packed.digest,
        source=1,
        body=packed.body,
        original_bytes=packed.original_bytes,
        is_truncated=packed.is_truncated,
    )


def _record(entry: RawLog, time: datetime, content: Content) -> LogRecord:
    body: Any = entry.body
    attributes: Any = entry.attributes
    if content:
        body = mark(body) if body is not None else None
        attributes = without_details(attributes)
    return LogRecord(
        trace_id=entry.trace_id,
        span_id=entry.span_id,
        time=time,
        digest=_digest(entry),
        severity=entry.severity,
        event_name=entry.event_name,
        scope_name=entry.scope.name,
        resource=entry.resource,
        body_json=to_json(body),
        attributes_json=to_json(attributes),
        alterations=entry.alterations,
    )


def _digest(entry: RawLog) -> int:
    told = [
        str(entry.trace_id),
        entry.span_id,
        entry.time_ns,
        entry.observed_ns,
        entry.severity,
        entry.event_name,
        entry.body,
        entry.attributes,
        entry.scope.name,
        entry.resource.resource_id,
    ]
    return digest64(to_json(told))
