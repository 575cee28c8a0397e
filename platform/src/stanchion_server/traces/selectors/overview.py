"""What the first page shows, and the values its filter menus offer."""

# ruff: noqa: S608 - every name in these statements is our own

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from stanchion_server.ingest.records import SpanKind
from stanchion_server.traces import rollups
from stanchion_server.traces.filters import CallFilter
from stanchion_server.traces.selectors import grains, measures, reading
from stanchion_server.traces.selectors.metrics import MetricQuery, checked, metrics
from stanchion_server.traces.selectors.shapes import FacetValue, MetricRow, Overview

# Between a quarter and a full hour minutes would have to be read: thirty times the rows.
STEPS_MINUTES = (1, 5, 15, 60, 360, 1440, 10080, 43200)
WANTED_STEPS = 60
FACETS = rollups.DIMENSIONS
MAX_FACET_VALUES = 200
NO_FILTER = CallFilter()


def overview(
    project_id: int, start: datetime, end: datetime, filters: CallFilter = NO_FILTER, top: int = 8
) -> Overview:
    """Totals, the same for the period before, one row for every step, and the dearest features and models. Steps come
    without percentiles of the time to the first token, groups without any: they would take most of the time."""
    query = checked(MetricQuery(start, end, filters=filters))
    length = query.end - query.start
    step = step_for(length)
    by_cost = replace(query, order="cost_usd", limit=top, percentiles=())
    before = replace(query, start=query.start - length, end=query.start)
    return Overview(
        start=query.start,
        end=query.end,
        step_s=int(step.total_seconds()),
        now=total(project_id, query),
        before=total(project_id, before),
        series=series(project_id, replace(query, step=step, percentiles=("duration",))),
        top_features=metrics(project_id, replace(by_cost, group_by=("feature",))).rows,
        top_models=metrics(project_id, replace(by_cost, group_by=("provider", "model"))).rows,
    )


def total(project_id: int, query: MetricQuery) -> MetricRow:
    """One row for the whole range, also where it holds no call."""
    found = metrics(project_id, replace(query, step=None, group_by=())).rows
    return found[0] if found else measures.nothing(query.start, query.end)


def series(project_id: int, query: MetricQuery) -> tuple[MetricRow, ...]:
    """One row for every step of an ungrouped query, also for steps without a call."""
    assert query.step is not None
    found = {row.bucket: row for row in metrics(project_id, query).rows}
    bucket = grains.floor_to(query.start - grains.MONDAY_OFFSET, query.step) + grains.MONDAY_OFFSET
    filled: list[MetricRow] = []
    while bucket < query.end:
        low, high = max(bucket, query.start), min(bucket + query.step, query.end)
        filled.append(found.get(bucket) or replace(measures.nothing(low, high), bucket=bucket))
        bucket += query.step
    return tuple(filled)


def step_for(length: timedelta) -> timedelta:
    """The shortest round step that makes at most sixty points, or the longest there is."""
    for minutes in STEPS_MINUTES:
        if length / timedelta(minutes=minutes) <= WANTED_STEPS + 1:
            return timedelta(minutes=minutes)
    return timedelta(minutes=STEPS_MINUTES[-1])


def facets(project_id: int, start: datetime, end: datetime) -> Mapping[str, tuple[FacetValue, ...]]:
    """The values each dimension took, the most frequent first. From rollups: the last seconds may be missing."""
    query = checked(MetricQuery(start, end))
    pieces, params = [], []
    for segment in grains.segments(query.start, query.end, grains.coarsest(query.end - query.start, None)):
        pieces.append(
            f"""SELECT {", ".join(FACETS)}, calls FROM call_rollups WHERE project_id = %s
            AND grain_minutes = {segment.grain_minutes} AND bucket >= %s AND bucket < %s"""
        )
        params += [project_id, segment.start, segment.end]
    names = ", ".join(FACETS)
    grouped = f"SELECT {names}, sum(calls)::bigint AS calls FROM ({' UNION ALL '.join(pieces)}) r GROUP BY {names}"
    sets = ", ".join(f"({name})" for name in FACETS)
    sql = f"""SELECT grouping({names}), {names}, sum(calls)::bigint AS n FROM ({grouped}) g
        GROUP BY GROUPING SETS ({sets}) ORDER BY n DESC LIMIT 5000"""
    with reading.bounded():
        found = reading.rows(sql, params)
    return _facets_of(found)


def _facets_of(found: list[reading.Row]) -> Mapping[str, tuple[FacetValue, ...]]:
    values: dict[str, list[FacetValue]] = {name: [] for name in FACETS}
    everything = (1 << len(FACETS)) - 1
    for row in found:
        # grouping() has a bit per column, the first the highest, that is clear for the one grouped by
        place = len(FACETS) - 1 - (everything ^ row[0]).bit_length() + 1
        name, value = FACETS[place], row[1 + place]
        label = SpanKind(value).name.lower() if name == "kind" else value
        if len(values[name]) < MAX_FACET_VALUES:
            values[name].append(FacetValue(label, row[-1]))
    return {name: tuple(options) for name, options in values.items()}
