"""What the application under test talks to: a fake provider and a sink for telemetry, both on loopback."""

from __future__ import annotations

import contextlib
import gzip
import json
import re
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ANSWER = (
    "The invoice was issued on the third of the month and covers both services; the credit applies next cycle. " * 10
)[:1024]
WORDS = [ANSWER[at : at + 17] for at in range(0, len(ANSWER), 17)][:60]
CHUNKS = len(WORDS) + 3  # with the opening, the finish and the usage
USAGE = {"prompt_tokens": 512, "completion_tokens": 256, "total_tokens": 768}
_HEAD = {"id": "chatcmpl-b", "created": 1, "model": "gpt-4o-mini-2024-07-18"}
# The 16-byte trace id, followed by a span id, as every encoder that we measure writes them.
_TRACE_ID = re.compile(rb"\x0a\x10(.{16})\x12\x08.{8}", re.DOTALL)


def _chunk(delta: dict[str, str], finish: str | None = None, usage: dict[str, int] | None = None) -> bytes:
    choices = [] if usage else [{"index": 0, "delta": delta, "finish_reason": finish}]
    body = {**_HEAD, "object": "chat.completion.chunk", "choices": choices}
    return b"data: " + json.dumps(body | ({"usage": usage} if usage else {})).encode() + b"\n\n"


STREAM = b"".join(
    [_chunk({"role": "assistant", "content": ""}), *(_chunk({"content": word}) for word in WORDS),
     _chunk({}, "stop"), _chunk({}, usage=USAGE), b"data: [DONE]\n\n"]
)  # fmt: skip
PLAIN = json.dumps({
    **_HEAD, "object": "chat.completion", "usage": USAGE,
    "choices": [{"index": 0, "finish_reason": "stop", "logprobs": None,
                 "message": {"role": "assistant", "content": ANSWER, "refusal": None}}],
}).encode()  # fmt: skip


def is_stream(body: bytes) -> bool:
    return b'"stream":true' in body.replace(b" ", b"")


class _Quiet(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def answer(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        with contextlib.suppress(OSError):  # the sender may have left
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nobody reads it."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, address: Any) -> None:
        """Applications that are killed leave broken connections."""


class Provider:
    """An OpenAI server that answers at once."""

    def __init__(self) -> None:
        class Handler(_Quiet):
            def do_POST(self) -> None:
                streaming = is_stream(self.body())
                kind = "text/event-stream" if streaming else "application/json"
                self.answer(200, STREAM if streaming else PLAIN, kind)

        self.server = _Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


class Sink:
    """Takes OTLP/HTTP on every path and counts the distinct traces, of which each call makes one."""

    def __init__(self) -> None:
        self.delay_s, self.status, self.busy = 0.0, 200, 0
        self.traces: set[bytes] = set()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.server: _Server | None = None

    def up(self) -> Sink:
        sink = self

        class Handler(_Quiet):
            def do_POST(self) -> None:
                sink.take(self)

            def do_GET(self) -> None:
                self.answer(200, b"{}", "application/json")

        self.server = _Server(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def down(self) -> None:
        """Nothing listens on the port afterwards: connections are refused."""
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    def take(self, request: _Quiet) -> None:
        body = request.body()
        self.busy += 1
        time.sleep(self.delay_s)
        self.busy -= 1
        if self.status == 200:
            if request.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            self.traces.update(_TRACE_ID.findall(body))
        request.answer(self.status, b"", "application/x-protobuf")

    def forget(self) -> None:
        """Waits for the requests that an earlier process left behind, then counts from nothing."""
        self.delay_s, self.status = 0.0, 200
        while self.busy:
            time.sleep(0.1)
        self.traces.clear()
