"""OpenAI's requests and answers: chat completions, responses, legacy completions, embeddings, moderations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..shapes import Stage
from .texts import Texts

Json = dict[str, Any]
SILENT = frozenset({"reasoning", "item_reference", "compaction"})
"""Items of a conversation whose content is encrypted or elsewhere: nobody outside the provider can read them."""

READ = frozenset({"tool_calls", "function_call", "annotations", "parsed"})
"""Fields of an answer that are read, or repeat what is."""

NO_TEXTS = frozenset({"role", "content", "name", "tool_call_id", "id", "type"})
"""Fields of a request's message that are read elsewhere, or hold no text."""

TOOL_DEFINITIONS = "tool definitions"


def rows(value: object) -> Iterator[Json]:
    for row in value if isinstance(value, list) else ():
        if isinstance(row, dict):
            yield row


def chat_asked(body: Json) -> Texts:
    found = Texts()
    found.miss_where(body, TOOL_DEFINITIONS, "tools", "functions")
    tools = _tool_names(body)
    for message in rows(body.get("messages")):
        role = str(message.get("role"))
        stage: Stage = "tool_result" if role in ("tool", "function") else "input"
        name = tools.get(message.get("tool_call_id")) if role == "tool" else message.get("name")
        _content(found, stage, message, role, name)
        for key in [key for key, value in message.items() if isinstance(value, str) and key not in NO_TEXTS]:
            found.add(stage, message, key, role)
        if role == "assistant":
            _chat_calls(found, message)
    if isinstance(body.get("prediction"), dict):
        _content(found, "input", body["prediction"], "user", None)
    return found


def _tool_names(body: Json) -> dict[Any, Any]:
    calls = (call for message in rows(body.get("messages")) for call in rows(message.get("tool_calls")))
    return {call.get("id"): (call.get("function") or call.get("custom") or {}).get("name") for call in calls}


def _content(found: Texts, stage: Stage, holder: Json, role: str, name: object, key: str = "content") -> None:
    """A text, or a list of parts of which some are texts."""
    found.add(stage, holder, key, role, name if isinstance(name, str) else None)
    bare_texts(found, stage, holder.get(key), role)
    for part in rows(holder.get(key)):
        known = [field for field in ("text", "refusal") if isinstance(part.get(field), str)]
        for field in known:
            found.add(stage, part, field, role, name if isinstance(name, str) else None)
        if not known:
            found.miss(part.get("type"))


def bare_texts(found: Texts, stage: Stage, content: object, role: str | None) -> None:
    """Texts that stand in a list without an object around them; content of another shape is told as unread."""
    for index, part in enumerate(content if isinstance(content, list) else ()):
        if isinstance(part, str):
            found.add(stage, content, index, role)
    if isinstance(content, dict) and content:
        found.miss("content")


def _chat_calls(found: Texts, message: Json) -> None:
    for call in rows(message.get("tool_calls")):
        for kind, key in (("function", "arguments"), ("custom", "input")):
            if isinstance(call.get(kind), dict):
                found.add("tool_call", call[kind], key, "assistant", call[kind].get("name"))
    if isinstance(message.get("function_call"), dict):
        found.add("tool_call", message["function_call"], "arguments", "assistant", message["function_call"].get("name"))


def chat_answered(body: Json) -> Texts:
    """Every text of every choice, those of fields that other servers add included."""
    found = Texts()
    for choice in rows(body.get("choices")):
        message = choice.get("message")
        if isinstance(message, dict):
            for key in [key for key, value in message.items() if isinstance(value, str) and key != "role"]:
                found.add("output", message, key, "assistant")
            _chat_calls(found, message)
            if isinstance(message.get("audio"), dict):
                found.add("output", message["audio"], "transcript", "assistant")
            for key in [key for key, value in message.items() if isinstance(value, dict | list) and value]:
                if key not in READ:
                    found.miss(key)
    return found


def text_asked(body: Json) -> Texts:
    found = _one_or_many(body, "prompt")
    found.add("input", body, "suffix", "user")
    return found


def text_answered(body: Json) -> Texts:
    found = Texts()
    for choice in rows(body.get("choices")):
        found.add("output", choice, "text", "assistant")
    return found


def input_asked(body: Json) -> Texts:
    """Embeddings and moderations: texts, or parts with a text."""
    found = _one_or_many(body, "input")
    for part in rows(body.get("input")):
        if isinstance(part.get("text"), str):
            found.add("input", part, "text", "user")
        else:
            found.miss(part.get("type"))
    return found


def _one_or_many(body: Json, key: str) -> Texts:
    found = Texts()
    value = body.get(key)
    found.add("input", body, key, "user")
    for index, item in enumerate(value if isinstance(value, list) else ()):
        if isinstance(item, str):
            found.add("input", value, index, "user")
        elif not isinstance(item, dict):
            found.miss("token numbers")
    return found


def responses_asked(body: Json) -> Texts:
    found = Texts()
    found.miss_where(body, TOOL_DEFINITIONS, "tools")
    found.miss_where(body, "earlier turns stored at the provider", "previous_response_id", "conversation")
    found.add("input", body, "instructions", "system")
    found.add("input", body, "input", "user")
    bare_texts(found, "input", body.get("input"), "user")
    if isinstance(body.get("prompt"), dict):
        _variables(found, body["prompt"].get("variables"))
    names = {item.get("call_id"): item.get("name") for item in rows(body.get("input"))}
    for item in rows(body.get("input")):
        _item(found, item, "input", names)
    return found


def _variables(found: Texts, variables: object) -> None:
    """Of a template that is stored at the provider, whose own text is not seen here."""
    found.miss("stored prompt")
    for key, value in variables.items() if isinstance(variables, dict) else ():
        if isinstance(value, dict):
            _content(found, "input", {"content": [value]}, "user", None)
        else:
            found.add("input", variables, key, "user")


def _item(found: Texts, item: Json, stage: Stage, names: Mapping[Any, Any]) -> None:
    kind = item.get("type", "message")
    if kind == "message":
        _content(found, stage, item, str(item.get("role", "assistant")), None)
    elif kind in ("function_call", "mcp_call"):
        found.add("tool_call", item, "arguments", "assistant", item.get("name"))
        found.add("tool_result", item, "output", "tool", item.get("name"))
    elif kind == "custom_tool_call":
        found.add("tool_call", item, "input", "assistant", item.get("name"))
    elif kind in ("function_call_output", "custom_tool_call_output"):
        _content(found, "tool_result", item, "tool", names.get(item.get("call_id")), "output")
    elif kind == "code_interpreter_call":
        found.add("tool_call", item, "code", "assistant", "code_interpreter")
    elif kind == "reasoning":
        _reasoning(found, item, stage)
    elif kind not in SILENT:
        found.miss(kind)


def _reasoning(found: Texts, item: Json, stage: Stage) -> None:
    for key in ("summary", "content"):
        for part in rows(item.get(key)):
            found.add(stage, part, "text", "assistant")


def responses_answered(body: Json) -> Texts:
    found = Texts()
    for item in rows(body.get("output")):
        _item(found, item, "output", {})
    return found
