"""OTLP requests into raw items: the only reader of both encodings.

An item that cannot be kept is refused with a reason; an item that had to be changed says how (`Alteration`); the rest
of its request is not affected. Only a request that cannot be read at all raises SenderError: 400 `undecodable`,
400 `wrong_signal`, 413 `too_many_items`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from stanchion_server.ingest import decode_json, decode_protobuf, decode_spans, wire_count
from stanchion_server.ingest import decode_logs as logs_reader
from stanchion_server.ingest import decode_metrics as metrics_reader
from stanchion_server.ingest.records import Decoded
from stanchion_server.kernel.errors import SenderError

Encoding = Literal["protobuf", "json"]


@dataclass(frozen=True, slots=True)
class Limits:
    """`max_items` spans, log records or metric points in one request; `max_attributes` attributes, events and links
    altogether, checked for requests that are large for the number of their items."""

    max_items: int = 10_000
    max_attributes: int = 500_000


_LARGE_ITEM_BYTES = 16 * 1024
# Braces and brackets a JSON body may have per allowed item: an item with 60 attributes and their values has about 130.
_JSON_NODES_PER_ITEM = 200


def decode_traces(body: bytes, encoding: Encoding, now_ns: int, limits: Limits) -> Decoded:
    if encoding == "json":
        return decode_spans.from_json(_json(body, limits, "resourceSpans"), limits.max_items)
    _check_wire(body, limits, wire_count.SPANS, wire_count.SPAN_ATTRIBUTES)
    return decode_spans.from_protobuf(decode_protobuf.parse("traces", body))


def decode_logs(body: bytes, encoding: Encoding, now_ns: int, limits: Limits) -> Decoded:
    if encoding == "json":
        return logs_reader.from_json(_json(body, limits, "resourceLogs"), limits.max_items)
    _check_wire(body, limits, wire_count.LOGS, wire_count.LOG_ATTRIBUTES)
    return logs_reader.from_protobuf(decode_protobuf.parse("logs", body))


def decode_metrics(body: bytes, encoding: Encoding, now_ns: int, limits: Limits) -> Decoded:
    if encoding == "json":
        return metrics_reader.from_json(_json(body, limits, "resourceMetrics"), limits.max_items)
    _check_wire(body, limits, wire_count.METRICS, wire_count.POINTS)
    _check_wire(body, limits, wire_count.POINTS, ())
    return metrics_reader.from_protobuf(decode_protobuf.parse("metrics", body))


def _json(body: bytes, limits: Limits, key: str) -> dict[str, Any]:
    nodes = body.count(b"{") + body.count(b"[")
    if nodes > limits.max_items * _JSON_NODES_PER_ITEM:
        raise too_many_items(limits.max_items)
    return decode_json.parse(body, key)


def _check_wire(
    body: bytes, limits: Limits, items: tuple[tuple[int, ...], ...], parts: tuple[tuple[int, ...], ...]
) -> None:
    try:
        found = wire_count.count(body, items, limits.max_items)
        if found > limits.max_items:
            raise too_many_items(limits.max_items)
        is_large = bool(parts) and len(body) > (found + 1) * _LARGE_ITEM_BYTES
        if is_large and wire_count.count(body, parts, limits.max_attributes) > limits.max_attributes:
            raise too_many_items(limits.max_items)
    except wire_count.MalformedWire as error:
        raise decode_protobuf.undecodable() from error


def too_many_items(limit: int) -> SenderError:
    return SenderError(
        "too_many_items",
        f"The request holds more items than the {limit:,} allowed in one; send smaller batches.",
        http_status=413,
    )
