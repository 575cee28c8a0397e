"""Our place in a tracer provider, the application's own or ours: stamps labels on spans and takes finished ones."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor

from . import safety
from .delivery import Delivery
from .packing import attributes_of
from .scope import current_labels


class StanchionProcessor(SpanProcessor):
    """Sees every span of the provider, those of other libraries included."""

    def __init__(self, delivery: Delivery) -> None:
        self.delivery = delivery

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        try:
            labels = current_labels(parent_context)
            if labels:
                span.set_attributes(labels)
        except Exception as error:
            safety.note("on_start", error)

    def on_end(self, span: ReadableSpan) -> None:
        try:
            context = span.context
            if context is not None and context.trace_flags.sampled:
                self.delivery.put(span, size_of(span))
        except Exception as error:
            safety.note("on_end", error)

    def shutdown(self) -> None:
        try:
            self.delivery.close(self.delivery.exit_timeout_s)
        except Exception as error:
            safety.note("shutdown", error)

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        try:
            return self.delivery.flush(timeout_millis / 1000)
        except Exception as error:
            safety.note("flush", error)
            return False


def size_of(span: ReadableSpan) -> int:
    """About how many bytes of memory a span holds: its texts and lists, and a kilobyte for the rest."""
    size = 1024 + _texts(attributes_of(span._attributes).values())
    for event in span._events or ():
        size += 512 + _texts(attributes_of(event.attributes).values())
    return size


def _texts(values: Iterable[Any]) -> int:
    size = 0
    for value in values:
        if isinstance(value, str):
            size += str.__sizeof__(value)
        elif isinstance(value, tuple | list):
            size += 16 * len(value) + _texts(item for item in value if isinstance(item, str))
    return size
