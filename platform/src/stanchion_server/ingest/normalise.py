"""Foreign vocabularies into ours: raw spans, logs and points become the canonical records. Pure; nothing here
raises for what
a client sent."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from stanchion_server.ingest import messages, normalise_call
from stanchion_server.ingest.dialects.readers import text
from stanchion_server.ingest.messages import Content, to_json
from stanchion_server.ingest.normalise_content import finished, take_event_texts, take_texts
from stanchion_server.ingest.normalise_logs import normalise_logs
from stanchion_server.ingest.normalise_plan import plan_for
from stanchion_server.ingest.normalise_points import normalise_points
from stanchion_server.ingest.records import (
    Alteration,
    CallRecord,
    ContentRecord,
    DecisionRecord,
    RawResource,
    RawSpan,
    SpanKind,
    SpanRecord,
    Status,
)
from stanchion_wire.decisions import SCOPE as GUARD_SCOPE
from stanchion_wire.decisions import Decision, from_attributes

__all__ = ["Normalised", "normalise_logs", "normalise_points", "normalise_spans"]

log = logging.getLogger(__name__)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_ATTRIBUTE_CHARS = 64 * 1024
_MAX_RESOURCES = 2048


@dataclass(frozen=True, slots=True)
class Normalised:
    spans: tuple[SpanRecord, ...]
    calls: tuple[CallRecord, ...]
    contents: tuple[ContentRecord, ...]
    decisions: tuple[DecisionRecord, ...] = ()


class ResourceFacts(NamedTuple):
    """What a resource says about everything sent under it."""

    service: str
    environment: str
    release: str
    feature: str


_facts: dict[int, ResourceFacts] = {}


def normalise_spans(spans: Sequence[RawSpan], now_ns: int) -> Normalised:
    """Every span becomes a SpanRecord; calls and contents where it tells of them. A span whose reading fails, which
    would be
    a fault of ours, is kept plain and logged."""
    records: list[SpanRecord] = []
    calls: list[CallRecord] = []
    contents: list[ContentRecord] = []
    decisions: list[DecisionRecord] = []
    for span in spans:
        try:
            _normalise(span, records, calls, contents)
            if span.scope.name == GUARD_SCOPE and (told := from_attributes(span.attributes)):
                decisions.append(_decision(span, records[-1], told))
        except Exception:
            log.exception("a span of scope %s could not be read and is stored plain", span.scope.name)
            records.append(_plain(span))
    return Normalised(tuple(records), tuple(calls), tuple(contents), tuple(decisions))


def _normalise(
    span: RawSpan, records: list[SpanRecord], calls: list[CallRecord], contents: list[ContentRecord]
) -> None:
    attributes = span.attributes
    plan = plan_for(span.scope, attributes)
    kind = plan.kind(span.name, attributes)
    told: dict[str, Any] = {}
    winners: list[tuple[str, str]] = []
    normalise_call.read_fields(plan.common, attributes, told, winners)
    content: Content = {}
    kept: dict[str, Any] = attributes
    if plan.has_content:
        content, text_winners, kept = take_texts(plan, kind, attributes)
        winners.extend(text_winners)
    rows, first_token_ns, exception_type = (
        take_event_texts(span.events, content, kind) if span.events else ([], None, "")
    )
    place = _place(span, kind, told)
    bits = span.alterations
    call = None
    content = finished(content)
    if kind in normalise_call.CALL_KINDS or plan.has_tokens:
        normalise_call.read_fields(plan.call, attributes, told, winners)
        if normalise_call.is_recorded(kind, told):
            more, is_open = normalise_call.settle_tokens(told, winners)
            bits |= more
            call = normalise_call.build(
                span, plan, place, told, winners, content, first_token_ns, exception_type, is_open
            )
    stored = _content_record(span, place.start_time, content) if content else None
    records.append(_span_record(span, place, kept, rows, bits))
    if call:
        calls.append(call)
    if stored:
        contents.append(stored)


def _place(span: RawSpan, kind: SpanKind, told: dict[str, Any]) -> normalise_call.Place:
    facts = _facts.get(span.resource.resource_id) or _resource_facts(span.resource)
    status = span.status
    if status != Status.ERROR and span.attributes.get("langfuse.observation.level") == "ERROR":
        status = Status.ERROR
    return normalise_call.Place(
        kind=kind,
        start_time=moment(span.start_ns),
        status=status,
        service=facts.service,
        feature=told.get("feature") or facts.feature,
        session_id=told.get("session_id", ""),
        user_id=told.get("user_id", ""),
        prompt_name=told.get("prompt_name", ""),
        prompt_version=told.get("prompt_version", ""),
        environment=told.get("environment") or facts.environment,
        release=told.get("release") or facts.release,
    )


def _resource_facts(resource: RawResource) -> ResourceFacts:
    def first(*keys: str) -> str:
        return next((found for key in keys if (found := text(resource.attributes.get(key)))), "")

    if len(_facts) >= _MAX_RESOURCES:
        _facts.clear()
    facts = _facts[resource.resource_id] = ResourceFacts(
        service=first("service.name", "openinference.project.name"),
        environment=first("deployment.environment.name", "deployment.environment", "langfuse.environment"),
        release=first("stanchion.release", "service.version", "langfuse.release"),
        feature=first("stanchion.feature"),
    )
    return facts


def _span_record(
    span: RawSpan, place: normalise_call.Place, kept: dict[str, Any], rows: list[dict[str, Any]], bits: Alteration
) -> SpanRecord:
    data = to_json(kept)
    if len(data) > _MAX_ATTRIBUTE_CHARS:
        data, bits = _bounded(kept, data, bits)
    return SpanRecord(
        trace_id=span.trace_id,
        span_id=span.span_id,
        parent_span_id=span.parent_span_id,
        start_time=place.start_time,
        start_ns=span.start_ns,
        duration_ns=span.end_ns - span.start_ns,
        kind=place.kind,
        otel_kind=span.otel_kind,
        status=place.status,
        status_message=_status_message(span),
        name=span.name,
        service=place.service,
        environment=place.environment,
        feature=place.feature,
        session_id=place.session_id,
        user_id=place.user_id,
        prompt_name=place.prompt_name,
        prompt_version=place.prompt_version,
        scope_name=span.scope.name,
        scope_version=span.scope.version,
        resource=span.resource,
        attributes_json=data,
        events_json=to_json(rows) if rows else None,
        links_json=_links(span) if span.links else None,
        alterations=bits,
    )


def _status_message(span: RawSpan) -> str:
    if span.status_message:
        return span.status_message
    return text(span.attributes.get("langfuse.observation.status_message")) or ""


def _bounded(kept: dict[str, Any], data: bytes, bits: Alteration) -> tuple[bytes, Alteration]:
    """Texts beyond 64 KiB that no content took are cut here, so that one row stays readable."""
    long = {key for key, value in kept.items() if isinstance(value, str) and len(value) > _MAX_ATTRIBUTE_CHARS}
    if not long:
        return data, bits
    cut = {key: value[:_MAX_ATTRIBUTE_CHARS] if key in long else value for key, value in kept.items()}
    return to_json(cut), bits | Alteration.VALUE_TRUNCATED


def _links(span: RawSpan) -> bytes:
    rows = [
        {"trace_id": link.trace_id, "span_id": link.span_id, "attributes": dict(link.attributes)} for link in span.links
    ]
    return to_json(rows)


def _decision(span: RawSpan, record: SpanRecord, told: Decision) -> DecisionRecord:
    return DecisionRecord(
        trace_id=record.trace_id,
        span_id=record.span_id,
        parent_span_id=record.parent_span_id,
        start_time=record.start_time,
        duration_ns=record.duration_ns,
        feature=record.feature,
        user_id=record.user_id,
        session_id=record.session_id,
        environment=record.environment,
        release=_resource_facts(span.resource).release,
        service=record.service,
        told=told,
    )


def _content_record(span: RawSpan, start_time: datetime, content: Content) -> ContentRecord:
    packed = messages.pack(content)
    return ContentRecord(
        trace_id=span.trace_id,
        span_id=span.span_id,
        start_time=start_time,
        digest=packed.digest,
        source=0,
        body=packed.body,
        original_bytes=packed.original_bytes,
        is_truncated=packed.is_truncated,
    )


def moment(ns: int) -> datetime:
    """Unix nanoseconds as an aware time, microseconds kept."""
    return _EPOCH + timedelta(microseconds=ns // 1000)


def _plain(span: RawSpan) -> SpanRecord:
    place = normalise_call.Place(SpanKind.OTHER, moment(span.start_ns), span.status, "", "", "", "", "", "", "", "")
    rows = [{"name": e.name, "time_ns": e.time_ns, "attributes": dict(e.attributes)} for e in span.events]
    return _span_record(span, place, dict(span.attributes), rows, span.alterations)
