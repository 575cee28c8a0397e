"""Single scores: of calls, of traces, the worst."""

from __future__ import annotations

from collections.abc import Sequence

from stanchion_server.quality.records import CallKey
from stanchion_server.traces.selectors import reading


def stored_versions(project_id: int, keys: Sequence[CallKey]) -> frozenset[tuple[CallKey, str, str]]:
    """(call, scorer, version) of every score that is kept of these calls."""
    if not keys:
        return frozenset()
    times = [key.start_time for key in keys]
    found = reading.rows(
        "SELECT trace_id, span_id, s.start_time, scorer, scorer_version"
        " FROM unnest(%s::uuid[], %s::bigint[], %s::timestamptz[]) AS wanted(t, p, a) JOIN scores s"
        " ON project_id = %s AND trace_id = t AND span_id = p AND s.start_time = a AND s.start_time BETWEEN %s AND %s",
        ([key.trace_id for key in keys], [key.span_id for key in keys], times, project_id, min(times), max(times)),
    )
    return frozenset((CallKey(project_id, *row[:3]), row[3], row[4]) for row in found)
