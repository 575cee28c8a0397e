"""One model call as one span: started before the request, finished with what came back. Shared by every hook."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer

from . import attributes as names
from . import safety

MAX_CONTENT_CHARS = 1024 * 1024


class Framework(Protocol):
    """A library that calls others: it knows where in its run a call is, where the OpenTelemetry context does not."""

    def parent_of_now(self) -> Context | None: ...

    def client_called(self) -> None:
        """A hooked client has begun to record a call here, so that the framework's own account of it is not needed."""


frameworks: list[Framework] = []


class Recorder:
    """Starts spans. `content` says whether messages are captured at all."""

    def __init__(self, tracer: Tracer, content: bool) -> None:
        self.tracer = tracer
        self.content = content

    def start(self, operation: str, model: str, attributes: Mapping[str, Any], start_ns: int | None = None) -> Call:
        name = f"{operation} {model}" if model else operation
        parent = None
        for framework in frameworks:
            framework.client_called()
            parent = parent or framework.parent_of_now()
        span = self.tracer.start_span(name, parent, SpanKind.CLIENT, attributes, start_time=start_ns)
        return Call(span, self.content)


class Call:
    """The span of one call, until `finish` or `fail`; the first of them counts."""

    __slots__ = ("_began", "attributes", "content", "done", "span")

    def __init__(self, span: Span, content: bool) -> None:
        self.span = span
        self.content = content
        self.attributes: dict[str, Any] = {}
        self.done = False
        self._began = time.perf_counter()

    def first_chunk(self) -> None:
        self.attributes[names.TIME_TO_FIRST_CHUNK] = time.perf_counter() - self._began

    def finish(self, end_ns: int | None = None) -> None:
        if self.done:
            return
        self.done = True
        try:
            self.span.set_attributes(self.attributes)
        finally:
            self.span.end(end_ns)

    def fail(self, error: BaseException, end_ns: int | None = None) -> None:
        """Ends the span as failed. The message is content: a provider quotes the prompt in it."""
        if self.done:
            return
        self.attributes[names.ERROR_TYPE] = error_type(error)
        try:
            message = str(error)[:2000] if self.content else ""
            self.span.set_status(StatusCode.ERROR, message or None)
            if self.content:
                event = {"exception.type": error_type(error), "exception.message": message}
                self.span.add_event("exception", event)
        except Exception as ours:
            safety.note("error", ours)
        self.finish(end_ns)


def error_type(error: BaseException) -> str:
    """The HTTP status where the provider answered with one, else the exception's name."""
    status = getattr(error, "status_code", None) or getattr(error, "code", None)  # the latter: google-genai
    if isinstance(status, int):
        return str(status)
    response = getattr(error, "response", None)
    if type(response) is dict and isinstance(response.get("ResponseMetadata"), dict):  # botocore
        return str(response["ResponseMetadata"].get("HTTPStatusCode") or type(error).__name__)
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def as_json(value: object) -> str:
    """JSON of anything, bounded: what JSON has no word for is named by its type, so no foreign `repr` runs at all.

    What is larger than MAX_CONTENT_CHARS is looked through only so far, as the application waits for it.
    """
    try:
        text = _encode(value) if _weight(value) <= MAX_CONTENT_CHARS else _encode(plain(value))
    except (TypeError, ValueError, RecursionError):
        text = _encode(plain(value))
    return text if len(text) <= 2 * MAX_CONTENT_CHARS else _encode([{"role": "unknown", "parts": [_cut(text)]}])


def _weight(value: Any) -> int:
    """About how large a value's JSON is, a number or bracket as 16 characters; stops counting at MAX_CONTENT_CHARS."""
    total = 0
    waiting: list[Any] = [value]
    while waiting and total <= MAX_CONTENT_CHARS:
        item = waiting.pop()
        kind = type(item)
        if kind is str:
            total += len(item)
        elif kind is dict:
            waiting += item.values()
        elif kind is list or kind is tuple:
            if len(item) > MAX_CONTENT_CHARS:
                return len(item)
            waiting += item
        total += 16
    return total


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=True).encode


_quote = json.encoder.encode_basestring


def _cut(text: str) -> dict[str, str]:
    return {"type": "text", "content": text[:MAX_CONTENT_CHARS] + "…[truncated]"}


class Budget:
    """How many characters and items of a large value are still looked at."""

    def __init__(self) -> None:
        self.left = MAX_CONTENT_CHARS

    def cut(self, text: str) -> str:
        short = text if len(text) <= self.left else text[: max(self.left, 0)] + "…[truncated]"
        self.left -= len(short)
        return short.encode("utf-8", "replace").decode()


def plain(value: object, budget: Budget | None = None, depth: int = 0) -> Any:
    """A JSON-ready copy: pydantic models dumped, unknown objects named by type, depth, size and odd keys bounded."""
    budget = budget or Budget()
    budget.left -= 16
    if value is None or isinstance(value, bool | int | float):
        return value if not isinstance(value, int) or -(1 << 63) <= value < 1 << 63 else "[large number]"
    if depth > 24 or budget.left <= 0:
        return "[too deep]" if depth > 24 else "…"
    try:
        return _plain_compound(value, budget, depth + 1)
    except Exception as error:  # an object of the application's that raises when it is looked at
        safety.note("content", error)
        return f"[{type(value).__name__}]"


def _plain_compound(value: object, budget: Budget, depth: int) -> Any:
    if isinstance(value, str):
        return budget.cut(str.__str__(value))
    if isinstance(value, Mapping):
        return {
            budget.cut(key) if isinstance(key, str) else type(key).__name__: plain(item, budget, depth)
            for key, item in _while(budget, value.items())
        }
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        return [plain(item, budget, depth) for item in _while(budget, value)]
    dump = getattr(type(value), "model_dump", None)
    if dump is not None:
        return plain(dump(value, exclude_unset=True), budget, depth)
    return f"[{type(value).__name__}]"


def _while(budget: Budget, items: Iterable[Any]) -> Iterator[Any]:
    for item in items:
        if budget.left <= 0:
            return
        yield item


def text_message(role: object, content: object) -> str | None:
    """The JSON of a message that is one plain text, as almost all are; None for any other."""
    if type(role) is not str or type(content) is not str:
        return None
    if len(content) > MAX_CONTENT_CHARS:
        content = _cut(content)["content"]
    return f'{{"role":{_quote(role)},"parts":[{{"type":"text","content":{_quote(content)}}}]'


def messages_json(messages: Sequence[Any], as_message: Callable[[Any], dict[str, Any]]) -> str:
    """Chat messages as a JSON list; `as_message` turns those that are more than a text into role and parts."""
    parts = []
    for message in messages:
        plain_text = None
        if type(message) is dict and len(message) == 2:
            plain_text = text_message(message.get("role"), message.get("content"))
        parts.append(
            as_json(as_message(message)) if plain_text is None or message["role"] == "tool" else plain_text + "}"
        )
    text = f"[{','.join(parts)}]"
    return text if len(text) <= 2 * MAX_CONTENT_CHARS else as_json([{"role": "unknown", "parts": [_cut(text)]}])


def listed(value: object) -> Sequence[Any]:
    """The items of a list or tuple. Anything else is left alone: iterating would use up the application's iterator."""
    return value if isinstance(value, list | tuple) else ()


def text_part(content: object) -> dict[str, Any]:
    return {"type": "text", "content": content}


def given(values: Mapping[str, Any], table: Mapping[str, str]) -> dict[str, Any]:
    """The request parameters that were set, under their names on the wire."""
    return {
        attribute: values[name]
        for name, attribute in table.items()
        if name in values and isinstance(values[name], str | int | float)
    }
