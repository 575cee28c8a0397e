"""The texts of a span (`ingest.messages`) arranged for reading: who said what, which tools, which documents."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SHOWN_CHARS = 4_000
LONGEST_CHARS = 200_000
KNOWN_ROLES = frozenset({"system", "user", "assistant", "tool"})


@dataclass(frozen=True, slots=True)
class Text:
    """`rest` is behind "show more"; `cut_chars` were too many for a page and are only in the API."""

    kind: str
    title: str
    head: str
    rest: str = ""
    cut_chars: int = 0
    is_code: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    role: str
    name: str
    note: str
    texts: tuple[Text, ...]


@dataclass(frozen=True, slots=True)
class Section:
    title: str
    messages: tuple[Message, ...]


def sections(body: Mapping[str, Any]) -> tuple[Section, ...]:
    """Only sections that hold something; anything unexpected is shown as JSON rather than left out."""
    found = [
        _said("System", [{"role": "system", "parts": body["system"]}] if body.get("system") else None),
        _said("Input", body.get("input")),
        _said("Output", body.get("output")),
        _values("Query", body.get("query")),
        _documents(body.get("documents")),
        _values("Arguments", body.get("arguments")),
        _values("Result", body.get("result")),
        _tools(body.get("tools")),
        _values("Also sent", body.get("raw")),
    ]
    return tuple(section for section in found if section is not None)


def _said(title: str, messages: Any) -> Section | None:
    if not messages:
        return None
    items = messages if isinstance(messages, list) else [messages]
    return Section(title, tuple(_message(item) for item in items))


def _message(item: Any) -> Message:
    if not isinstance(item, Mapping):
        return Message("", "", "", (_text("text", "", _as_text(item)),))
    parts = item.get("parts")
    texts = tuple(_part(part) for part in parts) if isinstance(parts, list) else (_json_text("", item),)
    note = f"finish: {item['finish_reason']}" if item.get("finish_reason") else ""
    return Message(str(item.get("role", "")), str(item.get("name") or ""), note, texts)


def _part(part: Any) -> Text:
    if not isinstance(part, Mapping):
        return _text("text", "", _as_text(part))
    kind = part.get("type")
    if kind == "text":
        return _text("text", "", _as_text(part.get("text")))
    if kind == "reasoning":
        return _text("reasoning", "Reasoning", _as_text(part.get("text")))
    if kind == "tool_call":
        return _json_text(f"Calls tool {part.get('name', '')}", part.get("arguments"), str(part.get("id") or ""))
    if kind == "tool_result":
        return _json_text("Tool result", part.get("result"), str(part.get("id") or ""))
    return _json_text(f"{kind or 'Part'}", {key: value for key, value in part.items() if key != "type"})


def _values(title: str, value: Any) -> Section | None:
    if value in (None, "", [], {}):
        return None
    return Section(title, (Message("", "", "", (_json_text("", value),)),))


def _documents(documents: Any) -> Section | None:
    if not isinstance(documents, list) or not documents:
        return _values("Documents", documents)
    return Section(f"Documents ({len(documents)})", tuple(_document(item, i) for i, item in enumerate(documents, 1)))


def _document(item: Any, place: int) -> Message:
    if not isinstance(item, Mapping):
        return Message(f"document {place}", "", "", (_text("text", "", _as_text(item)),))
    texts = [_text("text", "", _as_text(item.get("content", "")))]
    if item.get("metadata"):
        texts.append(_json_text("Metadata", item["metadata"]))
    note = f"score {item['score']}" if item.get("score") is not None else ""
    return Message(f"document {place}", str(item.get("id") or ""), note, tuple(texts))


def _tools(tools: Any) -> Section | None:
    if not isinstance(tools, list) or not tools:
        return _values("Tools", tools)
    return Section(f"Tools offered ({len(tools)})", (Message("", "", "", tuple(_tool(tool) for tool in tools)),))


def _tool(tool: Any) -> Text:
    inner = tool.get("function", tool) if isinstance(tool, Mapping) else {}
    name = inner.get("name", "") if isinstance(inner, Mapping) else ""
    return _json_text(str(name), tool)


def _json_text(title: str, value: Any, note: str = "") -> Text:
    return _text("code", f"{title} {note}".strip(), _as_text(value), is_code=True)


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False, indent=2, default=str)


def _text(kind: str, title: str, text: str, *, is_code: bool = False) -> Text:
    kept = text[:LONGEST_CHARS]
    return Text(kind, title, kept[:SHOWN_CHARS], kept[SHOWN_CHARS:], len(text) - len(kept), is_code)
