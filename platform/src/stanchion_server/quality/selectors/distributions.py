"""How scores are distributed, over a window or step by step, by scorer and any dimension: from the rollups."""

# ruff: noqa: S608 - every name in these statements is our own

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from stanchion_server.kernel.errors import SenderError
from stanchion_server.quality import intervals
from stanchion_server.quality.intervals import Interval
from stanchion_server.quality.rollups import BINS, DIMENSIONS
from stanchion_server.traces.selectors import grains, reading

GROUPS = DIMENSIONS
MAX_GROUPS = 2
MAX_ROWS = 20_000
MAX_STEPS = 2_000
MAX_RANGE = timedelta(days=400)
_MONDAY = "timestamptz '1970-01-05 00:00:00+00'"  # as `traces.selectors.measures` counts steps
_BINS = ", ".join(f"sum(histogram[{number}])::bigint" for number in range(1, BINS + 1))


@dataclass(frozen=True, slots=True)
class ScoreQuery:
    """`start` inclusive, `end` exclusive, both rounded outwards to whole minutes. `step` is whole minutes, None for one
    row over the window. Empty `scorers` asks for all. `filters` hold values of GROUPS by equality."""

    start: datetime
    end: datetime
    step: timedelta | None = None
    group_by: tuple[str, ...] = ()
    scorers: tuple[str, ...] = ()
    filters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Distribution:
    """Scores of one version of one scorer. Versions are never added up: a call scored anew has a score of each.

    Intervals are at 95 %; that of the mean is None below two scores. `histogram` has 20 bins of equal width.
    """

    scorer: str
    scorer_version: str
    group: Mapping[str, str]
    bucket: datetime | None
    scores: int
    flagged: int
    mean: float
    mean_interval: Interval | None
    deviation: float | None
    flagged_interval: Interval
    histogram: tuple[int, ...]
    cost_usd: Decimal

    @property
    def flagged_ratio(self) -> float:
        return self.flagged / self.scores

    def quantile(self, fraction: float) -> float | None:
        return intervals.quantile(self.histogram, fraction)


@dataclass(frozen=True, slots=True)
class Rate:
    """A reading for alerts: how many scores a window holds and what they say. None without scores."""

    scores: int
    flagged: int
    mean: float | None
    flagged_ratio: float | None


def distributions(project_id: int, query: ScoreQuery) -> tuple[Distribution, ...]:
    """In order of step, scorer, version and size. SenderError says what of the query cannot be answered."""
    query = _checked(query)
    sql, params = _statement(project_id, query)
    with reading.bounded():
        found = reading.named_rows(sql, params)
    if len(found) > MAX_ROWS:
        raise SenderError(
            "too_many_rows", f"The answer has more than {MAX_ROWS} rows. Ask for a longer step or fewer groups.", 422
        )
    return tuple(_distribution(row, query) for row in found)


def rate(
    project_id: int,
    scorer: str,
    start: datetime,
    end: datetime,
    filters: Mapping[str, str] | None = None,
    version: str | None = None,
) -> Rate:
    """Over all versions unless one is named."""
    rows = distributions(project_id, ScoreQuery(start, end, scorers=(scorer,), filters=filters or {}))
    rows = tuple(row for row in rows if version in (None, row.scorer_version))
    scores, flagged = sum(row.scores for row in rows), sum(row.flagged for row in rows)
    if not scores:
        return Rate(0, 0, None, None)
    return Rate(scores, flagged, sum(row.mean * row.scores for row in rows) / scores, flagged / scores)


