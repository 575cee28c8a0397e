"""llama-index: its instrumentation dispatcher, for what is around a model call: queries, workflows, tools, retrievals.

The model call itself is recorded by the hook of the client that llama-index calls. Its own account of a call or an
embedding is used only where no hooked client has spoken up, as with a model that runs in the process.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry.context import Context

from .. import attributes as names
from .. import recording, safety
from ..recording import Recorder, as_json, plain
from .clients import recorded_ids
from .imports import when_imported
from .llama_calls import record_embedding, record_model
from .runs import Runs

MAX_OPEN_CALLS = 5000
_STARTS = ("LLMChatStartEvent", "LLMCompletionStartEvent", "EmbeddingStartEvent")
_MODEL_ENDS = ("LLMChatEndEvent", "LLMCompletionEndEvent")


@dataclass
class Told:
    """A call as llama-index announced it; `by_client` once a hooked client records it, here or further in."""

    event: Any
    context: Context
    around: Told | None
    began_ns: int = field(default_factory=time.time_ns)
    by_client: bool = False


_current: ContextVar[Told | None] = ContextVar("stanchion_llama_index", default=None)


def install(recorder: Callable[[], Recorder | None]) -> None:
    def patch(module: ModuleType) -> None:
        active = import_module("llama_index.core.instrumentation.span").active_span_id
        hook = LlamaIndex(recorder, active.get)
        root = module.get_dispatcher()
        root.add_span_handler(_span_handler(import_module("llama_index.core.instrumentation.span_handlers"), hook))
        root.add_event_handler(_event_handler(import_module("llama_index.core.instrumentation.event_handlers"), hook))
        recording.frameworks.append(hook)

    when_imported("llama_index.core.instrumentation", patch)


class LlamaIndex:
    def __init__(self, recorder: Callable[[], Recorder | None], active_span: Callable[[], str | None]) -> None:
        self._recorder = recorder
        self._active_span = active_span
        self._runs = Runs(recorder)
        self._told: OrderedDict[str, Told] = OrderedDict()

    def parent_of_now(self) -> Context | None:
        return self._runs.context_in(self._active_span()) if self._runs.any_open else None

    def client_called(self) -> None:
        told = _current.get()
        while told is not None and not told.by_client:
            told.by_client = True
            told = told.around

    def enter(self, id_: str, bound: Any, instance: Any, parent_id: str | None) -> None:
        method = id_.partition(".")[2].partition("-")[0]
        kind = _kind(type(instance), method) if instance is not None else ""  # type: ignore[arg-type]
        if not kind:
            self._runs.stand_in(id_, parent_id)
            return
        name = _name(kind, instance)
        attributes: dict[str, Any] = {names.OPERATION: kind}
        if kind == "execute_tool":
            attributes |= {"gen_ai.tool.name": name, "gen_ai.tool.type": "function"}
        if self._runs.content():
            attributes |= _asked(kind, bound.arguments)
        self._runs.start(id_, parent_id, f"{kind} {name}", attributes, kind == "invoke_workflow")

    def leave(self, id_: str, result: Any, error: BaseException | None) -> None:
        if not self._runs.knows(id_):
            return
        kind = _kind_of_result(result) if self._runs.content() else ""
        self._runs.end(id_, _answered(kind, result), error)

    def event(self, event: Any) -> None:
        kind = type(event).__name__
        if kind in _STARTS:
            self._began(event)
        elif kind in _MODEL_ENDS or kind == "EmbeddingEndEvent":
            self._ended(event, kind)
        elif kind in ("SpanDropEvent", "ExceptionEvent"):
            self._forget(event.span_id)

    def _began(self, event: Any) -> None:
        context = self.parent_of_now() or otel_context.get_current()
        told = Told(event, context, self._told.get(event.span_id) or _current.get())
        _current.set(told)
        self._told[event.span_id] = told
        while len(self._told) > MAX_OPEN_CALLS:
            self._told.popitem(last=False)

    def _forget(self, span_id: str | None) -> Told | None:
        told = self._told.pop(span_id or "", None)
        if told is not None and _current.get() is told:
            _current.set(told.around)
        return told

    def _ended(self, event: Any, kind: str) -> None:
        told = self._forget(event.span_id)
        recorder = self._recorder()
        if told is None or told.by_client or recorder is None or _recorded(event):
            return
        self.client_called()  # a wrapper around this model stands aside
        token = otel_context.attach(told.context)
        try:
            record = record_model if kind in _MODEL_ENDS else record_embedding
            record(recorder, told.event, event, told.began_ns)
        finally:
            otel_context.detach(token)


def _recorded(event: Any) -> bool:
    """Whether a client's hook has the answer, perhaps from another thread."""
    raw = getattr(getattr(event, "response", None), "raw", None)
    identity = raw.get("id") if isinstance(raw, dict) else getattr(raw, "id", None)
    return identity is not None and identity in recorded_ids


