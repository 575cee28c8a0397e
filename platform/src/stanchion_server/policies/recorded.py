"""Recorded calls as a back-test needs them: the calls in order, their texts, and what was decided and said of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar
from uuid import UUID

from stanchion_server.feedback import selectors as feedback
from stanchion_server.ingest import messages
from stanchion_server.ingest.records import Charge, SpanKind
from stanchion_server.traces.selectors import reading

TEXTS_AT_ONCE = 50
"""Calls whose texts are in memory together: one call may hold two megabytes from each of its sources."""
_AROUND = timedelta(days=1)
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Window:
    """Which calls of a project: `end` is exclusive, no `features` means all of them."""

    project_id: int
    start: datetime
    end: datetime
    features: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Call:
    trace_id: UUID
    span_id: int
    start_time: datetime
    parent_span_id: int | None


@dataclass(frozen=True, slots=True)
class ByTrace(Generic[Value]):
    """What was said of single spans, and of traces (span None)."""

    found: Mapping[tuple[UUID, int | None], Value]

    def of(self, call: Call) -> Value | None:
        """What names the call's own span, else what its trace has; None for neither."""
        own = self.found.get((call.trace_id, call.span_id))
        return own if own is not None else self.found.get((call.trace_id, None))


@dataclass(frozen=True, slots=True)
class Texts:
    """The texts of one call, merged from every source; `is_cut` where some were too long to be kept."""

    content: Mapping[str, Any]
    is_cut: bool


@dataclass(frozen=True, slots=True)
class _Part:
    source: int
    start_time: datetime
    is_truncated: bool
    body: bytes


def count(window: Window, limit: int) -> int:
    where, params = _where(window)
    sql = f"SELECT count(*) FROM (SELECT 1 FROM llm_calls WHERE {where} LIMIT {limit}) t"  # noqa: S608 - names of our own
    with reading.bounded():
        return int(reading.rows(sql, params)[0][0])


def calls(window: Window, after: Sequence[Any] | None, limit: int) -> list[Call]:
    """The next charged calls of a model, the oldest first. `after` is `place_of` the last one seen."""
    where, params = _where(window)
    if after:
        where += " AND (start_time, trace_id, span_id) > (%s::timestamptz, %s::uuid, %s)"
        params += after
    sql = f"""SELECT trace_id, span_id, start_time, parent_span_id FROM llm_calls
        WHERE {where} ORDER BY start_time, trace_id, span_id LIMIT {limit}"""  # noqa: S608 - names of our own
    return [Call(*row) for row in reading.rows(sql, params)]


def place_of(call: Call) -> list[Any]:
    """Where the call stands in the order of `calls`, as JSON can keep it."""
    return [call.start_time.isoformat(), call.trace_id.hex, call.span_id]


def with_texts(project_id: int, wanted: Sequence[Call]) -> Iterator[tuple[Call, Texts]]:
    """Each call with its texts, empty where none are kept; read a few at a time."""
    for first in range(0, len(wanted), TEXTS_AT_ONCE):
        few = wanted[first : first + TEXTS_AT_ONCE]
        stored = _stored(project_id, few)
        for call in few:
            parts = stored.pop((call.trace_id, call.span_id), ())
            yield call, Texts(messages.merge(parts), any(part.is_truncated for part in parts))


def decided(project_id: int, policy: str, wanted: Sequence[Call]) -> ByTrace[int]:
    """The strongest action, as its index, of the checks that counted."""
    sql = """SELECT trace_id, parent_span_id, max(action) FROM guard_decisions
        WHERE project_id = %s AND trace_id = ANY (%s) AND start_time BETWEEN %s AND %s
        AND policy = %s AND mode <> 'shadow' GROUP BY 1, 2"""
    return _by_trace(reading.rows(sql, (project_id, *_around(wanted), policy)) if wanted else ())


def reviewed(project_id: int, wanted: Sequence[Call]) -> ByTrace[bool]:
    """Whether people who looked at the checks found a violation; one found is enough."""
    sql = """SELECT d.trace_id, d.parent_span_id, bool_or(r.is_violation)
        FROM guard_decisions d JOIN policies_decisionreview r
        ON r.project_id = d.project_id AND r.check_id = d.check_id
        WHERE d.project_id = %s AND d.trace_id = ANY (%s) AND d.start_time BETWEEN %s AND %s GROUP BY 1, 2"""
    return _by_trace(reading.rows(sql, (project_id, *_around(wanted))) if wanted else ())


def rated(project_id: int, wanted: Sequence[Call]) -> dict[tuple[UUID, int], bool]:
    """Whether the ratings of a call are good; calls with none, or with both kinds, are left out."""
    tallies = feedback.of_spans(project_id, [(call.trace_id, call.span_id, call.parent_span_id) for call in wanted])
    return {
        place: tally.positive > 0 for place, tally in tallies.items() if (tally.positive > 0) != (tally.negative > 0)
    }


def _by_trace(rows: Sequence[reading.Row]) -> ByTrace[Any]:
    """Rows of trace, span and value; the trace's own value is the largest of its spans'."""
    found: dict[tuple[UUID, int | None], Any] = {}
    for trace_id, span_id, value in rows:
        for key in {(trace_id, span_id), (trace_id, None)}:
            found[key] = max(found.get(key, value), value)
    return ByTrace(found)


def _stored(project_id: int, wanted: Sequence[Call]) -> dict[tuple[UUID, int], list[_Part]]:
    sql = """SELECT trace_id, span_id, source, start_time, is_truncated, body FROM contents
        WHERE project_id = %s AND trace_id = ANY (%s) AND start_time BETWEEN %s AND %s AND span_id = ANY (%s)
        ORDER BY source, start_time, digest"""
    params = (project_id, *_around(wanted), [call.span_id for call in wanted])
    stored: dict[tuple[UUID, int], list[_Part]] = {}
    for trace_id, span_id, *part in reading.rows(sql, params):
        stored.setdefault((trace_id, span_id), []).append(_Part(*part))
    return stored


def _around(wanted: Sequence[Call]) -> tuple[list[UUID], datetime, datetime]:
    """The traces, and the time in which anything about these calls was recorded: it spares most days' partitions."""
    times = [call.start_time for call in wanted]
    return list({call.trace_id for call in wanted}), min(times) - _AROUND, max(times) + _AROUND


def _where(window: Window) -> tuple[str, list[Any]]:
    where = "project_id = %s AND start_time >= %s AND start_time < %s AND charge = %s AND kind = %s"
    params: list[Any] = [window.project_id, window.start, window.end, int(Charge.CHARGED), int(SpanKind.LLM)]
    if window.features:
        where += " AND feature = ANY (%s)"
        params.append(list(window.features))
    return where, params
