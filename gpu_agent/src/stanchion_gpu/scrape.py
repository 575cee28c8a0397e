"""The last interval as Prometheus text, for those who scrape: same values, names with underscores."""

from __future__ import annotations

import socket
import socketserver
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

MOST_AT_ONCE = 8
LASTS_S = 10.0


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
    """Serves the last text given to `show` at /metrics, to MOST_AT_ONCE at a time; who takes longer than LASTS_S is cut
    off at the next `show`. No login, no TLS."""

    def __init__(self, host: str, port: int) -> None:
        endpoint = self

        class Handler(_Handler):
            def shown(self) -> bytes:
                return endpoint._text

        self._text = b""
        try:
            self._server = _Server(host, port, Handler)
        except OSError as error:
            raise NoAddress(f"prometheus is {host}:{port}, which cannot be listened on: {error.strerror}") from error
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, name="stanchion-gpu-scrape", daemon=True).start()

    def show(self, shown: str) -> None:
        self._text = shown.encode()
        self._server.cut_off()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    timeout = 5
    server_version, sys_version = "stanchion-gpu-agent", ""

    def shown(self) -> bytes:
        raise NotImplementedError

    def do_GET(self) -> None:
        found = self.path.split("?")[0] == "/metrics"
        body = self.shown() if found else b"see /metrics\n"
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """A line for each scrape would be all that the log holds."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, host: str, port: int, handler: type[BaseHTTPRequestHandler]) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._guard = threading.Lock()
        self._under_way: dict[Any, float] = {}
        super().__init__((host, port), handler)

    def server_bind(self) -> None:
        """Without the look-up of this host's name, which may take a resolver's patience."""
        socketserver.TCPServer.server_bind(self)

    def cut_off(self) -> None:
        now_s = time.monotonic()
        with self._guard:
            late = [sock for sock, began_s in self._under_way.items() if now_s - began_s > LASTS_S]
        for sock in late:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def verify_request(self, request: Any, client_address: Any) -> bool:
        with self._guard:
            if len(self._under_way) >= MOST_AT_ONCE:
                return False
            self._under_way[request] = time.monotonic()
        return True

    def shutdown_request(self, request: Any) -> None:
        with self._guard:
            self._under_way.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is nothing to write a traceback about."""
