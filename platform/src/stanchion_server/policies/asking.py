"""What a caller of the check API may send, read into a subject. Pure; every refusal names the value and the remedy."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from stanchion_guard.records import STAGES, Part, Stage, Subject, Usage
from stanchion_server.kernel.errors import SenderError
from stanchion_server.kernel.ids import span_id_from_hex
from stanchion_server.policies import spoken
from stanchion_server.policies.decisions import Origin
from stanchion_server.policies.fields import bad, known, listed, rows, text_of
from stanchion_server.policies.fields import whole as whole
from stanchion_server.policies.spoken import Unread

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
_PART_FIELDS = frozenset({"stage", "text", "role", "name", "kind", "language"})
_LABELS = ("feature", "user_id", "session_id", "environment", "release")


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
        raise bad("the body", "a JSON object")
    known(body, _FIELDS, "")
    found = list(_parts(body))
    unread = tuple(dict.fromkeys(one.name for one in found if isinstance(one, Unread)))
    parts = bounded(tuple(one for one in found if isinstance(one, Part)))
    subject = Subject(parts, _usage(body.get("usage")))
    return Asked(
        text_of(body, "policy", "default"),
        subject,
        _origin(body, source),
        _deadline(body.get("deadline_ms")),
        _judged(body, len(parts)),
        unread,
    )


def _judged(body: Mapping[str, Any], size: int) -> tuple[int, ...] | None:
    """All but the query, or the `parts` whose numbers are given."""
    if not listed(body, "judged"):
        return tuple(range(1, size)) if text_of(body, "query") else None
    if not body.get("parts") or size != len(body["parts"]):
        raise bad("`judged`", "left out, or come with `parts` alone: it counts them from 0")
    for number in body["judged"]:
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < size:
            raise bad(f"`judged` {str(number)[:40]!r}", f"a number of a part, from 0 to {size - 1}")
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
    if query := text_of(body, "query"):
        yield Part("input", query, role="user")
    for message in rows(body, "messages"):
        yield from spoken.message(message)
    for index, context in enumerate(listed(body, "contexts")):
        yield from spoken.document(context, index)
    for row in rows(body, "parts"):
        yield _part(row)
    for row in rows(body, "tool_calls"):
        yield from spoken.call(row)
    for row in rows(body, "tool_results"):
        yield from spoken.result(row)
    if body.get("text") is not None:
        yield Part(_stage(body.get("stage", "input")), text_of(body, "text"), role=text_of(body, "role") or None)
    if body.get("response") is not None:
        yield Part("output", text_of(body, "response"), role="assistant")


def _part(row: Mapping[str, Any]) -> Part:
    known(row, _PART_FIELDS, " in a part")
    if not isinstance(row.get("text"), str):
        raise bad("the `text` of every part", "a text")
    names = {name: text_of(row, name) or None for name in ("role", "name", "kind", "language")}
    return Part(_stage(row.get("stage")), text_of(row, "text"), **names)


def _usage(value: object) -> Usage:
    if value is None:
        return Usage()
    if not isinstance(value, Mapping):
        raise bad("`usage`", "an object with steps, tool_calls, tokens, cost_usd")
    counts = {name: _number(value, name) for name in ("steps", "tool_calls", "tokens")}
    cost = _number(value, "cost_usd")
    return Usage(**{name: None if found is None else int(found) for name, found in counts.items()}, cost_usd=cost)


def _number(row: Mapping[str, Any], name: str) -> float | None:
    value = row.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e15:
        raise bad(f"`usage.{name}`", "a number from 0")
    return value


def _origin(body: Mapping[str, Any], source: str) -> Origin:
    check_id = _label(body, "check_id")[:64] or uuid.uuid4().hex
    labels = {name: _label(body, name)[:200] for name in _LABELS}
    trace_id, span_id = text_of(body, "trace_id"), text_of(body, "span_id")
    try:
        trace = uuid.UUID(hex=trace_id) if trace_id else uuid.uuid4()
        parent = span_id_from_hex(span_id) if span_id else None
    except ValueError as error:
        raise bad("`trace_id` or `span_id`", "32 and 16 hex digits") from error
    return Origin(check_id, source, trace, parent, **labels)


def _label(body: Mapping[str, Any], name: str) -> str:
    """No column holds a NUL."""
    return text_of(body, name).replace("\0", "\ufffd")


def _deadline(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= MAX_DEADLINE_MS:
        raise bad("`deadline_ms`", f"a number above 0, at most {MAX_DEADLINE_MS}")
    return float(value)


def _stage(value: object) -> Stage:
    if value not in STAGES:
        raise bad(f"stage {str(value)[:40]!r}", f"one of {', '.join(STAGES)}")
    return value
