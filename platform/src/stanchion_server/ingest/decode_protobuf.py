"""Bytes into OTLP protobuf messages, also where a text in them is not valid UTF-8.

protobuf refuses a whole request for one bad byte in one string. Such a request is read again with a shadow of the
schema in which every string is bytes, mended, and parsed anew.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

from stanchion_server.kernel.errors import SenderError

_REQUESTS: dict[str, Any] = {
    "traces": trace_service_pb2.ExportTraceServiceRequest,
    "logs": logs_service_pb2.ExportLogsServiceRequest,
    "metrics": metrics_service_pb2.ExportMetricsServiceRequest,
}
# Deeper than this in the field path lies inside one item: resource list, scope list, item list.
_ITEM_DEPTH = 3


@dataclass(frozen=True, slots=True)
class Parsed:
    """A request message, and the items whose texts were mended as (resource, scope, item) indices. A shorter tuple
    stands for everything below it."""

    message: Any
    mended: frozenset[tuple[int, ...]] = frozenset()

    def is_mended(self, *place: int) -> bool:
        return any(place[:length] in self.mended for length in range(1, len(place) + 1))


def parse(signal: str, body: bytes) -> Parsed:
    request = _REQUESTS[signal]
    try:
        return Parsed(request.FromString(body))
    except DecodeError:
        return _salvage(signal, body)


def _salvage(signal: str, body: bytes) -> Parsed:
    try:
        shadow = _shadow(signal).FromString(body)
        mended: set[tuple[int, ...]] = set()
        _mend(shadow, (), mended)
        return Parsed(_REQUESTS[signal].FromString(shadow.SerializeToString()), frozenset(mended))
    except (DecodeError, RecursionError) as error:
        raise undecodable() from error


def undecodable() -> SenderError:
    return SenderError(
        "undecodable",
        "The body is not OTLP protobuf for this address: it is cut off, in another format, or nested too deeply "
        "(attribute values may hold about 45 levels). Check the exporter's protocol and path.",
    )


def _mend(message: Any, place: tuple[int, ...], mended: set[tuple[int, ...]]) -> None:
    texts = _text_fields(message.DESCRIPTOR.full_name)
    for field, value in message.ListFields():
        if field.name in texts:
            _mend_text(message, field, value, place, mended)
        elif field.type == FieldDescriptor.TYPE_MESSAGE:
            _mend_nested(field, value, place, mended)


def _mend_nested(field: Any, value: Any, place: tuple[int, ...], mended: set[tuple[int, ...]]) -> None:
    if not field.is_repeated:
        _mend(value, place, mended)
        return
    for index, item in enumerate(value):
        _mend(item, (*place, index) if _is_level(field.name) and len(place) < _ITEM_DEPTH else place, mended)


def _is_level(name: str) -> bool:
    return name.startswith(("resource_", "scope_")) or name in ("spans", "log_records", "metrics")


def _mend_text(message: Any, field: Any, value: Any, place: tuple[int, ...], mended: set[tuple[int, ...]]) -> None:
    if field.is_repeated:
        clean = [_replaced(item) for item in value]
        if clean != list(value):
            del value[:]
            value.extend(clean)
            mended.add(place)
    elif (text := _replaced(value)) != value:
        setattr(message, field.name, text)
        mended.add(place)


def _replaced(value: bytes) -> bytes:
    return value.decode("utf-8", "replace").encode()


@functools.cache
def _text_fields(full_name: str) -> frozenset[str]:
    real = descriptor_pool.Default().FindMessageTypeByName(full_name)
    return frozenset(field.name for field in real.fields if field.type == FieldDescriptor.TYPE_STRING)


@functools.cache
def _shadow(signal: str) -> Any:
    pool = descriptor_pool.DescriptorPool()
    _add_shadow(pool, _REQUESTS[signal].DESCRIPTOR.file, set())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(_REQUESTS[signal].DESCRIPTOR.full_name))


def _add_shadow(pool: Any, file: Any, done: set[str]) -> None:
    if file.name in done:
        return
    done.add(file.name)
    for dependency in file.dependencies:
        _add_shadow(pool, dependency, done)
    proto = descriptor_pb2.FileDescriptorProto()
    file.CopyToProto(proto)
    for message in proto.message_type:
        _texts_to_bytes(message)
    pool.Add(proto)


def _texts_to_bytes(message: Any) -> None:
    for field in message.field:
        if field.type == FieldDescriptor.TYPE_STRING:
            field.type = FieldDescriptor.TYPE_BYTES
    for nested in message.nested_type:
        _texts_to_bytes(nested)
