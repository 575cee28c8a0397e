"""langchain: its own callbacks, for what is around the model call: the outermost chain or graph, tools, retrievers.

The model call itself is recorded by the hook of the client that langchain calls. It finds its parent through run
ids: a span attached in a callback would leak into the application's context when a stream is abandoned.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from importlib import import_module
from types import ModuleType
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace

from .. import attributes as names
from .. import recording, safety
from ..recording import Recorder, as_json
from .imports import when_imported
from .runs import Runs

# The model's run and the run around it, which langchain has just announced here; read once, by that call.
_announced: ContextVar[Any] = ContextVar("stanchion_langchain_announced", default=None)


def install(recorder: Callable[[], Recorder | None]) -> None:
    def patch(module: ModuleType) -> None:
        runs = Runs(recorder)
        handler = _handler_class(import_module("langchain_core.callbacks.base").BaseCallbackHandler, runs)()
        # A default, as langchain reads the variable in every thread and task, and none of them has set it.
        variable: ContextVar[Any] = ContextVar("stanchion_langchain", default=handler)
        module.register_configure_hook(variable, True)
        recording.frameworks.append(LangChain(runs))

    # Not the callbacks themselves: while they are being imported, this module cannot be.
    when_imported("langchain_core.tracers.context", patch)


class LangChain:
    """Its runs, and the one that this code is in."""

    def __init__(self, runs: Runs) -> None:
        self._runs = runs

    def parent_of_now(self) -> otel_context.Context | None:
        """The span of the run this code is in; None outside of runs, or where the app has a span of its own inside."""
        announced = _announced.get()
        if announced is not None:
            _announced.set(None)
            run_id, parent_run_id = announced
            beside = _openinference_span(run_id)
            if beside is not None:
                return trace.set_span_in_context(beside)
            if self._runs.knows(parent_run_id):
                return self._runs.context_in(parent_run_id)
        if not self._runs.any_open:
            return None
        config = import_module("langchain_core.runnables.config").var_child_runnable_config.get()
        manager = config.get("callbacks") if config else None
        return self._runs.context_in(getattr(manager, "parent_run_id", None))

    def client_called(self) -> None:
        """Its model calls are left to the clients' hooks anyway."""


def _openinference_span(run_id: Any) -> Any:
    """The span of a run in OpenInference's instrumentation, where that is active: one trace, one charge, no second
    span for the same chain or tool. Like ours its spans are never the current one, so only it can be asked."""
    module = sys.modules.get("openinference.instrumentation.langchain")
    if module is None:
        return None
    tracer = getattr(module.LangChainInstrumentor(), "_tracer", None)
    return tracer.get_span(run_id) if tracer is not None else None


def _guarded(function: Callable[..., None]) -> Callable[..., None]:
    stands_aside = function.__name__ in ("chain_start", "tool_start", "retriever_start")

    def call(*args: Any, **kwargs: Any) -> None:
        try:
            if not (stands_aside and _openinference_span(kwargs.get("run_id")) is not None):
                function(*args, **kwargs)
        except Exception as error:
            safety.note("langchain", error)

    return call


def _handler_class(base: Any, runs: Runs) -> type:
    """A subclass of langchain's own base class, made when langchain is there."""

    def chain_start(
        _: Any, serialized: Any, inputs: Any, *, run_id: Any, parent_run_id: Any = None, **more: Any
    ) -> None:
        name = more.get("name") or "chain"
        runs.start(run_id, parent_run_id, f"invoke_workflow {name}", {names.OPERATION: "invoke_workflow"}, True)

    def tool_start(_: Any, serialized: Any, given: str, *, run_id: Any, parent_run_id: Any = None, **more: Any) -> None:
        name = (serialized or {}).get("name") or more.get("name") or "tool"
        attributes = {names.OPERATION: "execute_tool", "gen_ai.tool.name": name, "gen_ai.tool.type": "function"}
        if runs.content():
            attributes["gen_ai.tool.call.arguments"] = given
        runs.start(run_id, parent_run_id, f"execute_tool {name}", attributes, False)

    def tool_end(_: Any, output: Any, *, run_id: Any, **more: Any) -> None:
        result = {"gen_ai.tool.call.result": as_json(getattr(output, "content", output))} if runs.content() else {}
        runs.end(run_id, result)

    def retriever_start(
        _: Any, serialized: Any, query: str, *, run_id: Any, parent_run_id: Any = None, **more: Any
    ) -> None:
        attributes = {
            names.OPERATION: "retrieval",
            **({"gen_ai.retrieval.query.text": query} if runs.content() else {}),
        }
        runs.start(run_id, parent_run_id, f"retrieval {more.get('name') or 'retriever'}", attributes, False)

    def retriever_end(_: Any, documents: Sequence[Any], *, run_id: Any, **more: Any) -> None:
        found = [{"id": getattr(item, "id", None), "content": item.page_content} for item in documents]
        runs.end(run_id, {"gen_ai.retrieval.documents": as_json(found)} if runs.content() else {})

    def model_start(
        _: Any, serialized: Any, given: Any, *, run_id: Any, parent_run_id: Any = None, **more: Any
    ) -> None:
        _announced.set((run_id, parent_run_id))

    def ended(_: Any, *args: Any, run_id: Any, **more: Any) -> None:
        runs.end(run_id, {})

    def failed(_: Any, error: BaseException, *, run_id: Any, **more: Any) -> None:
        runs.end(run_id, {}, error)

    methods: dict[str, Callable[..., None]] = {
        "on_chat_model_start": model_start,
        "on_llm_start": model_start,
        "on_chain_start": chain_start,
        "on_chain_end": ended,
        "on_chain_error": failed,
        "on_tool_start": tool_start,
        "on_tool_end": tool_end,
        "on_tool_error": failed,
        "on_retriever_start": retriever_start,
        "on_retriever_end": retriever_end,
        "on_retriever_error": failed,
    }
    body: dict[str, Any] = {name: _guarded(method) for name, method in methods.items()}
    return type("StanchionHandler", (base,), {**body, "run_inline": True})
