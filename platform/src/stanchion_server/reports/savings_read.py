"""The calls that the advisor looks at: all of a project's last 30 days, or hours of them where there are too many."""

# ruff: noqa: S608 - every name in these statements is our own; what came from outside is a parameter

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from stanchion_server.costs.advice import sampling
from stanchion_server.costs.advice.records import ZERO, CallFact, ModelName, PromptName
from stanchion_server.costs.advice.sampling import HOUR, Sample, Slice, Stratum, Sum
from stanchion_server.ingest.records import Charge, SpanKind
from stanchion_server.traces.selectors import reading

MOST_CALLS = 20_000
FEWEST_RATIO = 0.25
"""Of MOST_CALLS: with fewer in the chosen pieces, too little is known of what is looked for."""
LOOKED_BACK = timedelta(days=30)
TIMEOUT_MS = 60_000
_COLUMNS = (
    "trace_id", "span_id", "start_time", "parent_span_id", "duration_ns", "feature", "provider", "model", "service",
    "prompt_name", "prompt_version", "session_id", "user_id <> ''", "is_streamed", "status", "tool_call_count",
    "input_tokens", "output_tokens", "cached_input_tokens", "cost_usd",
)  # fmt: skip
_WHERE = "project_id = %s AND start_time >= %s AND start_time < %s AND charge = %s AND kind = %s"
_ROLLED = "project_id = %s AND grain_minutes = 60 AND bucket >= %s AND bucket < %s AND kind = %s"
_IN_SLICES = f"""
SELECT {", ".join(f"x.{name}" for name in _COLUMNS)}
FROM unnest(%s::timestamptz[], %s::timestamptz[]) WITH ORDINALITY AS s(since, until, place)
CROSS JOIN LATERAL (SELECT * FROM llm_calls c WHERE c.project_id = %s AND c.start_time >= s.since
    AND c.start_time < s.until AND c.charge = %s AND c.kind = %s ORDER BY c.start_time LIMIT %s) x
ORDER BY s.place, x.start_time LIMIT %s"""

_LONG_AGO = """
SELECT p.id FROM unnest(%s::bigint[]) AS p(id) CROSS JOIN LATERAL (SELECT 1 FROM call_rollups c
    WHERE c.project_id = p.id AND c.grain_minutes = 60 AND c.bucket >= %s AND c.bucket < %s AND c.kind = %s
    LIMIT 1) x"""
ENOUGH = timedelta(days=1)
"""How long ago the first call was when a first look tells something."""


@dataclass(frozen=True, slots=True)
class Calls:
    """Rows as they are stored and what is known of each, in order of time; `known` are all of [start, now), of which
    `first` is when the first one began or its hour. `sample` says what share of which feature and model was read."""

    start: datetime
    first: datetime
    known: int
    rows: Sequence[reading.Row]
    calls: Sequence[CallFact]
    sample: Sample


def with_enough(projects: Sequence[int], now: datetime) -> list[int]:
    """Those with calls of a day ago or earlier, which a look would find."""
    if not projects:
        return []
    with reading.bounded(TIMEOUT_MS):
        found = reading.rows(_LONG_AGO, [list(projects), _next_hour(now - LOOKED_BACK), now - ENOUGH, SpanKind.LLM])
    return [row[0] for row in found]


def read(project_id: int, now: datetime) -> Calls:
    """SenderError where it takes too long."""
    start = now - LOOKED_BACK
    with reading.bounded(TIMEOUT_MS):
        rows = _newest(project_id, start, now)
        if len(rows) <= MOST_CALLS:
            calls = [_fact(row) for row in rows]
            first = calls[0].start_time if calls else now
            return Calls(start, first, len(rows), rows, calls, Sample(sampling.sums_of(calls), {}))
        return _sampled(project_id, _next_hour(start), now, rows[1:])


