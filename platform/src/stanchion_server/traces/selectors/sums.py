"""Sums and histograms per group, and per step where asked for, as they add up: for those who merge windows themselves.
From rollups where they hold the dimensions, as in `metrics`."""

# ruff: noqa: S608 - every name in these statements is our own; what people typed is a parameter

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from stanchion_server.kernel.errors import SenderError
from stanchion_server.traces.filters import CallFilter
from stanchion_server.traces.rollups import FLOATS, HISTOGRAMS, SUMS
from stanchion_server.traces.selectors import measures, reading

MOST_ROWS = 50_000
MINUTE = timedelta(minutes=1)
Minute = tuple[datetime, tuple[str, ...], tuple[int | float | Decimal, ...], Sequence[int], Sequence[int]]
"""Its beginning, the group, the values of columns as stored, and the buckets of a histogram with their counts."""
_PLAIN = (*SUMS, *FLOATS, "cost_usd")


@dataclass(frozen=True, slots=True)
class Sums:
    """`group` has a value per dimension asked for. `values` holds the sums of `rollups.SUMS` and FLOATS and `cost_usd`
    (0 where nothing has a price); `histograms` maps `duration` and `ttft` to counts by `histogram` bucket, those that
    were asked for."""

    at: datetime | None
    group: tuple[str, ...]
    values: Mapping[str, float]
    histograms: Mapping[str, Mapping[int, int]]


def sums(
    project_id: int,
    start: datetime,
    end: datetime,
    step: timedelta | None,
    group_by: Sequence[str],
    filters: CallFilter,
    histograms: Sequence[str] = (),
) -> tuple[Sums, ...]:
    """`start` and `end` are whole minutes, `group_by` at most two dimensions. SenderError when the answer would be more
    than MOST_ROWS rows."""
    plan = measures.plan(project_id, start, end, step, group_by, filters, histograms=histograms)
    with reading.bounded():
        found = reading.rows(plan.sql + f" LIMIT {MOST_ROWS + 1}", plan.params)
    if len(found) > MOST_ROWS:
        raise SenderError(
            "too_many_rows", f"The answer has more than {MOST_ROWS} rows. Ask for fewer groups or a shorter range.", 422
        )
    return tuple(_sums(row, step is not None, len(group_by), histograms) for row in found)


def newest_minutes(
    project_id: int,
    start: datetime,
    end: datetime,
    group_by: Sequence[str],
    filters: CallFilter,
    columns: Sequence[str],
    histogram: Sequence[str],
    most: int,
) -> list[Minute]:
    """For those who slide windows over a long time: the newest `most` minutes of all groups, the newest first.
    `columns` are names of `Sums.values`; `histogram` names one at most."""
    plan = measures.plan(project_id, start, end, MINUTE, group_by, filters, histograms=histogram)
    counts = "buckets, counts" if histogram else "NULL, NULL"
    sql = f"""SELECT step, g1, g2, {", ".join(columns)}, {counts} FROM ({plan.sql}) told
        ORDER BY step DESC LIMIT {int(most)}"""
    with reading.bounded():
        found = reading.rows(sql, plan.params)
    place, groups = 3 + len(columns), len(group_by)
    return [
        (row[0].astimezone(UTC), row[1 : 1 + groups], tuple(value or 0 for value in row[3:place]),
         row[place] or (), row[place + 1] or ())
        for row in found
    ]  # fmt: skip


def _sums(row: reading.Row, has_step: bool, groups: int, histograms: Sequence[str]) -> Sums:
    named: dict[str, Any] = dict(zip(measures.ROW_COLUMNS, row, strict=True))
    return Sums(
        at=named["step"].astimezone(UTC) if has_step else None,
        group=(named["g1"], named["g2"])[:groups],
        values={name: float(named[name] or 0) for name in _PLAIN},
        histograms={
            name: dict(zip(named[f"{name}_buckets"] or (), named[f"{name}_counts"] or (), strict=True))
            for name in HISTOGRAMS
            if name in histograms
        },
    )
