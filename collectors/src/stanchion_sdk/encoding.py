"""Finished spans as OTLP protobuf, written by hand.

A generated encoder costs about as much CPU a span as the rest of the SDK together and pins the application's protobuf
version; the twelve message types that traces need are written here instead. Field numbers: opentelemetry-proto 1.x,
the files trace, common, resource and metrics/v1.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan

_pack_double = struct.Struct("<d").pack
_pack_fixed64 = struct.Struct("<Q").pack
_ONE = tuple(bytes((n,)) for n in range(128))
_U64 = (1 << 64) - 1
MAX_DEPTH = 8


def varint(value: int) -> bytes:
    if value < 128:
        return _ONE[value]
    out = bytearray()
    while value > 127:
        out.append((value & 127) | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def delimited(tag: bytes, body: bytes) -> bytes:
    return tag + varint(len(body)) + body


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "replace")


@lru_cache(maxsize=2048)
def _key(name: str) -> bytes:
    return delimited(b"\x0a", _utf8(name))


def any_value(value: object, depth: int = 0) -> bytes:
    """The body of an AnyValue. What OTLP has no type for is sent as its string."""
    if isinstance(value, str):
        return delimited(b"\x0a", _utf8(value))
    if isinstance(value, bool):
        return b"\x10\x01" if value else b"\x10\x00"
    if isinstance(value, int):
        return b"\x18" + varint(value & _U64) if -(1 << 63) <= value < 1 << 63 else any_value(str(value))
    if isinstance(value, float):
        return b"\x21" + _pack_double(value)
    if value is None:
        return b""
    return _compound_value(value, depth + 1)


def _compound_value(value: object, depth: int) -> bytes:
    if isinstance(value, bytes):
        return delimited(b"\x3a", value)
    if depth > MAX_DEPTH:
        return delimited(b"\x0a", b"[too deep]")
    if isinstance(value, Mapping):
        return delimited(b"\x32", attributes(b"\x0a", value, depth))
    if isinstance(value, Sequence):
        return delimited(b"\x2a", b"".join(delimited(b"\x0a", any_value(item, depth)) for item in value))
    return delimited(b"\x0a", _utf8(str(value)))


def attributes(tag: bytes, values: Mapping[str, Any] | None, depth: int = 0) -> bytes:
    if not values:
        return b""
    parts: list[bytes] = []
    for name, value in values.items():
        body = _key(name) if len(name) < 200 else delimited(b"\x0a", _utf8(name))
        body += delimited(b"\x12", any_value(value, depth))
        parts += (tag, varint(len(body)), body)
    return b"".join(parts)


def span(item: ReadableSpan, values: Mapping[str, Any] | None, texts: SpanTexts) -> bytes:
    """One Span message. `values` and `texts` are what is sent, already masked where that is asked for."""
    context = item.context
    assert context is not None
    parent = item.parent
    parts = [
        b"\x0a\x10" + context.trace_id.to_bytes(16, "big") + b"\x12\x08" + context.span_id.to_bytes(8, "big"),
        delimited(b"\x1a", _utf8(texts.state)) if texts.state else b"",
        b"\x22\x08" + parent.span_id.to_bytes(8, "big") if parent is not None else b"",
        delimited(b"\x2a", _utf8(texts.name)),
        b"\x30" + varint(item.kind.value + 1),
        b"\x39" + _pack_fixed64(item.start_time or 0) + b"\x41" + _pack_fixed64(item.end_time or item.start_time or 0),
        attributes(b"\x4a", values),
        _count(b"\x50", item.dropped_attributes),
        texts.events,
        _count(b"\x60", item.dropped_events),
        texts.links,
        _count(b"\x70", item.dropped_links),
        _status(item.status.status_code.value, texts.status),
        b"\x85\x01" + struct.pack("<I", _flags(context.trace_flags, parent)),
    ]
    return b"".join(parts)


class SpanTexts:
    """The parts of a span that masking may rewrite beside its attributes."""

    __slots__ = ("events", "links", "name", "state", "status")

    def __init__(self, name: str, status: str, events: bytes, links: bytes, state: str) -> None:
        self.name, self.status, self.events, self.links, self.state = name, status, events, links, state


def event(timestamp: int, name: str, values: Mapping[str, Any] | None) -> bytes:
    body = b"\x09" + _pack_fixed64(timestamp) + delimited(b"\x12", _utf8(name)) + attributes(b"\x1a", values)
    return delimited(b"\x5a", body)


def link(trace_id: int, span_id: int, values: Mapping[str, Any] | None) -> bytes:
    body = b"\x0a\x10" + trace_id.to_bytes(16, "big") + b"\x12\x08" + span_id.to_bytes(8, "big")
    return delimited(b"\x6a", body + attributes(b"\x22", values))


def _count(tag: bytes, value: int) -> bytes:
    return tag + varint(value) if value else b""


def _status(code: int, message: str) -> bytes:
    """The API numbers UNSET, OK, ERROR as OTLP does."""
    body = (delimited(b"\x12", _utf8(message)) if message else b"") + (b"\x18" + varint(code) if code else b"")
    return delimited(b"\x7a", body) if body else b""


def _flags(trace_flags: int, parent: Any) -> int:
    """W3C flags, and the two bits that say whether the parent is known to be remote."""
    return int(trace_flags) | 0x100 | (0x200 if parent is not None and parent.is_remote else 0)


def request(resource: bytes, scopes: Iterable[tuple[bytes, list[bytes]]]) -> bytes:
    """An ExportTraceServiceRequest of one resource; `resource` and each scope are encoded message bodies."""
    parts = [delimited(b"\x0a", resource)]
    for scope, spans in scopes:
        body = delimited(b"\x0a", scope) + b"".join(delimited(b"\x12", one) for one in spans)
        parts.append(delimited(b"\x12", body))
    return delimited(b"\x0a", b"".join(parts))


def scope(name: str, version: str | None) -> bytes:
    return delimited(b"\x0a", _utf8(name)) + (delimited(b"\x12", _utf8(version)) if version else b"")


def counter_request(
    resource: bytes, name: str, unit: str, since_ns: int, now_ns: int, counts: Mapping[str, int]
) -> bytes:
    """An ExportMetricsServiceRequest with one cumulative counter, one point per reason."""
    points = b"".join(
        delimited(
            b"\x0a",
            b"\x11" + _pack_fixed64(since_ns) + b"\x19" + _pack_fixed64(now_ns)
            + b"\x31" + _pack_fixed64(count) + attributes(b"\x3a", {"reason": reason}),
        )
        for reason, count in counts.items()
    )  # fmt: skip
    total = points + b"\x10\x02\x18\x01"
    metric = delimited(b"\x0a", _utf8(name)) + delimited(b"\x1a", _utf8(unit)) + delimited(b"\x3a", total)
    scoped = delimited(b"\x0a", scope("stanchion_sdk", None)) + delimited(b"\x12", metric)
    return delimited(b"\x0a", delimited(b"\x0a", resource) + delimited(b"\x12", scoped))


def rejected_spans(body: bytes) -> int:
    """`partial_success.rejected_spans` of an ExportTraceServiceResponse; 0 for anything that is none."""
    if len(body) < 3 or body[0] != 0x0A:
        return 0
    place = 2 if body[1] < 128 else 3
    if place >= len(body) or body[place] != 0x08:
        return 0
    value = shift = 0
    for byte in body[place + 1 : place + 10]:
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value
    return 0
