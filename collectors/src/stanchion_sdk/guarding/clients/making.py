"""Answers of a client's own types: the client reads a body of ours as if the provider had sent it."""

from __future__ import annotations

import copy
import json
import sys
from functools import partial
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY

from .endpoints import Endpoint
from .openai_texts import Json


def stand_in(client: Any, endpoint: Endpoint, body: Json, *, is_stream: bool, request_id: str | None) -> Any:
    """The client with a provider of ours behind it, which answers everything with `body`. It asks for no credentials,
    and neither its own telemetry nor its middleware takes notice."""
    httpx = sys.modules[_http_library(client._client)]
    content, kind = _content(endpoint, body) if is_stream else (json.dumps(body).encode(), "application/json")
    headers = {"content-type": kind, **({"x-request-id": request_id, "request-id": request_id} if request_id else {})}
    transport = httpx.MockTransport(lambda request: httpx.Response(200, headers=headers, content=content))
    is_async = hasattr(client._client, "aclose")
    clone = copy.copy(client)
    clone._client = httpx.AsyncClient(transport=transport) if is_async else httpx.Client(transport=transport)
    clone._prepare_options = _same_async if is_async else _same
    clone._prepare_request = _nothing_async if is_async else _nothing
    clone._make_sse_decoder = _plain_decoder(clone)
    clone._middleware = ()
    return clone


def _plain_decoder(client: Any) -> Any:
    """Of server-sent events, as we write them, also where the client's provider has a format of its own (Bedrock)."""
    base: Any = next(each for each in reversed(type(client).__mro__) if "_make_sse_decoder" in vars(each))
    return partial(base._make_sse_decoder, client)


def unnamed(options: Any) -> Any:
    """The call without the name under which anthropic's own telemetry would make a span of it."""
    if not getattr(options, "span_name", None):
        return options
    copied = options.model_copy()
    copied.span_name = None
    return copied


def unrecorded() -> Any:
    """The context in which our hooks leave a call alone."""
    return otel_context.set_value(_SUPPRESS_INSTRUMENTATION_KEY, True)


def _content(endpoint: Endpoint, body: Json) -> tuple[bytes, str]:
    assert endpoint.events is not None
    lines = [
        (f"event: {name}\n" if name else "") + f"data: {json.dumps(event)}\n\n" for name, event in endpoint.events(body)
    ]
    return "".join(lines).encode(), "text/event-stream"


def _http_library(client: Any) -> str:
    """httpx, or what took its place in later versions of the provider's client."""
    roots = (base.__module__.partition(".")[0] for base in type(client).__mro__)
    return next(root for root in roots if root.startswith("httpx"))


def _same(options: Any) -> Any:
    return options


async def _same_async(options: Any) -> Any:
    return options


def _nothing(request: Any) -> None:
    """Nothing to sign: nothing is sent."""


async def _nothing_async(request: Any) -> None:
    """As `_nothing`."""
