"""Rate limits and how near recorded traffic came to them. The project comes first.

Minutes are read from the rollups, which settle within half a minute. Seconds and calls at a time are read from single
calls of seven days, by their start and end; where that takes too long they are not known.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from stanchion_server.costs import headroom
from stanchion_server.costs.headroom import DIMENSIONS, Headroom, Observed, Peak
from stanchion_server.costs.models import RateLimit
from stanchion_server.costs.periods import DAY
from stanchion_server.kernel.errors import SenderError
from stanchion_server.traces.selectors import reading

MOST_LIMITS = 50
WEEK = 7 * DAY
HISTORY = 14 * DAY
"""How far back daily peaks of minutes go; those of seconds go back a week."""
LONGEST_CALL = timedelta(hours=1)
"""Calls that began longer before the range than this are not counted as running in it."""
TIMEOUT_MS = 5_000
MINUTES = ("rpm", "input_tpm", "output_tpm")
SECONDS = ("rps", "tps", "concurrency")
THROTTLED = "(^|[^0-9])429([^0-9]|$)|rate.?limit|throttl|too.?many.?requests|resource.?exhausted"
"""What the error type of a call that was refused for its rate looks like."""

_WANTED = """wanted AS (
    SELECT * FROM unnest(%(ids)s::bigint[], %(providers)s::text[], %(models)s::text[]) AS w(id, provider, model)
)"""
_MATCHES = "{0}.project_id = %(project_id)s AND {0}.provider = w.provider AND (w.model = '' OR {0}.model = w.model)"
_PART = "id, date_trunc('day', at, 'UTC'), at >= %(day)s, at >= %(week)s"
_LARGEST = "max(ARRAY[{0}::float8, -extract(epoch FROM at)::float8]) FILTER (WHERE {0} IS NOT NULL)"
"""The largest value of a part with its earliest time; a sort would cost more than all the rest."""
_KNOWN = "CASE WHEN sum(r.untokened_calls) < sum(r.calls) THEN sum({0}) END"
"""Tokens of a minute in which no call told any are not known."""

_MINUTES = f"""
    SELECT w.id, r.bucket AS at, sum(r.calls) AS calls, {_KNOWN.format("r.input_tokens")} AS input_tokens,
        {_KNOWN.format("r.output_tokens")} AS output_tokens
    FROM wanted w JOIN call_rollups r ON {_MATCHES.format("r")}
    WHERE r.grain_minutes = 1 AND r.bucket >= %(start)s AND r.bucket < %(end)s
    GROUP BY 1, 2"""  # noqa: S608 - names of our own

_MINUTES_SQL = f"""
WITH {_WANTED}
SELECT {_PART}, {", ".join(_LARGEST.format(name) for name in ("calls", "input_tokens", "output_tokens"))}
FROM ({_MINUTES}) minutes GROUP BY 1, 2, 3, 4"""  # noqa: S608 - names of our own

_CALLS = f"""calls AS MATERIALIZED (
    SELECT w.id, c.start_time, greatest(c.duration_ns / 1000, 1) AS lasted_us,
        CASE WHEN c.input_tokens IS NOT NULL OR c.output_tokens IS NOT NULL
            THEN coalesce(c.input_tokens, 0)::float8 + coalesce(c.output_tokens, 0) END AS tokens
    FROM wanted w JOIN llm_calls c ON {_MATCHES.format("c")}
    WHERE c.charge = 0 AND c.start_time >= %(before)s AND c.start_time < %(end)s
)"""  # noqa: S608 - names of our own

_SECONDS_SQL = f"""
WITH {_WANTED}, {_CALLS}, seconds AS (
    SELECT id, date_trunc('second', start_time) AS at, count(*) AS calls, sum(tokens) AS tokens
    FROM calls WHERE start_time >= %(start)s GROUP BY 1, 2
), running AS (
    SELECT id, at, sum(step) OVER (PARTITION BY id ORDER BY at, step ROWS UNBOUNDED PRECEDING) AS calls FROM (
        SELECT id, start_time AS at, 1 AS step FROM calls
        UNION ALL SELECT id, start_time + lasted_us * interval '1 microsecond', -1 FROM calls
    ) events
)
SELECT {_PART}, {_LARGEST.format("calls")}, {_LARGEST.format("tokens")}, NULL::float8[] FROM seconds GROUP BY 1, 2, 3, 4
UNION ALL
SELECT {_PART}, NULL, NULL, {_LARGEST.format("calls")} FROM running WHERE at >= %(start)s AND at < %(end)s
GROUP BY 1, 2, 3, 4"""  # noqa: S608 - names of our own

_USED_SQL = f"""
WITH {_WANTED}
SELECT id, max(calls), max(input_tokens), max(output_tokens) FROM ({_MINUTES}) minutes GROUP BY id"""  # noqa: S608 - names of our own

_REFUSED_SQL = f"""
WITH {_WANTED}
SELECT w.id, count(*) FILTER (WHERE c.start_time >= %(day)s), count(*)
FROM wanted w JOIN llm_calls c ON {_MATCHES.format("c")}
WHERE c.charge = 0 AND c.status = 2 AND c.start_time >= %(week)s AND c.start_time < %(end)s
    AND c.error_type ~* %(throttled)s
