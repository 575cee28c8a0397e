"""What a caller of the check API may send, read into a subject. Pure; every refusal names the value and the remedy."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from stanchion_guard.records import STAGES, Part, Stage, Subject, Usage
from stanchion_server.kernel.errors import SenderError
from stanchion_server.kernel.ids import span_id_from_hex
from stanchion_server.policies.decisions import Origin

MAX_CHARACTERS = 1_000_000
MAX_PARTS = 1_000
MAX_DEADLINE_MS = 10_000
_FIELDS = frozenset(
    {
        "policy", "text", "stage", "role", "messages", "response", "contexts", "tool_calls", "tool_results", "parts",
        "query", "usage", "judged", "deadline_ms", "check_id", "trace_id", "span_id", "session_id", "user_id",
        "feature", "environment", "release",
    }
)  # fmt: skip
_HALF_PAIRS = re.compile("[\ud800-\udfff]")
_LABELS = ("feature", "user_id", "session_id", "environment", "release")
_STAGE_OF_ROLE: Mapping[str, Stage] = {
    "assistant": "output", "model": "output", "tool": "tool_result", "function": "tool_result",
}  # fmt: skip


class Unread(str):
    """What stands among the parts of a message and no check reads: its type."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Asked:
    policy: str
    subject: Subject
    origin: Origin
    deadline_ms: float | None
    judged: tuple[int, ...] | None = None
    """The parts to be judged, None for all; the others are what those are measured against."""
    unread: tuple[str, ...] = ()
    """Types of what came in messages and is judged by nobody."""


def read(body: object, source: str) -> Asked:
    """Raises SenderError 400 for what cannot be read, 413 for more than a million characters or a thousand parts."""
    if not isinstance(body, Mapping):
        raise _bad("the body", "a JSON object")
    if unknown := sorted(str(key) for key in body if key not in _FIELDS):
        raise SenderError(
            "unknown_field", f"There is no field “{unknown[0][:60]}”. Known are: {', '.join(sorted(_FIELDS))}.", 400
        )
    found = list(_parts(body))
    unread = tuple(dict.fromkeys(str(one) for one in found if isinstance(one, Unread)))
    parts = bounded(tuple(one for one in found if isinstance(one, Part)))
    subject = Subject(parts, _usage(body.get("usage")))
    return Asked(
        _text(body, "policy", "default"),
        subject,
        _origin(body, source),
        _deadline(body.get("deadline_ms")),
        _judged(body, len(parts)),
        unread,
    )


def _judged(body: Mapping[str, Any], size: int) -> tuple[int, ...] | None:
    """All but the query, or the `parts` whose numbers are given."""
    if not _listed(body, "judged"):
        return tuple(range(1, size)) if _text(body, "query") else None
    if not body.get("parts") or size != len(body["parts"]):
        raise _bad("`judged`", "left out, or come with `parts` alone: it counts them from 0")
    for number in body["judged"]:
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < size:
            raise _bad(f"`judged` {str(number)[:40]!r}", f"a number of a part, from 0 to {size - 1}")
    return tuple(body["judged"])


