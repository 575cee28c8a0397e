"""The last interval as Prometheus text, for those who scrape: same values, names with underscores."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric


def text(request: ExportMetricsServiceRequest) -> str:
    """Prometheus text format 0.0.4. Histograms are left out: they are the engines' own, to be scraped there."""
    lines: list[str] = []
    for resource in request.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                lines += _lines(metric)
    return "\n".join(lines) + "\n"


def _lines(metric: Metric) -> list[str]:
    kind = metric.WhichOneof("data")
    if kind not in ("gauge", "sum"):
        return []
    name = metric.name.replace(".", "_") + ("_total" if kind == "sum" else "")
    points = metric.gauge.data_points if kind == "gauge" else metric.sum.data_points
    lines = [f"# TYPE {name} {'gauge' if kind == 'gauge' else 'counter'}"]
    for point in points:
        labels = ",".join(f'{_name(one.key)}="{_escaped(one.value.string_value)}"' for one in point.attributes)
        lines.append(f"{name}{{{labels}}} {point.as_double!r}")
    return lines


def _name(key: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in key)


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


class NoAddress(Exception):
    """The address to be scraped at cannot be had; the message says why."""


class Endpoint:
    """Serves the last text given to `show` at /metrics."""

    def __init__(self, host: str, port: int) -> None:
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            timeout = 5

            def do_GET(self) -> None:
                found = self.path.split("?")[0] == "/metrics"
                body = endpoint._text if found else b"see /metrics\n"
                self.send_response(200 if found else 404)
                self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_arguments: object) -> None:
                """A line for each scrape would be all that the log holds."""

        self._text = b""
        try:
            self._server = ThreadingHTTPServer((host, port), Handler)
        except OSError as error:
            raise NoAddress(f"prometheus is {host}:{port}, which cannot be listened on: {error.strerror}") from error
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, name="stanchion-gpu-scrape", daemon=True).start()

    def show(self, shown: str) -> None:
        self._text = shown.encode()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
