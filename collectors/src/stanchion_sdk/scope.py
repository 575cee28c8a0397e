"""Who and what a call is for: feature, user, session, prompt and tags, stamped on every span started underneath.

The labels travel in the OpenTelemetry context, so they follow async tasks, copied contexts and every library that
passes a context on. Threads start with an empty context: wrap what they run with `propagate`.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Mapping
from contextvars import Context as VarContext
from contextvars import copy_context
from functools import wraps
from typing import Any, TypeVar, cast

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context

from . import attributes as names
from . import safety

F = TypeVar("F", bound=Callable[..., Any])
Labels = Mapping[str, Any]
_KEY = otel_context.create_key("stanchion-labels")
_NONE: Labels = {}


def current_labels(context: Context | None = None) -> Labels:
    """The labels in force, as attribute names and values."""
    found = otel_context.get_value(_KEY, context)
    return cast(Labels, found) if found is not None else _NONE


class Scope:
    """Labels for a block (`with`, `async with`) or a function (decorator; sync, async and generators alike).

    One object may be entered many times, also at once from several threads and tasks.
    """

    __slots__ = ("_entered", "_labels")

    def __init__(self, labels: Labels) -> None:
        self._labels = labels
        self._entered: list[tuple[Any, Context]] = []

    def __enter__(self) -> Scope:
        try:
            attached = otel_context.set_value(_KEY, _joined(current_labels(), self._labels))
            self._entered.append((otel_context.attach(attached), attached))
        except Exception as error:
            safety.note("scope", error)
        return self

    def __exit__(self, *exception: object) -> None:
        try:
            self._leave()
        except Exception as error:
            safety.note("scope", error)

    def _leave(self) -> None:
        """Takes off what this task put on. A generator that is closed elsewhere has nothing to take off there."""
        now = otel_context.get_current()
        for place in range(len(self._entered) - 1, -1, -1):
            if self._entered[place][1] is now:
                token, _ = self._entered.pop(place)
                otel_context.detach(token)
                return

    async def __aenter__(self) -> Scope:
        return self.__enter__()

    async def __aexit__(self, *exception: object) -> None:
        self.__exit__(*exception)

    def __call__(self, function: F) -> F:
        labels = self._labels
        if inspect.isasyncgenfunction(function):
            return cast(F, _async_generator(function, labels))
        if inspect.isgeneratorfunction(function):
            return cast(F, _generator(function, labels))
        if inspect.iscoroutinefunction(function):

            @wraps(function)
            async def run_async(*args: Any, **kwargs: Any) -> Any:
                with Scope(labels):
                    return await function(*args, **kwargs)

            return cast(F, run_async)

        @wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            with Scope(labels):
                return function(*args, **kwargs)

        return cast(F, run)


def _joined(outer: Labels, inner: Labels) -> Labels:
    joined = {**outer, **inner}
    if names.TAGS in inner and names.TAGS in outer:
        joined[names.TAGS] = tuple(dict.fromkeys((*outer[names.TAGS], *inner[names.TAGS])))
    return joined


def _labelled_context(labels: Labels) -> VarContext:
    context = copy_context()
    context.run(lambda: otel_context.attach(otel_context.set_value(_KEY, _joined(current_labels(), labels))))
    return context


def _generator(function: Callable[..., Any], labels: Labels) -> Callable[..., Any]:
    """The body runs in a context of its own, so neither its caller nor a later consumer sees or loses labels."""

    @wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        return (yield from _Driven(function(*args, **kwargs), _labelled_context(labels)))

    return run


class _Driven:
    """A generator whose every step runs in one context."""

    __slots__ = ("_body", "_context")

    def __init__(self, body: Any, context: VarContext) -> None:
        self._body, self._context = body, context

    def __iter__(self) -> _Driven:
        return self

    def __next__(self) -> Any:
        return self._context.run(next, self._body)

    def send(self, value: Any) -> Any:
        return self._context.run(self._body.send, value)

    def throw(self, *error: Any) -> Any:
        return self._context.run(self._body.throw, *error)

    def close(self) -> None:
        if hasattr(self._body, "close"):
            self._context.run(self._body.close)


def _async_generator(function: Callable[..., Any], labels: Labels) -> Callable[..., Any]:
    @wraps(function)
    async def run(*args: Any, **kwargs: Any) -> Any:
        body = function(*args, **kwargs)
        sent: Any = None
        try:
            while True:
                with Scope(labels):
                    try:
                        item = await body.asend(sent)
                    except StopAsyncIteration:
                        return
                sent = yield item
        finally:
            with Scope(labels):
                await body.aclose()

    return run


def propagate(target: Any) -> Any:
    """Carries the labels and the current span of this moment into another thread, or into a later consumer.

    A function returns a function that runs in this context wherever it is called (`Thread(target=propagate(f))`,
    `pool.submit(propagate(f), x)`); a generator or async generator *object* is consumed in this context.
    """
    here = otel_context.get_current()
    if hasattr(target, "__anext__"):
        return _async_consumed(target, here)
    if hasattr(target, "__next__"):
        context = copy_context()
        return iter(_Driven(target, context))
    if inspect.iscoroutinefunction(target):

        @wraps(target)
        async def run_async(*args: Any, **kwargs: Any) -> Any:
            with _In(here):
                return await target(*args, **kwargs)

        return run_async

    def run(*args: Any, **kwargs: Any) -> Any:
        with _In(here):
            return target(*args, **kwargs)

    return wraps(target)(run) if hasattr(target, "__name__") else run


class _In:
    """Runs a block in a given OpenTelemetry context."""

    __slots__ = ("_context", "_token")

    def __init__(self, context: Context) -> None:
        self._context = context

    def __enter__(self) -> None:
        self._token = otel_context.attach(self._context)

    def __exit__(self, *exception: object) -> None:
        if otel_context.get_current() is self._context:
            otel_context.detach(self._token)


async def _async_consumed(body: AsyncIterator[Any], here: Context) -> AsyncIterator[Any]:
    try:
        while True:
            with _In(here):
                try:
                    item = await body.__anext__()
                except StopAsyncIteration:
                    return
            yield item
    finally:
        close = getattr(body, "aclose", None)
        if close is not None:
            await close()


def current_trace_id() -> str | None:
    """The trace id of the current span as 32 hex digits, for feedback and log lines; None outside of a span."""
    context = trace.get_current_span().get_span_context()
    return f"{context.trace_id:032x}" if context.is_valid else None


def current_span_id() -> str | None:
    context = trace.get_current_span().get_span_context()
    return f"{context.span_id:016x}" if context.is_valid else None


def text(value: object) -> str:
    """A label as text; an object that cannot be turned into text is named by its type."""
    try:
        return value if isinstance(value, str) else str(value)
    except Exception as error:
        safety.note("label", error)
        return type(value).__name__


def feature(name: object) -> Scope:
    return Scope({names.FEATURE: text(name)})


def session(session_id: object) -> Scope:
    return Scope({names.SESSION: text(session_id)})


def prompt(name: object, version: object | None = None) -> Scope:
    labels = {names.PROMPT_NAME: text(name)}
    return Scope(labels if version is None else {**labels, names.PROMPT_VERSION: text(version)})


def tags(*values: object) -> Scope:
    """Tags add up: an inner block has its own and those around it."""
    return Scope({names.TAGS: tuple(text(value) for value in values)})
