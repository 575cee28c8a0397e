"""The HTTP side of the fake provider: bodies in every framing clients use, answers whole or as a stream of events."""

from __future__ import annotations

import gzip
import json
import re
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from stanchion_server.commands.fake_llm import anthropic_api, gemini_api, openai_api
from stanchion_server.commands.fake_llm.answers import REFERENCE_USAGE, Answer, Json, Scripted, Usage

MAX_BODY_BYTES = 32 << 20
ERROR_TYPES = {400: "invalid_request_error", 401: "authentication_error", 404: "not_found_error",
               429: "rate_limit_error", 529: "overloaded_error"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ServedCall:
    """One answered request. `response_id` is the id the client saw, and unique; streams say so."""

    path: str
    model: str
    response_id: str
    is_streamed: bool


class FakeLlm:
    """The provider on 127.0.0.1, from `with` to the end of it. `calls` lists what it answered, in order of arrival."""

    def __init__(
        self,
        port: int = 0,
        latency_ms: float = 20.0,
        chunk_ms: float = 30.0,
        script: Callable[[str], Scripted | None] = lambda key: None,
    ) -> None:
        self.script = script
        self.latency_s = latency_ms / 1000
        self.chunk_s = chunk_ms / 1000
        self.usage: dict[str, Usage] = dict(REFERENCE_USAGE)
        self.calls: list[ServedCall] = []
        handler = type("BoundHandler", (_Handler,), {"fake": self})
        self._server = _Server(("127.0.0.1", port), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def url(self) -> str:
        """Without a path: OpenAI clients add `/v1` themselves only when they are told to."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, *_: Any) -> None:
        """Clients that vanish between two requests are no news."""


class _Refused(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    fake: FakeLlm

    def log_message(self, *_: Any) -> None:
        """Silent: the tests' output is not an access log."""

    def do_GET(self) -> None:
        if self.path.split("?")[0].endswith("/models"):
            models = [{"id": name, "object": "model", "owned_by": "fake"} for name in ("gpt-4o-mini", "gpt-4o")]
            return self._send_json({"object": "list", "data": models, "has_more": False})
        return self._refuse(_Refused(404, f"nothing at {self.path}"))

    def do_POST(self) -> None:
        try:
            request = self._read_json()
            model = self._model_of(request)
            self._steer(model)
            self._route(self.path.split("?")[0].rstrip("/"), model, request)
        except _Refused as refusal:
            self._refuse(refusal)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the client left in mid-stream: its right

    def _route(self, path: str, model: str, request: Json) -> None:
        identity = uuid4().hex[:24]
        if path.endswith("/chat/completions"):
            self._chat(path, request, identity)
        elif path.endswith("/responses"):
            self._responses(path, request, identity)
        elif path.endswith("/messages"):
            self._messages(path, request, identity)
        elif path.endswith("/messages/count_tokens"):
            self._send_json({"input_tokens": self.fake.usage["anthropic"].input_tokens})
        elif path.endswith("/embeddings"):
            self._note(path, model, "", streamed=False)
            self._send_json(openai_api.embeddings(request))
        elif path.endswith("/moderations"):
            self._send_json(openai_api.moderations(request, identity))
        elif path.endswith((":generateContent", ":streamGenerateContent")):
            self._gemini(path, model, request, identity)
        elif path.endswith((":embedContent", ":batchEmbedContents")):
            self._note(path, model, "", streamed=False)
            self._send_json(gemini_api.embeddings(request))
        else:
            raise _Refused(404, f"nothing at {path}")

    def _chat(self, path: str, request: Json, identity: str) -> None:
        answer, usage = self._said() or (openai_api.chat_answer(request), self.fake.usage["openai"])
        streamed = bool(request.get("stream"))
        self._note(path, request.get("model", ""), f"chatcmpl-{identity}", streamed=streamed)
        if streamed:
            chunks = openai_api.chat_chunks(request, answer, usage, identity)
            return self._send_events((None, json.dumps(c)) for c in chunks)
        return self._send_json(openai_api.chat(request, answer, usage, identity))

    def _responses(self, path: str, request: Json, identity: str) -> None:
        answer, usage = self._said() or (openai_api.responses_answer(request), self.fake.usage["openai"])
        streamed = bool(request.get("stream"))
        self._note(path, request.get("model", ""), f"resp_{identity}", streamed=streamed)
        if streamed:
            events = openai_api.responses_events(request, answer, usage, identity)
            return self._send_events(((e["type"], json.dumps(e)) for e in events), last=None)
        return self._send_json(openai_api.responses(request, answer, usage, identity))

    def _messages(self, path: str, request: Json, identity: str) -> None:
        answer, usage = self._said() or (anthropic_api.answer_for(request), self.fake.usage["anthropic"])
        streamed = bool(request.get("stream"))
        self._note(path, request.get("model", ""), f"msg_{identity}", streamed=streamed)
        if streamed:
            events = anthropic_api.events(request, answer, usage, identity)
            return self._send_events(((e["type"], json.dumps(e)) for e in events), last=None)
        arguments = json.loads(answer.tool_arguments) if answer.is_tool_call else {}
        return self._send_json(anthropic_api.message(request, answer, usage, identity, arguments))

    def _gemini(self, path: str, model: str, request: Json, identity: str) -> None:
        answer, usage = self._said() or (gemini_api.answer_for(request), self.fake.usage["gemini"])
        streamed = path.endswith(":streamGenerateContent")
        self._note(path, model, identity, streamed=streamed)
        if streamed:
            chunks = gemini_api.chunks(model, answer, usage, identity)
            return self._send_events(((None, json.dumps(c)) for c in chunks), last=None)
        return self._send_json(gemini_api.content(model, answer, usage, identity))

    def _scripted(self) -> Scripted | None:
        return self.fake.script(self.headers.get("x-fake-script") or "")

    def _said(self) -> tuple[Answer, Usage] | None:
        told = self._scripted()
        return None if told is None else (told.answer, told.usage)

    def _note(self, path: str, model: str, response_id: str, *, streamed: bool) -> None:
        self.fake.calls.append(ServedCall(path, model, response_id, streamed))

    def _model_of(self, request: Json) -> str:
        in_path = re.search(r"/models/([^/:]+):", self.path)
        return in_path.group(1) if in_path else str(request.get("model") or "")

    def _steer(self, model: str) -> None:
        """Waits for the settled latency, then refuses when the header or the model's name says so."""
        latency_ms = self.headers.get("x-fake-latency-ms")
        time.sleep(float(latency_ms) / 1000 if latency_ms else self.fake.latency_s)
        named = re.search(r"error-(\d{3})$", model)
        told = self._scripted()
        status = int(self.headers.get("x-fake-status") or (named.group(1) if named else told.status if told else 0))
        if status:
            said = told.answer.text if told else ""
            raise _Refused(status, said or f"The fake provider was asked to answer {status}.")

    def _read_json(self) -> Json:
        body = self._read_body()
        match (self.headers.get("content-encoding") or "identity").lower():
            case "gzip":
                body = gzip.decompress(body)
            case "deflate":
                body = zlib.decompress(body)
        try:
            parsed = json.loads(body or b"{}")
        except ValueError as error:
            raise _Refused(400, f"The body is not JSON: {error}.") from error
        if not isinstance(parsed, dict):
            raise _Refused(400, "The body must be a JSON object.")
        return parsed

    def _read_body(self) -> bytes:
        if "chunked" in (self.headers.get("transfer-encoding") or "").lower():
            return b"".join(self._read_chunks())
        size = int(self.headers.get("content-length") or 0)
        if size > MAX_BODY_BYTES:
            raise _Refused(413, "The body is too large.")
        return self.rfile.read(size)

    def _read_chunks(self) -> Iterator[bytes]:
        total = 0
        while size := int(self.rfile.readline(64).split(b";")[0].strip() or b"0", 16):
            total += size
            if total > MAX_BODY_BYTES:
                raise _Refused(413, "The body is too large.")
            yield self.rfile.read(size)
            self.rfile.readline(4)
        while self.rfile.readline(8192).strip():
            pass  # trailers

    def _send_json(self, body: Json, status: int = 200) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.send_header("x-request-id", f"req_{uuid4().hex}")
        self.send_header("request-id", f"req_{uuid4().hex}")
        if status == 429:
            self.send_header("retry-after", "1")
        self.end_headers()
        self.wfile.write(data)

    def _send_events(self, events: Iterator[tuple[str | None, str]], last: str | None = "[DONE]") -> None:
        """Server-sent events, `chunk_s` apart; `last` is the literal that ends OpenAI's older streams."""
        self.send_response(200)
        self.send_header("content-type", "text/event-stream; charset=utf-8")
        self.send_header("cache-control", "no-cache")
        self.send_header("transfer-encoding", "chunked")
        self.send_header("x-request-id", f"req_{uuid4().hex}")
        self.end_headers()
        asked_ms = self.headers.get("x-fake-chunk-ms")
        pause_s = float(asked_ms) / 1000 if asked_ms else self.fake.chunk_s
        for name, data in events:
            self._write_chunk((f"event: {name}\n" if name else "") + f"data: {data}\n\n")
            if pause_s:
                time.sleep(pause_s)
        if last:
            self._write_chunk(f"data: {last}\n\n")
        self.wfile.write(b"0\r\n\r\n")

    def _write_chunk(self, text: str) -> None:
        data = text.encode()
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def _refuse(self, refusal: _Refused) -> None:
        kind = ERROR_TYPES.get(refusal.status, "api_error")
        error = {"type": kind, "message": str(refusal), "code": kind, "param": None}
        self._send_json({"type": "error", "error": error}, refusal.status)