@cache
def _kind(owner: type, method: str) -> str:
    """What a method of a class does, told by the names of the classes it comes from; "" for what gets no span."""
    ancestors = {base.__name__ for base in owner.__mro__}
    if "BaseTool" in ancestors and method in ("call", "acall"):
        return "execute_tool"
    if "BaseRetriever" in ancestors and method in ("retrieve", "aretrieve"):
        return "retrieval"
    if "BaseQueryEngine" in ancestors and method in ("query", "aquery"):
        return "invoke_workflow"
    is_chat = "BaseChatEngine" in ancestors and method in ("chat", "achat", "stream_chat", "astream_chat")
    return "invoke_workflow" if is_chat or ("Workflow" in ancestors and method == "run") else ""


def _name(kind: str, instance: Any) -> str:
    if kind == "execute_tool":
        return str(instance.metadata.get_name())
    return type(instance).__name__


def _asked(kind: str, arguments: dict[str, Any]) -> dict[str, Any]:
    if kind == "execute_tool":
        given = arguments.get("kwargs") or list(arguments.get("args") or ()) or arguments.get("input")
        return {"gen_ai.tool.call.arguments": as_json(plain(given))}
    if kind == "retrieval":
        query = arguments.get("str_or_query_bundle")
        return {"gen_ai.retrieval.query.text": str(getattr(query, "query_str", query))}
    return {}


def _kind_of_result(result: Any) -> str:
    if type(result).__name__ == "ToolOutput":
        return "execute_tool"
    return "retrieval" if isinstance(result, list) and result and hasattr(result[0], "node") else ""


def _answered(kind: str, result: Any) -> dict[str, Any]:
    if kind == "execute_tool":
        return {"gen_ai.tool.call.result": as_json(result.content)}
    if kind == "retrieval":
        found = [{"id": item.node.node_id, "content": item.node.get_content(), "score": item.score} for item in result]
        return {"gen_ai.retrieval.documents": as_json(found)}
    return {}


def _guarded(function: Callable[..., None], *args: Any) -> None:
    try:
        function(*args)
    except Exception as error:
        safety.note("llama-index", error)


def _span_handler(module: ModuleType, hook: LlamaIndex) -> Any:
    """A subclass of llama-index's own base class, made when it is there; nothing is kept in the base's lists."""
    base: Any = module.BaseSpanHandler

    class StanchionSpans(base):  # type: ignore[misc]
        def span_enter(
            self, id_: str, bound_args: Any, instance: Any = None, parent_id: str | None = None, **more: Any
        ) -> None:
            _guarded(hook.enter, id_, bound_args, instance, parent_id)

        def span_exit(self, id_: str, bound_args: Any, instance: Any = None, result: Any = None, **more: Any) -> None:
            _guarded(hook.leave, id_, result, None)

        def span_drop(self, id_: str, bound_args: Any, instance: Any = None, err: Any = None, **more: Any) -> None:
            _guarded(hook.leave, id_, None, err)

        def new_span(self, *args: Any, **kwargs: Any) -> None:
            """Not called: the three methods above are."""

        prepare_to_exit_span = prepare_to_drop_span = new_span

    return StanchionSpans()


def _event_handler(module: ModuleType, hook: LlamaIndex) -> Any:
    base: Any = module.BaseEventHandler

    class StanchionEvents(base):  # type: ignore[misc]
        def handle(self, event: Any, **more: Any) -> None:
            _guarded(hook.event, event)

    return StanchionEvents()
