"""Scores minute by minute over a long time, for those who slide windows over them: from the rollups."""

# ruff: noqa: S608 - every name in these statements is our own

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from stanchion_server.quality.rollups import DIMENSIONS
from stanchion_server.traces.selectors import reading

Minute = tuple[datetime, tuple[str, ...], tuple[int | float, ...], Sequence[int], Sequence[int]]
"""Its beginning, the group, and scores, flagged scores and their sum, over all versions of the scorer; no histogram."""


def newest_minutes(
    project_id: int,
    start: datetime,
    end: datetime,
    scorer: str,
    group_by: Sequence[str],
    where: Sequence[tuple[str, str]],
    most: int,
) -> list[Minute]:
    """The newest `most` minutes of all groups that hold the equalities of `where`, the newest first; `group_by` and
    `where` name some of DIMENSIONS."""
    assert {*group_by, *(name for name, _value in where)} <= set(DIMENSIONS)
    groups = "".join(f", {name}" for name in group_by)
    meant = "".join(f" AND {name} = %s" for name, _value in where)
    sql = f"""SELECT bucket{groups}, sum(scores)::bigint, sum(flagged)::bigint, sum(score_sum)
        FROM score_rollups
        WHERE project_id = %s AND grain_minutes = 1 AND bucket >= %s AND bucket < %s AND scorer = %s{meant}
        GROUP BY bucket{groups} HAVING sum(scores) > 0 ORDER BY bucket DESC LIMIT {int(most)}"""
    with reading.bounded():
        found = reading.rows(sql, (project_id, start, end, scorer, *(value for _name, value in where)))
    return [(row[0].astimezone(UTC), row[1:-3], row[-3:], (), ()) for row in found]
