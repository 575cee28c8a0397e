"""Rate limits and how near recorded traffic came to them. The project comes first.

Peaks are counted beside, minute by minute (`peaks`), and read here; rules read minutes from the rollups of calls.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from stanchion_server.costs import headroom, peaks
from stanchion_server.costs.headroom import DIMENSIONS, Headroom, Observed, Peak
from stanchion_server.costs.models import RateLimit
from stanchion_server.costs.periods import DAY
from stanchion_server.kernel.errors import SenderError
from stanchion_server.traces.selectors import reading

MOST_LIMITS = 50
WEEK = 7 * DAY
HISTORY = peaks.KEEP - DAY
"""How far back daily peaks go."""
TIMEOUT_MS = 5_000
MINUTES = ("rpm", "input_tpm", "output_tpm")

_WANTED = """wanted AS (
    SELECT * FROM unnest(%(ids)s::bigint[], %(providers)s::text[], %(models)s::text[]) AS w(id, provider, model)
)"""
_MATCHES = "{0}.project_id = %(project_id)s AND {0}.provider = w.provider AND (w.model = '' OR {0}.model = w.model)"
_KNOWN = "CASE WHEN sum(r.untokened_calls) < sum(r.calls) THEN sum({0}) END"
"""Tokens of a minute in which no call told any are not known."""

_USED_SQL = f"""
WITH {_WANTED}
SELECT id, max(calls), max(input_tokens), max(output_tokens) FROM (
    SELECT w.id, r.bucket AS at, sum(r.calls) AS calls, {_KNOWN.format("r.input_tokens")} AS input_tokens,
        {_KNOWN.format("r.output_tokens")} AS output_tokens
    FROM wanted w JOIN call_rollups r ON {_MATCHES.format("r")}
    WHERE r.grain_minutes = 1 AND r.bucket >= %(start)s AND r.bucket < %(end)s
    GROUP BY 1, 2) minutes
GROUP BY id"""  # noqa: S608 - names of our own

_PEAKS: Mapping[str, tuple[str, str]] = {
    "rps": ("second_calls", "second_calls_at"), "rpm": ("nullif(calls, 0)", "minute"),
    "input_tpm": ("input_tokens", "minute"), "output_tpm": ("output_tokens", "minute"),
    "tps": ("second_tokens", "second_tokens_at"), "concurrency": ("running_calls", "running_calls_at"),
}  # fmt: skip
"""Of each dimension what is the largest, and when that was."""
_LARGEST = "max(ARRAY[{0}::float8, -extract(epoch FROM {1})::float8]) FILTER (WHERE {0} IS NOT NULL)"
"""The largest value of a part with its earliest time; a sort would cost more than all the rest."""

_PEAKS_SQL = f"""
SELECT rate_limit_id, date_trunc('day', minute, 'UTC'), minute >= %(day)s, minute >= %(week)s,
    {", ".join(_LARGEST.format(*_PEAKS[name]) for name in DIMENSIONS)}, sum(refused_calls)
FROM costs_callpeak WHERE project_id = %(project_id)s AND rate_limit_id = ANY (%(ids)s::bigint[])
    AND minute >= %(start)s AND minute < %(end)s
GROUP BY 1, 2, 3, 4"""  # noqa: S608 - names of our own


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
    not among them. Peaks are counted from `counted_from` on: what looks back further is None, and so is all where
    that has not begun. `waiting_minutes` of the project wait to be counted, the first of them at `settled_until`, null
    where none does: from then on peaks may be too low."""

    id: int
    provider: str
    model: str
    limiting_24h: str
    limiting_7d: str
    throttled_calls_24h: int | None
    throttled_calls_7d: int | None
    counted_from: datetime | None
    settled_until: datetime | None
    waiting_minutes: int
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
    """Of these limits, in their order. Days and weeks are those of whole minutes. SenderError when slow."""
    if not rows:
        return []
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    params = {**_params(project_id, rows, now), "day": now - DAY, "week": now - WEEK, "start": today - HISTORY}
    with reading.bounded(TIMEOUT_MS):
        found = reading.named_rows(_PEAKS_SQL, params)
    parts: dict[int, list[_Part]] = defaultdict(list)
    for row in found:
        parts[row[0]].append(_part(row))
    waiting = peaks.backlog(project_id, now)
    return [_reading(row, parts[row.pk], today, now, waiting) for row in rows]


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
        "models": [row.model for row in rows], "end": now,
    }  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Part:
    """The largest values in what of a day lies within the last 24 hours, the last week, or before."""

    day: datetime
    is_recent: bool
    is_week: bool
    peaks: Mapping[str, Peak]
    refused: int


def _part(row: reading.Row) -> _Part:
    _number, day, is_recent, is_week, *largest, refused = row
    found = {
        name: Peak(int(value), datetime.fromtimestamp(-before, UTC))
        for name, (value, before) in zip(DIMENSIONS, (one or (None, 0) for one in largest), strict=True)
        if value is not None
    }
    return _Part(day.astimezone(UTC), is_recent, is_week, found, int(refused))


def _reading(
    row: RateLimit, parts: Sequence[_Part], today: datetime, now: datetime, waiting: peaks.Backlog
) -> LimitReading:
    since = row.counted_from or now
    day = [one for one in parts if one.is_recent] if since <= now - DAY else None
    week = [one for one in parts if one.is_week] if since <= now - WEEK else None
    whole = [one for one in parts if since <= one.day < today]
    observed = {
        name: Observed(_largest(day, name), _largest(week, name), _daily(whole, name, today)) for name in DIMENSIONS
    }
    found = headroom.headrooms({name: getattr(row, name) for name in DIMENSIONS}, observed, today)
    return LimitReading(
        row.pk, row.provider, row.model, *headroom.limiting(found), _refused(day), _refused(week), row.counted_from,
        waiting.settled_until, waiting.minutes, found, row.changed_at, row.changed_by,
    )  # fmt: skip


def _refused(parts: Sequence[_Part] | None) -> int | None:
    return None if parts is None else sum(one.refused for one in parts)


def _largest(parts: Sequence[_Part] | None, name: str) -> Peak | None:
    found = [one.peaks[name] for one in parts or () if name in one.peaks]
    return max(found, key=lambda one: one.value, default=None)


def _daily(parts: Sequence[_Part], name: str, today: datetime) -> tuple[int, ...]:
    """From the first day with traffic to yesterday; days without any are zeros."""
    largest: dict[datetime, int] = defaultdict(int)
    for part in parts:
        if name in part.peaks:
            largest[part.day] = max(largest[part.day], part.peaks[name].value)
    first = min(largest, default=today)
    return tuple(largest.get(first + place * DAY, 0) for place in range((today - first) // DAY))
