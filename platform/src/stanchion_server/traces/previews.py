"""First lines of prompt and answer, for calls whose texts came on log records rather than on the span."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from stanchion_server.ingest import messages
from stanchion_server.kernel import db

_LONGEST_CALL = timedelta(days=1)

_TEXTS_SQL = """
SELECT c.trace_id, c.span_id, c.start_time, k.source, k.start_time, k.body
FROM unnest(%(minutes)s::timestamptz[]) AS wanted(minute)
JOIN llm_calls c ON c.project_id = %(project_id)s AND c.start_time >= minute
    AND c.start_time < minute + interval '1 minute' AND c.start_time >= %(first)s AND c.start_time < %(last)s
JOIN contents k ON k.project_id = %(project_id)s AND k.trace_id = c.trace_id AND k.span_id = c.span_id
    AND k.start_time BETWEEN %(first)s - %(longest)s AND %(last)s + %(longest)s
WHERE EXISTS (SELECT FROM contents l WHERE l.project_id = %(project_id)s AND l.trace_id = c.trace_id
    AND l.span_id = c.span_id AND l.source <> 0
    AND l.start_time BETWEEN %(first)s - %(longest)s AND %(last)s + %(longest)s)
ORDER BY k.digest
"""

# A text of its own takes the place of one that was filled from another record of the call.
_UPDATE_SQL = """
UPDATE llm_calls c SET {name}_preview = v.preview, filled = c.filled - '{name}_preview'
FROM unnest(%(traces)s::uuid[], %(spans)s::bigint[], %(starts)s::timestamptz[], %(previews)s::text[])
    AS v(trace_id, span_id, start_time, preview)
WHERE c.project_id = %(project_id)s AND c.trace_id = v.trace_id AND c.span_id = v.span_id
    AND c.start_time = v.start_time AND v.preview <> '' AND c.{name}_preview <> v.preview
"""


@dataclass(frozen=True, slots=True)
class _Text:
    source: int
    start_time: datetime
    body: bytes


def fill(cursor: db.CursorType, project_id: int, minutes: Iterable[datetime]) -> None:
    """Makes the previews of calls with texts on log records again, from everything that has arrived by now."""
    wanted = sorted(minutes)
    cursor.execute(
        _TEXTS_SQL,
        {
            "project_id": project_id,
            "minutes": wanted,
            "first": wanted[0],
            "last": wanted[-1] + timedelta(minutes=1),
            "longest": _LONGEST_CALL,
        },
    )
    texts: dict[tuple[UUID, int, datetime], list[_Text]] = defaultdict(list)
    for trace_id, span_id, start_time, source, sent_at, body in cursor.fetchall():
        texts[trace_id, span_id, start_time].append(_Text(source, sent_at, bytes(body)))
    if texts:
        _write(cursor, project_id, texts)


def _write(cursor: db.CursorType, project_id: int, texts: dict[tuple[UUID, int, datetime], list[_Text]]) -> None:
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
