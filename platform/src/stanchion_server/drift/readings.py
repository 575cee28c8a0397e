"""Readings for pages and alerts: the newest values of each measure against their bands, from the rollups alone."""

# ruff: noqa: S608 - every name in these statements is our own

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from stanchion_server.drift import anomalies
from stanchion_server.drift.anomalies import Point, Reading
from stanchion_server.ingest.records import SpanKind
from stanchion_server.traces.selectors import reading

BUCKET = timedelta(minutes=15)
DAY_OF_BUCKETS = timedelta(hours=25)
LEVEL_HOURS = timedelta(days=7)
WEEKS = 6
FEWEST_CALLS = 5
"""A bucket of fewer calls has no mean worth comparing and is left out."""
_HOUR = timedelta(hours=1)
_LATE = timedelta(minutes=2)
_SUMS = (
    "calls",
    "errors",
    "input_tokens",
    "output_tokens",
    "duration_ms_sum",
    "cost_usd",
    "unpriced_calls",
    "untokened_calls",
)
_Sums = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Told:
    """One reading of one measure. `unit` is ms, tokens, usd, ratio, score or calls. `series` are the buckets that the
    newest belongs to, for a small chart."""

    measure: str
    label: str
    unit: str
    reading: Reading
    series: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class _ScoreRow:
    at: datetime
    scores: float
    total: float
    flagged: float
    squares: float


@dataclass(frozen=True, slots=True)
class _Measure:
    label: str
    unit: str
    value: Callable[[_Sums], float | None]
    count: Callable[[_Sums], float]


def _mean(total: str, without: str = "") -> tuple[Callable[[_Sums], float | None], Callable[[_Sums], float]]:
    def count(sums: _Sums) -> float:
        return sums["calls"] - (sums[without] if without else 0)

    return lambda sums: sums[total] / count(sums) if count(sums) else None, count


MEASURES: Mapping[str, _Measure] = {
    "calls": _Measure("Calls", "calls", lambda sums: sums["calls"], lambda sums: math.inf),
    "latency_ms": _Measure("Latency, mean", "ms", *_mean("duration_ms_sum")),
    "error_ratio": _Measure("Error share", "ratio", *_mean("errors")),
    "input_tokens": _Measure("Input tokens of a call", "tokens", *_mean("input_tokens", "untokened_calls")),
    "output_tokens": _Measure("Output tokens of a call", "tokens", *_mean("output_tokens", "untokened_calls")),
    "cost_usd": _Measure("Cost of a call", "usd", *_mean("cost_usd", "unpriced_calls")),
}
REFUSAL = "refusal"


def readings(project_id: int, now: datetime, feature: str = "") -> tuple[Told, ...]:
    """Every measure's readings, anomalies first. The last quarter of an hour that is over counts as the newest."""
    end = _floor(now - _LATE, BUCKET)
    hour = _floor(now - _LATE, _HOUR) - _HOUR
    with reading.bounded():
        buckets = _calls(project_id, 1, end - DAY_OF_BUCKETS, end, feature)
        hours = _calls(project_id, 60, hour - timedelta(weeks=WEEKS), hour + _HOUR, feature)
        scores = _scores(project_id, end - DAY_OF_BUCKETS, end, feature)
    found = [told for name in MEASURES for told in _of_measure(name, buckets, hours, end, hour)]
    found += [told for name, series in scores.items() for told in _of_score(name, series, end)]
    order = {"anomaly": 0, "normal": 1, "not_enough_data": 2}
    return tuple(sorted(found, key=lambda told: order[told.reading.verdict]))


def _floor(moment: datetime, step: timedelta) -> datetime:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return epoch + (moment - epoch) // step * step


def _calls(project_id: int, grain: int, start: datetime, end: datetime, feature: str) -> dict[datetime, _Sums]:
    """Sums by bucket; minutes are added up to quarters of an hour."""
    bucket = "date_bin('15 minutes', bucket, timestamptz '1970-01-01 00:00:00+00')" if grain == 1 else "bucket"
    where = "project_id = %s AND grain_minutes = %s AND bucket >= %s AND bucket < %s AND kind = %s"
    params: list[Any] = [project_id, grain, start, end, int(SpanKind.LLM)]
    if feature:
        where, params = f"{where} AND feature = %s", [*params, feature]
    sums = ", ".join(f"sum({name})::float8" for name in _SUMS)
    sql = f"SELECT {bucket}, {sums} FROM call_rollups WHERE {where} GROUP BY 1 ORDER BY 1"
    return {row[0]: dict(zip(_SUMS, row[1:], strict=True)) for row in reading.rows(sql, params)}


