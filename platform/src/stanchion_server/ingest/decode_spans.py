"""Spans of both encodings."""

from __future__ import annotations

import functools
from typing import Any
from uuid import UUID

import orjson

from stanchion_server.ingest.decode_json import JsonRequest
from stanchion_server.ingest.decode_protobuf import Parsed
from stanchion_server.ingest.decode_values import (
    Mender,
    dicts,
    json_attributes,
    json_unsigned,
    listed,
    protobuf_attributes,
)
from stanchion_server.ingest.records import (
    Alteration,
    Decoded,
    RawEvent,
    RawLink,
    RawResource,
    RawScope,
    RawSpan,
    Rejection,
    Status,
)
from stanchion_server.kernel.errors import SenderError
from stanchion_server.kernel.ids import digest64

MAX_EVENTS = 256
MAX_LINKS = 128
_NO_SPAN = bytes(8)
_STATUSES = (Status.UNSET, Status.OK, Status.ERROR)
_STATUS_NAMES = {"STATUS_CODE_UNSET": 0, "STATUS_CODE_OK": 1, "STATUS_CODE_ERROR": 2}
_KIND_NAMES = {
    f"SPAN_KIND_{name}": number
    for number, name in enumerate(("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"))
}


# Spans of one trace come together, and few combinations of alterations occur: building these anew for each span is a
# measurable part of decoding.
_alterations = functools.cache(Alteration)


@functools.lru_cache(maxsize=2048)
def _uuid(trace_id: bytes) -> UUID:
    return UUID(bytes=trace_id)


