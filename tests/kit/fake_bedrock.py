"""A `bedrock-runtime` that is not one: Converse and InvokeModel on loopback, whole and as AWS event streams.

Shapes from the public API reference and the event-stream encoding, November 2026. boto3 is pointed at it with
`endpoint_url`; a model name that ends in `error-<status>` is refused with that status.
"""

from __future__ import annotations

import json
import re
import struct
import threading
import zlib
from base64 import b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote
from uuid import uuid4

from stanchion_server.commands.fake_llm import anthropic_api
from stanchion_server.commands.fake_llm.answers import REFERENCE_USAGE, Answer, Json, choose
from stanchion_server.commands.fake_llm.server import ServedCall

USAGE = REFERENCE_USAGE["anthropic"]


class FakeBedrock:
    """On 127.0.0.1, from `with` to the end of it. `calls` lists what it answered, in order of arrival."""

    def __init__(self) -> None:
        self.calls: list[ServedCall] = []
        handler = type("BoundHandler", (_Handler,), {"fake": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

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

    def handle_error(self, *_: Any) -> None:
        """Clients that vanish between two requests are no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    fake: FakeBedrock

    def log_message(self, *_: Any) -> None:
        """Silent: the tests' output is not an access log."""

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers.get("content-length") or 0)) or b"{}")
        _, _, model, method = map(unquote, self.path.split("/", 3))
        refused = re.search(r"error-(\d{3})$", model)
        if refused:
            message = {"message": f"The fake provider was asked to answer {refused.group(1)}."}
            return self._send(json.dumps(message).encode(), {"x-amzn-errortype": "Refused"}, int(refused.group(1)))
        identity = uuid4().hex[:24]
        self.fake.calls.append(ServedCall(self.path, model, identity, "stream" in method))
        if method == "converse":
            return self._send_json(converse(converse_answer(request)))
        if method == "converse-stream":
            return self._send_events(converse_events(converse_answer(request)))
        chunks, whole = invocation(model, request, identity)
        if method == "invoke":
            return self._send_json(whole)
        framed = ({"chunk": {"bytes": b64encode(json.dumps(chunk).encode()).decode()}} for chunk in chunks)
        return self._send_events(framed)

    def _send_json(self, body: Json) -> None:
        counts = {"input": 7} if "embedding" in body else {"input": USAGE.input_tokens, "output": USAGE.output_tokens}
        self._send(
            json.dumps(body).encode(), {f"x-amzn-bedrock-{kind}-token-count": str(n) for kind, n in counts.items()}
        )

    def _send(self, data: bytes, headers: dict[str, str], status: int = 200) -> None:
        self.send_response(status)
        for name, value in {"content-type": "application/json", "content-length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.send_header("x-amzn-requestid", str(uuid4()))
        self.end_headers()
        self.wfile.write(data)

    def _send_events(self, events: Iterator[Json]) -> None:
        self.send_response(200)
        self.send_header("content-type", "application/vnd.amazon.eventstream")
        self.send_header("x-amzn-requestid", str(uuid4()))
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        try:
            for event in events:
                [(kind, payload)] = event.items()
                frame = _frame(kind, json.dumps(payload).encode())
                self.wfile.write(f"{len(frame):x}\r\n".encode() + frame + b"\r\n")
            self.wfile.write(b"0\r\n\r\n")
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the client left in mid-stream: its right


def _frame(kind: str, payload: bytes) -> bytes:
    """One message of AWS's event stream: lengths, their checksum, headers, payload, checksum of all before."""
    named = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    headers = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
        for name, value in named.items()
    )
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + payload
    return message + struct.pack(">I", zlib.crc32(message))


def converse_answer(request: Json) -> Answer:
    content = (request.get("messages") or [{}])[-1].get("content") or []
    tools = [tool["toolSpec"] for tool in (request.get("toolConfig") or {}).get("tools") or []]
    question = " ".join(block.get("text", "") for block in content)
    return choose(question, [{"name": tool["name"], "schema": tool["inputSchema"]["json"]} for tool in tools])


def converse(answer: Answer) -> Json:
    block: Json = {"text": answer.text}
    if answer.is_tool_call:
        used = {"toolUseId": "tooluse_1", "name": answer.tool_name, "input": json.loads(answer.tool_arguments)}
        block = {"toolUse": used}
    message = {"role": "assistant", "content": [block]}
    return {"output": {"message": message}, "stopReason": _reason(answer), "usage": _usage(), "metrics": _LATENCY}


def converse_events(answer: Answer) -> Iterator[Json]:
    yield {"messageStart": {"role": "assistant"}}
    if answer.is_tool_call:
        start = {"toolUse": {"toolUseId": "tooluse_1", "name": answer.tool_name}}
        yield {"contentBlockStart": {"start": start, "contentBlockIndex": 0}}
    for piece in answer.pieces():
        delta: Json = {"toolUse": {"input": piece}} if answer.is_tool_call else {"text": piece}
        yield {"contentBlockDelta": {"delta": delta, "contentBlockIndex": 0}}
    yield {"contentBlockStop": {"contentBlockIndex": 0}}
    yield {"messageStop": {"stopReason": _reason(answer)}}
    yield {"metadata": {"usage": _usage(), "metrics": _LATENCY}}


_LATENCY = {"latencyMs": 5}


def _reason(answer: Answer) -> str:
    return "tool_use" if answer.is_tool_call else "end_turn"


def _usage() -> Json:
    """Bedrock's input tokens leave out what the cache read and took in; its total does not."""
    return {
        "inputTokens": USAGE.fresh_tokens,
        "outputTokens": USAGE.output_tokens,
        "totalTokens": USAGE.input_tokens + USAGE.output_tokens,
        "cacheReadInputTokens": USAGE.cached_tokens,
        "cacheWriteInputTokens": USAGE.written_tokens,
    }


def invocation(model: str, request: Json, identity: str) -> tuple[list[Json], Json]:
    """What `InvokeModel` streams and what it answers, in the model's own shape."""
    if "embed" in model:
        return [], {"embedding": [0.1, 0.2], "inputTextTokenCount": 7}
    if "anthropic" in model:
        answer = anthropic_api.answer_for(request)
        named = {**request, "model": "claude-sonnet-4-5"}
        arguments = json.loads(answer.tool_arguments) if answer.is_tool_call else {}
        events = list(anthropic_api.events(named, answer, USAGE, identity))
        return _measured(events), anthropic_api.message(named, answer, USAGE, identity, arguments)
    if "nova" in model:
        answer = converse_answer(request)
        return _measured(list(converse_events(answer))), converse(answer)
    return _titan(choose(str(request.get("inputText")), []))


def _titan(answer: Answer) -> tuple[list[Json], Json]:
    result = {"tokenCount": USAGE.output_tokens, "outputText": answer.text, "completionReason": "FINISH"}
    chunks: list[Json] = [{"outputText": piece, "index": 0, "completionReason": None} for piece in answer.pieces()]
    chunks[-1] |= {
        "completionReason": "FINISH",
        "totalOutputTextTokenCount": USAGE.output_tokens,
        "inputTextTokenCount": USAGE.input_tokens,
    }
    return _measured(chunks), {"inputTextTokenCount": USAGE.input_tokens, "results": [result]}


def _measured(chunks: list[Json]) -> list[Json]:
    counts = {"inputTokenCount": USAGE.fresh_tokens, "outputTokenCount": USAGE.output_tokens}
    return [*chunks[:-1], {**chunks[-1], "amazon-bedrock-invocationMetrics": counts}]
