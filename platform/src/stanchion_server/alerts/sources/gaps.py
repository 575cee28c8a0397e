"""Readings of gaps in guarding: how long a policy or one of its rules has not run, by now."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from stanchion_server.alerts.records import Ask, Labels, Readings, Sample
from stanchion_server.alerts.sources.asking import Answer, Reader
from stanchion_server.policies.gaps import Gap


def reader(open_gaps: Callable[[int, datetime], Sequence[Gap]]) -> Reader:
    """`open_gaps` of a project and a moment."""

    def read(project_id: int, asks: Sequence[Ask], now: datetime) -> Mapping[Ask, Answer]:
        gaps = open_gaps(project_id, now)
        return {ask: readings(gaps, ask) for ask in asks}

    return read


def readings(gaps: Sequence[Gap], ask: Ask) -> Readings:
    """The longest gap of each group, or all decisions that are missing in it; 0 where nothing is missing. The feature
    of a rule that did not run is empty: it is missing whatever the feature."""
    merged: dict[Labels, list[Gap]] = {}
    for gap in gaps:
        values = {"policy": gap.policy, "feature": gap.feature}
        if all(values[name] == wanted for name, wanted in ask.where):
            merged.setdefault(tuple((name, values[name]) for name in ask.by), []).append(gap)
    if not ask.by:
        merged.setdefault((), [])
    return {labels: _sample(ask.measure, members) for labels, members in merged.items()}


def _sample(measure: str, gaps: Sequence[Gap]) -> Sample:
    if measure == "missed":
        return Sample(sum((gap.missed for gap in gaps), 0.0), int(sum(gap.expected for gap in gaps)))
    minutes = max(((gap.end - gap.start).total_seconds() / 60 for gap in gaps), default=0.0)
    return Sample(minutes, int(sum(gap.expected for gap in gaps)))
