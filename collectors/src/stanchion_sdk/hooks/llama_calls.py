"""A call that llama-index made with a model of its own, from what its events tell."""

from __future__ import annotations

from typing import Any

from .. import attributes as names
from ..recording import Call, Recorder, as_json, plain, text_part
from .bedrock_bodies import Fields
from .openai import usage


def record_model(recorder: Recorder, start: Any, end: Any, began_ns: int) -> None:
    """One finished chat or completion."""
    call = _started(recorder, "chat", start, began_ns)
    response = end.response
    if response is None:
        call.finish()
        return
    message = getattr(response, "message", None)
    _counts(call, response, message)
    if call.content:
        asked = getattr(start, "messages", None)
        turns = [_message(item) for item in asked] if asked is not None else [_text("user", start.prompt)]
        answer = _message(message) if message is not None else _text("assistant", response.text)
        call.attributes[names.INPUT_MESSAGES] = as_json(turns)
        call.attributes[names.OUTPUT_MESSAGES] = as_json([answer])
    call.finish()


def record_embedding(recorder: Recorder, start: Any, end: Any, began_ns: int) -> None:
    """One finished embedding; a model in the process counts no tokens."""
    call = _started(recorder, "embeddings", start, began_ns)
    if end.embeddings:
        call.attributes[names.EMBEDDING_DIMENSIONS] = len(end.embeddings[0])
    call.finish()


def _started(recorder: Recorder, operation: str, start: Any, began_ns: int) -> Call:
    told = start.model_dict
    model = str(told.get("model") or told.get("model_name") or told.get("class_name") or "")
    attributes: dict[str, Any] = {
        names.PROVIDER: str(told.get("class_name") or "llama_index").lower(),
        names.OPERATION: operation,
        names.REQUEST_MODEL: model,
    }
    for key, name in (("temperature", names.REQUEST_TEMPERATURE), ("max_tokens", names.REQUEST_MAX_TOKENS)):
        if isinstance(told.get(key), int | float):
            attributes[name] = told[key]
    return recorder.start(operation, model, attributes, began_ns)


def _counts(call: Call, response: Any, message: Any) -> None:
    """From the provider's own answer where it has `usage`, else from the counts that llama-index gathers."""
    raw = plain(response.raw) if response.raw is not None else None
    found = raw.get("usage") if isinstance(raw, dict) else None
    if not found:
        found = {**response.additional_kwargs, **(getattr(message, "additional_kwargs", None) or {})}
    nested = {key: Fields(value) if isinstance(value, dict) else value for key, value in found.items()}
    usage(call, Fields(nested))
    if isinstance(raw, dict) and isinstance(raw.get("id"), str):
        call.attributes[names.RESPONSE_ID] = raw["id"]


def _message(message: Any) -> dict[str, Any]:
    role = getattr(message.role, "value", message.role)
    parts = [_part(block) for block in message.blocks]
    return {"role": role, "parts": [part for part in parts if part]}


def _part(block: Any) -> dict[str, Any]:
    kind = getattr(block, "block_type", "text")
    if kind == "text":
        return text_part(block.text)
    if kind == "tool_call":
        arguments = block.tool_kwargs
        return {"type": "tool_call", "id": block.tool_call_id, "name": block.tool_name, "arguments": arguments}
    return {"type": str(kind)}


def _text(role: str, text: Any) -> dict[str, Any]:
    return {"role": role, "parts": [text_part(text)]}
