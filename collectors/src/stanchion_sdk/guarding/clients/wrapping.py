"""`guard.openai(client)` and `guard.anthropic(client)`: the same client, every call of which is judged.

Both libraries send every call of every resource through the client's `request`. The guarded client is the client's own
copy, whose `request` judges before and after; beneath it the SDK's hook records the call as it was sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from opentelemetry import context as otel_context
from opentelemetry import trace

from ... import safety
from ...hooks.clients import notice
from ...startup import running
from ..blocking import Blocked, message_of
from ..shapes import Part, Verdict
from .calls import Call, Judge, Make, Plan, Read, Send, Step, Through, Unread, body_of
from .endpoints import Endpoint, Table, endpoint_of
from .making import stand_in, unnamed, unrecorded
from .openai_texts import Json
from .valve import Flow, Valve

if TYPE_CHECKING:
    from ..guards import AppGuard

C = TypeVar("C")
RAW_HEADER = "x-stainless-raw-response"


def guarded_client(guard: AppGuard, client: C, table: Table, *, answers_message: bool) -> C:
    """The client's copy. Raises TypeError for what is no such client."""
    made: Any = client
    for needed in ("request", "copy", "_client"):
        if not hasattr(made, needed):
            raise TypeError(f"a {type(client).__name__} is no client of openai or anthropic")
    inner = made.copy()
    inner_copy = inner.copy
    kind = _AsyncRequest if hasattr(inner._client, "aclose") else _Request
    inner.__dict__["request"] = kind(guard, inner, table, answers_message=answers_message)

    def copied(*args: Any, **kwargs: Any) -> Any:
        return guarded_client(guard, inner_copy(*args, **kwargs), table, answers_message=answers_message)

    inner.__dict__["copy"] = inner.__dict__["with_options"] = copied
    guarded: C = inner
    return guarded


class _Either:
    """What both kinds of client share."""

    def __init__(self, guard: AppGuard, client: Any, table: Table, *, answers_message: bool) -> None:
        self._guard, self._client, self._table, self._answers_message = guard, client, table, answers_message
        self._request = type(client).request

    def _call(self, options: Any, stream: object) -> Call | None:
        """None for a call that carries no texts we could read. Raises TypeError for one that nobody could judge."""
        endpoint = endpoint_of(self._table, options)
        if endpoint is None:
            return None
        mode = _header(options, RAW_HEADER)
        if endpoint.answered is not None and (mode == "stream" or (mode and stream)):
            raise TypeError(
                "a guarded client cannot judge a raw response that streams: use stream=True without"
                " with_raw_response or with_streaming_response, or the client that is not guarded"
            )
        is_parsed = callable(getattr(options, "post_parser", None))
        return Call(endpoint, body_of(options), self._answers_message, bool(stream), is_parsed)

    def _unread(self, options: Any) -> None:
        """A call of another kind, which nobody judges: told to the server, or refused."""
        if str(options.method).upper() == "POST":
            verdict = self._guard.pass_unjudged(f"{str(options.url).partition('?')[0]}: the guard does not read it")
            if verdict.blocked:
                raise Blocked(verdict, "input")

    def _flow(self, endpoint: Endpoint, background: tuple[Part, ...]) -> Flow:
        assert endpoint.flow is not None
        return endpoint.flow(Valve(self._guard.open_stream, self._judged, background))

    def _judged(self, subject: Any, judged: tuple[int, ...]) -> Verdict:
        return self._guard.judge(subject, judged=judged)

    def _fed(self, flow: Flow, chunk: Any) -> list[Json]:
        """What may be shown after this chunk. A chunk that we cannot read is not judged, nor is anything after it."""
        told = chunk.to_dict(mode="json", warnings=False)
        if flow.valve.is_broken:
            return [told]
        try:
            return flow.feed(told)
        except Exception as error:
            safety.note("guard stream", error)
            self._lost(flow, error)
            return [told] if flow.valve.stopped is None else []

    def _rest(self, flow: Flow) -> list[Json]:
        if flow.valve.is_broken or flow.valve.stopped is not None:
            return []
        try:
            return flow.finish()
        except Exception as error:
            safety.note("guard stream", error)
            self._lost(flow, error)
            return []

    def _lost(self, flow: Flow, error: Exception) -> None:
        verdict = self._guard.pass_unjudged(f"the stream could not be read: {type(error).__name__}")
        flow.valve.is_broken = True
        if verdict.blocked:
            flow.valve.stopped = verdict, "output"

    def _ends(self, flow: Flow) -> list[Json]:
        """After a stop: the message in the stream's own form, or Blocked."""
        assert flow.valve.stopped is not None
        verdict, stage = flow.valve.stopped
        if verdict.action != "fallback" and not self._answers_message:
            raise Blocked(verdict, stage)
        return flow.farewell(message_of(verdict))


