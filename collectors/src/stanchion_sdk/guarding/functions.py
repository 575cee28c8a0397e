"""Functions whose argument and return value are checked."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any

from .blocking import Blocked, message_of
from .shapes import Part, Stage, Verdict
from .streams import AsyncStreamed, Streamed, TextStream

if TYPE_CHECKING:
    from .guards import AppGuard


@dataclass(frozen=True)
class Manner:
    """`argument` is None for the first one; `when_blocked` is "raise" or "answer"."""

    argument: str | None
    when_blocked: str

    def __post_init__(self) -> None:
        if self.when_blocked not in ("raise", "answer"):
            raise ValueError('`when_blocked` is "raise" or "answer"')

    def raises(self, verdict: Verdict) -> bool:
        return verdict.action != "fallback" and self.when_blocked == "raise"


class Answered(Exception):
    """Inside this module: the message stands for the answer."""


def wrapped(guard: AppGuard, function: Callable[..., Any], manner: Manner) -> Callable[..., Any]:
    """The function with its argument and answer checked: a function of the same kind, so that methods stay methods."""
    ends = _Ends(guard, function, manner)
    if inspect.isasyncgenfunction(function):
        return _async_generator(ends, function)
    if inspect.isgeneratorfunction(function):
        return _generator(ends, function)
    return _coroutine(ends, function) if inspect.iscoroutinefunction(function) else _plain(ends, function)


def _plain(ends: _Ends, function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        bound, text = ends.bound(args, kwargs)
        try:
            if text is not None:
                text = ends.put(bound, ends.guard.check(text))
            answer = function(*bound.args, **bound.kwargs)
            return answer if answer is None else ends.allowed(ends.guard.check(_text(answer), "output", query=text))
        except Answered as message:
            return str(message)

    return run


def _coroutine(ends: _Ends, function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    async def run(*args: Any, **kwargs: Any) -> Any:
        bound, text = ends.bound(args, kwargs)
        try:
            if text is not None:
                text = ends.put(bound, await ends.guard.acheck(text))
            answer = await function(*bound.args, **bound.kwargs)
            if answer is None:
                return None
            return ends.allowed(await ends.guard.acheck(_text(answer), "output", query=text))
        except Answered as message:
            return str(message)

    return run


def _generator(ends: _Ends, function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def run(*args: Any, **kwargs: Any) -> Iterator[Any]:
        bound, text = ends.bound(args, kwargs)
        try:
            if text is not None:
                text = ends.put(bound, ends.guard.check(text))
            stream = ends.stream(text)
            yield from Streamed(stream, function(*bound.args, **bound.kwargs))
            ends.ended(stream)
        except Answered as message:
            yield str(message)

    return run


def _async_generator(ends: _Ends, function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    async def run(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        bound, text = ends.bound(args, kwargs)
        try:
            if text is not None:
                text = ends.put(bound, await ends.guard.acheck(text))
            stream = ends.stream(text)
            async with aclosing(aiter(AsyncStreamed(stream, function(*bound.args, **bound.kwargs)))) as shown:
                async for piece in shown:
                    yield piece
            ends.ended(stream)
        except Answered as message:
            yield str(message)

    return run


class _Ends:
    """What happens before and behind a function, whatever its kind."""

    def __init__(self, guard: AppGuard, function: Callable[..., Any], manner: Manner) -> None:
        self.guard, self._manner = guard, manner
        self._signature = inspect.signature(function)
        self._name = _argument(self._signature, manner.argument)

    def bound(self, args: Any, kwargs: Any) -> tuple[inspect.BoundArguments, str | None]:
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        value = bound.arguments[self._name]
        if value is not None and not isinstance(value, str):
            raise TypeError(f"the guarded argument `{self._name}` is a {type(value).__name__}, not a str")
        return bound, value

    def put(self, bound: inspect.BoundArguments, verdict: Verdict) -> str:
        bound.arguments[self._name] = self.allowed(verdict, "input")
        return str(bound.arguments[self._name])

    def allowed(self, verdict: Verdict, stage: Stage = "output") -> str:
        if verdict.blocked:
            self._stop(verdict, stage)
        return verdict.texts[0]

    def _stop(self, verdict: Verdict, stage: Stage) -> None:
        if self._manner.raises(verdict):
            raise Blocked(verdict, stage)
        raise Answered(message_of(verdict))

    def stream(self, text: str | None) -> TextStream:
        return self.guard.open_stream("output", (Part("input", text),) if text else ())

    def ended(self, stream: TextStream) -> None:
        if stream.blocked and stream.verdict is not None:
            self._stop(stream.verdict, "output")


def _argument(signature: inspect.Signature, asked: str | None) -> str:
    names = [name for name in signature.parameters if name not in ("self", "cls")]
    if asked is not None and asked not in names:
        raise TypeError(f"there is no argument `{asked}` to guard: {', '.join(names) or 'the function has none'}")
    if not names:
        raise TypeError("the function has no argument to guard")
    return asked or names[0]


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a guarded function returned a {type(value).__name__}: check its texts with guard.check()")
    return value
