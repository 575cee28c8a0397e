"""Messages, tool calls, tool results and documents as chat clients send them, read into parts.

The shapes are those of OpenAI (chat and responses), Anthropic, Gemini, Bedrock and LangChain. Nothing is passed over in
silence: a text under a key that none of them has is judged as well, and whatever else may hold a text is Unread. Texts
stay as they came, since findings are told by their place. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeGuard

from stanchion_guard.records import Part, Stage
from stanchion_server.ingest.dialects.chat import ROLES
from stanchion_server.ingest.dialects.parts import CALLS, MEDIA, REASONING, RESULTS, TEXTS
from stanchion_server.policies.fields import bad, rows, text_of, whole

Json = Mapping[str, Any]
_STAGES: Mapping[str, Stage] = {"assistant": "output", "tool": "tool_result"}
_CALL_HOLDERS = ("function", "custom", "functionCall", "function_call", "toolUse", "executableCode", "executable_code")
_RESULT_HOLDERS = (
    "functionResponse", "function_response", "toolResult", "codeExecutionResult", "code_execution_result",
)  # fmt: skip
_ARGUMENTS = ("arguments", "args", "input", "parameters", "action", "code", "operation", "queries")
_BROUGHT = ("content", "result", "results", "output", "outputs", "response", "text")
_OF_A_CALL = ("output", "outputs", "results")
"""What OpenAI's own tools brought stands in the call."""
_DOCUMENT = ("text", "content", "page_content", "pageContent")
_DOCUMENTS = frozenset({"document", "search_result"})
_SAID = ("text", "refusal", "thinking", "reasoning", "content", "summary", "parts")
_PICTURES = frozenset({"image_generation_call", "computer_screenshot"})
_ELSEWHERE = frozenset({"item_reference", "compaction"})
"""Items whose texts only the provider can read."""
_CALL_LISTS = ("tool_calls", "toolCalls", "invalid_tool_calls")
_BLOCKS = TEXTS | CALLS | RESULTS | REASONING | MEDIA | _DOCUMENTS | {"web_search_result", "refusal"}
_PLAIN = frozenset(
    {
        "id", "type", "role", "name", "kind", "index", "status", "object", "score", "lc", "phase", "namespace",
        "caller", "author", "tool_call_id", "toolCallId", "call_id", "tool_use_id", "toolUseId", "tool_name",
        "toolName", "file_id", "server_label", "cache_control", "signature", "thought_signature", "thoughtSignature",
        "encrypted_content", "is_error", "finish_reason", "finishReason", "stop_reason", "annotations", "logprobs",
        "response_metadata", "usage_metadata", "cachePoint",
    }
)  # fmt: skip
"""Names, kinds and numbers; what only the provider can read; what repeats the texts beside it."""


@dataclass(frozen=True, slots=True)
class Unread:
    """Something that no check reads, by its type or key."""

    name: str


Found = Iterator[Part | Unread]


def message(row: Json) -> Found:
    """What one message, or one item of OpenAI's responses, holds. The texts of its speaker are one part."""
    return _joined(pieces(row), _voice(_opened(row)))


def pieces(row: Json) -> Found:
    """The same, each text a part of its own."""
    row = _opened(row)
    if (item := _tool_block(row)) is not None and "role" not in row:
        yield from item
        return
    if "role" not in row and _kind(row) in _ELSEWHERE:
        yield Unread(_kind(row))
    voice = _voice(row)
    for key in _SAID:
        yield from _content(row.get(key), voice, key)
    for key in _CALL_LISTS:
        for one in rows(row, key):
            yield from call(one)
    if isinstance(row.get("function_call"), Mapping):
        yield from call(row["function_call"])
    yield from _others(row, (*_SAID, *_CALL_LISTS, *_objects(row, ("function_call",))), voice)


def call(row: Json) -> Found:
    """One tool call. Raises SenderError when it has neither a name nor arguments."""
    holders = _holders(row, _CALL_HOLDERS)
    voice = Part("tool_call", "", "assistant", _tool_name(holders))
    given = [one[key] for one in holders for key in _ARGUMENTS if one.get(key) is not None]
    if not given and not voice.name:
        raise bad("every tool call", "an object with `name` and `arguments`, or as a chat API has it")
    yield from (replace(voice, text=_dumped(value)) for value in given or [""])
    for one in holders:
        for key in _OF_A_CALL:
            yield from _result_of(one.get(key), voice.name)
        yield from _others(one, (*_ARGUMENTS, *_OF_A_CALL, *_objects(one, _CALL_HOLDERS)), voice)