def _statement(project_id: int, query: ScoreQuery) -> tuple[str, dict[str, Any]]:
    params: dict[str, Any] = {"project_id": project_id, "scorers": list(query.scorers)}
    step = "NULL::timestamptz"
    if query.step:
        step = f"date_bin(interval '{int(query.step.total_seconds())} seconds', bucket, {_MONDAY})"
    where = ["project_id = %(project_id)s", f"({_ranges(query, params)})"]
    if query.scorers:
        where.append("scorer = ANY (%(scorers)s)")
    for name, value in query.filters.items():
        where.append(f"{name} = %(is_{name})s")
        params[f"is_{name}"] = value
    groups = "".join(f", {name}" for name in query.group_by)
    keys = f"step, scorer, scorer_version{groups}"
    return (
        f"""SELECT {keys}, sum(scores)::bigint, sum(flagged)::bigint, sum(score_sum), sum(score_square_sum),
        sum(cost_usd), ARRAY[{_BINS}]
        FROM (SELECT {step} AS step, * FROM score_rollups WHERE {" AND ".join(where)}) found
        GROUP BY {keys} HAVING sum(scores) > 0
        ORDER BY step, scorer, scorer_version, sum(scores) DESC LIMIT {MAX_ROWS + 1}""",
        params,
    )


def _ranges(query: ScoreQuery, params: dict[str, Any]) -> str:
    """Hours in the middle and minutes at the edges, where the step allows."""
    grain = min(60, grains.coarsest(query.end - query.start, query.step))
    parts = []
    for number, segment in enumerate(grains.segments(query.start, query.end, grain)):
        params |= {f"first_{number}": segment.start, f"last_{number}": segment.end}
        parts.append(
            f"grain_minutes = {segment.grain_minutes} AND bucket >= %(first_{number})s AND bucket < %(last_{number})s"
        )
    return " OR ".join(f"({part})" for part in parts)


def _distribution(row: reading.Row, query: ScoreQuery) -> Distribution:
    bucket, scorer, version, *rest = row
    group = dict(zip(query.group_by, rest, strict=False))
    scores, flagged, total, square_total, cost_usd, histogram = rest[len(query.group_by) :]
    return Distribution(
        scorer=scorer, scorer_version=version, group=group, bucket=bucket and bucket.astimezone(UTC), scores=scores,
        flagged=flagged, mean=total / scores, mean_interval=intervals.of_mean(scores, total, square_total),
        deviation=intervals.deviation(scores, total, square_total),
        flagged_interval=intervals.wilson(flagged, scores), histogram=tuple(histogram), cost_usd=cost_usd,
    )  # fmt: skip


def _checked(query: ScoreQuery) -> ScoreQuery:
    start, end = grains.floor_minute(query.start.astimezone(UTC)), grains.ceil_minute(query.end.astimezone(UTC))
    if end <= start:
        raise SenderError("empty_range", f"The range ends ({end:%FT%TZ}) before it starts ({start:%FT%TZ}).")
    if end - start > MAX_RANGE:
        raise SenderError("range_too_long", f"The range is longer than {MAX_RANGE.days} days. Ask for less.")
    if len(query.group_by) > MAX_GROUPS or len(set(query.group_by)) != len(query.group_by):
        raise SenderError("too_many_groups", f"Group by at most {MAX_GROUPS} different dimensions.")
    _check_names(query.group_by)
    _check_names(tuple(query.filters))
    _check_step(query.step, end - start)
    return ScoreQuery(start, end, query.step, query.group_by, query.scorers, query.filters)


def _check_names(names: Sequence[str]) -> None:
    for name in names:
        if name not in GROUPS:
            raise SenderError("unknown_group", f"{name[:80]!r} is no dimension of scores. Known: {', '.join(GROUPS)}.")


def _check_step(step: timedelta | None, length: timedelta) -> None:
    if step is None:
        return
    if step < timedelta(minutes=1) or step % timedelta(minutes=1):
        raise SenderError(
            "bad_step", f"The step must be whole minutes, at least one; it is {step.total_seconds():g} s."
        )
    if length / step > MAX_STEPS:
        raise SenderError(
            "too_many_steps",
            f"The range holds more than {MAX_STEPS} steps. Use a step of {length / MAX_STEPS} or more.",
        )
