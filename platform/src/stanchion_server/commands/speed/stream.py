"""One streamed chat completion: when the first token came, when the last, and how many there were.

Only for addresses that an operator gives on the command line: nothing is checked but that it speaks HTTP.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit

from stanchion_server.costs.calculators.speed import Run
from stanchion_server.kernel import clock

ERROR_CHARS = 200
MAX_LINE_BYTES = 1 << 20


class NoAnswer(Exception):
    """Why a request gave no run; `status` is 0 where there was no HTTP answer."""

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True, slots=True)
class Target:
    """`url` is the base that clients are given, such as http://127.0.0.1:8089/v1."""

    url: str
    model: str
    key: str = ""
    max_tokens: int = 1_024
    timeout_s: float = 120.0


def ask(target: Target, prompt: str, length: int) -> Run:
    """Raises NoAnswer."""
    parts, port = _address(target.url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", port, timeout=target.timeout_s)
    began_s = clock.monotonic_s()
    try:
        connection.request(
            "POST", f"{parts.path.rstrip('/')}/chat/completions", _body(target, prompt), _headers(target)
        )
        response = connection.getresponse()
        if response.status != 200:
            raise NoAnswer(_said(response.read(4_096)), response.status)
        return read(iter(lambda: response.readline(MAX_LINE_BYTES), b""), length, began_s, clock.monotonic_s)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NoAnswer(f"{type(error).__name__}: {error}"[:ERROR_CHARS]) from error
    finally:
        connection.close()


def _address(url: str) -> tuple[SplitResult, int | None]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise NoAnswer(f"{url!r} is no address like http://127.0.0.1:8089/v1.")
    return parts, port


def _body(target: Target, prompt: str) -> bytes:
    return json.dumps({
        "model": target.model, "messages": [{"role": "user", "content": prompt}], "stream": True,
        "stream_options": {"include_usage": True}, "max_tokens": target.max_tokens, "temperature": 0,
    }).encode()  # fmt: skip


def _headers(target: Target) -> dict[str, str]:
    given = {"Content-Type": "application/json", "Accept": "text/event-stream"}
    return {**given, "Authorization": f"Bearer {target.key}"} if target.key else given


def _said(body: bytes) -> str:
    return body.decode("utf-8", "replace")[:ERROR_CHARS]


def read(lines: Iterable[bytes], length: int, began_s: float, now_s: Callable[[], float]) -> Run:
    """From the lines of an event stream. Without a usage block the pieces are counted, which is an estimate. Raises
    NoAnswer where no token came, or the provider reported an error on the way."""
    first_s = last_s = None
    pieces, usage = 0, None
    for line in lines:
        event = _event(line)
        if event is None:
            continue
        if event.get("error"):
            raise NoAnswer(f"The stream broke off: {json.dumps(event['error'])}"[:ERROR_CHARS])
        usage = event.get("usage") or usage
        if _has_token(event):
            last_s = now_s()
            first_s = last_s if first_s is None else first_s
            pieces += 1
    if first_s is None or last_s is None:
        raise NoAnswer("The stream ended without a token.")
    counted = usage.get("completion_tokens") if isinstance(usage, dict) else None
    told = counted if isinstance(counted, int) and counted > 0 else None
    prompt = usage.get("prompt_tokens") if isinstance(usage, dict) else None
    return Run(
        length, first_s - began_s, last_s - began_s, told or pieces, prompt if isinstance(prompt, int) else None,
        told is None,
    )  # fmt: skip


def _event(line: bytes) -> dict[str, Any] | None:
    text = line.strip()
    if not text.startswith(b"data:") or text == b"data: [DONE]":
        return None
    found = json.loads(text.removeprefix(b"data:"))
    return found if isinstance(found, dict) else None


def _has_token(event: dict[str, Any]) -> bool:
    """Thinking counts, too: it is generated and paid for."""
    choices = event.get("choices")
    delta = choices[0].get("delta") if isinstance(choices, list) and choices and isinstance(choices[0], dict) else None
    if not isinstance(delta, dict):
        return False
    return any(delta.get(name) for name in ("content", "reasoning_content", "reasoning", "tool_calls"))
