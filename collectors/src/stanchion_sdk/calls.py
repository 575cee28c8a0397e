"""`record_call`: a span for calls that no hook sees, made by a client of the application's own."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from . import attributes as names
from . import safety
from .recording import as_json, text_part
from .scope import text
from .startup import running


def record_call(
    *,
    provider: str,
    model: str,
    operation: str = "chat",
    input: object = None,  # noqa: A002 - the name that reads best at the caller's
    output: object = None,
    input_tokens: int | None = None,
    output_tokens: int | None = None,
    cached_tokens: int | None = None,
    reasoning_tokens: int | None = None,
    response_id: str | None = None,
    response_model: str | None = None,
    finish_reason: str | None = None,
    started_ns: int | None = None,
    duration_s: float | None = None,
    time_to_first_chunk_s: float | None = None,
    error: BaseException | None = None,
    attributes: dict[str, Any] | None = None,
) -> str | None:
    """Records a finished call and returns its trace id; None when `init` has not run.

    Token counts are totals: `input_tokens` includes cached ones, `output_tokens` includes reasoning. `input` and
    `output` are a text or a list of chat messages. Without `started_ns` the call ended now and took `duration_s`.
    Never raises.
    """
    try:
        state = running()
        if state is None:
            return None
        now = time.time_ns()
        start = started_ns if started_ns is not None else now - int((duration_s or 0.0) * 1e9)
        values = {
            **(attributes or {}),
            names.PROVIDER: text(provider),
            names.OPERATION: operation,
            names.REQUEST_MODEL: text(model),
            names.RESPONSE_ID: response_id,
            names.RESPONSE_MODEL: response_model,
            names.INPUT_TOKENS: input_tokens,
            names.OUTPUT_TOKENS: output_tokens,
            names.CACHE_READ_TOKENS: cached_tokens,
            names.REASONING_TOKENS: reasoning_tokens,
            names.FINISH_REASONS: [finish_reason] if finish_reason else None,
            names.TIME_TO_FIRST_CHUNK: time_to_first_chunk_s,
        }
        if state.recorder.content:
            values[names.INPUT_MESSAGES] = as_json(_messages(input, "user")) if input is not None else None
            values[names.OUTPUT_MESSAGES] = as_json(_messages(output, "assistant")) if output is not None else None
        known = {key: value for key, value in values.items() if value is not None}
        call = state.recorder.start(operation, text(model), known, start_ns=start)
        end = start + int(duration_s * 1e9) if duration_s is not None else None
        call.fail(error, end) if error is not None else call.finish(end)
        return f"{call.span.get_span_context().trace_id:032x}"
    except Exception as ours:
        safety.note("record_call", ours)
        return None


def _messages(given: object, role: str) -> list[Any]:
    """A text becomes one message; messages with `content` get parts, those with parts stay as they are."""
    if isinstance(given, str) or not isinstance(given, Sequence):
        return [{"role": role, "parts": [text_part(given)]}]
    return [
        {"role": item.get("role", role), "parts": [text_part(item["content"])]}
        if isinstance(item, dict) and isinstance(item.get("content"), str)
        else item
        for item in given
    ]
