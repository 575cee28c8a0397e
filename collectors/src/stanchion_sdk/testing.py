"""For tests of applications: record in memory, with ids that count and a clock that steps.

with recording() as recorded:
    my_application()
assert recorded.calls[0].attributes["gen_ai.request.model"] == "gpt-4o-mini"
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator

from . import hooks, startup
from .delivery import Delivery
from .packing import Packer
from .processor import StanchionProcessor
from .recording import Recorder
from .settings import Settings


class CountingIds(IdGenerator):
    """Trace ids and span ids 1, 2, 3, …"""

    def __init__(self) -> None:
        self._traces, self._spans = count(1), count(1)

    def generate_trace_id(self) -> int:
        return next(self._traces)

    def generate_span_id(self) -> int:
        return next(self._spans)


class SteppingClock:
    """Every reading is `step_ns` after the one before; hand its readings to `record_call(started_ns=…)`."""

    def __init__(self, start_ns: int = 1_700_000_000_000_000_000, step_ns: int = 1_000_000) -> None:
        self._next = count(start_ns, step_ns)

    def __call__(self) -> int:
        return next(self._next)


@dataclass(frozen=True)
class RecordedSpan:
    name: str
    trace_id: str
    span_id: str
    parent_id: str | None
    start_ns: int
    end_ns: int
    status: str
    attributes: Mapping[str, Any]
    scope: str


class MemoryExporter(SpanProcessor):
    """Finished spans in the order in which they ended. Labels are on them as they would be sent."""

    def __init__(self) -> None:
        self.spans: list[RecordedSpan] = []
        self._lock = threading.Lock()

    @property
    def calls(self) -> list[RecordedSpan]:
        """The spans that are calls to a model."""
        return [span for span in self.spans if "gen_ai.request.model" in span.attributes]

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Nothing: labels are stamped by the SDK's own processor."""

    def on_end(self, span: ReadableSpan) -> None:
        context, parent = span.context, span.parent
        assert context is not None
        recorded = RecordedSpan(
            name=span.name,
            trace_id=f"{context.trace_id:032x}",
            span_id=f"{context.span_id:016x}",
            parent_id=f"{parent.span_id:016x}" if parent is not None else None,
            start_ns=span.start_time or 0,
            end_ns=span.end_time or 0,
            status=span.status.status_code.name,
            attributes=dict(span.attributes or {}),
            scope=span.instrumentation_scope.name if span.instrumentation_scope else "",
        )
        with self._lock:
            self.spans.append(recorded)


class _NoDelivery(Delivery):
    """Keeps nothing and sends nothing."""

    def put(self, span: ReadableSpan, size: int) -> None:
        """The memory exporter has it already."""

    def put_body(self, kind: str, body: bytes) -> None:
        """Feedback goes nowhere in a test."""


@contextmanager
def recording(content: str = "full", api_key: str = "stn_test") -> Iterator[MemoryExporter]:
    """`init` for one block: hooks and labels work, spans stay in memory, nothing is sent. Not for use beside `init`."""
    settings = Settings("http://stanchion.invalid", "http://stanchion.invalid/v1/traces", api_key, content=content)
    memory = MemoryExporter()
    provider = TracerProvider(id_generator=CountingIds(), shutdown_on_exit=False)
    delivery = _NoDelivery(settings, Packer(settings, {}))
    provider.add_span_processor(StanchionProcessor(delivery))
    provider.add_span_processor(memory)
    recorder = Recorder(provider.get_tracer("stanchion_sdk"), content != "off")
    before, startup._running = startup._running, startup.Running(settings, delivery, recorder, True, provider)
    undo = hooks.install(recorder)
    try:
        yield memory
    finally:
        startup._running = before
        undo()
