"""What a replay of a rule found, as a chart with the limit drawn and the table of the same numbers."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from stanchion_server.alerts import moments
from stanchion_server.alerts.conditions.watching import shown
from stanchion_server.alerts.definitions import Definition
from stanchion_server.alerts.measures import SOURCES
from stanchion_server.alerts.messages import duration
from stanchion_server.alerts.previewing import Preview
from stanchion_server.alerts.records import Labels, told
from stanchion_server.alerts.replaying import Episode, Point

COLOURS = ("--s1", "--s2", "--s3", "--s4")
MOST_LINES = len(COLOURS)
MOST_MOVING = 2
"""Lines whose limit moves with them: each takes two."""
MOST_EPISODES = 50
UNITS = {"ratio": "percent", "usd": "usd", "ms": "ms", "score": "ratio", "times": "ratio"}
"""Units of readings to those that charts know; others are counts."""

Line = tuple[Labels, Mapping[int, Point]]


@dataclass(frozen=True, slots=True)
class Row:
    """An episode as people read it."""

    one: Episode
    group: str
    worst: str
    threshold: str
    lasted: str


def headline(found: Preview, days: float) -> str:
    """One sentence that answers the question; `days` were asked for."""
    if found.replayed is None or found.start is None or found.end is None:
        return "How often it would have fired is not known"
    span = found.end - found.start
    length = f"{days:g} days" if days != 1 else "a day"
    if span.total_seconds() < days * 86_400 * 0.98:
        length = duration(span) or "a moment"
    count = len(found.replayed.episodes)
    if not count:
        return f"Would not have fired in {length}"
    return f"Would have fired {'once' if count == 1 else f'{count:,} times'} in {length}"


def rows(definition: Definition, found: Preview) -> tuple[list[Row], int]:
    """The newest episodes first, and how many more there are."""
    if found.replayed is None or found.end is None:
        return [], 0
    unit, newest = moments.unit_of(definition), found.replayed.episodes[::-1]
    return [
        Row(
            one, told(one.labels) or ("all groups" if definition.watch.by else ""),
            "no data" if one.is_no_data else shown(one.worst, unit),
            "" if one.threshold is None else shown(one.threshold, unit),
            duration((one.end or found.end) - one.start) or "under a minute",
        )
        for one in newest[:MOST_EPISODES]
    ], max(0, len(newest) - MOST_EPISODES)  # fmt: skip


def chart(
    definition: Definition, found: Preview, name: str, only: Collection[Labels] | None = None,
    ranges: Sequence[tuple[datetime, datetime]] | None = None,
) -> tuple[dict[str, Any], dict[str, Any], str] | None:  # fmt: skip
    """The chart, its table twin, and the chart as JSON; None without anything to draw. `only` these groups, else those
    that fired most. `ranges` are marked, else the episodes of the groups that are drawn."""
    replayed = found.replayed
    if replayed is None or found.start is None or found.end is None:
        return None
    lines: list[Line] = [(labels, points) for labels, _fired, points in replayed.ranked() if not only or labels in only]
    if not lines:
        return None
    count = (found.end - found.start) // replayed.step + 1
    limits = {point.threshold for _labels, points in lines[:MOST_LINES] for point in points.values()}
    is_fixed = len(limits) == 1
    lines = lines[: MOST_LINES if is_fixed else MOST_MOVING]
    series = _fixed(definition, lines, count) if is_fixed else _moving(definition, lines, count)
    marked = ranges or _episodes(replayed.episodes, {labels for labels, _points in lines}, found.end)
    times = [found.start + place * replayed.step for place in range(count)]
    unit = moments.unit_of(definition)
    plain = {
        "id": name, "title": title_of(definition), "unit": UNITS.get(unit, "count"), "fixed": True, "series": series,
        "step_s": int(replayed.step.total_seconds()), "times": [int(time.timestamp()) for time in times],
        "ranges": [[int(start.timestamp()), int(end.timestamp())] for start, end in marked],
    }  # fmt: skip
    return plain, _twin(series, times, unit), json.dumps(plain)


def _episodes(
    episodes: Sequence[Episode], drawn: Collection[Labels], last: datetime
) -> list[tuple[datetime, datetime]]:
    return [(one.start, one.end or last) for one in episodes if set(drawn).intersection(one.members)]


def title_of(definition: Definition) -> str:
    return SOURCES[definition.watch.source].measures[definition.watch.measure].label


def _fixed(definition: Definition, lines: Sequence[Line], count: int) -> list[dict[str, Any]]:
    limit = next(iter(lines[0][1].values())).threshold
    drawn = [_line(_name(definition, labels), _values(points, count), place) for place, (labels, points) in
             enumerate(lines)]  # fmt: skip
    return (
        [*drawn, {**_line("Limit", [limit] * count, 0), "colour": "--bad", "dash": True}]
        if limit is not None
        else (drawn)
    )


def _moving(definition: Definition, lines: Sequence[Line], count: int) -> list[dict[str, Any]]:
    found = []
    for place, (labels, points) in enumerate(lines):
        name = _name(definition, labels)
        limits = [None if (point := points.get(number)) is None else point.threshold for number in range(count)]
        found.append(_line(name, _values(points, count), place))
        found.append({**_line(f"Limit of {name}", limits, place), "dash": True})
    return found


def _name(definition: Definition, labels: Labels) -> str:
    return told(labels)[:60] or title_of(definition)


def _values(points: Mapping[int, Point], count: int) -> list[float | None]:
    return [None if (point := points.get(place)) is None else point.value for place in range(count)]


def _line(label: str, values: Sequence[float | None], place: int) -> dict[str, Any]:
    return {"label": label, "colour": COLOURS[place], "values": list(values), "bars": False, "dash": False}


def _twin(series: Sequence[Mapping[str, Any]], times: Sequence[datetime], unit: str) -> dict[str, Any]:
    """The same numbers; times at which no group could be judged are left out."""
    columns = [one["values"] for one in series]
    own = [one["values"] for one in series if not one["dash"]]
    lines = [
        (time, ["" if column[place] is None else shown(column[place], unit) for column in columns])
        for place, time in enumerate(times)
        if any(column[place] is not None for column in own)
    ]
    return {"head": [one["label"] for one in series], "lines": lines}