def result(row: Json) -> Found:
    """What one tool brought. Raises SenderError when it holds nothing of the kind."""
    holders = _holders(row, _RESULT_HOLDERS)
    voice = Part("tool_result", "", "tool", _tool_name(holders))
    given = [one[key] for one in holders for key in _BROUGHT if one.get(key) is not None]
    found = [part for value in given for part in _result_of(value, voice.name)]
    for one in holders:
        found += _others(one, (*_BROUGHT, *_objects(one, _RESULT_HOLDERS)), voice)
    if not found and not voice.name and not any(key in one for one in holders for key in _BROUGHT):
        raise bad("every tool result", "an object with `name` and `content`, or as a chat API has it")
    yield from found or [voice]


def document(value: object, index: int) -> Found:
    """One retrieved text: itself, or an object of a retriever's."""
    if isinstance(value, str):
        yield Part("retrieved", whole(value), name=f"context {index}")
        return
    row = _opened(value) if isinstance(value, Mapping) else {}
    if not any(key in row for key in _DOCUMENT):
        raise bad(f"`contexts[{index}]`", "a text, or an object with `text` (or `content`, `page_content`)")
    voice = Part("retrieved", "", name=text_of(row, "name") or f"context {index}", kind=text_of(row, "kind") or None)
    texts = [part for key in _DOCUMENT for part in _content(row.get(key), voice, key)]
    yield from texts or [voice]
    yield from _others(row, _DOCUMENT, voice)


def stage_of(role: str) -> Stage:
    return _STAGES.get(ROLES.get(role.lower(), ""), "input")


def _opened(row: Json) -> Json:
    """The object itself, out of LangChain's and Gemini's wrappings."""
    for key in ("kwargs", "data"):
        if isinstance(inner := row.get(key), Mapping):
            kinds = [row.get("type"), *(row["id"] if isinstance(row.get("id"), list) else ())]
            roles = [kind for kind in kinds if isinstance(kind, str) and kind.lower() in ROLES]
            row = {"role": roles[-1] if roles else None, **row, **inner, "id": None, key: None}
    inner = row.get("content")
    return {**row, "content": None, **inner} if _is_gemini(inner) else row


def _is_gemini(content: object) -> TypeGuard[Json]:
    return isinstance(content, Mapping) and isinstance(content.get("parts"), list)


def _voice(row: Json) -> Part:
    kind = _kind(row)
    implied = "assistant" if kind == "reasoning" else kind if kind.lower() in ROLES else "user"
    role = text_of(row, "role") or text_of(row, "author") or implied
    return Part(stage_of(role), "", role, text_of(row, "name") or None)


def _content(value: object, voice: Part, key: str) -> Found:
    """A text, or a list of texts and blocks."""
    if value is None:
        return
    if isinstance(value, str):
        yield from [replace(voice, text=whole(value))] if value else []
    elif not isinstance(value, list) or not all(isinstance(one, str | Mapping) for one in value):
        raise bad(f"`{key}`", "a text or a list of parts")
    else:
        for one in value:
            yield from _content(one, voice, key) if isinstance(one, str) else _block(one, voice)


def _block(row: Json, voice: Part) -> Found:
    """One part of a message's content."""
    kind = _kind(row)
    if (item := _tool_block(row)) is not None:
        yield from item
    elif kind in _DOCUMENTS:
        yield from _document_block(row)
    elif kind in MEDIA:
        yield from _content(row.get("text"), voice, "text")
        yield Unread(kind)
    else:
        yield from _text_block(row, kind, voice)


def _text_block(row: Json, kind: str, voice: Part) -> Found:
    if kind and kind != "redacted_thinking" and not any(row.get(key) is not None for key in _SAID):
        yield Unread(whole(kind)[:60])
        return
    for key in _SAID:
        yield from _content(row.get(key), voice, key)
    if isinstance(row.get("json"), dict | list):
        yield replace(voice, text=_dumped(row["json"]))
    known = (*_SAID, "json", *(("data",) if kind == "redacted_thinking" else ()))
    yield from _others(row, known, voice)