GROUP BY 1"""  # noqa: S608 - names of our own


@dataclass(frozen=True, slots=True)
class MinuteUse:
    """How much of a limit by the minute was used in the fullest minute of a window."""

    provider: str
    model: str
    dimension: str
    used_ratio: float


@dataclass(frozen=True, slots=True)
class LimitReading:
    """One rate limit beside the traffic. `limiting_*` names the fullest dimension, empty where none can be told.
    `throttled_calls_*` are recorded calls that failed because of their rate (429); what a client retried silently is
    not among them. None where counting took too long. `is_seconds_known` is false where peaks of seconds and
    of calls at a time are not known for the same reason."""

    id: int
    provider: str
    model: str
    limiting_24h: str
    limiting_7d: str
    throttled_calls_24h: int | None
    throttled_calls_7d: int | None
    is_seconds_known: bool
    dimensions: tuple[Headroom, ...]
    changed_at: datetime
    changed_by: str


def rate_limit(project_id: int, number: int) -> RateLimit:
    row = RateLimit.objects.filter(project_id=project_id, pk=number).first()
    if row is None:
        raise SenderError("rate_limit_not_found", f"Your project has no rate limit {number}.", 404)
    return row


def limits(project_id: int) -> list[RateLimit]:
    return list(RateLimit.objects.filter(project_id=project_id).order_by("provider", "model")[:MOST_LIMITS])


def readings(project_id: int, rows: Sequence[RateLimit], now: datetime) -> list[LimitReading]:
    """Of these limits, in their order."""
    if not rows:
        return []
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    params = _params(project_id, rows, now)
    found = _answered(_MINUTES_SQL, {**params, "start": today - HISTORY})
    seconds = _answered(_SECONDS_SQL, {**params, "start": now - WEEK, "before": now - WEEK - LONGEST_CALL})
    refused = _answered(_REFUSED_SQL, params)
    observed = _observed([*_parts(found, MINUTES), *_parts(seconds, SECONDS)], today, now - WEEK)
    counts = None if refused is None else {number: (day, week) for number, day, week in refused}
    return [
        _reading(row, observed[row.pk], today, (None, None) if counts is None else counts.get(row.pk, (0, 0)),
                 is_seconds_known=seconds is not None)
        for row in rows
    ]  # fmt: skip


def minutes_used(project_id: int, start: datetime, end: datetime) -> list[MinuteUse]:
    """Of every limit by the minute that is known, 0 where nothing was sent. Raises SenderError when slow."""
    rows = limits(project_id)
    if not rows:
        return []
    with reading.bounded(TIMEOUT_MS):
        found = reading.named_rows(_USED_SQL, {**_params(project_id, rows, end), "start": start})
    peaks = {number: dict(zip(MINUTES, values, strict=True)) for number, *values in found}
    return [
        MinuteUse(row.provider, row.model, name, float((peak or 0) / limit))
        for row in rows
        for name in MINUTES
        if (limit := getattr(row, name)) is not None
        for peak in (peaks.get(row.pk, {}).get(name, 0),)
        if peak is not None
    ]


def _params(project_id: int, rows: Sequence[RateLimit], now: datetime) -> dict[str, Any]:
    return {
        "project_id": project_id, "ids": [row.pk for row in rows], "providers": [row.provider for row in rows],
        "models": [row.model for row in rows], "day": now - DAY, "week": now - WEEK, "end": now,
        "throttled": THROTTLED,
    }  # fmt: skip


def _answered(sql: str, params: Mapping[str, Any]) -> list[reading.Row] | None:
    """None where it takes too long."""
    try:
        with reading.bounded(TIMEOUT_MS):
            return reading.named_rows(sql, params)
    except SenderError:
        return None


@dataclass(frozen=True, slots=True)
class _Part:
    """The largest value of a dimension in what of a day lies within the last 24 hours, the last week, or before."""

    number: int
    name: str
    day: datetime
    is_recent: bool
    is_week: bool
    peak: Peak


def _parts(rows: Sequence[reading.Row] | None, names: Sequence[str]) -> Iterator[_Part]:
    for number, day, is_recent, is_week, *largest in rows or ():
        for name, found in zip(names, largest, strict=True):
            if found is not None:
                peak = Peak(int(found[0]), datetime.fromtimestamp(-found[1], UTC))
                yield _Part(number, name, day.astimezone(UTC), is_recent, is_week, peak)


def _observed(parts: Iterable[_Part], today: datetime, oldest: datetime) -> defaultdict[int, dict[str, Observed]]:
    """By limit and dimension."""
    by_dimension: dict[tuple[int, str], list[_Part]] = defaultdict(list)
    for part in parts:
        by_dimension[part.number, part.name].append(part)
    found: defaultdict[int, dict[str, Observed]] = defaultdict(dict)
    for (number, name), own in by_dimension.items():
        recent, week = ([one.peak for one in own if one.is_recent], [one.peak for one in own if one.is_week])
        whole = [one for one in own if one.day < today and (name in MINUTES or one.day >= oldest)]
        found[number][name] = Observed(_largest(recent), _largest(week), _daily(whole, today))
    return found


def _largest(peaks: Sequence[Peak]) -> Peak | None:
    return max(peaks, key=lambda one: one.value, default=None)


def _daily(parts: Sequence[_Part], today: datetime) -> tuple[int, ...]:
    """From the first day with traffic to yesterday; days without any are zeros."""
    peaks: dict[datetime, int] = defaultdict(int)
    for part in parts:
        peaks[part.day] = max(peaks[part.day], part.peak.value)
    first = min(peaks, default=today)
    return tuple(peaks.get(first + place * DAY, 0) for place in range((today - first) // DAY))


def _reading(
    row: RateLimit, observed: Mapping[str, Observed], today: datetime, refused: tuple[int | None, int | None], *,
    is_seconds_known: bool,
) -> LimitReading:  # fmt: skip
    found = headroom.headrooms({name: getattr(row, name) for name in DIMENSIONS}, observed, today)
    limiting_day, limiting_week = headroom.limiting(found)
    return LimitReading(
        row.pk, row.provider, row.model, limiting_day, limiting_week, *refused, is_seconds_known, found, row.changed_at,
        row.changed_by,
    )  # fmt: skip
