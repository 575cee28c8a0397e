"""Readings of scores, from their rollups: all scorers of a window and set of dimensions in one statement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from stanchion_server.alerts.records import Ask, Labels, Part, Readings, Sample, Window
from stanchion_server.alerts.sources.asking import Answer, Recorded, dimensions_of, parts_of, picked, share, shared
from stanchion_server.kernel.errors import SenderError
from stanchion_server.quality.selectors import distributions, minutes
from stanchion_server.quality.selectors.distributions import Distribution, ScoreQuery

_Key = tuple[Window, tuple[str, ...]]


def read(project_id: int, asks: Sequence[Ask], now: datetime) -> Mapping[Ask, Answer]:
    return shared(
        asks, lambda ask: (ask.window, dimensions_of(ask)), lambda key, members: _fetch(project_id, key, members)
    )


def _fetch(project_id: int, key: _Key, asks: Sequence[Ask]) -> Mapping[Ask, Answer]:
    window, dimensions = key[0], _checked(key[1])
    scorers = tuple(sorted({dict(ask.params)["scorer"] for ask in asks}))
    rows = distributions.distributions(
        project_id, ScoreQuery(window.start, window.end, group_by=dimensions, scorers=scorers)
    )
    return {ask: readings(rows, dimensions, ask) for ask in asks}


def readings(rows: Sequence[Distribution], dimensions: Sequence[str], ask: Ask) -> Readings:
    """All versions of the scorer together: a change of version is no change of the calls."""
    scorer = dict(ask.params)["scorer"]
    merged: dict[Labels, list[Distribution]] = {}
    for row in rows:
        labels = picked(dimensions, [row.group[name] for name in dimensions], ask)
        if row.scorer == scorer and labels is not None:
            merged.setdefault(labels, []).append(row)
    if not ask.by:
        merged.setdefault((), [])
    return {labels: _sample(ask.measure, members) for labels, members in merged.items()}


def _sample(measure: str, rows: Sequence[Distribution]) -> Sample:
    scores, flagged = sum(row.scores for row in rows), sum(row.flagged for row in rows)
    return sample_of(measure, scores, flagged, sum(row.mean * row.scores for row in rows))


def sample_of(measure: str, scores: int, flagged: int, total: float) -> Sample:
    """`total` is the sum of the scores."""
    if measure == "flagged_ratio":
        return share(flagged, scores)
    if measure == "mean":
        return Sample(total / scores if scores else None, scores)
    return Sample(float(flagged if measure == "flagged" else scores), scores)


def _parts(project_id: int, ask: Ask, most: int) -> list[Part]:
    _checked(dimensions_of(ask))  # What the watcher could not read, nobody replays.
    scorer, window = dict(ask.params)["scorer"], ask.window
    rows = minutes.newest_minutes(project_id, window.start, window.end, scorer, ask.by, ask.where, most)
    return parts_of(rows, ask.by, replace(ask, where=()))


def _checked(dimensions: tuple[str, ...]) -> tuple[str, ...]:
    if len(dimensions) > distributions.MAX_GROUPS:
        raise SenderError(
            "too_many_groups", f"Scores can be split and filtered by at most {distributions.MAX_GROUPS} dimensions."
        )
    return dimensions


RECORDED = Recorded(
    columns=lambda ask: ("scores", "flagged", "score_sum"),
    parts=_parts,
    sample=lambda ask, values, counts: sample_of(ask.measure, int(values[0]), int(values[1]), values[2]),
)
