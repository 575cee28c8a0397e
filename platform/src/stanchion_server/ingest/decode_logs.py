"""Log records of both encodings."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from stanchion_server.ingest.decode_json import JsonRequest
from stanchion_server.ingest.decode_protobuf import Parsed
from stanchion_server.ingest.decode_spans import (
    Refusals,
    check_count,
    hex_id,
    json_enum,
    json_resource,
    json_scope,
    json_text,
    protobuf_resource,
    protobuf_scope,
)
from stanchion_server.ingest.decode_values import (
    MAX_CONTENT,
    Mender,
    dicts,
    json_attributes,
    json_unsigned,
    json_value,
    listed,
    protobuf_attributes,
    protobuf_value,
)
from stanchion_server.ingest.records import Alteration, Decoded, RawLog, RawResource, RawScope

_SEVERITIES = {
    f"SEVERITY_NUMBER_{name}{step or ''}": base + max(step - 1, 0)
    for base, name in ((1, "TRACE"), (5, "DEBUG"), (9, "INFO"), (13, "WARN"), (17, "ERROR"), (21, "FATAL"))
    for step in (0, 2, 3, 4)
}


def from_protobuf(parsed: Parsed) -> Decoded:
    logs: list[RawLog] = []
    refusals = Refusals()
    mender = Mender()
    sent = 0
    for r, group in enumerate(parsed.message.resource_logs):
        resource, resource_bits = protobuf_resource(group.resource, mender)
        for s, scoped in enumerate(group.scope_logs):
            scope, scope_bits = protobuf_scope(scoped.scope, mender)
            sent += len(scoped.log_records)
            for i, log in enumerate(scoped.log_records):
                mender.bits = resource_bits | scope_bits
                if parsed.mended and parsed.is_mended(r, s, i):
                    mender.bits |= Alteration.INVALID_UTF8
                if problem := _id_problem(log.trace_id, log.span_id):
                    refusals.add(*problem)
                else:
                    logs.append(_protobuf_log(log, scope, resource, mender))
    return Decoded(sent, logs=tuple(logs), rejections=refusals.all())


def _protobuf_log(log: Any, scope: RawScope, resource: RawResource, mender: Mender) -> RawLog:
    body = protobuf_value(log.body, mender, _body_limit, "body")
    attributes = protobuf_attributes(log.attributes, mender)
    name = mender.text(log.event_name, 512)
    return _build(
        log.trace_id,
        log.span_id,
        log.time_unix_nano,
        log.observed_time_unix_nano,
        log.severity_number,
        name,
        body,
        attributes,
        scope,
        resource,
        mender,
    )


def from_json(request: dict[str, Any], max_items: int) -> Decoded:
    logs: list[RawLog] = []
    refusals = Refusals()
    mender = request.mender() if isinstance(request, JsonRequest) else Mender()
    sent = 0
    for group in dicts(request.get("resourceLogs")):
        resource, resource_bits = json_resource(group.get("resource"), mender)
        for scoped in dicts(group.get("scopeLogs")):
            scope, scope_bits = json_scope(scoped.get("scope"), mender)
            found = listed(scoped.get("logRecords"))
            sent += len(found)
            check_count(sent, max_items)
            for log in found:
                mender.bits = resource_bits | scope_bits
                if built := _json_log(log, scope, resource, mender, refusals):
                    logs.append(built)
    return Decoded(sent, logs=tuple(logs), rejections=refusals.all())


def _json_log(log: Any, scope: RawScope, resource: RawResource, mender: Mender, refusals: Refusals) -> RawLog | None:
    if not isinstance(log, dict):
        refusals.add("malformed", "A log record must be a JSON object.")
        return None
    trace_id, span_id = hex_id(log.get("traceId")) or b"", hex_id(log.get("spanId")) or b""
    if problem := _id_problem(trace_id, span_id):
        refusals.add(*problem)
        return None
    body = json_value(log.get("body"), mender, _body_limit, "body")
    attributes = json_attributes(log.get("attributes"), mender)
    return _build(
        trace_id,
        span_id,
        json_unsigned(log.get("timeUnixNano")),
        json_unsigned(log.get("observedTimeUnixNano")),
        json_enum(log.get("severityNumber"), _SEVERITIES),
        json_text(log.get("eventName"), mender, 512),
        body,
        attributes,
        scope,
        resource,
        mender,
    )


def _build(
    trace_id: bytes,
    span_id: bytes,
    time_ns: int,
    observed_ns: int,
    severity: int,
    event_name: str,
    body: Any,
    attributes: dict[str, Any],
    scope: RawScope,
    resource: RawResource,
    mender: Mender,
) -> RawLog:
    """`event.name` as an attribute is how events were named before OTLP 1.5."""
    if not event_name and isinstance(old := attributes.get("event.name"), str):
        event_name = old[:512]
    return RawLog(
        trace_id=UUID(bytes=trace_id) if any(trace_id) else None,
        span_id=int.from_bytes(span_id, "big", signed=True) if any(span_id) else None,
        time_ns=time_ns or observed_ns,
        observed_ns=observed_ns,
        severity=severity if 0 <= severity <= 24 else 0,
        event_name=event_name,
        body=body,
        attributes=attributes,
        scope=scope,
        resource=resource,
        alterations=Alteration(mender.bits),
    )


def _id_problem(trace_id: bytes, span_id: bytes) -> tuple[str, str] | None:
    """Log records need no ids; ids of a wrong length mean that something else was sent here."""
    if len(trace_id) in (0, 16) and len(span_id) in (0, 8):
        return None
    return "invalid_ids", "A log record's ids have 16 and 8 bytes or are absent. Spans belong to /v1/traces."


def _body_limit(key: str) -> int:
    return MAX_CONTENT
