"""google-genai: content, streams and embeddings, of the Gemini API and of Vertex.

The hook sits where the client sends JSON and receives it, so it sees chats, automatic function calls and clients that
are older than `init`; what the application gets back is untouched.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from functools import wraps
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, Context

from .. import attributes as names
from .. import safety
from ..recording import Call, Recorder
from .clients import Endpoint, finish, observe, observe_async, request_attributes
from .gemini import Content, Embeddings, Prediction
from .imports import when_imported

Sent = tuple[Call, Endpoint]


def install(recorder: Callable[[], Recorder | None]) -> None:
    def patch_client(module: ModuleType) -> None:
        ApiHook(recorder).install(module.BaseApiClient)

    def patch_models(module: ModuleType) -> None:
        if not hasattr(module.Models.generate_content_stream, "_stanchion"):
            module.Models.generate_content_stream = _kept(module.Models.generate_content_stream)
            module.AsyncModels.generate_content_stream = _kept_async(module.AsyncModels.generate_content_stream)

    when_imported("google.genai._api_client", patch_client)
    when_imported("google.genai.models", patch_models)


class ApiHook:
    """Around the four ways in which the client sends a request."""

    def __init__(self, recorder: Callable[[], Recorder | None]) -> None:
        self._recorder = recorder
        content = Content()
        self._endpoints: dict[str, Endpoint] = {
            "generateContent": content,
            "streamGenerateContent": content,
            "embedContent": Embeddings(),
            "batchEmbedContents": Embeddings(),
            "predict": Prediction(),
        }

    def install(self, client: Any) -> None:
        """Patches the class once."""
        if hasattr(client.request, "_stanchion"):
            return
        wrappers = {
            "request": self._whole,
            "request_streamed": self._streamed,
            "async_request": self._whole_async,
            "async_request_streamed": self._streamed_async,
        }
        for name, wrapper in wrappers.items():
            replacement: Any = wraps(getattr(client, name))(wrapper(getattr(client, name)))
            replacement._stanchion = True
            setattr(client, name, replacement)

    def _whole(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def request(client: Any, *args: Any, **kwargs: Any) -> Any:
            sent = self._begin(client, args, kwargs)
            if sent is None:
                return original(client, *args, **kwargs)
            with _Sending(sent[0]):
                answer = original(client, *args, **kwargs)
            _answered(sent, answer)
            return answer

        return request

    def _whole_async(self, original: Callable[..., Any]) -> Callable[..., Any]:
        async def request(client: Any, *args: Any, **kwargs: Any) -> Any:
            sent = self._begin(client, args, kwargs)
            if sent is None:
                return await original(client, *args, **kwargs)
            with _Sending(sent[0]):
                answer = await original(client, *args, **kwargs)
            _answered(sent, answer)
            return answer

        return request

    def _streamed(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def request(client: Any, *args: Any, **kwargs: Any) -> Iterator[Any]:
            sent = self._begin(client, args, kwargs, streamed=True)
            source = original(client, *args, **kwargs)
            yield from source if sent is None else observe(source, sent[0], sent[1].chunks(sent[0]))

        return request

    def _streamed_async(self, original: Callable[..., Any]) -> Callable[..., Any]:
        async def request(client: Any, *args: Any, **kwargs: Any) -> Any:
            sent = self._begin(client, args, kwargs, streamed=True)
            if sent is None:
                return await original(client, *args, **kwargs)
            with _Sending(sent[0]):
                source = await original(client, *args, **kwargs)
            return observe_async(source, sent[0], sent[1].chunks(sent[0]))

        return request

    def _begin(self, client: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], *, streamed: bool = False) -> Any:
        """The call and how it reads; None for what is no model call and where instrumentation is suppressed."""
        try:
            recorder = self._recorder()
            path = args[1] if len(args) > 1 else kwargs.get("path", "")
            model, _, method = path.partition("?")[0].rpartition(":")
            endpoint = self._endpoints.get(method)
            if recorder is None or endpoint is None or otel_context.get_value(_SUPPRESS_INSTRUMENTATION_KEY):
                return None
            body = args[2] if len(args) > 2 else kwargs.get("request_dict") or {}
            if method == "predict" and not Prediction.is_text(body):
                return None
            model = model.rpartition("/")[2]
            attributes = {
                **_server(client),
                names.OPERATION: endpoint.operation,
                names.REQUEST_MODEL: model,
                **request_attributes(endpoint, body, recorder.content),
            }
            if streamed:
                attributes[names.REQUEST_STREAM] = True
            return recorder.start(endpoint.operation, model, attributes), endpoint
        except Exception as error:
            safety.note("request", error)
            return None


class _Sending:
    """The call's span is the current one while the request is out; what the client raises ends it."""

    __slots__ = ("_call", "_token")

    def __init__(self, call: Call) -> None:
        self._call = call

    def __enter__(self) -> None:
        self._token = otel_context.attach(trace.set_span_in_context(self._call.span))

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        otel_context.detach(self._token)
        if error is not None:
            self._call.fail(error)


def _answered(sent: Sent, answer: Any) -> None:
    call, endpoint = sent
    try:
        endpoint.answer(call, json.loads(answer.body))
    except Exception as error:
        safety.note("answer", error)
    finish(call)


def _server(client: Any) -> dict[str, Any]:
    attributes: dict[str, Any] = {names.PROVIDER: "gcp.vertex_ai" if client.vertexai else "gcp.gemini"}
    address = urlsplit(str(client._http_options.base_url or ""))
    if address.hostname:
        attributes[names.SERVER_ADDRESS] = address.hostname
    if address.port:
        attributes[names.SERVER_PORT] = address.port
    return attributes


def _kept(original: Callable[..., Any]) -> Callable[..., Any]:
    """The client's stream sends its request at the first `next`, perhaps after the block whose labels it belongs to."""

    @wraps(original)
    def generate_content_stream(*args: Any, **kwargs: Any) -> Iterator[Any]:
        return _driven(original(*args, **kwargs), otel_context.get_current())

    generate_content_stream._stanchion = True  # type: ignore[attr-defined]
    return generate_content_stream


def _kept_async(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    async def generate_content_stream(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        here = otel_context.get_current()
        return _driven_async(await original(*args, **kwargs), here)

    return generate_content_stream


def _driven(source: Any, here: Context) -> Iterator[Any]:
    try:
        while True:
            token = otel_context.attach(here)
            try:
                chunk = next(source)
            except StopIteration:
                return
            finally:
                otel_context.detach(token)
            yield chunk
    finally:
        source.close()


async def _driven_async(source: Any, here: Context) -> AsyncIterator[Any]:
    try:
        while True:
            token = otel_context.attach(here)
            try:
                chunk = await anext(source)
            except StopAsyncIteration:
                return
            finally:
                otel_context.detach(token)
            yield chunk
    finally:
        await source.aclose()
