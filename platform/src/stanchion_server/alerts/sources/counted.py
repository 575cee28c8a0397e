"""Readings counted from rows of a table that has no rollup: guard decisions, ratings, the ledger of what arrived. One
statement per window and set of dimensions; each table is read by its index on project and time."""

# ruff: noqa: S608 - every name in these statements is our own

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from stanchion_server.alerts.records import Ask, Labels, Part, Readings, Sample, Window
from stanchion_server.alerts.sources.asking import (
    Answer,
    Reader,
    Recorded,
    dimensions_of,
    parts_of,
    picked,
    share,
    shared,
)
from stanchion_server.policies.measures import STOPPING
from stanchion_server.traces.selectors import reading
from stanchion_wire.decisions import ACTIONS

MOST_ROWS = 5_000
_STOPPING = ", ".join(str(ACTIONS.index(name)) for name in STOPPING)
_Key = tuple[Window, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Table:
    """`sums` are the SQL expressions to count, the first of them the samples; `shares` and `totals` name measures and
    the place of their sum. `columns` maps dimensions to SQL."""

    name: str
    time: str
    columns: Mapping[str, str]
    sums: tuple[str, ...]
    shares: Mapping[str, int]
    totals: Mapping[str, int]
    where: str = "TRUE"

    def reader(self) -> Reader:
        def read(project_id: int, asks: Sequence[Ask], now: datetime) -> Mapping[Ask, Answer]:
            return shared(
                asks,
                lambda ask: (ask.window, dimensions_of(ask)),
                lambda key, members: _fetch(self, project_id, key, members),
            )

        return read

    def recorded(self) -> Recorded:
        return Recorded(
            columns=lambda ask: self.sums,
            parts=lambda project_id, ask, most: _parts(self, project_id, ask, most),
            sample=lambda ask, values, counts: _sample(self, ask.measure, values),
        )


def _fetch(table: Table, project_id: int, key: _Key, asks: Sequence[Ask]) -> Mapping[Ask, Answer]:
    window, dimensions = key
    groups = ", ".join(f"{table.columns[name]}::text" for name in dimensions)
    sql = f"""SELECT {groups + ", " if groups else ""}{", ".join(table.sums)} FROM {table.name}
        WHERE project_id = %s AND {table.time} >= %s AND {table.time} < %s AND {table.where}"""
    if groups:
        sql += f" GROUP BY {groups} ORDER BY {table.sums[0]} DESC LIMIT {MOST_ROWS}"
    with reading.bounded():
        rows = reading.rows(sql, (project_id, window.start, window.end))
    return {ask: _readings(table, rows, dimensions, ask) for ask in asks}


def _parts(table: Table, project_id: int, ask: Ask, most: int) -> list[Part]:
    """Equalities are the statement's, so that the newest `most` are all of what is meant."""
    keys = ", ".join(("minute", *(f"{table.columns[name]}::text" for name in ask.by)))
    meant = "".join(f" AND {table.columns[name]}::text = %s" for name, _value in ask.where)
    sql = f"""SELECT {keys}, {", ".join(table.sums)}
        FROM (SELECT date_trunc('minute', {table.time}, 'UTC') AS minute, * FROM {table.name}
            WHERE project_id = %s AND {table.time} >= %s AND {table.time} < %s AND {table.where}{meant}) found
        GROUP BY {keys} ORDER BY minute DESC LIMIT {int(most)}"""
    wanted = (project_id, ask.window.start, ask.window.end, *(value for _name, value in ask.where))
    with reading.bounded():
        found = reading.rows(sql, wanted)
    place = 1 + len(ask.by)
    rows = ((row[0].astimezone(UTC), row[1:place], tuple(one or 0 for one in row[place:]), (), ()) for row in found)
    return parts_of(rows, ask.by, replace(ask, where=()))


def _readings(table: Table, rows: Sequence[reading.Row], dimensions: Sequence[str], ask: Ask) -> Readings:
    merged: dict[Labels, list[float]] = {}
    for row in rows:
        labels = picked(dimensions, row[: len(dimensions)], ask)
        if labels is not None:
            added = [float(value or 0) for value in row[len(dimensions) :]]
            merged[labels] = [one + two for one, two in zip(merged.get(labels, [0.0] * len(added)), added, strict=True)]
    if not ask.by:
        merged.setdefault((), [0.0] * len(table.sums))
    return {labels: _sample(table, ask.measure, values) for labels, values in merged.items()}


def _sample(table: Table, measure: str, values: Sequence[float]) -> Sample:
    if measure in table.shares:
        return share(values[table.shares[measure]], values[0])
    return Sample(values[table.totals[measure]], int(values[0]))


GUARD = Table(
    name="guard_decisions",
    time="start_time",
    columns={"policy": "policy", "feature": "feature", "stage": "stage"},
    sums=(
        "count(*)", f"count(*) FILTER (WHERE action IN ({_STOPPING}))", "count(*) FILTER (WHERE action > 0)",
        "count(*) FILTER (WHERE is_complete IS NOT TRUE)",
        "count(*) FILTER (WHERE EXISTS (SELECT 1 FROM unnest(labels) one WHERE one LIKE 'toxic%%'))",
    ),
    shares={"stopped_ratio": 1, "triggered_ratio": 2, "incomplete_ratio": 3, "toxic_ratio": 4},
    totals={"decisions": 0},
    where="mode <> 'shadow'",
)  # fmt: skip
FEEDBACK = Table(
    name="ratings",
    time="rated_at",
    columns={"name": "name", "source": "source"},
    sums=("count(*) FILTER (WHERE tone IS NOT NULL)", "count(*) FILTER (WHERE tone = -1)", "count(*)"),
    shares={"negative_ratio": 1},
    totals={"ratings": 2},
)
INGEST = Table(
    name="ingest_batches",
    time="received_at",
    columns={"signal": "signal", "client": "client"},
    sums=("sum(sent)", "sum(rejected)", "count(*) FILTER (WHERE state = 'refused')"),
    shares={"rejected_ratio": 1},
    totals={"rejected": 1, "refused_requests": 2, "items": 0},
)
