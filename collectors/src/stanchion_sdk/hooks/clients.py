"""The one hook under the openai and anthropic clients: both send every call through `SyncAPIClient.request`.

Below the methods of the resources it also sees `.parse()`, `.stream()`, `.with_raw_response`, Azure and other
subclasses, and clients that existed before `init`. What the application gets back is the client's own object, never a
wrapper.
"""

from __future__ import annotations

import inspect
import weakref
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from functools import wraps
from typing import Any, Protocol

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY

from .. import attributes as names
from .. import safety
from ..recording import Call, Recorder


class Chunks(Protocol):
    """What a stream's chunks add up to."""

    def add(self, chunk: Any) -> None: ...

    def finish(self) -> None:
        """Writes what was gathered to the call's attributes."""


class Endpoint(Protocol):
    """How one path of an API reads: its request, its answer, its stream."""

    operation: str

    def request(self, body: Mapping[str, Any], content: bool) -> dict[str, Any]: ...

    def answer(self, call: Call, answer: Any) -> None: ...

    def chunks(self, call: Call) -> Chunks: ...


recorded_ids: deque[str] = deque(maxlen=2000)
_servers: weakref.WeakKeyDictionary[Any, dict[str, Any]] = weakref.WeakKeyDictionary()


class ClientHook:
    """`endpoints` maps a path to how it is read; `provider` names the provider behind a host, `variants` that of
    clients whose class comes from a module with this ending, whatever the host."""

    def __init__(
        self,
        recorder: Callable[[], Recorder | None],
        endpoints: Mapping[str, Endpoint],
        provider: Callable[[str], str],
        variants: Mapping[str, str],
    ) -> None:
        self._recorder_now = recorder
        self._endpoints = endpoints
        self._provider = provider
        self._variants = variants

    def install(self, sync_client: type, async_client: type) -> None:
        """Patches both classes once."""
        if not hasattr(sync_client.request, "_stanchion"):  # type: ignore[attr-defined]
            sync_client.request = self._sync(sync_client.request)  # type: ignore[attr-defined]
            async_client.request = self._async(async_client.request)  # type: ignore[attr-defined]

    def _sync(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def request(client: Any, cast_to: Any, options: Any, *args: Any, **kwargs: Any) -> Any:
            endpoint = self._endpoint(options)
            call = self._begin(endpoint, client, options, kwargs) if endpoint is not None else None
            if call is None or endpoint is None:
                return original(client, cast_to, options, *args, **kwargs)
            token = otel_context.attach(trace.set_span_in_context(call.span))
            try:
                result = original(client, cast_to, options, *args, **kwargs)
            except BaseException as error:
                call.fail(error)
                raise
            finally:
                otel_context.detach(token)
            settle(call, endpoint, result)
            return result

        request._stanchion = True  # type: ignore[attr-defined]
        return request

    def _async(self, original: Callable[..., Any]) -> Callable[..., Any]:
        async def request(client: Any, cast_to: Any, options: Any, *args: Any, **kwargs: Any) -> Any:
            endpoint = self._endpoint(options)
            call = self._begin(endpoint, client, options, kwargs) if endpoint is not None else None
            if call is None or endpoint is None:
                return await original(client, cast_to, options, *args, **kwargs)
            token = otel_context.attach(trace.set_span_in_context(call.span))
            try:
                result = await original(client, cast_to, options, *args, **kwargs)
            except BaseException as error:
                call.fail(error)
                raise
            finally:
                otel_context.detach(token)
            settle(call, endpoint, result)
            return result

        request._stanchion = True  # type: ignore[attr-defined]
        return request

    def _endpoint(self, options: Any) -> Endpoint | None:
        """None for what is no model call, and where the application has suppressed instrumentation."""
        try:
            if options.method not in ("post", "POST") or self._recorder_now() is None:
                return None
            endpoint = self._endpoints.get(options.url.partition("?")[0])
            return None if endpoint is not None and otel_context.get_value(_SUPPRESS_INSTRUMENTATION_KEY) else endpoint
        except Exception as error:
            safety.note("request", error)
            return None

    def _begin(self, endpoint: Endpoint, client: Any, options: Any, kwargs: Mapping[str, Any]) -> Call | None:
        recorder = self._recorder_now()
        try:
            if recorder is None:
                return None
            body = options.json_data if isinstance(options.json_data, Mapping) else {}
            extra = getattr(options, "extra_json", None)
            if extra:
                body = {**body, **extra}
            model = body.get("model")
            attributes = {
                **self._server(client),
                names.OPERATION: endpoint.operation,
                **request_attributes(endpoint, body, recorder.content),
            }
            if isinstance(model, str):
                attributes[names.REQUEST_MODEL] = model
            if kwargs.get("stream"):
                attributes[names.REQUEST_STREAM] = True
            return recorder.start(endpoint.operation, model if isinstance(model, str) else "", attributes)
        except Exception as error:
            safety.note("request", error)
            return None

    def _server(self, client: Any) -> dict[str, Any]:
        known = _servers.get(client)
        if known is None:
            url = client.base_url
            modules = " ".join(base.__module__ + " " for base in type(client).__mro__)
            variant = next((name for end, name in self._variants.items() if end in modules), None)
            known = {names.PROVIDER: variant or self._provider(url.host), names.SERVER_ADDRESS: url.host}
            if url.port:
                known[names.SERVER_PORT] = url.port
            _servers[client] = known
        return known


def request_attributes(endpoint: Endpoint, body: Mapping[str, Any], content: bool) -> dict[str, Any]:
    """A prompt that we cannot read costs the prompt, not the span."""
    try:
        return endpoint.request(body, content)
    except Exception as error:
        safety.note("prompt", error)
        return endpoint.request(body, False)


def settle(call: Call, endpoint: Endpoint, result: Any) -> None:
    """Reads the answer now, or arranges that a stream or a raw response is read as the application reads it."""
    try:
        if hasattr(result, "_iterator"):
            _watch_stream(call, endpoint, result)
        elif hasattr(result, "http_response") and hasattr(result, "parse"):
            _watch_raw(call, endpoint, result)
        else:
            _answered(call, endpoint, result)
    except Exception as error:
        safety.note("answer", error)
        call.finish()


def _answered(call: Call, endpoint: Endpoint, answer: Any) -> None:
    try:
        endpoint.answer(call, answer)
    except Exception as error:
        safety.note("answer", error)
    finish(call)


def finish(call: Call) -> None:
    response_id = call.attributes.get(names.RESPONSE_ID)
    if response_id:
        recorded_ids.append(response_id)
    call.finish()


def _watch_stream(call: Call, endpoint: Endpoint, stream: Any) -> None:
    """Puts a generator between the client's stream object and its source; the object itself stays what it was."""
    chunks = endpoint.chunks(call)
    source = stream._iterator
    watch = observe_async if hasattr(source, "__anext__") else observe
    stream.__dict__["_iterator"] = watch(source, call, chunks)
    end_with_close(call, chunks, stream)


def observe(source: Iterator[Any], call: Call, chunks: Chunks) -> Iterator[Any]:
    first = True
    add = chunks.add
    try:
        for chunk in source:
            try:
                if first:
                    first = False
                    call.first_chunk()
                add(chunk)
            except Exception as error:
                safety.note("chunk", error)
            yield chunk
    except GeneratorExit:
        raise
    except BaseException as error:
        end_stream(call, chunks, error)
        raise
    finally:
        end_stream(call, chunks)


async def observe_async(source: AsyncIterator[Any], call: Call, chunks: Chunks) -> AsyncIterator[Any]:
    first = True
    add = chunks.add
    try:
        async for chunk in source:
            try:
                if first:
                    first = False
                    call.first_chunk()
                add(chunk)
            except Exception as error:
                safety.note("chunk", error)
            yield chunk
    except GeneratorExit:
        raise
    except BaseException as error:
        end_stream(call, chunks, error)
        raise
    finally:
        end_stream(call, chunks)


def end_stream(call: Call, chunks: Chunks, error: BaseException | None = None) -> None:
    if call.done:
        return
    try:
        chunks.finish()
    except Exception as ours:
        safety.note("chunk", ours)
    if error is not None:
        call.fail(error)
    else:
        finish(call)


def end_with_close(call: Call, chunks: Chunks, stream: Any) -> None:
    """`close()` on a half-read stream ends the span too."""
    notice(type(stream), "close")
    stream.__dict__["_stanchion_close"] = lambda _: end_stream(call, chunks)


def notice(kind: type, method: str) -> None:
    """Makes a method of a class tell us its result, for those objects that carry `_stanchion_<method>`.

    On the class, as people call methods on objects that nothing else holds; a method put on the object would need the
    object held from elsewhere, or make a cycle that keeps it and its connection alive.
    """
    original = getattr(kind, method)
    if hasattr(original, "_stanchion"):
        return
    key = f"_stanchion_{method}"

    def told(self: Any, result: Any) -> Any:
        try:
            tell = self.__dict__.pop(key, None)
            if tell is not None:
                tell(result)
        except Exception as error:
            safety.note(method, error)
        return result

    @wraps(original)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        return told(self, original(self, *args, **kwargs))

    @wraps(original)
    async def call_async(self: Any, *args: Any, **kwargs: Any) -> Any:
        return told(self, await original(self, *args, **kwargs))

    replacement: Any = call_async if inspect.iscoroutinefunction(original) else call
    replacement._stanchion = True
    setattr(kind, method, replacement)


def _watch_raw(call: Call, endpoint: Endpoint, raw: Any) -> None:
    """A raw response that was read is parsed now, which the client caches; one that streams, when the app parses it."""
    if (
        raw.http_response.is_closed
        and not getattr(raw, "_stream", False)
        and not inspect.iscoroutinefunction(raw.parse)
    ):
        _answered(call, endpoint, raw.parse())
        return
    notice(type(raw), "parse")
    unparsed = weakref.finalize(raw, call.finish)

    def settled(parsed: Any) -> None:
        if unparsed.detach() is not None:
            settle(call, endpoint, parsed)

    raw.__dict__["_stanchion_parse"] = settled
