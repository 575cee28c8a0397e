"""AWS Bedrock through botocore: Converse, ConverseStream, InvokeModel and its stream.

What the application gets back are botocore's own objects; an event stream or a body is read along with it.
"""

from __future__ import annotations

import json
import weakref
from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from importlib import import_module
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY

from .. import attributes as names
from .. import safety
from ..recording import Call, Recorder
from .bedrock_bodies import Converse, Fields, body_format
from .clients import Chunks, Endpoint, end_stream, end_with_close, observe, request_attributes
from .imports import when_imported

MAX_BODY_BYTES = 4 * 1024 * 1024
_OPERATIONS = ("Converse", "ConverseStream", "InvokeModel", "InvokeModelWithResponseStream")
_HEADERS = {
    "x-amzn-bedrock-input-token-count": names.INPUT_TOKENS,
    "x-amzn-bedrock-output-token-count": names.OUTPUT_TOKENS,
}
Sent = tuple[Call, Endpoint]


def install(recorder: Callable[[], Recorder | None]) -> None:
    def patch(module: ModuleType) -> None:
        original = module.BaseClient._make_api_call
        if hasattr(original, "_stanchion"):
            return
        replacement: Any = wraps(original)(_api_call(original, recorder))
        replacement._stanchion = True
        module.BaseClient._make_api_call = replacement
        streams = import_module("botocore.eventstream").EventStream
        streams.__iter__ = _iteration(streams.__iter__)

    when_imported("botocore.client", patch)


def _api_call(original: Callable[..., Any], recorder: Callable[[], Recorder | None]) -> Callable[..., Any]:
    def make_api_call(client: Any, operation_name: str, api_params: Any) -> Any:
        sent = _begin(client, operation_name, api_params, recorder()) if operation_name in _OPERATIONS else None
        if sent is None:
            return original(client, operation_name, api_params)
        token = otel_context.attach(trace.set_span_in_context(sent[0].span))
        try:
            response = original(client, operation_name, api_params)
        except BaseException as error:
            sent[0].fail(error)
            raise
        finally:
            otel_context.detach(token)
        try:
            _answered(sent, response)
        except Exception as error:
            safety.note("answer", error)
            sent[0].finish()
        return response

    return make_api_call


def _begin(client: Any, operation: str, params: Any, recorder: Recorder | None) -> Sent | None:
    try:
        if recorder is None or client.meta.service_model.service_name != "bedrock-runtime":
            return None
        if otel_context.get_value(_SUPPRESS_INSTRUMENTATION_KEY):
            return None
        model = str(params.get("modelId") or "").rpartition("/")[2]  # an ARN ends in the model's or profile's name
        endpoint, body = (Converse(), params) if operation.startswith("Converse") else _invocation(model, params)
        attributes = {
            **_server(client.meta.endpoint_url),
            names.OPERATION: endpoint.operation,
            names.REQUEST_MODEL: model,
            **request_attributes(endpoint, body, recorder.content),
        }
        if operation.endswith("Stream"):
            attributes[names.REQUEST_STREAM] = True
        return recorder.start(endpoint.operation, model, attributes), endpoint
    except Exception as error:
        safety.note("request", error)
        return None


def _invocation(model: str, params: Mapping[str, Any]) -> tuple[Endpoint, Mapping[str, Any]]:
    """A body that is a file is the application's to read, and stays unread."""
    body = params.get("body")
    parsed = json.loads(body) if isinstance(body, str | bytes | bytearray) else {}
    fields = parsed if isinstance(parsed, dict) else {}
    return body_format(model, fields), fields


def _server(url: str) -> dict[str, Any]:
    address = urlsplit(url)
    attributes: dict[str, Any] = {names.PROVIDER: "aws.bedrock", names.SERVER_ADDRESS: address.hostname or ""}
    if address.port:
        attributes[names.SERVER_PORT] = address.port
    return attributes


def _answered(sent: Sent, response: Mapping[str, Any]) -> None:
    call, endpoint = sent
    metadata = response.get("ResponseMetadata") or {}
    if metadata.get("RequestId"):
        call.attributes["aws.request_id"] = metadata["RequestId"]
    stream, body = response.get("stream"), response.get("body")
    if stream is not None:
        _watch_events(call, stream, endpoint.chunks(call))
    elif hasattr(body, "_event_generator"):
        _watch_events(call, body, _InChunks(endpoint.chunks(call)))
    elif body is not None:
        _watch_body(call, endpoint, body, metadata.get("HTTPHeaders") or {})
    else:
        endpoint.answer(call, response)
        call.finish()


class _InChunks:
    """The model's own events inside of `chunk` events."""

    def __init__(self, chunks: Chunks) -> None:
        self._chunks = chunks

    def add(self, event: Any) -> None:
        data = (event.get("chunk") or {}).get("bytes")
        if data:
            self._chunks.add(json.loads(data, object_hook=Fields))

    def finish(self) -> None:
        self._chunks.finish()


def _watch_events(call: Call, stream: Any, chunks: Chunks) -> None:
    stream.__dict__["_stanchion_events"] = (call, chunks)
    end_with_close(call, chunks, stream)
    weakref.finalize(stream, end_stream, call, chunks)


def _iteration(original: Callable[..., Any]) -> Callable[..., Any]:
    """Iterating over an event stream that carries a call tells the call about every event."""

    @wraps(original)
    def iterate(stream: Any) -> Iterator[Any]:
        events: Iterator[Any] = original(stream)
        watched = stream.__dict__.pop("_stanchion_events", None)
        return events if watched is None else observe(events, *watched)

    return iterate


def _watch_body(call: Call, endpoint: Endpoint, body: Any, headers: Mapping[str, str]) -> None:
    for header, name in _HEADERS.items():
        if str(headers.get(header, "")).isdigit():
            call.attributes[name] = int(headers[header])
    body._raw_stream = _Tee(body._raw_stream, call, endpoint)


class _Tee:
    """Stands where the raw stream of a body stood, and keeps a copy of what the application reads."""

    def __init__(self, raw: Any, call: Call, endpoint: Endpoint) -> None:
        self._raw = raw
        self._call = call
        self._endpoint = endpoint
        self._read: list[bytes] = []
        self._bytes = 0
        weakref.finalize(self, call.finish)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._raw)

    def read(self, amt: int | None = None, *args: Any, **kwargs: Any) -> Any:
        data = self._raw.read(amt, *args, **kwargs)
        self._keep(bytes(data), amt is None or (not data and amt > 0))
        return data

    def readinto(self, target: Any) -> Any:
        count = self._raw.readinto(target)
        self._keep(bytes(memoryview(target)[:count]), not count and len(target) > 0)
        return count

    def close(self) -> None:
        self._settle()
        self._raw.close()

    def _keep(self, data: bytes, is_last: bool) -> None:
        self._bytes += len(data)
        if self._bytes <= MAX_BODY_BYTES and not self._call.done:
            self._read.append(data)
        if is_last:
            self._settle()

    def _settle(self) -> None:
        if self._call.done:
            return
        try:
            if self._read and self._bytes <= MAX_BODY_BYTES:
                self._endpoint.answer(self._call, json.loads(b"".join(self._read), object_hook=Fields))
        except ValueError:
            pass  # closed before its end: the headers' counts stand
        except Exception as error:
            safety.note("answer", error)
        self._read.clear()
        self._call.finish()
