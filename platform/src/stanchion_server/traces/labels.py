"""Labels that a call takes from the spans around it: an application names its feature once, on the outermost span.

Decided from stored rows, like charges, so it does not matter that the outermost span arrives last.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from stanchion_server.ingest.records import Charge, SpanRecord
from stanchion_server.kernel import db
from stanchion_server.kernel.ids import span_id_to_hex

LABELS = ("feature", "user_id", "session_id", "prompt_name", "prompt_version")
LONGEST_TRACE = timedelta(days=1)

_MOST_ANCESTORS = 100


@dataclass(frozen=True, slots=True)
class LabelledSpan:
    parent_span_id: int | None
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Inheritance:
    """The values a call takes from spans around it, by column, and the span each came from."""

    values: Mapping[str, str] = field(default_factory=dict)
    sources: Mapping[str, int] = field(default_factory=dict)


def is_a_link(span: SpanRecord) -> bool:
    """Whether calls may take a label from the span, or through it from a span further out."""
    return bool(span.parent_span_id or span.feature or span.user_id or span.session_id or span.prompt_name)


def inherit(parent_span_id: int | None, wanted: Iterable[str], spans: Mapping[int, LabelledSpan]) -> Inheritance:
    """The nearest span around the call that tells a label wins. A prompt's version comes with its name, never alone."""
    values: dict[str, str] = {}
    sources: dict[str, int] = {}
    missing = set(wanted)
    above = parent_span_id
    for _step in range(_MOST_ANCESTORS):
        if above is None or not missing or above not in spans:
            break
        span = spans[above]
        found = {name: text for name, text in span.labels.items() if text and name in missing}
        if "prompt_name" not in found:
            found.pop("prompt_version", None)
        values.update(found)
        sources.update(dict.fromkeys(found, above))
        missing -= found.keys() | ({"prompt_version"} if "prompt_name" in found else set())
        above = span.parent_span_id
    return Inheritance(values, sources)


def settle(cursor: db.CursorType, project_id: int, minutes: set[datetime]) -> int:
    """Gives the charged calls of these minutes their inherited labels; returns how many calls changed."""
    calls = _calls(cursor, project_id, minutes)
    if not calls:
        return 0
    spans = _spans(cursor, project_id, {row[0] for row in calls}, minutes)
    changes = [change for row in calls if (change := _change(row, spans.get(row[0], {})))]
    if changes:
        _write(cursor, project_id, changes)
    return len(changes)


def _calls(cursor: db.CursorType, project_id: int, minutes: set[datetime]) -> list[tuple[Any, ...]]:
    """Calls inside another span that lack a label of their own, with the labels that stand in the table."""
    missing = " OR ".join(f"{name} = ''" for name in LABELS if name != "prompt_version")
    cursor.execute(
        f"SELECT trace_id, span_id, start_time, parent_span_id, filled, inherited, {', '.join(LABELS)}"  # noqa: S608
        " FROM unnest(%(minutes)s::timestamptz[]) AS wanted(minute) JOIN llm_calls ON project_id = %(project_id)s"
        " AND start_time >= minute AND start_time < minute + interval '1 minute'"
        " AND start_time >= %(first)s AND start_time < %(last)s"
        f" WHERE charge = %(charged)s AND parent_span_id IS NOT NULL AND ({missing} OR inherited IS NOT NULL)".encode(),
        {
            "minutes": sorted(minutes),
            "project_id": project_id,
            "first": min(minutes),
            "last": max(minutes) + timedelta(minutes=1),
            "charged": int(Charge.CHARGED),
        },
    )
    return cursor.fetchall()


def _spans(
    cursor: db.CursorType, project_id: int, traces: set[UUID], minutes: set[datetime]
) -> dict[UUID, dict[int, LabelledSpan]]:
    cursor.execute(
        f"SELECT trace_id, span_id, parent_span_id, {', '.join(LABELS)} FROM spans"  # noqa: S608 - names of our own
        " WHERE project_id = %(project_id)s AND trace_id = ANY (%(traces)s::uuid[])"
        " AND start_time BETWEEN %(first)s AND %(last)s".encode(),
        {
            "project_id": project_id,
            "traces": list(traces),
            "first": min(minutes) - LONGEST_TRACE,
            "last": max(minutes) + LONGEST_TRACE,
        },
    )
    found: dict[UUID, dict[int, LabelledSpan]] = {}
    for trace_id, span_id, parent, *labels in cursor.fetchall():
        found.setdefault(trace_id, {})[span_id] = LabelledSpan(parent, dict(zip(LABELS, labels, strict=True)))
    return found


def _change(row: Sequence[Any], spans: Mapping[int, LabelledSpan]) -> dict[str, Any] | None:
    trace_id, span_id, start_time, parent, filled, inherited, *stored = row
    now = dict(zip(LABELS, stored, strict=True))
    taken = json.loads(inherited or "{}")
    told_elsewhere = json.loads(filled or "{}")
    own = {name: "" if name in taken and name not in told_elsewhere else text for name, text in now.items()}
    found = inherit(parent, [name for name in LABELS if not own[name]], spans)
    target = {**own, **found.values}
    sources = {name: span_id_to_hex(span) for name, span in found.sources.items()}
    if target == now and sources == taken:
        return None
    key = {"key_1": trace_id, "key_2": span_id, "key_3": start_time}
    return {**target, "inherited": sources or None, **key}


def _write(cursor: db.CursorType, project_id: int, changes: Sequence[Mapping[str, Any]]) -> None:
    ordered = sorted(changes, key=lambda row: (row["key_3"], row["key_1"].int, row["key_2"]))
    values = ", ".join(f"{name} = v.{name}" for name in (*LABELS, "inherited"))
    types = ", ".join(f"{name} text" for name in LABELS)
    cursor.execute(
        f"UPDATE llm_calls c SET {values} FROM jsonb_to_recordset(%(rows)s::jsonb)"  # noqa: S608 - names of our own
        f" AS v(key_1 uuid, key_2 bigint, key_3 timestamptz, inherited jsonb, {types})"
        " WHERE c.project_id = %(project_id)s AND c.trace_id = v.key_1 AND c.span_id = v.key_2"
        " AND c.start_time = v.key_3".encode(),
        {"project_id": project_id, "rows": json.dumps(ordered, default=str)},
    )
