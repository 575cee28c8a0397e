"""anthropic: messages. From 2.x the client has spans of its own, without content; under ours they are switched off."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from opentelemetry import trace

from .. import attributes as names
from ..recording import Call, Recorder, as_json, given, listed, messages_json, text_part
from .clients import ClientHook, Endpoint
from .imports import when_imported

_PARAMETERS = {
    "temperature": names.REQUEST_TEMPERATURE,
    "top_p": names.REQUEST_TOP_P,
    "top_k": names.REQUEST_TOP_K,
    "max_tokens": names.REQUEST_MAX_TOKENS,
}
_VARIANTS = {
    ".lib.bedrock._client ": "aws.bedrock",
    ".lib.bedrock._mantle ": "aws.bedrock",
    ".lib.vertex._client ": "gcp.vertex_ai",
}
_OURS = "stanchion_sdk"


def install(recorder: Callable[[], Recorder | None]) -> None:
    endpoints: dict[str, Endpoint] = {"/v1/messages": Messages()}

    def patch(module: ModuleType) -> None:
        ClientHook(recorder, endpoints, provider_of, _VARIANTS).install(module.SyncAPIClient, module.AsyncAPIClient)
        native = getattr(module, "start_api_call_span", None)
        if native is not None:
            module.start_api_call_span = _unless_ours(native)  # type: ignore[attr-defined]

    when_imported("anthropic._base_client", patch)


def _unless_ours(native: Any) -> Any:
    """The client's own span of a call is left out where ours is already open: one call, one span, one charge."""

    def start(*args: Any, **kwargs: Any) -> Any:
        scope = getattr(trace.get_current_span(), "instrumentation_scope", None)
        options = args[2] if len(args) > 2 else kwargs.get("options")
        ours = scope is not None and scope.name == _OURS and str(getattr(options, "url", "")).startswith("/v1/messages")
        return None if ours else native(*args, **kwargs)

    return start


def provider_of(host: str) -> str:
    if host.endswith("amazonaws.com"):
        return "aws.bedrock"
    return "gcp.vertex_ai" if host.endswith("googleapis.com") else "anthropic"


class Messages:
    operation = "chat"

    def request(self, body: Mapping[str, Any], content: bool) -> dict[str, Any]:
        attributes = given(body, _PARAMETERS)
        if body.get("stop_sequences"):
            attributes[names.REQUEST_STOP] = list(listed(body["stop_sequences"]))
        if content:
            attributes[names.INPUT_MESSAGES] = messages_json(listed(body.get("messages")), input_message)
            system = body.get("system")
            if system:
                parts = [text_part(system)] if isinstance(system, str) else [_part(block) for block in listed(system)]
                attributes[names.SYSTEM_INSTRUCTIONS] = as_json(parts)
            if body.get("tools"):
                attributes[names.TOOL_DEFINITIONS] = as_json(body["tools"])
        return attributes

    def answer(self, call: Call, answer: Any) -> None:
        call.attributes[names.RESPONSE_ID] = answer.id
        call.attributes[names.RESPONSE_MODEL] = answer.model
        call.attributes[names.FINISH_REASONS] = [answer.stop_reason or ""]
        usage(call, answer.usage)
        if call.content:
            parts = [_part(block.to_dict() if hasattr(block, "to_dict") else block) for block in answer.content]
            message = {"role": "assistant", "parts": parts, "finish_reason": answer.stop_reason}
            call.attributes[names.OUTPUT_MESSAGES] = as_json([message])

    def chunks(self, call: Call) -> MessageEvents:
        return MessageEvents(call)


def input_message(message: Any) -> dict[str, Any]:
    if not isinstance(message, Mapping):
        return {"role": "unknown", "parts": [text_part(message)]}
    content = message.get("content")
    parts = [text_part(content)] if isinstance(content, str) else [_part(block) for block in listed(content)]
    return {"role": message.get("role"), "parts": parts}


def _part(block: Any) -> dict[str, Any]:
    if not isinstance(block, Mapping):
        block = block.to_dict() if hasattr(block, "to_dict") else {"type": "text", "text": block}
    kind = block.get("type")
    if kind == "text":
        return text_part(block.get("text"))
    if kind in ("tool_use", "server_tool_use"):
        return {"type": "tool_call", "id": block.get("id"), "name": block.get("name"), "arguments": block.get("input")}
    if kind == "tool_result":
        return {"type": "tool_call_response", "id": block.get("tool_use_id"), "response": block.get("content")}
    if kind == "thinking":
        return {"type": "reasoning", "content": block.get("thinking")}
    if kind in ("image", "document"):
        source = block.get("source") or {}
        if source.get("type") == "url":
            return {"type": "uri", "modality": kind, "uri": source.get("url")}
        return {"type": "blob", "modality": kind, "content": f"[{len(str(source.get('data') or ''))} characters]"}
    return {"type": str(kind)}


def usage(call: Call, counts: Any) -> None:
    """The wire's input tokens include what was read from and written to the cache; Anthropic's leave both out."""
    if counts is None:
        return
    read, written = (
        getattr(counts, "cache_read_input_tokens", None),
        getattr(counts, "cache_creation_input_tokens", None),
    )
    fresh, output = getattr(counts, "input_tokens", None), getattr(counts, "output_tokens", None)
    if fresh is not None:
        call.attributes[names.INPUT_TOKENS] = fresh + (read or 0) + (written or 0)
    for name, value in (
        (names.CACHE_READ_TOKENS, read),
        (names.CACHE_WRITE_TOKENS, written),
        (names.OUTPUT_TOKENS, output),
    ):
        if value is not None:
            call.attributes[name] = value


class MessageEvents:
    """The events of a message stream, by content block."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._blocks: dict[int, dict[str, Any]] = {}
        self._texts: dict[int, list[str]] = {}

    def add(self, event: Any) -> None:
        kind = event.type
        if kind == "content_block_delta":
            delta = event.delta
            text = (
                getattr(delta, "text", None) or getattr(delta, "partial_json", None) or getattr(delta, "thinking", None)
            )
            if text:
                self._texts.setdefault(event.index, []).append(text)
        elif kind == "content_block_start":
            self._blocks[event.index] = event.content_block.to_dict()
        elif kind == "message_start":
            message = event.message
            self._call.attributes[names.RESPONSE_ID] = message.id
            self._call.attributes[names.RESPONSE_MODEL] = message.model
            usage(self._call, message.usage)
        elif kind == "message_delta":
            if event.delta.stop_reason:
                self._call.attributes[names.FINISH_REASONS] = [event.delta.stop_reason]
            self._call.attributes[names.OUTPUT_TOKENS] = event.usage.output_tokens

    def finish(self) -> None:
        if not self._call.content or not self._blocks:
            return
        parts = [self._block(index) for index in sorted(self._blocks)]
        reasons = self._call.attributes.get(names.FINISH_REASONS) or [None]
        message = {"role": "assistant", "parts": parts, "finish_reason": reasons[0]}
        self._call.attributes[names.OUTPUT_MESSAGES] = as_json([message])

    def _block(self, index: int) -> dict[str, Any]:
        block, text = self._blocks[index], "".join(self._texts.get(index, ()))
        kind = block.get("type")
        if kind == "text":
            return text_part(str(block.get("text") or "") + text)
        if kind == "thinking":
            return {"type": "reasoning", "content": str(block.get("thinking") or "") + text}
        return _part({**block, "input": text} if text else block)
