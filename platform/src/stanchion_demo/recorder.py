"""The SDK's recorder with the demo's clock: hooks start and finish spans through it, so that a call made now may be one
of last week. Only times are replaced; everything else in a span is what the hooks saw on the wire."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from random import Random
from typing import Any

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import NonRecordingSpan, Span, SpanKind, Tracer

from stanchion_demo.clock import Clock
from stanchion_sdk import attributes as names
from stanchion_sdk.recording import Call, Recorder
from stanchion_wire import decisions


@dataclass(frozen=True, slots=True)
class Pace:
    """Whose call is being made, on which clock, and how long it takes there."""

    tracer: Tracer
    clock: Clock
    latency_s: float
    first_token_s: float | None


_pace: ContextVar[Pace] = ContextVar("pace")


@contextmanager
def paced(pace: Pace) -> Iterator[None]:
    token = _pace.set(pace)
    try:
        yield
    finally:
        _pace.reset(token)


class PacedRecorder(Recorder):
    """Records for the tracer and the clock of the `paced` block around the call."""

    def start(self, operation: str, model: str, attributes: Mapping[str, Any], start_ns: int | None = None) -> Call:
        pace = _pace.get(None)
        if pace is None:
            return super().start(operation, model, attributes, start_ns)
        started_ns = start_ns if start_ns is not None else pace.clock.now_ns()
        span = pace.tracer.start_span(f"{operation} {model}", None, SpanKind.CLIENT, attributes, start_time=started_ns)
        return PastCall(span, self.content, pace) if pace.clock.is_past else Call(span, self.content)


class PacedTracing(TracerProvider):
    """The application's tracer provider, as the SDK finds it. What the guard tells goes to the tracer and the clock of
    the `paced` block around the check."""

    def get_tracer(self, instrumenting_module_name: str, *args: Any, **more: Any) -> Tracer:
        usual = super().get_tracer(instrumenting_module_name, *args, **more)
        return _GuardTracer(usual) if instrumenting_module_name == decisions.SCOPE else usual


class _GuardTracer(Tracer):
    def __init__(self, usual: Tracer) -> None:
        self._usual = usual

    def start_span(self, name: str, *args: Any, **more: Any) -> Span:
        pace = _pace.get(None)
        if pace is None:
            return self._usual.start_span(name, *args, **more)
        if not pace.clock.is_past:
            return pace.tracer.start_span(name, *args, **more)
        now_ns = pace.clock.now_ns()
        elapsed_us = more.get("attributes", {}).get(f"{decisions.PREFIX}elapsed_us", 0)
        span = pace.tracer.start_span(name, *args, **{**more, "start_time": now_ns})
        return _PastSpan(span, now_ns + elapsed_us * 1000)

    def start_as_current_span(self, name: str, *args: Any, **more: Any) -> Any:
        return self._usual.start_as_current_span(name, *args, **more)


class _PastSpan(NonRecordingSpan):
    """Ends when the check ended then, not now."""

    def __init__(self, span: Span, end_ns: int) -> None:
        super().__init__(span.get_span_context())
        self._span, self._end_ns = span, end_ns

    def end(self, end_time: int | None = None) -> None:
        self._span.end(self._end_ns)


class PastCall(Call):
    """Takes as long as its pace says, not as long as the loopback took."""

    __slots__ = ("_pace",)

    def __init__(self, span: Span, content: bool, pace: Pace) -> None:
        super().__init__(span, content)
        self._pace = pace

    def first_chunk(self) -> None:
        self.attributes[names.TIME_TO_FIRST_CHUNK] = self._pace.first_token_s

    def finish(self, end_ns: int | None = None) -> None:
        if not self.done:
            self._pace.clock.wait(self._pace.latency_s)
            super().finish(self._pace.clock.now_ns())


class SeededIds(IdGenerator):
    """Ids that a conversation gets again when it is told again: the server then keeps it once."""

    def __init__(self) -> None:
        self._of_thread = threading.local()

    def begin(self, seed: str) -> None:
        """Everything this thread starts from now on belongs to the conversation `seed`."""
        self._of_thread.random = Random(seed)

    def generate_trace_id(self) -> int:
        return self._next(128)

    def generate_span_id(self) -> int:
        return self._next(64)

    def _next(self, bits: int) -> int:
        random: Random = getattr(self._of_thread, "random", None) or Random()
        return random.getrandbits(bits) or 1
