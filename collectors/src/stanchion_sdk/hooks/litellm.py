"""litellm: its own callbacks, for the providers it calls without their client library.

Where it goes through the openai or anthropic client, that hook has the call already; its response id tells.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import datetime
from importlib import import_module
from types import ModuleType
from typing import Any

from opentelemetry import context as otel_context

from .. import attributes as names
from .. import safety
from ..recording import Call, Recorder, listed, messages_json, plain
from .clients import recorded_ids
from .imports import when_imported
from .openai import input_message, usage

MAX_OPEN_CALLS = 5000
_OPERATIONS = {"embedding": "embeddings", "aembedding": "embeddings", "text_completion": "text_completion"}


def install(recorder: Callable[[], Recorder | None]) -> None:
    def patch(module: ModuleType) -> None:
        base = import_module("litellm.integrations.custom_logger").CustomLogger
        module.callbacks.append(_logger(base, LiteLlm(recorder)))

    when_imported("litellm", patch)


def _logger(base: Any, ours: LiteLlm) -> Any:
    """A subclass of litellm's own base class, made when litellm is there."""

    class StanchionLogger(base):  # type: ignore[misc]
        def log_pre_api_call(self, model: Any, messages: Any, kwargs: Any) -> None:
            ours.begin(kwargs)

        def log_success_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
            ours.end(kwargs, response_obj, start_time, end_time)

        def log_failure_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
            ours.end(kwargs, None, start_time, end_time)

        async def async_log_success_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
            ours.end(kwargs, response_obj, start_time, end_time)

        async def async_log_failure_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
            ours.end(kwargs, None, start_time, end_time)

    return StanchionLogger()


class LiteLlm:
    """Results are handed over in a thread of litellm's, so the caller's context is kept from the start of the call."""

    def __init__(self, recorder: Callable[[], Recorder | None]) -> None:
        self._recorder = recorder
        self._open: OrderedDict[str, otel_context.Context] = OrderedDict()

    def begin(self, kwargs: Mapping[str, Any]) -> None:
        try:
            self._open[str(kwargs.get("litellm_call_id"))] = otel_context.get_current()
            while len(self._open) > MAX_OPEN_CALLS:
                self._open.popitem(last=False)
        except Exception as error:
            safety.note("litellm", error)

    def end(self, kwargs: Mapping[str, Any], response: Any, began: datetime, ended: datetime) -> None:
        """litellm may report one call twice, to the sync and to the async callback; the first counts."""
        try:
            identity = str(kwargs.get("litellm_call_id"))
            context = self._open.pop(identity, None)
            recorder = self._recorder()
            if recorder is None or context is None or self._by_client(response, kwargs):
                return
            self._record(recorder, context, kwargs, response, (began, ended))
        except Exception as error:
            safety.note("litellm", error)

    def _by_client(self, response: Any, kwargs: Mapping[str, Any]) -> bool:
        """Whether a client hook has recorded the call. A failure has no id: the openai client's are those it raised."""
        if response is not None:
            return getattr(response, "id", None) in recorded_ids
        return str(kwargs.get("custom_llm_provider")) in ("openai", "azure")

    def _record(
        self,
        recorder: Recorder,
        context: Any,
        kwargs: Mapping[str, Any],
        response: Any,
        times: tuple[datetime, datetime],
    ) -> None:
        token = otel_context.attach(context)
        try:
            call = recorder.start(*_request(kwargs, recorder.content), start_ns=_ns(times[0]))
        finally:
            otel_context.detach(token)
        first = kwargs.get("completion_start_time")
        if isinstance(first, datetime) and kwargs.get("stream"):
            call.attributes[names.TIME_TO_FIRST_CHUNK] = (first - times[0]).total_seconds()
        if response is None:
            error = kwargs.get("exception")
            call.fail(error if isinstance(error, BaseException) else RuntimeError("failed"), _ns(times[1]))
            return
        _answer(call, response)
        call.finish(_ns(times[1]))


def _request(kwargs: Mapping[str, Any], content: bool) -> tuple[str, str, dict[str, Any]]:
    model = str(kwargs.get("model") or "")
    operation = _OPERATIONS.get(str(kwargs.get("call_type")), "chat")
    attributes: dict[str, Any] = {
        names.PROVIDER: str(kwargs.get("custom_llm_provider") or "unknown"),
        names.OPERATION: operation,
        names.REQUEST_MODEL: model,
    }
    if kwargs.get("stream"):
        attributes[names.REQUEST_STREAM] = True
    messages = listed(kwargs.get("messages"))
    if content and messages:
        attributes[names.INPUT_MESSAGES] = messages_json(messages, lambda message: input_message(plain(message)))
    return operation, model, attributes


def _answer(call: Call, response: Any) -> None:
    call.attributes[names.RESPONSE_ID] = getattr(response, "id", None) or ""
    call.attributes[names.RESPONSE_MODEL] = getattr(response, "model", None) or ""
    usage(call, getattr(response, "usage", None))
    written = getattr(getattr(response, "usage", None), "cache_creation_input_tokens", None)
    if isinstance(written, int) and written:
        call.attributes[names.CACHE_WRITE_TOKENS] = written
    choices = listed(getattr(response, "choices", None))
    call.attributes[names.FINISH_REASONS] = [str(getattr(choice, "finish_reason", "") or "") for choice in choices]
    if call.content and choices:
        messages = [input_message(plain(choice.message)) for choice in choices]
        call.attributes[names.OUTPUT_MESSAGES] = messages_json(messages, lambda message: message)


def _ns(moment: datetime) -> int:
    return int(moment.timestamp() * 1e9)