def _tool_block(row: Json) -> Found | None:
    """What a tool was asked or brought, None for anything else."""
    kind = _kind(row)
    if kind in _PICTURES:
        return iter([Unread(kind)])
    if kind in RESULTS or kind.endswith(("_output", "tool_result")) or _objects(row, _RESULT_HOLDERS):
        return result(row)
    if kind in CALLS or kind.endswith(("_call", "tool_use")) or "arguments" in row or _objects(row, _CALL_HOLDERS):
        return call(row)
    return None


def _document_block(row: Json) -> Found:
    """Anthropic's documents and search results."""
    source, voice = row.get("source"), Part("retrieved", "", name=text_of(row, "title") or None)
    if isinstance(source, Mapping) and source.get("type") == "text":
        yield from _content(source.get("data"), voice, "data")
    elif isinstance(source, Mapping) and source.get("type") == "content":
        yield from _content(source.get("content"), voice, "content")
    elif isinstance(source, Mapping):
        yield Unread(_kind(row))
    yield from _content(row.get("content"), voice, "content")
    yield from _others(row, ("content", *(("source",) if isinstance(source, Mapping) else ())), voice)


def _result_of(value: object, name: str | None) -> Found:
    """A text, blocks, or JSON of the tool's own."""
    voice = Part("tool_result", "", "tool", name)
    if isinstance(value, list) and value and all(isinstance(one, str) or _is_block(one) for one in value):
        yield from _joined(_content(value, voice, "content"), voice)
    elif isinstance(value, Mapping) and _kind(value) in MEDIA | _PICTURES:
        yield Unread(_kind(value))
    elif value is not None:
        yield replace(voice, text=_dumped(value))


def _joined(found: Found, voice: Part) -> Found:
    """The same with the texts that `voice` says in one part, where the first of them stood."""
    own: list[str] = []
    rest: list[Part | Unread] = []
    place = 0
    for one in found:
        if isinstance(one, Unread) or replace(one, text="") != voice:
            rest.append(one)
        else:
            place = place if own else len(rest)
            own.append(one.text)
    yield from rest[:place]
    if own:
        yield replace(voice, text="\n".join(own))
    yield from rest[place:]


def _is_block(one: object) -> bool:
    """Whether a value is a content block of a chat API, rather than JSON that a tool brought."""
    if not isinstance(one, Mapping):
        return False
    return _kind(one) in _BLOCKS if _kind(one) else set(one) in ({"text"}, {"json"})


def _others(row: Json, known: tuple[str, ...], voice: Part) -> Found:
    """What stands under keys that are not `known`: texts are judged, the rest is named."""
    for key, value in row.items():
        if key in known or key in _PLAIN:
            continue
        if isinstance(value, str) and value:
            yield replace(voice, text=whole(value))
        elif _holds_text(value):
            yield Unread(whole(str(key))[:60])


def _holds_text(value: object) -> bool:
    if isinstance(value, Mapping):
        return any(map(_holds_text, value.values()))
    return any(map(_holds_text, value)) if isinstance(value, list) else isinstance(value, str) and bool(value)


def _objects(row: Json, names: tuple[str, ...]) -> list[str]:
    return [key for key in names if isinstance(row.get(key), Mapping)]


def _holders(row: Json, names: tuple[str, ...]) -> list[Json]:
    """The objects that tell of one call: the one inside first."""
    return [*(row[key] for key in _objects(row, names)), row]


def _tool_name(holders: list[Json]) -> str | None:
    """As it is told, else the kind of a tool of the provider's own."""
    names = (text_of(one, key) for one in holders for key in ("name", "toolName", "tool_name"))
    kind = _kind(holders[-1])
    own = kind.removesuffix("_call") if kind.endswith("_call") and kind not in CALLS else ""
    return next(filter(None, names), own) or None


def _kind(row: Json) -> str:
    kind = row.get("type")
    return kind if isinstance(kind, str) else ""


def _dumped(value: object) -> str:
    return whole(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