class Refusals:
    """Counts refused items by reason."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], int] = {}

    def add(self, reason: str, detail: str) -> None:
        self._found[reason, detail] = self._found.get((reason, detail), 0) + 1

    def all(self) -> tuple[Rejection, ...]:
        return tuple(Rejection(reason, detail, count) for (reason, detail), count in self._found.items())


def from_protobuf(parsed: Parsed) -> Decoded:
    spans: list[RawSpan] = []
    refusals = Refusals()
    mender = Mender()
    sent = 0
    for r, group in enumerate(parsed.message.resource_spans):
        resource, resource_bits = protobuf_resource(group.resource, mender)
        for s, scoped in enumerate(group.scope_spans):
            scope, scope_bits = protobuf_scope(scoped.scope, mender)
            sent += len(scoped.spans)
            for i, span in enumerate(scoped.spans):
                mender.bits = resource_bits | scope_bits
                if parsed.mended and parsed.is_mended(r, s, i):
                    mender.bits |= Alteration.INVALID_UTF8
                if problem := id_problem(span.trace_id, span.span_id, span.start_time_unix_nano):
                    refusals.add(*problem)
                else:
                    spans.append(_protobuf_span(span, scope, resource, mender))
    return Decoded(sent, spans=tuple(spans), rejections=refusals.all())


def _protobuf_span(span: Any, scope: RawScope, resource: RawResource, mender: Mender) -> RawSpan:
    attributes = protobuf_attributes(span.attributes, mender)
    events: tuple[RawEvent, ...] = ()
    links: tuple[RawLink, ...] = ()
    if span.events:
        events = tuple(
            RawEvent(mender.text(event.name, 512), event.time_unix_nano, protobuf_attributes(event.attributes, mender))
            for event in mender.first(span.events, MAX_EVENTS)
        )
    if span.links:
        links = tuple(
            RawLink(link.trace_id[:16].hex(), link.span_id[:8].hex(), protobuf_attributes(link.attributes, mender))
            for link in mender.first(span.links, MAX_LINKS)
        )
    status = span.status
    code = status.code
    return build(
        span.trace_id,
        span.span_id,
        span.parent_span_id,
        mender.text(span.name, 1024),
        span.kind,
        span.start_time_unix_nano,
        span.end_time_unix_nano,
        code,
        mender.text(status.message) if code else "",
        attributes,
        events,
        links,
        scope,
        resource,
        mender,
    )


def build(  # one parameter for each thing a span has on the wire
    trace_id: bytes,
    span_id: bytes,
    parent: bytes,
    name: str,
    kind: int,
    start_ns: int,
    end_ns: int,
    code: int,
    message: str,
    attributes: dict[str, Any],
    events: tuple[RawEvent, ...],
    links: tuple[RawLink, ...],
    scope: RawScope,
    resource: RawResource,
    mender: Mender,
) -> RawSpan:
    if end_ns < start_ns:
        end_ns = start_ns
        mender.bits |= Alteration.NEGATIVE_DURATION
    has_parent = len(parent) == 8 and parent != _NO_SPAN
    return RawSpan(
        trace_id=_uuid(trace_id),
        span_id=int.from_bytes(span_id, "big", signed=True),
        parent_span_id=int.from_bytes(parent, "big", signed=True) if has_parent else None,
        name=name,
        otel_kind=kind if 0 <= kind <= 5 else 0,
        start_ns=start_ns,
        end_ns=end_ns,
        status=_STATUSES[code] if 0 <= code <= 2 else Status.UNSET,
        status_message=message,
        attributes=attributes,
        events=events,
        links=links,
        scope=scope,
        resource=resource,
        alterations=_alterations(mender.bits),
    )


def id_problem(trace_id: bytes | None, span_id: bytes | None, start_ns: int) -> tuple[str, str] | None:
    """Why a span with these ids cannot be kept; None when it can."""
    if trace_id and len(trace_id) == 16 and span_id and len(span_id) == 8 and any(trace_id) and any(span_id):
        return None
    if not trace_id and not span_id:
        hint = "" if start_ns else " They look like log records: those belong to /v1/logs."
        return "missing_ids", f"Spans without trace id and span id cannot be stored.{hint}"
    if not trace_id or len(trace_id) != 16 or not any(trace_id):
        return "invalid_trace_id", "A trace id has 16 bytes (32 hex digits in JSON), not all zero."
    return "invalid_span_id", "A span id has 8 bytes (16 hex digits in JSON), not all zero."


def from_json(request: dict[str, Any], max_items: int) -> Decoded:
    spans: list[RawSpan] = []
    refusals = Refusals()
    mender = request.mender() if isinstance(request, JsonRequest) else Mender()
    sent = 0
    for group in dicts(request.get("resourceSpans")):
        resource, resource_bits = json_resource(group.get("resource"), mender)
        for scoped in dicts(group.get("scopeSpans")):
            scope, scope_bits = json_scope(scoped.get("scope"), mender)
            found = listed(scoped.get("spans"))
            sent += len(found)
            check_count(sent, max_items)
            for span in found:
                mender.bits = resource_bits | scope_bits
                if built := _json_span(span, scope, resource, mender, refusals):
                    spans.append(built)
    return Decoded(sent, spans=tuple(spans), rejections=refusals.all())


def check_count(sent: int, max_items: int) -> None:
    if sent > max_items:
        raise SenderError(
            "too_many_items",
            f"The request holds more items than the {max_items:,} allowed in one; send smaller batches.",
            http_status=413,
        )


def _json_span(span: Any, scope: RawScope, resource: RawResource, mender: Mender, refusals: Refusals) -> RawSpan | None:
    if not isinstance(span, dict):
        refusals.add("malformed", "A span must be a JSON object.")
        return None
    trace_id, span_id = hex_id(span.get("traceId")), hex_id(span.get("spanId"))
    start_ns = json_unsigned(span.get("startTimeUnixNano"))
    if problem := id_problem(trace_id, span_id, start_ns):
        refusals.add(*problem)
        return None
    attributes = json_attributes(span.get("attributes"), mender)
    events = tuple(_json_event(event, mender) for event in mender.first(dicts(span.get("events")), MAX_EVENTS))
    links = tuple(_json_link(link, mender) for link in mender.first(dicts(span.get("links")), MAX_LINKS))
    status = found if isinstance(found := span.get("status"), dict) else {}
    code = json_enum(status.get("code"), _STATUS_NAMES)
    return build(
        trace_id or b"",
        span_id or b"",
        hex_id(span.get("parentSpanId")) or b"",
        json_text(span.get("name"), mender, 1024),
        json_enum(span.get("kind"), _KIND_NAMES),
        start_ns,
        json_unsigned(span.get("endTimeUnixNano")),
        code,
        json_text(status.get("message"), mender) if code else "",
        attributes,
        events,
        links,
        scope,
        resource,
        mender,
    )


def _json_event(event: dict[str, Any], mender: Mender) -> RawEvent:
    return RawEvent(
        json_text(event.get("name"), mender, 512),
        json_unsigned(event.get("timeUnixNano")),
        json_attributes(event.get("attributes"), mender),
    )


def _json_link(link: dict[str, Any], mender: Mender) -> RawLink:
    trace_id, span_id = hex_id(link.get("traceId")) or b"", hex_id(link.get("spanId")) or b""
    return RawLink(trace_id[:16].hex(), span_id[:8].hex(), json_attributes(link.get("attributes"), mender))


def hex_id(value: Any) -> bytes | None:
    """The bytes of an id in hex digits of either case; an odd text becomes one byte, which no id has."""
    if not isinstance(value, str) or not value:
        return None
    try:
        return bytes.fromhex(value) if value.isascii() and value.isalnum() else b"\0"
    except ValueError:
        return b"\0"


def json_enum(value: Any, names: dict[str, int]) -> int:
    if isinstance(value, str):
        value = names.get(value, int(value) if value.isdecimal() and len(value) < 4 else 0)
    return value if isinstance(value, int) and not isinstance(value, bool) and -1 < value < 1 << 31 else 0


def json_text(value: Any, mender: Mender, limit: int = 64 * 1024) -> str:
    return mender.text(value, limit) if isinstance(value, str) else ""


def protobuf_resource(resource: Any, mender: Mender) -> tuple[RawResource, int]:
    mender.bits = 0
    attributes = protobuf_attributes(resource.attributes, mender)
    return RawResource(resource_id(attributes), attributes), mender.take()


def protobuf_scope(scope: Any, mender: Mender) -> tuple[RawScope, int]:
    mender.bits = 0
    attributes = protobuf_attributes(scope.attributes, mender)
    return RawScope(mender.text(scope.name, 256), mender.text(scope.version, 128), attributes), mender.take()


def json_resource(resource: Any, mender: Mender) -> tuple[RawResource, int]:
    mender.bits = 0
    attributes = json_attributes(resource.get("attributes") if isinstance(resource, dict) else None, mender)
    return RawResource(resource_id(attributes), attributes), mender.take()


def json_scope(scope: Any, mender: Mender) -> tuple[RawScope, int]:
    mender.bits = 0
    found = scope if isinstance(scope, dict) else {}
    attributes = json_attributes(found.get("attributes"), mender)
    name, version = json_text(found.get("name"), mender, 256), json_text(found.get("version"), mender, 128)
    return RawScope(name, version, attributes), mender.take()


def resource_id(attributes: dict[str, Any]) -> int:
    return digest64(orjson.dumps(attributes, option=orjson.OPT_SORT_KEYS))
