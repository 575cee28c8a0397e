"""Chat messages as the providers and frameworks write them, read into the canonical form of `ingest.messages`."""

from __future__ import annotations

from typing import Any

from stanchion_server.ingest.dialects.loose import structure
from stanchion_server.ingest.dialects.parts import as_text, read_parts
from stanchion_server.ingest.messages import Message, Part, message, text_part

ROLES = {
    "human": "user", "ai": "assistant", "model": "assistant", "bot": "assistant", "aimessage": "assistant",
    "aimessagechunk": "assistant", "humanmessage": "user", "systemmessage": "system", "toolmessage": "tool",
    "developer": "system", "function": "tool", "functionmessage": "tool", "tool_response": "tool",
    "user": "user", "assistant": "assistant", "system": "system", "tool": "tool", "chatbot": "assistant",
}  # fmt: skip
_MAX_MESSAGES = 10_000
_INPUT_LISTS = (
    "messages",
    "input_messages",
    "contents",
    "chat_history",
    "input",
    "prompt",
    "inputs",
    "query",
    "question",
    "items",
)
_OUTPUT_LISTS = (
    "choices",
    "candidates",
    "output",
    "messages",
    "message",
    "generations",
    "outputs",
    "response",
    "answer",
    "text",
)


def read_input(value: Any) -> list[Message]:
    return read_messages(value, "user")


def read_output(value: Any) -> list[Message]:
    return read_messages(value, "assistant")


def read_messages(value: Any, role: str) -> list[Message]:
    """The messages a value holds; `role` is who spoke where the value does not say. Whatever has no known shape
    becomes one
    text message, so that no text is lost."""
    return _read(structure(value), role, 0)


def _read(found: Any, role: str, depth: int) -> list[Message]:
    if found is None or found == "" or depth > 8:
        return []
    if isinstance(found, str):
        return [message(role, [text_part(found)])]
    if isinstance(found, list):
        return _read_list(found, role, depth)
    if isinstance(found, dict):
        return _read_dict(found, role, depth)
    return [message(role, [text_part(as_text(found))])]


def _read_list(found: list[Any], role: str, depth: int) -> list[Message]:
    if found and all(isinstance(item, int | float) and not isinstance(item, bool) for item in found):
        return [message(role, [{"type": "media", "modality": "vector", "length": len(found)}])]
    if found and all(_is_part(item) for item in found):
        return [message(role, parts)] if (parts := read_parts(found)) else []
    return [item for entry in found[:_MAX_MESSAGES] for item in _read(entry, role, depth + 1)]


def _is_part(item: Any) -> bool:
    """A content block that stands without a message around it (Anthropic and Vercel outputs)."""
    return isinstance(item, dict) and "role" not in item and _kind(item) in _BLOCKS


def _kind(item: dict[str, Any]) -> str:
    kind = item.get("type")
    return kind if isinstance(kind, str) else ""


_BLOCKS = {
    "text", "tool_use", "thinking", "redacted_thinking", "image", "image_url", "input_text", "output_text", "reasoning",
    "tool_call", "tool-call", "tool_result", "tool-result", "tool_call_response", "input_image", "refusal", "blob",
    "uri", "file",
}  # fmt: skip


def _read_dict(found: dict[str, Any], role: str, depth: int) -> list[Message]:
    if _kind(found) in ("function_call", "function_call_output", "custom_tool_call") and "role" not in found:
        parts = read_parts([found])
        return [message("tool" if found["type"] == "function_call_output" else "assistant", parts)]
    if _is_part(found):
        return [message(role, parts)] if (parts := read_parts([found])) else []
    if _is_message(found):
        return [read_message(found, role)]
    if isinstance(found.get("message"), dict) and _is_message(found["message"]):
        return [_with_finish(read_message(found["message"], role), found)]
    if isinstance(found.get("kwargs"), dict) and "content" in found["kwargs"]:
        return [_langchain(found, role)]
    return _read_wrapped(found, role, depth)


def _is_message(found: dict[str, Any]) -> bool:
    if "parts" in found or "part_kind" in found:
        return True
    return ("content" in found or "tool_calls" in found or "function_call" in found) and (
        "role" in found or "type" in found or len(found) <= 3
    )


