"""The texts of a span, taken out of its attributes and events into one content."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from stanchion_server.ingest.dialects.chat import read_input, read_output, read_system
from stanchion_server.ingest.dialects.flattened import rebuild
from stanchion_server.ingest.dialects.loose import structure
from stanchion_server.ingest.dialects.otel_genai import documents as read_documents
from stanchion_server.ingest.dialects.table import SLOTS
from stanchion_server.ingest.messages import Content, arrange
from stanchion_server.ingest.normalise_plan import Plan, route_of
from stanchion_server.ingest.records import AttributeValue, RawEvent, SpanKind

_LONG_CHARS = 2048
_CHUNK_EVENTS = ("gen_ai.content.completion.chunk", "mlflow.chunk.item", "llm.content.completion.chunk")
_FIRST_TOKEN_EVENTS = ("First Token Stream Event", "ai.stream.firstChunk", "gen_ai.first_token", "first_token")
_DOCUMENT_EVENTS = ("db.query.result", "db.search.result")
DETAILS_EVENT = "gen_ai.client.inference.operation.details"
_DETAIL_KEYS = {
    "gen_ai.input.messages": "input",
    "gen_ai.output.messages": "output",
    "gen_ai.system_instructions": "system",
    "gen_ai.tool.definitions": "tools",
}
_ROLES = {"gen_ai.system.message": "system", "gen_ai.user.message": "user", "gen_ai.tool.message": "tool"}


class Told(NamedTuple):
    """What the texts of a span came to: `attributes` are the rest, with a mark where a text was."""

    content: Content
    winners: tuple[tuple[str, str], ...]
    attributes: dict[str, Any]


class EventsTold(NamedTuple):
    """What the events came to: `rows` for the store, the first token's time, the exception's type."""

    rows: list[dict[str, Any]]
    first_token_ns: int | None
    exception_type: str


def mark(value: AttributeValue) -> dict[str, Any]:
    """What stands in the place of a text that moved to the contents."""
    return {"stanchion.content": True, "bytes": _size(value)}


def _size(value: AttributeValue) -> int:
    if isinstance(value, str):
        return len(value) if value.isascii() else len(value.encode())
    return len(str(value))


def take_texts(plan: Plan, kind: SpanKind, attributes: Mapping[str, AttributeValue]) -> Told:
    """The content of the attributes. The first holder of a section wins; later ones are kept under `raw`."""
    content: Content = {}
    winners: list[tuple[str, str]] = []
    taken: set[str] = set()
    spare: list[str] = []
    for section, holders in plan.sections(route_of(kind)):
        for holder in holders:
            members = plan.families.get(holder.prefix, ())
            if section in content or section == "raw":
                spare += members or (holder.key,)
            elif found := holder.read(
                _tree(holder.prefix, members, attributes) if holder.prefix else attributes[holder.key]
            ):
                if _is_hollow(found):
                    continue
                content[section] = found
                winners.append((section, holder.key))
                taken.update(members or (holder.key,))
    _add_tools(content, winners, attributes)
    _add_system(content, attributes)
    if raw := _raw(plan, attributes, spare, taken):
        content["raw"] = raw
        taken.update(raw)
    return Told(content, tuple(winners), _without(plan, attributes, taken))


def _is_hollow(found: Any) -> bool:
    """Messages without any part: LiteLLM sends them for a tool call, which it tells under older keys."""
    return isinstance(found, list) and all(isinstance(item, dict) and item.get("parts") == [] for item in found)


def _tree(prefix: str, members: tuple[str, ...], attributes: Mapping[str, AttributeValue]) -> dict[str, Any]:
    return rebuild({name[len(prefix) :]: attributes[name] for name in members})


def _raw(
    plan: Plan, attributes: Mapping[str, AttributeValue], spare: list[str], taken: set[str]
) -> dict[str, AttributeValue]:
    raw: dict[str, AttributeValue] = {}
    for key in (*spare, *(key for key in plan.raw if key not in SLOTS)):
        if key not in taken and attributes[key] not in (None, ""):
            raw[key] = attributes[key]
    for key in plan.long:
        if isinstance(text := attributes[key], str) and len(text) > _LONG_CHARS:
            raw[key] = text
    return raw


def _add_tools(content: Content, winners: list[tuple[str, str]], attributes: Mapping[str, AttributeValue]) -> None:
    """Tool definitions that ride in a whole request object."""
    if "tools" in content or "input" not in content:
        return
    text = attributes.get(next(key for section, key in winners if section == "input"))
    if isinstance(text, str) and '"tools"' in text:
        found = structure(text)
        if isinstance(found, dict) and isinstance(found.get("tools"), list) and found["tools"]:
            content["tools"] = found["tools"]


def _add_system(content: Content, attributes: Mapping[str, AttributeValue]) -> None:
    """The system text of a whole request object, where the messages told apart leave it out (Gemini by
    OpenInference)."""
    if "system" in content or not content.get("input") or content["input"][0]["role"] == "system":
        return
    text = attributes.get("input.value")
    if isinstance(text, str) and ('"system' in text or '"instructions"' in text) and (system := read_system(text)):
        content["system"] = system


def _without(plan: Plan, attributes: Mapping[str, AttributeValue], taken: set[str]) -> dict[str, Any]:
    if not taken:
        return dict(attributes)
    kept: dict[str, Any] = dict(attributes)
    for key in taken:
        kept[key] = mark(attributes[key])
    for prefix, members in plan.families.items():
        if members[0] in taken:
            size = sum(_size(attributes[key]) for key in members)
            for key in members:
                kept.pop(key, None)
            kept[f"{prefix}*"] = {"stanchion.content": True, "bytes": size}
    return kept


def take_event_texts(events: tuple[RawEvent, ...], content: Content, kind: SpanKind) -> EventsTold:
    """Adds what the events tell to `content`, where the attributes left a gap."""
    rows: list[dict[str, Any]] = []
    told: Content = {}
    chunks: dict[str, dict[str, Any]] = {}
    first_token_ns, exception_type = None, ""
    for event in events:
        name, attributes = event.name, event.attributes
        if name.startswith(_CHUNK_EVENTS):
            first_token_ns = first_token_ns or event.time_ns
            base = next(chunk for chunk in _CHUNK_EVENTS if name.startswith(chunk))
            if base in chunks:
                chunks[base]["count"] += 1
                continue
            chunks[base] = row = {"name": base, "time_ns": event.time_ns, "attributes": {}, "count": 1}
            rows.append(row)
            continue
        if name in _FIRST_TOKEN_EVENTS:
            first_token_ns = event.time_ns
        elif name == "exception" and isinstance(exception := attributes.get("exception.type"), str):
            exception_type = exception[:256]
        elif name.startswith(("gen_ai.", "db.")):
            attributes = _take_event(name, attributes, told)
        rows.append({"name": name, "time_ns": event.time_ns, "attributes": dict(attributes)})
    for section, value in (_of_tool(told) if kind == SpanKind.TOOL else told).items():
        if not content.get(section):
            content[section] = value
    return EventsTold(rows, first_token_ns, exception_type)


def _of_tool(told: Content) -> Content:
    """What a tool span tells as chat messages (Strands): what the tool was asked and what it gave."""
    found: Content = {}
    for section, target in (("input", "arguments"), ("output", "result")):
        parts = [part for item in told.get(section) or () for part in item["parts"]]
        said = [structure(part.get("result", part.get("text"))) for part in parts]
        found[target] = said[0] if len(said) == 1 else said
    return found


def _take_event(name: str, attributes: Mapping[str, AttributeValue], told: Content) -> Mapping[str, AttributeValue]:
    if name in _DOCUMENT_EVENTS:
        prefix = f"{name}."
        plain = {key.removeprefix(prefix): value for key, value in attributes.items()}
        told.setdefault("documents", []).extend(read_documents([plain]) or [])
        return {key: mark(value) for key, value in attributes.items()}
    found = event_content(name, attributes, attributes.get("gen_ai.event.content"))
    if not found:
        return attributes
    for section, value in found.items():
        told[section] = told.get(section, []) + value
    return {key: mark(value) if _is_text(key) else value for key, value in attributes.items()}


def _is_text(key: str) -> bool:
    return key in _DETAIL_KEYS or key in _TEXT_KEYS


_TEXT_KEYS = {
    "content",
    "message",
    "tool_calls",
    "gen_ai.event.content",
    "gen_ai.prompt",
    "gen_ai.completion",
    "arguments",
}


def event_content(name: str, attributes: Mapping[str, AttributeValue], body: Any) -> Content:
    """The content of one GenAI event, a span event or a log record; sections hold lists, for more events to append
    to."""
    if name == DETAILS_EVENT:
        return _details(attributes, body)
    if name == "gen_ai.content.prompt":
        return {"input": read_input(attributes.get("gen_ai.prompt"))}
    if name == "gen_ai.content.completion":
        return {"output": read_output(attributes.get("gen_ai.completion"))}
    fields = structure(body)
    if not isinstance(fields, dict):
        fields = {"content": fields} if fields else dict(attributes)
    if name == "gen_ai.choice":
        inner = structure(fields.get("message", fields.get("content")))
        finish = {"finish_reason": fields["finish_reason"]} if fields.get("finish_reason") else {}
        inner = _as_message(inner, "assistant")
        calls = {"tool_calls": fields["tool_calls"]} if fields.get("tool_calls") else {}
        return {"output": read_output([{**calls, **inner, **finish}])}
    if name in _ROLES:
        return {"input": read_input([_as_message(fields, _ROLES[name])])}
    if name == "gen_ai.assistant.message":
        return {"input": read_input([_as_message(fields, "assistant")])}
    return {}


def _as_message(found: Any, role: str) -> dict[str, Any]:
    if isinstance(found, dict) and ("content" in found or "tool_calls" in found or "parts" in found):
        message = {"role": role, **{key: value for key, value in found.items() if value is not None}}
        if role == "tool" and "id" in message:
            message.setdefault("tool_call_id", message["id"])
        return {**message, "content": structure(message.get("content"))}
    return {"role": role, "content": found}


def _details(attributes: Mapping[str, AttributeValue], body: Any) -> Content:
    fields = {**body, **attributes} if isinstance(body, dict) else attributes
    content: Content = {}
    for key, section in _DETAIL_KEYS.items():
        if fields.get(key):
            found = structure(fields[key])
            if section in ("input", "output"):
                found = read_input(found) if section == "input" else read_output(found)
            elif section == "system":
                found = [part for item in read_input(found) for part in item["parts"]]
            content[section] = found if isinstance(found, list) else [found]
    return content


def without_details(attributes: Mapping[str, AttributeValue]) -> dict[str, Any]:
    return {key: mark(value) if key in _DETAIL_KEYS else value for key, value in attributes.items()}


def finished(content: Content) -> Content:
    return arrange(content) if content else content
