"""An OTLP server for tests of the SDK: keeps what arrives, and can be slow, refuse, redirect or talk nonsense."""

from __future__ import annotations

import gzip
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


def plain_value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [plain_value(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return {item.key: plain_value(item.value) for item in value.kvlist_value.values}
    return getattr(value, kind) if kind else None


@dataclass
class ArrivedSpan:
    name: str
    scope: str
    span_id: str
    trace_id: str
    parent_id: str
    attributes: dict[str, Any]
    events: list[tuple[str, dict[str, Any]]]
    status: int
    message: str
    resource: dict[str, Any]


@dataclass
class Sink:
    """`with Sink() as sink`; `answers` is a list of statuses to give before 200, `reply` raw bytes instead of HTTP."""

    spans: list[ArrivedSpan] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    feedback: list[dict[str, Any]] = field(default_factory=list)
    metrics: list[ExportMetricsServiceRequest] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    status: int = 200
    reply: bytes | None = None
    answers_to_get: dict[str, tuple[int, Any]] = field(default_factory=dict)
    gate: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Sink:
        self.gate.set()
        handler = type("Bound", (_Handler,), {"sink": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.gate.set()
        self.server.shutdown()
        self.server.server_close()

    def take(self, path: str, body: bytes) -> None:
        if path == "/v1/traces":
            self.bodies.append(body)
            self.spans += _spans(ExportTraceServiceRequest.FromString(body))
        elif path == "/v1/metrics":
            self.metrics.append(ExportMetricsServiceRequest.FromString(body))
        elif path == "/api/v1/feedback":
            self.feedback.append(json.loads(body))


class _Handler(BaseHTTPRequestHandler):
    sink: Sink
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.sink.gate.wait(30)
        if self.sink.reply is not None:
            self.wfile.write(self.sink.reply)
            self.close_connection = True
            return
        status = self.sink.answers.pop(0) if self.sink.answers else self.sink.status
        if status == 200:
            self.sink.headers.append({key.lower(): value for key, value in self.headers.items()})
            self.sink.take(self.path, gzip.decompress(body))
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        """`answers_to_get` by path; `{trace}` stands for the trace that arrived last."""
        last = self.sink.spans[-1].trace_id if self.sink.spans else ""
        answers = {path.replace("{trace}", last): answer for path, answer in self.sink.answers_to_get.items()}
        status, value = answers.get(self.path, (404, {}))
        body = json.dumps(value).replace("{trace}", last).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def _spans(request: ExportTraceServiceRequest) -> list[ArrivedSpan]:
    found = []
    for resource_spans in request.resource_spans:
        resource = {item.key: plain_value(item.value) for item in resource_spans.resource.attributes}
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                events = [(e.name, {item.key: plain_value(item.value) for item in e.attributes}) for e in span.events]
                found.append(ArrivedSpan(
                    span.name, scope_spans.scope.name, span.span_id.hex(), span.trace_id.hex(),
                    span.parent_span_id.hex(),
                    {item.key: plain_value(item.value) for item in span.attributes}, events, span.status.code,
                    span.status.message, resource,
                ))  # fmt: skip
    return found