def bounded(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """The same parts. Raises SenderError when there are none or too many."""
    if not parts:
        raise SenderError("nothing_to_check", "Nothing to check came: send `text`, `messages` or `parts`.", 400)
    total = sum(len(part.text) for part in parts)
    if len(parts) > MAX_PARTS or total > MAX_CHARACTERS:
        raise SenderError(
            "too_large",
            f"{len(parts)} parts with {total:,} characters came; at most {MAX_PARTS:,} and {MAX_CHARACTERS:,} are read."
            " Check a long text in pieces.",
            413,
        )
    return parts


def _parts(body: Mapping[str, Any]) -> Iterator[Part | Unread]:
    if query := _text(body, "query"):
        yield Part("input", query, role="user")
    for message in _rows(body, "messages"):
        yield from _message(message)
    for index, context in enumerate(_listed(body, "contexts")):
        yield _context(context, index)
    for row in _rows(body, "parts"):
        yield _part(row)
    for name, stage in (("tool_calls", "tool_call"), ("tool_results", "tool_result")):
        for row in _rows(body, name):
            yield _tool(row, cast(Stage, stage))
    if "text" in body:
        yield Part(_stage(body.get("stage", "input")), _text(body, "text"), role=_text(body, "role") or None)
    if "response" in body:
        yield Part("output", _text(body, "response"), role="assistant")


def _message(row: Mapping[str, Any]) -> Iterator[Part | Unread]:
    """OpenAI's and Anthropic's shapes: content is a text or a list of parts; tool calls stand beside it or in it."""
    role, name = _text(row, "role", "user"), _text(row, "name") or None
    texts: list[str] = []
    for block in _blocks(row.get("content")):
        kind = block.get("type")
        if kind == "tool_use":
            yield _tool({"name": block.get("name"), "arguments": block.get("input")}, "tool_call")
        elif kind == "tool_result":
            yield from _result(block)
        elif (text := _text(block, "text") or _text(block, "refusal")) or "text" in block:
            texts.append(text)
        else:
            yield Unread(whole(str(kind))[:60])
    if text := "\n".join(texts):
        yield Part(_STAGE_OF_ROLE.get(role, "input"), text, role=role, name=name)
    for call in [*_rows(row, "tool_calls"), *([row["function_call"]] if row.get("function_call") else [])]:
        yield _tool(call.get("function") if isinstance(call.get("function"), Mapping) else call, "tool_call")


def _result(block: Mapping[str, Any]) -> Iterator[Part | Unread]:
    """What a tool brought, as Anthropic has it: a text, or parts."""
    inner = list(_blocks(block.get("content")))
    yield from (Unread(whole(str(one.get("type")))[:60]) for one in inner if "text" not in one)
    yield Part("tool_result", "\n".join(_text(one, "text") for one in inner), role="tool")


def _blocks(content: object) -> Iterator[Mapping[str, Any]]:
    """The parts of a message's content; a text is a part, too."""
    if content is None:
        return
    rows = content if isinstance(content, list) else [content]
    for row in rows:
        if isinstance(row, str):
            yield {"type": "text", "text": row}
        elif isinstance(row, Mapping) and isinstance(content, list):
            yield row
        else:
            raise _bad("`content`", "a text or a list of parts")


def _context(context: object, index: int) -> Part:
    if isinstance(context, str):
        return Part("retrieved", whole(context), name=f"context {index}")
    if isinstance(context, Mapping):
        name, kind = _text(context, "name") or f"context {index}", _text(context, "kind") or None
        return Part("retrieved", _text(context, "text"), name=name, kind=kind)
    raise _bad(f"`contexts[{index}]`", "a text, or an object with `text`, `name` and `kind`")


def _part(row: Mapping[str, Any]) -> Part:
    names = {name: _text(row, name) or None for name in ("role", "name", "kind", "language")}
    return Part(_stage(row.get("stage")), _text(row, "text"), **names)


def _tool(row: object, stage: Stage) -> Part:
    if not isinstance(row, Mapping):
        raise _bad("a tool call", "an object with `name` and `arguments`")
    found = row
    value = found.get("arguments", found.get("content", found.get("text", "")))
    text = whole(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
    return Part(stage, text, role="assistant" if stage == "tool_call" else "tool", name=_text(found, "name") or None)


def _usage(value: object) -> Usage:
    if value is None:
        return Usage()
    if not isinstance(value, Mapping):
        raise _bad("`usage`", "an object with steps, tool_calls, tokens, cost_usd")
    counts = {name: _number(value, name) for name in ("steps", "tool_calls", "tokens")}
    cost = _number(value, "cost_usd")
    return Usage(**{name: None if found is None else int(found) for name, found in counts.items()}, cost_usd=cost)


def _number(row: Mapping[str, Any], name: str) -> float | None:
    value = row.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e15:
        raise _bad(f"`usage.{name}`", "a number from 0")
    return value


def _origin(body: Mapping[str, Any], source: str) -> Origin:
    check_id = _label(body, "check_id")[:64] or uuid.uuid4().hex
    labels = {name: _label(body, name)[:200] for name in _LABELS}
    trace_id, span_id = _text(body, "trace_id"), _text(body, "span_id")
    try:
        trace = uuid.UUID(hex=trace_id) if trace_id else uuid.uuid4()
        parent = span_id_from_hex(span_id) if span_id else None
    except ValueError as error:
        raise _bad("`trace_id` or `span_id`", "32 and 16 hex digits") from error
    return Origin(check_id, source, trace, parent, **labels)


def _label(body: Mapping[str, Any], name: str) -> str:
    """No column holds a NUL."""
    return _text(body, name).replace("\0", "\ufffd")


def _deadline(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= MAX_DEADLINE_MS:
        raise _bad("`deadline_ms`", f"a number above 0, at most {MAX_DEADLINE_MS}")
    return float(value)


def _stage(value: object) -> Stage:
    if value not in STAGES:
        raise _bad(f"stage {str(value)[:40]!r}", f"one of {', '.join(STAGES)}")
    return value


def _text(row: Mapping[str, Any], name: str, default: str = "") -> str:
    value = row.get(name)
    if value is None:
        return default
    if not isinstance(value, str):
        raise _bad(f"`{name}`", "a text")
    return whole(value)


def whole(text: str) -> str:
    """The text with every half of a character pair replaced, one for one, so that offsets stay as they are."""
    return text if text.isascii() else _HALF_PAIRS.sub("\ufffd", text)


def _listed(row: Mapping[str, Any], name: str) -> Sequence[Any]:
    value = row.get(name)
    if value is None:
        return ()
    if not isinstance(value, list):
        raise _bad(f"`{name}`", "a list")
    return value


def _rows(row: Mapping[str, Any], name: str) -> Iterator[Mapping[str, Any]]:
    for index, item in enumerate(_listed(row, name)):
        if not isinstance(item, Mapping):
            raise _bad(f"`{name}[{index}]`", "an object")
        yield item


def _bad(what: str, wanted: str) -> SenderError:
    return SenderError("bad_body", f"{what[:1].upper()}{what[1:]} must be {wanted}.", 400)