def _read_wrapped(found: dict[str, Any], role: str, depth: int) -> list[Message]:
    """A request or response object: its messages, behind the system text it may carry apart."""
    keys = _INPUT_LISTS if role == "user" else _OUTPUT_LISTS
    for key in keys:
        inner = structure(found.get(key))
        if inner not in (None, "", [], {}):
            system = _read(structure(_system_of(found)), "system", depth + 1) if role == "user" else []
            return system + [_with_finish(item, found) for item in _read(inner, role, depth + 1)]
    return [message(role, [text_part(as_text(found))])] if found else []


def read_system(value: Any) -> list[Part]:
    """The system text that a request object carries beside its messages."""
    found = structure(value)
    if not isinstance(found, dict) or isinstance(said := structure(_system_of(found)), bool):
        return []
    return [part for item in _read(said, "system", 0) for part in item["parts"]]


def _system_of(found: dict[str, Any]) -> Any:
    config = found.get("config") or found.get("generation_config")
    places = (found, config) if isinstance(config, dict) else (found,)
    return next((place[key] for place in places for key in _SYSTEM_KEYS if place.get(key)), None)


_SYSTEM_KEYS = ("system", "instructions", "systemInstruction", "system_instruction", "system_prompt")


def read_message(found: dict[str, Any], role: str) -> Message:
    """One message object of any provider."""
    if isinstance(inner := found.get("content"), dict) and isinstance(inner.get("parts"), list):
        found = {**found, **inner}  # Gemini candidates
    said = found.get("role") or found.get("type") or found.get("kind") or role
    who = ROLES.get(str(said).lower(), role)
    parts = found.get("parts")
    read = read_parts(parts) if isinstance(parts, list) else _openai_parts(found, who)
    if "part_kind" in found:
        read = read_parts([found])
    built = message(who, read)
    if isinstance(name := found.get("name"), str) and name:
        built["name"] = name
    return _with_finish(built, found)


def _openai_parts(found: dict[str, Any], who: str) -> list[Part]:
    parts: list[Part] = []
    if reasoning := found.get("reasoning_content") or found.get("reasoning"):
        parts.append({"type": "reasoning", "text": as_text(reasoning)})
    content = found.get("content")
    if who == "tool" and (call := found.get("tool_call_id") or found.get("toolCallId")):
        parts.append({"type": "tool_result", "id": str(call), "result": _result(content)})
    else:
        parts.extend(read_parts(content))
    if refusal := found.get("refusal"):
        parts.append(text_part(as_text(refusal)))
    calls = structure(found.get("tool_calls") or found.get("toolCalls"))
    if isinstance(calls, list):
        parts.extend(
            read_parts([{"type": "tool_call", **call} for call in calls if isinstance(call, dict)], force="tool_call")
        )
    if isinstance(call := found.get("function_call"), dict):
        parts.extend(read_parts([call], force="tool_call"))
    return parts


def _result(content: Any) -> Any:
    parts = read_parts(content)
    return parts[0]["text"] if len(parts) == 1 and parts[0]["type"] == "text" else content


def _with_finish(built: Message, found: dict[str, Any]) -> Message:
    reason = found.get("finish_reason") or found.get("finishReason") or found.get("stop_reason")
    if isinstance(reason, str) and reason and "finish_reason" not in built:
        built["finish_reason"] = FINISH_REASONS.get(reason.lower(), reason.lower())
    return built


def _langchain(found: dict[str, Any], role: str) -> Message:
    kinds = found.get("id")
    kind = str(kinds[-1]).lower() if isinstance(kinds, list) and kinds else ""
    inner = found["kwargs"]
    return read_message({**inner, "role": inner.get("role") or ROLES.get(kind) or inner.get("type") or role}, role)


FINISH_REASONS = {
    "stop": "stop", "end_turn": "stop", "stop_sequence": "stop", "complete": "stop", "completed": "stop", "eos": "stop",
    "eos_token": "stop", "finish_reason_stop": "stop", "done": "stop",
    "length": "length", "max_tokens": "length", "max_output_tokens": "length", "model_length": "length",
    "model_context_window_exceeded": "length", "incomplete": "length",
    "tool_calls": "tool_calls", "tool_use": "tool_calls", "tool-calls": "tool_calls", "tool_call": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter", "content-filter": "content_filter", "safety": "content_filter",
    "refusal": "content_filter", "recitation": "content_filter", "guardrail_intervened": "content_filter",
    "blocklist": "content_filter", "prohibited_content": "content_filter", "spii": "content_filter",
}  # fmt: skip
