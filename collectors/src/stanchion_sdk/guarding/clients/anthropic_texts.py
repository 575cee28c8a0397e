"""Anthropic's requests and answers: messages and token counts."""

from __future__ import annotations

from typing import Any

from ..shapes import Stage
from .openai_texts import TOOL_DEFINITIONS, Json, bare_texts, rows
from .texts import Texts


def messages_asked(body: Json) -> Texts:
    found = Texts()
    found.miss_where(body, TOOL_DEFINITIONS, "tools", "mcp_servers")
    found.add("input", body, "system", "system")
    for block in rows(body.get("system")):
        _block(found, block, "input", "system", {})
    names = {block.get("id"): block.get("name") for message in rows(body.get("messages")) for block in _blocks(message)}
    for message in rows(body.get("messages")):
        role = str(message.get("role"))
        found.add("input", message, "content", role)
        bare_texts(found, "input", message.get("content"), role)
        for block in _blocks(message):
            _block(found, block, "input", role, names)
    return found


def _blocks(message: Json) -> list[Json]:
    return list(rows(message.get("content")))


def _block(found: Texts, block: Json, stage: Stage, role: str, names: dict[Any, Any]) -> None:
    kind = block.get("type")
    if kind == "text":
        found.add(stage, block, "text", role)
    elif kind in ("tool_use", "server_tool_use", "mcp_tool_use"):
        found.add_value(block, "input", block.get("name"))
    elif kind in ("tool_result", "mcp_tool_result"):
        _inner(found, block, "tool_result", names.get(block.get("tool_use_id")))
    elif kind == "search_result":
        _inner(found, block, "retrieved", block.get("title"))
    elif kind == "document":
        _document(found, block)
    elif kind == "thinking" and stage == "output":
        found.add(stage, block, "thinking", role)
    elif kind not in ("thinking", "redacted_thinking"):
        found.miss(kind)


def _inner(found: Texts, holder: Json, stage: Stage, name: object) -> None:
    """What a tool, or a search, has brought: a text, or blocks."""
    role = "tool" if stage == "tool_result" else None
    found.add(stage, holder, "content", role, name if isinstance(name, str) else None)
    bare_texts(found, stage, holder.get("content"), role)
    for block in rows(holder.get("content")):
        if block.get("type") == "text":
            found.add(stage, block, "text", role, name if isinstance(name, str) else None)
        else:
            _block(found, block, stage, "tool", {})


def _document(found: Texts, block: Json) -> None:
    source = block.get("source")
    title = block.get("title")
    if isinstance(source, dict) and source.get("type") == "text":
        found.add("retrieved", source, "data", None, title)
    elif isinstance(source, dict) and source.get("type") == "content":
        _inner(found, source, "retrieved", title)
    else:
        found.miss("document")
    found.add("retrieved", block, "context", None, title)


def messages_answered(body: Json) -> Texts:
    found = Texts()
    for block in rows(body.get("content")):
        _block(found, block, "output", "assistant", {})
    return found