def _sampled(project_id: int, start: datetime, now: datetime, newest: Sequence[reading.Row]) -> Calls:
    """Sums by the hour are exact, but may lag: where they know of fewer calls than there are, the calls are counted.
    Calls may come in bursts that pieces of hours miss: the newest ones are taken then, as one piece."""
    hours = _hours(project_id, start, now)
    if sum(calls for _hour, calls in hours) <= MOST_CALLS:
        hours = _counted(project_id, start, now)
    wanted = sampling.slices(hours, MOST_CALLS)
    rows, pieces = _of_slices(project_id, wanted, now), len(wanted)
    if len(rows) < MOST_CALLS * FEWEST_RATIO:
        rows, pieces = newest, 1
    calls = [_fact(row) for row in rows]
    known = max(len(rows), sum(number for _hour, number in hours))
    sample = Sample(sampling.sums_of(calls), _known(project_id, start, now), known, pieces)
    first = hours[0][0] if hours else calls[0].start_time
    return Calls(start, first, known, rows, calls, sample)


def _next_hour(moment: datetime) -> datetime:
    floor = moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    return floor if floor == moment else floor + HOUR


def _newest(project_id: int, start: datetime, end: datetime) -> list[reading.Row]:
    """One more than may be looked at."""
    params = [project_id, start, end, int(Charge.CHARGED), int(SpanKind.LLM), MOST_CALLS + 1]
    sql = f"""SELECT {", ".join(_COLUMNS)} FROM llm_calls WHERE {_WHERE}
        ORDER BY start_time DESC, trace_id DESC, span_id DESC LIMIT %s"""
    return reading.rows(sql, params)[::-1]


def _hours(project_id: int, start: datetime, end: datetime) -> list[tuple[datetime, int]]:
    sql = f"SELECT bucket, sum(calls)::bigint FROM call_rollups WHERE {_ROLLED} GROUP BY 1 ORDER BY 1"
    return _as_hours(reading.rows(sql, [project_id, start, end, int(SpanKind.LLM)]))


def _counted(project_id: int, start: datetime, end: datetime) -> list[tuple[datetime, int]]:
    sql = f"SELECT date_trunc('hour', start_time, 'UTC'), count(*) FROM llm_calls WHERE {_WHERE} GROUP BY 1 ORDER BY 1"
    return _as_hours(reading.rows(sql, [project_id, start, end, int(Charge.CHARGED), int(SpanKind.LLM)]))


def _as_hours(rows: Sequence[reading.Row]) -> list[tuple[datetime, int]]:
    return [(hour.astimezone(UTC), int(calls)) for hour, calls in rows if calls]


def _of_slices(project_id: int, wanted: Sequence[Slice], now: datetime) -> Sequence[reading.Row]:
    """In order of time. What is more than may be looked at is left out of the slice that is to be read last."""
    since, until = [one.start for one in wanted], [min(one.end, now) for one in wanted]
    kinds = [int(Charge.CHARGED), int(SpanKind.LLM)]
    rows = reading.rows(_IN_SLICES, [since, until, project_id, *kinds, MOST_CALLS, MOST_CALLS])
    return sorted(rows, key=lambda row: row[2:3] + row[:2])


def _known(project_id: int, start: datetime, end: datetime) -> dict[Stratum, Sum]:
    sql = f"""SELECT feature, provider, model, sum(calls)::bigint, sum(cost_usd) FROM call_rollups WHERE {_ROLLED}
        GROUP BY 1, 2, 3"""
    rows = reading.rows(sql, [project_id, start, end, int(SpanKind.LLM)])
    return {(row[0], ModelName(row[1], row[2])): Sum(int(row[3]), row[4] or ZERO) for row in rows}


def _fact(row: reading.Row) -> CallFact:
    trace_id, span_id, at, _parent, duration_ns, feature, provider, model, service, name, version, *rest = row
    return CallFact(
        trace_id, span_id, at, duration_ns / 1e9, feature, ModelName(provider, model), service,
        PromptName(name, version), *rest,
    )  # fmt: skip
