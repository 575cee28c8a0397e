"""Builders of OTLP requests: one neutral form (OTLP/JSON as a dict), serialised as JSON or protobuf.

request = traces([span("chat gpt-4o-mini", attributes={"gen_ai.request.model": "gpt-4o-mini"})])
body = as_protobuf(request)         # or as_json(request)
"""

from __future__ import annotations

import base64
import itertools
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

CAPTURES = Path(__file__).parent.parent / "contract" / "captures"
START_NS = 1_795_440_000_000_000_000  # 2026-11-23T14:40:00Z
_ids = itertools.count(1)

Json = dict[str, Any]
_MESSAGES: dict[str, Any] = {
    "resourceSpans": ExportTraceServiceRequest,
    "resourceLogs": ExportLogsServiceRequest,
    "resourceMetrics": ExportMetricsServiceRequest,
}


def any_value(value: object) -> Json:
    """A Python value as an OTLP AnyValue. None becomes the empty value."""
    if value is None:
        return {}
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, str):
        return {"stringValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {
            "doubleValue": value
            if math.isfinite(value)
            else str(value).replace("nan", "NaN").replace("inf", "Infinity")
        }
    if isinstance(value, bytes):
        return {"bytesValue": base64.b64encode(value).decode()}
    if isinstance(value, Mapping):
        return {"kvlistValue": {"values": attributes(value)}}
    if isinstance(value, Iterable):
        return {"arrayValue": {"values": [any_value(item) for item in value]}}
    raise TypeError(f"no OTLP value for {type(value)}")


def attributes(values: Mapping[str, object]) -> list[Json]:
    return [{"key": key, "value": any_value(value)} for key, value in values.items()]


def new_trace_id() -> str:
    return f"{next(_ids) + (0xABC << 96):032x}"


def new_span_id() -> str:
    return f"{next(_ids) + (0xDEF << 48):016x}"


def span(
    name: str = "chat gpt-4o-mini",
    *,
    trace_id: str | None = None,
    span_id: str | None = None,
    parent: str = "",
    start_ns: int = START_NS,
    duration_ns: int = 800_000_000,
    attributes: Mapping[str, object] | None = None,
    events: Iterable[Json] = (),
    links: Iterable[Json] = (),
    status: int = 0,
    message: str = "",
    kind: int = 3,
) -> Json:
    built: Json = {
        "traceId": trace_id or new_trace_id(),
        "spanId": span_id or new_span_id(),
        "name": name,
        "kind": kind,
        "startTimeUnixNano": str(start_ns),
        "endTimeUnixNano": str(start_ns + duration_ns),
        "attributes": globals()["attributes"](attributes or {}),
        "events": list(events),
        "links": list(links),
        "status": {"code": status, "message": message},
    }
    if parent:
        built["parentSpanId"] = parent
    return built


def event(name: str, values: Mapping[str, object] | None = None, time_ns: int = START_NS + 1) -> Json:
    return {"name": name, "timeUnixNano": str(time_ns), "attributes": attributes(values or {})}


def llm_span(**attributes_by_underscore: object) -> Json:
    """A plain OTel GenAI chat span: OpenAI's reference call (1,100 in, 1,000 of it cached, 60 out, 40 reasoning)."""
    values: dict[str, object] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
        "gen_ai.response.id": f"chatcmpl-{next(_ids)}",
        "gen_ai.usage.input_tokens": 1100,
        "gen_ai.usage.output_tokens": 60,
        "gen_ai.usage.cache_read.input_tokens": 1000,
        "gen_ai.usage.reasoning.output_tokens": 40,
        "gen_ai.response.finish_reasons": ["stop"],
    }
    extra = attributes_by_underscore.pop("attributes", {})
    assert isinstance(extra, Mapping)
    return span(attributes={**values, **extra}, **attributes_by_underscore)  # type: ignore[arg-type]


def log(
    event_name: str = "",
    *,
    body: object = None,
    attributes: Mapping[str, object] | None = None,
    trace_id: str = "",
    span_id: str = "",
    time_ns: int = START_NS,
    severity: int = 9,
) -> Json:
    return {
        "timeUnixNano": str(time_ns),
        "observedTimeUnixNano": str(time_ns),
        "severityNumber": severity,
        "eventName": event_name,
        "body": any_value(body),
        "attributes": globals()["attributes"](attributes or {}),
        "traceId": trace_id,
        "spanId": span_id,
    }


def gauge(name: str, value: float, *, unit: str = "1", time_ns: int = START_NS, **values: object) -> Json:
    point = {"timeUnixNano": str(time_ns), "asDouble": value, "attributes": attributes(values)}
    return {"name": name, "unit": unit, "gauge": {"dataPoints": [point]}}


def traces(
    spans: Iterable[Json],
    resource: Mapping[str, object] | None = None,
    scope: str = "opentelemetry.instrumentation.openai_v2",
    version: str = "1.0",
) -> Json:
    return {"resourceSpans": [_resource(resource) | {"scopeSpans": [_scope(scope, version) | {"spans": list(spans)}]}]}


def logs(
    records: Iterable[Json],
    resource: Mapping[str, object] | None = None,
    scope: str = "opentelemetry.instrumentation.openai_v2",
    version: str = "1.0",
) -> Json:
    scoped = _scope(scope, version) | {"logRecords": list(records)}
    return {"resourceLogs": [_resource(resource) | {"scopeLogs": [scoped]}]}


def metrics(
    found: Iterable[Json],
    resource: Mapping[str, object] | None = None,
    scope: str = "opentelemetry.instrumentation.openai_v2",
    version: str = "1.0",
) -> Json:
    return {
        "resourceMetrics": [_resource(resource) | {"scopeMetrics": [_scope(scope, version) | {"metrics": list(found)}]}]
    }


def _resource(values: Mapping[str, object] | None) -> Json:
    return {"resource": {"attributes": attributes({"service.name": "shop"} if values is None else values)}}


def _scope(name: str, version: str) -> Json:
    return {"scope": {"name": name, "version": version}}


def as_json(request: Json) -> bytes:
    return json.dumps(request).encode()


def as_message(request: Json) -> Any:
    """The protobuf message of a request in the neutral form (hex ids)."""
    kind = next(iter(request))
    return json_format.ParseDict(_base64_ids(request), _MESSAGES[kind]())


def as_protobuf(request: Json) -> bytes:
    data: bytes = as_message(request).SerializeToString()
    return data


def _base64_ids(node: Any) -> Any:
    if isinstance(node, list):
        return [_base64_ids(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {key: _base64(value) if key in _ID_KEYS else _base64_ids(value) for key, value in node.items()}


_ID_KEYS = {"traceId", "spanId", "parentSpanId"}


def _base64(text: str) -> str:
    return base64.b64encode(bytes.fromhex(text)).decode()


def _hex_ids(node: Any) -> Any:
    if isinstance(node, list):
        return [_hex_ids(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {k: base64.b64decode(v).hex() if k in _ID_KEYS else _hex_ids(v) for k, v in node.items()}


def captures(name: str) -> Iterator[tuple[str, Json]]:
    """(traces, logs or metrics; the request in the neutral form) of each OTLP request in one capture file."""
    for line in (CAPTURES / f"{name}.jsonl").read_text().splitlines():
        row = json.loads(line)
        if row["kind"] not in ("traces", "logs", "metrics"):
            continue
        is_hex = row["ct"] == "application/json"
        yield row["kind"], row["obj"] if is_hex else _hex_ids(row["obj"])


def capture_names() -> list[str]:
    return sorted(path.stem for path in CAPTURES.glob("*.jsonl"))