class _Request(_Either):
    def __call__(self, cast_to: Any, options: Any, **kwargs: Any) -> Any:
        call = self._call(options, kwargs.get("stream"))
        if call is None:
            self._unread(options)
            return self._request(self._client, cast_to, options, **kwargs)
        with Family(str(options.url)) as family:
            plan = call.plan()
            return self._drive(plan, call.endpoint, family, (cast_to, options, kwargs))

    def _drive(self, plan: Plan, endpoint: Endpoint, family: Family, asked: tuple[Any, Any, Any]) -> Any:
        sent: Any = None
        while True:
            try:
                step = plan.send(sent)
            except StopIteration as end:
                return end.value
            sent = self._do(step, endpoint, family, asked)

    def _do(self, step: Step, endpoint: Endpoint, family: Family, asked: tuple[Any, Any, Any]) -> Any:
        cast_to, options, kwargs = asked
        match step:
            case Judge(subject, judged, gaps):
                return self._guard.judge(subject, judged=judged, gaps=gaps)
            case Unread(reason):
                return self._guard.pass_unjudged(reason)
            case Send(body):
                return self._request(self._client, cast_to, with_body(options, body), **kwargs)
            case Read(answer):
                family.request_id = getattr(answer, "_request_id", None) or getattr(answer, "request_id", None)
                return json_of(answer)
            case Make(body):
                return self._made(endpoint, body, family, asked)
            case Through(answer, background):
                return self._through(answer, self._flow(endpoint, background), family)

    def _made(self, endpoint: Endpoint, body: Json, family: Family, asked: tuple[Any, Any, Any]) -> Any:
        cast_to, options, kwargs = asked
        is_stream = bool(kwargs.get("stream"))
        client = stand_in(self._client, endpoint, body, is_stream=is_stream, request_id=family.request_id)
        token = otel_context.attach(unrecorded())
        try:
            return self._request(client, cast_to, unnamed(options), **kwargs)
        finally:
            otel_context.detach(token)
            if not is_stream:
                client._client.close()

    def _through(self, answer: Any, flow: Flow, family: Family) -> Any:
        family.stays_open = True
        answer.__dict__["_iterator"] = self._pieces(answer._iterator, _builder(answer), answer.response, flow, family)
        conclude_with_close(answer, flow, family)
        return answer

    def _pieces(
        self, source: Iterator[Any], build: Callable[..., Any], response: Any, flow: Flow, family: Family
    ) -> Iterator[Any]:
        try:
            for chunk in source:
                for told in self._fed(flow, chunk):
                    yield build(data=told)
                if flow.valve.stopped is not None:
                    break
            for told in self._rest(flow):
                yield build(data=told)
            if flow.valve.stopped is not None:
                if hasattr(source, "close"):
                    source.close()
                for told in self._ends(flow):
                    yield build(data=told)
        finally:
            flow.valve.close()
            response.close()
            family.end()


