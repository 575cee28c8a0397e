"""First lines of prompt and answer, for calls whose texts came on log records rather than on the span."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from stanchion_server.ingest import messages
from stanchion_server.kernel import db

_LONGEST_CALL = timedelta(days=1)
_TRACES_AT_ONCE = 500  # whole texts are in memory at once, and after a stand-still hours of them wait
_Key = tuple[UUID, int, datetime]

# Three plain look-ups by index instead of one join: a day that was never analysed would make the planner choose badly.
_TOUCHED_SQL = """
SELECT trace_id, span_id, start_time
FROM unnest(%(minutes)s::timestamptz[]) AS wanted(minute)
JOIN llm_calls ON project_id = %(project_id)s AND start_time >= minute AND start_time < minute + interval '1 minute'
    AND start_time >= %(first)s AND start_time < %(last)s
"""
_TRACES_WITH_LOGS_SQL = """
SELECT DISTINCT trace_id FROM contents
WHERE project_id = %(project_id)s AND trace_id = ANY (%(traces)s::uuid[]) AND source <> 0
    AND start_time BETWEEN %(first)s - %(longest)s AND %(last)s + %(longest)s
"""
_TEXTS_SQL = """
SELECT trace_id, span_id, source, start_time, body FROM contents
WHERE project_id = %(project_id)s AND trace_id = ANY (%(traces)s::uuid[])
    AND start_time BETWEEN %(first)s - %(longest)s AND %(last)s + %(longest)s
ORDER BY digest
"""

# A text of its own takes the place of one that was filled from another record of the call.
_UPDATE_SQL = """
UPDATE llm_calls c SET {name}_preview = v.preview, filled = c.filled - '{name}_preview'
FROM unnest(%(traces)s::uuid[], %(spans)s::bigint[], %(starts)s::timestamptz[], %(previews)s::text[])
    AS v(trace_id, span_id, start_time, preview)
WHERE c.project_id = %(project_id)s AND c.trace_id = v.trace_id AND c.span_id = v.span_id
    AND c.start_time = v.start_time AND v.preview <> '' AND c.{name}_preview <> v.preview
"""

# What the answer tells beside its text; a span whose messages are on log records could not know it.
_ANSWER_SQL = """
UPDATE llm_calls c SET tool_call_count = greatest(c.tool_call_count, v.tool_calls),
    finish_reasons = CASE WHEN c.finish_reasons = '{}' THEN string_to_array(v.reasons, ',') ELSE c.finish_reasons END,
    filled = c.filled - 'tool_call_count'
FROM unnest(%(traces)s::uuid[], %(spans)s::bigint[], %(starts)s::timestamptz[], %(tool_calls)s::int[],
    %(reasons)s::text[]) AS v(trace_id, span_id, start_time, tool_calls, reasons)
WHERE c.project_id = %(project_id)s AND c.trace_id = v.trace_id AND c.span_id = v.span_id
    AND c.start_time = v.start_time
    AND (c.tool_call_count < v.tool_calls OR (c.finish_reasons = '{}' AND v.reasons <> ''))
"""


@dataclass(frozen=True, slots=True)
class _Text:
    source: int
    start_time: datetime
    body: bytes


def fill(cursor: db.CursorType, project_id: int, minutes: Iterable[datetime]) -> None:
    """Makes the previews of calls with texts on log records again, from everything that has arrived by now."""
    wanted = sorted(minutes)
    values = {
        "project_id": project_id,
        "minutes": wanted,
        "first": wanted[0],
        "last": wanted[-1] + timedelta(minutes=1),
        "longest": _LONGEST_CALL,
    }
    cursor.execute(_TOUCHED_SQL, values)
    starts = {(trace_id, span_id): start for trace_id, span_id, start in cursor.fetchall()}
    cursor.execute(_TRACES_WITH_LOGS_SQL, {**values, "traces": list({key[0] for key in starts})})
    traces = [row[0] for row in cursor.fetchall()]
    for first in range(0, len(traces), _TRACES_AT_ONCE):
        cursor.execute(_TEXTS_SQL, {**values, "traces": traces[first : first + _TRACES_AT_ONCE]})
        _write(cursor, project_id, _grouped(starts, cursor.fetchall()))


def _grouped(starts: Mapping[tuple[UUID, int], datetime], rows: Sequence[tuple[Any, ...]]) -> dict[_Key, list[_Text]]:
    """The texts of each touched call that has any on log records."""
    texts: dict[_Key, list[_Text]] = defaultdict(list)
    for trace_id, span_id, source, sent_at, body in rows:
        start = starts.get((trace_id, span_id))
        if start is not None:
            texts[trace_id, span_id, start].append(_Text(source, sent_at, bytes(body)))
    return {key: found for key, found in texts.items() if any(text.source for text in found)}


def _write(cursor: db.CursorType, project_id: int, texts: Mapping[_Key, list[_Text]]) -> None:
    keys = sorted(texts, key=lambda key: (key[2], key[0].int, key[1]))
    contents = [messages.merge(texts[key]) for key in keys]
    values = {
        "project_id": project_id,
        "traces": [key[0] for key in keys],
        "spans": [key[1] for key in keys],
        "starts": [key[2] for key in keys],
    }
    for name, preview in (("input", messages.input_preview), ("output", messages.output_preview)):
        previews = [preview(content) for content in contents]
        cursor.execute(_UPDATE_SQL.format(name=name).encode(), {**values, "previews": previews})
    told = {
        "tool_calls": [messages.tool_call_count(content) for content in contents],
        "reasons": [",".join(messages.finish_reasons(content)).replace("\0", "") for content in contents],
    }
    cursor.execute(_ANSWER_SQL.encode(), {**values, **told})
