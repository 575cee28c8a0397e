"""Content blocks of messages, of every provider, as canonical parts."""

from __future__ import annotations

from typing import Any

from stanchion_server.ingest.dialects.loose import structure
from stanchion_server.ingest.messages import Part, text_part, to_json

_MAX_URI = 2048
_MAX_PARTS = 4096
TEXTS = {None, "text", "output_text", "input_text", "user-prompt", "system-prompt"}
CALLS = {"tool_call", "tool-call", "tool_use", "function_call", "custom_tool_call", "server_tool_use", "function"}
RESULTS = {
    "tool_call_response", "tool_result", "tool-result", "function_call_output", "tool-return", "function_response",
    "web_search_tool_result", "retry-prompt",
}  # fmt: skip
REASONING = {"reasoning", "thinking", "redacted_thinking"}
MEDIA = {
    "blob", "uri", "file", "image", "image_url", "input_image", "input_audio", "audio", "input_file", "document",
    "media",
    "file_id", "image-url", "audio-url", "video-url", "document-url", "binary", "video",
}  # fmt: skip


def read_parts(content: Any, force: str = "") -> list[Part]:
    """The parts of a message's content; `force` is the kind of items that do not name theirs."""
    if content is None or content == "":
        return []
    if isinstance(content, str):
        return [text_part(content)]
    if isinstance(content, dict):
        content = [content]
    if not isinstance(content, list):
        return [text_part(as_text(content))]
    if content and all(isinstance(item, float) for item in content):
        return [{"type": "media", "modality": "vector", "length": len(content)}]
    return [part for item in content[:_MAX_PARTS] if (part := _read_part(item, force))]


def _read_part(item: Any, force: str) -> Part | None:
    if isinstance(item, str):
        return text_part(item) if item else None
    if not isinstance(item, dict):
        return text_part(as_text(item))
    kind = force or next((k for k in map(item.get, ("type", "part_kind", "kind")) if isinstance(k, str) and k), None)
    text = item.get("content") if "content" in item else item.get("text")
    if kind in TEXTS and isinstance(text, str):
        return text_part(text)
    if kind in CALLS:
        return _call(item)
    if kind in RESULTS:
        return _tool_result(item)
    if kind in REASONING:
        return {"type": "reasoning", "text": _reasoning(item)}
    if kind in MEDIA:
        return _media(item, str(kind))
    return _untyped(item)


def _untyped(item: dict[str, Any]) -> Part:
    """Gemini's and Bedrock's parts name their kind by their only key; everything else is kept as text."""
    if isinstance(call := item.get("functionCall") or item.get("function_call"), dict):
        return _call(call)
    if isinstance(answer := item.get("functionResponse") or item.get("function_response"), dict):
        return {"type": "tool_result", "id": _id(answer), "result": answer.get("response")}
    if isinstance(data := item.get("inlineData") or item.get("inline_data"), dict):
        return _media(data, "blob")
    if isinstance(call := item.get("toolUse"), dict):
        return _call(call)
    if isinstance(answer := item.get("toolResult"), dict):
        return _tool_result(answer)
    if isinstance(thought := item.get("reasoningContent"), dict):
        return {"type": "reasoning", "text": _reasoning(thought.get("reasoningText") or thought)}
    for key in ("text", "content", "refusal"):
        if isinstance(text := item.get(key), str):
            return text_part(text)
    if isinstance(inner := item.get("content"), list):
        return text_part("\n".join(part["text"] for part in read_parts(inner) if part["type"] == "text"))
    return text_part(as_text(item))


def _call(item: dict[str, Any]) -> Part:
    nested = item.get("function")
    inner: dict[str, Any] = nested if isinstance(nested, dict) else item
    arguments = next(
        (inner[key] for key in ("arguments", "args", "input", "parameters") if inner.get(key) is not None), None
    )
    name = inner.get("name") or item.get("toolName") or item.get("tool_name") or ""
    return {"type": "tool_call", "id": _id(item), "name": str(name), "arguments": structure(arguments)}


def _tool_result(item: dict[str, Any]) -> Part:
    keys = ("response", "result", "content", "output")
    result = next((item[key] for key in keys if item.get(key) is not None), None)
    if isinstance(result, list) and all(_is_text(block) for block in result):
        result = "\n".join(str(block.get("text", "")) for block in result)
    return {"type": "tool_result", "id": _id(item), "result": result}


def _is_text(block: Any) -> bool:
    return isinstance(block, dict) and (block.get("type") == "text" or list(block) == ["text"])


def _id(item: dict[str, Any]) -> str:
    keys = ("tool_use_id", "tool_call_id", "toolCallId", "call_id", "toolUseId", "id")
    return str(next((item[key] for key in keys if item.get(key)), ""))


def _reasoning(item: dict[str, Any]) -> str:
    found = next((item[key] for key in ("content", "thinking", "text", "summary") if item.get(key)), "")
    if isinstance(found, list):
        return "\n".join(part["text"] for part in read_parts(found) if part["type"] == "text")
    return as_text(found)


def _media(item: dict[str, Any], kind: str) -> Part:
    part: Part = {"type": "media"}
    modality = item.get("modality") or next((m for m in ("image", "audio", "video") if m in kind), None)
    mime = item.get("mime_type") or item.get("mimeType") or item.get("mediaType") or item.get("media_type")
    source = inner if isinstance(inner := item.get("source"), dict) else item
    data = next(
        (source[k] for k in ("uri", "url", "image_url", "image", "content", "data", "file_data") if source.get(k)), None
    )
    if isinstance(data, dict):
        data = data.get("url") or data.get("data")
    for key, value in (("modality", modality), ("mime_type", mime), ("file_id", item.get("file_id"))):
        if isinstance(value, str) and value:
            part[key] = value
    if isinstance(data, str):
        is_link = len(data) <= _MAX_URI and "://" in data[:12]
        part |= {"uri": data} if is_link else {"bytes": len(data)}
    return part


def as_text(value: Any) -> str:
    return value if isinstance(value, str) else to_json(value).decode()
