"""First lines of prompt and answer, for calls whose texts came on log records rather than on the span."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import zstandard

from stanchion_server.kernel import db

PREVIEW_CHARACTERS = 300
_LONGEST_CALL = timedelta(days=1)
_LARGEST_BODY_BYTES = 64 * 2**20


def fill(cursor: db.CursorType, project_id: int, minutes: Iterable[datetime]) -> None:
    """Fills previews that are empty from stored contents; never changes one that is there."""
    wanted = sorted(minutes)
    cursor.execute(
        "SELECT c.trace_id, c.span_id, c.start_time, k.body"
        " FROM unnest(%(minutes)s::timestamptz[]) AS wanted(minute)"
        " JOIN llm_calls c ON c.project_id = %(project_id)s AND c.start_time >= minute"
        "  AND c.start_time < minute + interval '1 minute' AND c.start_time BETWEEN %(first)s AND %(last)s"
        " JOIN contents k ON k.project_id = %(project_id)s AND k.trace_id = c.trace_id AND k.span_id = c.span_id"
        "  AND k.start_time BETWEEN %(first)s - %(longest)s AND %(last)s + %(longest)s"
        " WHERE (c.input_preview = '' OR c.output_preview = '') AND k.source <> 0"
        " ORDER BY k.source, k.start_time, k.digest",
        {
            "project_id": project_id,
            "minutes": wanted,
            "first": wanted[0],
            "last": wanted[-1] + timedelta(minutes=1),
            "longest": _LONGEST_CALL,
        },
    )
    texts: dict[tuple[Any, ...], list[str]] = {}
    for trace_id, span_id, start_time, body in cursor.fetchall():
        known = texts.setdefault((trace_id, span_id, start_time), ["", ""])
        asked, answered = of_body(bytes(body))
        known[0], known[1] = known[0] or asked, known[1] or answered
    rows = [(*values, project_id, *key) for key, values in sorted(texts.items(), key=lambda item: str(item[0]))]
    if rows:
        cursor.executemany(
            "UPDATE llm_calls SET input_preview = coalesce(nullif(input_preview, ''), %s),"
            " output_preview = coalesce(nullif(output_preview, ''), %s)"
            " WHERE project_id = %s AND trace_id = %s AND span_id = %s AND start_time = %s",
            rows,
        )


def of_body(body: bytes) -> tuple[str, str]:
    """The previews (input, output) of one compressed content body; empty strings where it holds no text."""
    data = zstandard.ZstdDecompressor().decompress(body, max_output_size=_LARGEST_BODY_BYTES)
    content = json.loads(data)
    return _last_text(content.get("input")), _last_text(content.get("output"))


def _last_text(value: Any) -> str:
    """The text of the last message that has one: what the user asked just now, what the model answered."""
    messages = value if isinstance(value, list) else [value]
    for message in reversed(messages):
        text = " ".join(" ".join(_texts(message)).split())
        if text:
            return text[:PREVIEW_CHARACTERS]
    return ""


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for name in ("content", "text", "parts"):
            if name in value:
                yield from _texts(value[name])
