"""What a framework does around model calls, as spans: workflows, tools, retrievals, by the framework's own run ids.

The spans are never attached: one attached in a callback would leak into the application's context when a stream is
abandoned. A call finds its parent through the run that it belongs to.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, StatusCode

from .. import attributes as names
from ..recording import Recorder, error_type

MAX_OPEN_RUNS = 5000


class Runs:
    """Open runs by id: the span of each, or of the nearest run around it that has one."""

    def __init__(self, recorder: Callable[[], Recorder | None]) -> None:
        self._recorder = recorder
        self._open: OrderedDict[Any, tuple[Span, Any, bool]] = OrderedDict()

    @property
    def any_open(self) -> bool:
        return bool(self._open)

    def knows(self, run_id: Any) -> bool:
        return run_id in self._open

    def start(self, run_id: Any, parent_run_id: Any, name: str, attributes: dict[str, Any], inner: bool) -> None:
        """A run inside of another that has no span of its own (`inner`) stands for the one around it."""
        recorder = self._recorder()
        if recorder is None:
            return
        around = self._open.get(parent_run_id)
        if inner and around is not None:
            self._keep(run_id, (around[0], around[1], False))
            return
        context = trace.set_span_in_context(around[0]) if around is not None else None
        ambient = trace.get_current_span().get_span_context()
        span = recorder.tracer.start_span(name, context, SpanKind.INTERNAL, attributes)
        self._keep(run_id, (span, around[1] if around is not None else ambient, True))

    def stand_in(self, run_id: Any, parent_run_id: Any) -> None:
        """A run without a span: what is inside of it belongs to the run around it."""
        around = self._open.get(parent_run_id)
        if around is not None:
            self._keep(run_id, (around[0], around[1], False))

    def end(self, run_id: Any, attributes: dict[str, Any], error: BaseException | None = None) -> None:
        span, _, own = self._open.pop(run_id, (None, None, False))
        if span is None or not own:
            return
        span.set_attributes(attributes)
        if error is not None:
            span.set_attribute(names.ERROR_TYPE, error_type(error))
            span.set_status(StatusCode.ERROR)
        span.end()

    def content(self) -> bool:
        recorder = self._recorder()
        return recorder is not None and recorder.content

    def context_in(self, run_id: Any) -> Context | None:
        """A context in which the run's span is the current one; None where the app has a span of its own inside."""
        found = self._open.get(run_id)
        if found is None or trace.get_current_span().get_span_context() != found[1]:
            return None
        return trace.set_span_in_context(found[0])

    def _keep(self, run_id: Any, run: tuple[Span, Any, bool]) -> None:
        self._open[run_id] = run
        while len(self._open) > MAX_OPEN_RUNS:
            self._open.popitem(last=False)