def _scores(project_id: int, start: datetime, end: datetime, feature: str) -> dict[str, list[_ScoreRow]]:
    """The buckets of each scorer's version with the most scores."""
    where = "project_id = %s AND grain_minutes = 1 AND bucket >= %s AND bucket < %s"
    params: list[Any] = [project_id, start, end]
    if feature:
        where, params = f"{where} AND feature = %s", [*params, feature]
    sql = f"""SELECT scorer, scorer_version, date_bin('15 minutes', bucket, timestamptz '1970-01-01 00:00:00+00'),
        sum(scores)::float8, sum(score_sum), sum(flagged)::float8, sum(score_square_sum)
        FROM score_rollups WHERE {where} GROUP BY 1, 2, 3 ORDER BY 3"""
    by_version: dict[tuple[str, str], list[_ScoreRow]] = defaultdict(list)
    for scorer, version, *rest in reading.rows(sql, params):
        by_version[scorer, version].append(_ScoreRow(*rest))
    best: dict[str, list[_ScoreRow]] = {}
    for (scorer, _version), series in by_version.items():
        if sum(row.scores for row in series) > sum(row.scores for row in best.get(scorer, ())):
            best[scorer] = series
    return best


def _of_measure(
    name: str, buckets: Mapping[datetime, _Sums], hours: Mapping[datetime, _Sums], end: datetime, hour: datetime
) -> list[Told]:
    measure = MEASURES[name]
    if name == "calls":
        buckets, hours = (
            _filled(buckets, end - DAY_OF_BUCKETS, end, BUCKET),
            _filled(hours, hour - LEVEL_HOURS, hour + _HOUR, _HOUR),
        )
    points, hourly = _points(name, buckets), _points(name, hours)
    now = next((point for point in hourly if point.at == hour), None)
    weeks = [
        point.value for point in hourly if point.at < hour and (hour - point.at) % timedelta(weeks=1) == timedelta(0)
    ]
    recent = [point for point in hourly if point.at > hour - LEVEL_HOURS]
    fresh = points if points and points[-1].at >= end - BUCKET else []
    ratios = anomalies.ratios_of_day([point for point in recent if point.at < end - DAY_OF_BUCKETS])
    flat = anomalies.without_day(fresh, ratios)
    short = (anomalies.with_day(one, ratios) for one in (anomalies.sudden(flat), anomalies.slow(flat)))
    told = (*short, anomalies.seasonal(now, weeks), anomalies.level(recent))
    series = tuple(point.value for point in points)
    return [Told(name, measure.label, measure.unit, one, series) for one in told]


def _filled(
    buckets: Mapping[datetime, _Sums], start: datetime, end: datetime, step: timedelta
) -> dict[datetime, _Sums]:
    """With buckets of no calls from the first known one on: for how many calls there were, none is a number."""
    if not buckets:
        return {}
    nothing = dict.fromkeys(_SUMS, 0.0)
    first = max(min(buckets), start)
    wanted = (first + step * place for place in range((end - first) // step))
    return {**buckets, **{at: buckets.get(at, nothing) for at in wanted}}


def _points(name: str, buckets: Mapping[datetime, _Sums]) -> list[Point]:
    measure = MEASURES[name]
    overall = _ratio(sum(sums["errors"] for sums in buckets.values()), sum(sums["calls"] for sums in buckets.values()))
    points = []
    for at, sums in sorted(buckets.items()):
        value, count = measure.value(sums), measure.count(sums)
        if value is None or count < FEWEST_CALLS:
            continue
        noise = _noise_of_share(overall, count) if measure.unit == "ratio" else 0.0
        points.append(Point(at, value, math.sqrt(max(value, 1.0)) if measure.unit == "calls" else noise))
    return points


def _ratio(part: float, whole: float) -> float:
    """Never quite zero: what has not happened yet in so many calls may happen."""
    return (part + 1) / (whole + 2)


def _noise_of_share(ratio: float, count: float) -> float:
    return math.sqrt(ratio * (1 - ratio) / count)


def _of_score(scorer: str, series: Sequence[_ScoreRow], end: datetime) -> Iterable[Told]:
    kept = [row for row in series if row.scores >= FEWEST_CALLS]
    deviation = _deviation(kept)
    means = [Point(row.at, row.total / row.scores, deviation / math.sqrt(row.scores)) for row in kept]
    yield from _short(f"score:{scorer}", f"Score: {scorer}, mean", "score", means, end)
    if scorer == REFUSAL:
        overall = _ratio(sum(row.flagged for row in kept), sum(row.scores for row in kept))
        shares = [Point(row.at, row.flagged / row.scores, _noise_of_share(overall, row.scores)) for row in kept]
        yield from _short("refusal_ratio", "Refusals", "ratio", shares, end)


def _deviation(rows: Sequence[_ScoreRow]) -> float:
    """Of single scores, over all buckets."""
    count = sum(row.scores for row in rows)
    if not count:
        return 0.0
    mean = sum(row.total for row in rows) / count
    return math.sqrt(max(sum(row.squares for row in rows) / count - mean**2, 0.0))


def _short(name: str, label: str, unit: str, points: list[Point], end: datetime) -> Iterable[Told]:
    fresh = points if points and points[-1].at >= end - BUCKET else []
    series = tuple(point.value for point in points)
    for one in (anomalies.sudden(fresh), anomalies.slow(fresh)):
        yield Told(name, label, unit, one, series)