class _AsyncRequest(_Either):
    async def __call__(self, cast_to: Any, options: Any, **kwargs: Any) -> Any:
        call = self._call(options, kwargs.get("stream"))
        if call is None:
            self._unread(options)
            return await self._request(self._client, cast_to, options, **kwargs)
        with Family(str(options.url)) as family:
            plan = call.plan()
            sent: Any = None
            while True:
                try:
                    step = plan.send(sent)
                except StopIteration as end:
                    return end.value
                sent = await self._do(step, call.endpoint, family, (cast_to, options, kwargs))

    async def _do(self, step: Step, endpoint: Endpoint, family: Family, asked: tuple[Any, Any, Any]) -> Any:
        cast_to, options, kwargs = asked
        match step:
            case Judge(subject, judged, gaps):
                return await self._guard.ajudge(subject, judged=judged, gaps=gaps)
            case Unread(reason):
                return self._guard.pass_unjudged(reason)
            case Send(body):
                return await self._request(self._client, cast_to, with_body(options, body), **kwargs)
            case Read(answer):
                family.request_id = getattr(answer, "_request_id", None) or getattr(answer, "request_id", None)
                return json_of(answer)
            case Make(body):
                return await self._made(endpoint, body, family, asked)
            case Through(answer, background):
                family.stays_open = True
                flow = self._flow(endpoint, background)
                pieces = self._pieces(answer._iterator, _builder(answer), answer.response, flow, family)
                answer.__dict__["_iterator"] = pieces
                conclude_with_close(answer, flow, family)
                return answer

    async def _made(self, endpoint: Endpoint, body: Json, family: Family, asked: tuple[Any, Any, Any]) -> Any:
        cast_to, options, kwargs = asked
        is_stream = bool(kwargs.get("stream"))
        client = stand_in(self._client, endpoint, body, is_stream=is_stream, request_id=family.request_id)
        token = otel_context.attach(unrecorded())
        try:
            return await self._request(client, cast_to, unnamed(options), **kwargs)
        finally:
            otel_context.detach(token)
            if not is_stream:
                await client._client.aclose()

    async def _pieces(
        self, source: Any, build: Callable[..., Any], response: Any, flow: Flow, family: Family
    ) -> AsyncIterator[Any]:
        try:
            async for chunk in source:
                for told in await asyncio.to_thread(self._fed, flow, chunk):
                    yield build(data=told)
                if flow.valve.stopped is not None:
                    break
            for told in await asyncio.to_thread(self._rest, flow):
                yield build(data=told)
            if flow.valve.stopped is not None:
                if hasattr(source, "aclose"):
                    await source.aclose()
                for told in self._ends(flow):
                    yield build(data=told)
        finally:
            flow.valve.close()
            await response.aclose()
            family.end()


class Family:
    """A span around a call that has none, so that the call and what was decided about it stand in one trace."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._span: trace.Span | None = None
        self._token: Any = None
        self.stays_open = False
        self.request_id: str | None = None

    def __enter__(self) -> Family:
        try:
            state = running()
            if state is not None and not trace.get_current_span().get_span_context().is_valid:
                self._span = state.recorder.tracer.start_span(f"guarded {self._name.partition('?')[0]}")
                self._token = otel_context.attach(trace.set_span_in_context(self._span))
        except Exception as error:
            safety.note("guard trace", error)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._token is not None:
            otel_context.detach(self._token)
        if not self.stays_open or kind is not None:
            self.end()

    def end(self) -> None:
        if self._span is not None:
            self._span.end()
            self._span = None


def conclude_with_close(stream: Any, flow: Flow, family: Family) -> None:
    """`close()` on a half-read stream judges what was held and tells of it, after our hook has ended the call."""
    notice(type(stream), "close")
    before = stream.__dict__.get("_stanchion_close")

    def concluded(result: Any) -> None:
        if before is not None:
            before(result)
        flow.valve.close()
        family.end()

    stream.__dict__["_stanchion_close"] = concluded


def _header(options: Any, name: str) -> str:
    headers = options.headers if hasattr(options.headers, "items") else {}
    return next((str(value) for key, value in headers.items() if str(key).lower() == name), "")


def _builder(stream: Any) -> Callable[..., Any]:
    """Makes a chunk of the stream's own type from its JSON, as the client does with what it receives."""
    return partial(stream._client._process_response_data, cast_to=stream._cast_to, response=stream.response)


def with_body(options: Any, body: Json) -> Any:
    """The request with another body, the original left as it is."""
    copied = options.model_copy() if hasattr(options, "model_copy") else options.copy()
    if isinstance(copied.json_data, Mapping) or copied.extra_json is not None:
        copied.json_data, copied.extra_json = body, None
    return copied


def json_of(answer: Any) -> Json | None:
    """An answer's JSON, raw or parsed, as the provider sent it."""
    if hasattr(answer, "http_response"):
        told = answer.http_response.json()
    elif hasattr(answer, "to_dict"):
        told = answer.to_dict(mode="json", warnings=False)
    else:
        return None
    return told if isinstance(told, dict) else None
