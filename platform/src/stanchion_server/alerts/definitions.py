"""A rule as people write it, and what the engine makes of it. Pure.

The same shape comes as YAML, as JSON over the API and from the form. Each mistake is told with its place
(`when.above`), which `documents` turns into a line.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from stanchion_server.alerts import fields, parsing_conditions
from stanchion_server.alerts.conditions import Condition
from stanchion_server.alerts.conditions.watching import Watch
from stanchion_server.alerts.evaluating import Patience
from stanchion_server.alerts.fields import Problem, Reader, written
from stanchion_server.alerts.measures import MINUTE, SOURCES, Measure, SourceKind

SEVERITIES = ("critical", "error", "warning", "info")
TOPICS = ("safety", "cost", "any")
NO_DATA = ("ok", "keep", "alert")
MOST_GROUPS = 50
MOST_ESCALATIONS = 2


@dataclass(frozen=True, slots=True)
class Step:
    """Whom to tell as well when nobody has acknowledged after so long."""

    after: timedelta
    channels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Definition:
    """A rule without its channels' rows: what is watched, when it is wrong, and how it is told."""

    name: str
    title: str
    severity: str
    description: str
    runbook_url: str
    topic: str
    watch: Watch
    condition: Condition
    patience: Patience
    delay: timedelta
    repeat: timedelta
    is_together: bool
    is_paused: bool
    inhibited_by: tuple[str, ...]
    channels: tuple[str, ...]
    escalation: tuple[Step, ...]


KNOWN = (
    "name", "title", "severity", "description", "runbook", "topic", "watch", "when", "for", "keep_firing", "no_data",
    "every", "delay", "max_groups", "together", "inhibited_by", "channels", "escalate", "repeat", "paused",
)  # fmt: skip


def parse(plain: Any) -> tuple[Definition | None, tuple[Problem, ...]]:
    """The rule, or what is wrong with it: everything at once."""
    reader = Reader(plain, KNOWN)
    name = reader.name("name", 80)
    watch, measure, source = _watch(reader)
    condition = parsing_conditions.condition(reader, watch, measure)
    found = _definition(reader, name, watch, condition, source)
    problems = reader.problems
    return (None if problems else found), problems


def _watch(reader: Reader) -> tuple[Watch, Measure | None, SourceKind | None]:
    part = reader.part("watch", ("source", "measure", "where", "by", "window", "params", "min_samples"))
    source_name = part.choice("source", tuple(SOURCES), required=True)
    source = SOURCES.get(source_name)
    measure_name = part.choice("measure", tuple(source.measures), required=True) if source else ""
    measure = source.measures.get(measure_name) if source else None
    window = part.duration("window", source.window if source else timedelta(minutes=10), "1m", "30d")
    dimensions = source.dimensions if source else ()
    if window % timedelta(minutes=1):
        part.wrong("window", "must be whole minutes")
    if source and window < source.least_window:
        part.wrong(
            "window",
            f"is {written(window)!r}: {source_name} has one sum in {written(source.least_window)}, so that a shorter"
            f" window mostly sees nothing. It must be at least {written(source.least_window)}",
        )
    watch = Watch(
        source=source_name, measure=measure_name, window=window, by=part.names("by", dimensions, most=2),
        where=part.equalities("where", dimensions),
        params=part.params("params", measure.params if measure else {}),
        min_samples=part.count("min_samples", measure.min_samples if measure else 0, 0, 10**9),
        unit=measure.unit if measure else "",
    )  # fmt: skip
    return watch, measure, source


def _definition(
    reader: Reader, name: str, watch: Watch, condition: Condition | None, source: SourceKind | None
) -> Definition | None:
    every = reader.duration("every", timedelta(minutes=1), "10s", "1d")
    delay = _delay(reader, watch, source)
    no_data = reader.choice("no_data", NO_DATA, default=source.no_data if source else "keep")
    lasts = reader.duration("for", timedelta(0), "0s", "7d")
    keeps = reader.duration("keep_firing", timedelta(minutes=5), "0s", "7d")
    most = reader.count("max_groups", 20, 1, MOST_GROUPS)
    told: dict[str, Any] = {
        "title": reader.text("title", 200), "severity": reader.choice("severity", SEVERITIES, default="warning"),
        "description": reader.text("description", 2_000), "runbook_url": reader.url("runbook"),
        "topic": reader.choice("topic", TOPICS, default=source.topic if source else "any"),
        "repeat": reader.duration("repeat", timedelta(hours=4), "5m", "7d"),
        "is_together": reader.truth("together"), "is_paused": reader.truth("paused"),
        "inhibited_by": reader.texts("inhibited_by", 10, 80), "channels": reader.texts("channels", 20, 80),
        "escalation": _escalation(reader),
    }  # fmt: skip
    if name and name in told["inhibited_by"]:
        reader.wrong("inhibited_by", "names the rule itself")
    if condition is None or reader.problems:
        return None
    patience = Patience(every, lasts, keeps, fields.no_data_of(no_data), condition.is_up, most)
    return Definition(name=name, watch=watch, condition=condition, patience=patience, delay=delay, **told)


def _delay(reader: Reader, watch: Watch, source: SourceKind | None) -> timedelta:
    """Sums that are not there yet must not leave a window empty that only has room for the newest."""
    delay = reader.duration("delay", source.delay if source else timedelta(minutes=1), "0s", "1h")
    if source is None or not MINUTE < source.least_window <= watch.window:
        return delay
    needed = source.least_window + source.delay
    if watch.window + delay < needed:
        reader.wrong(
            "delay",
            f"is {written(delay)!r}: the sums of {watch.source} come up to {written(source.delay)} after their end, so"
            f" that the window would see nothing until then. It must be at least {written(needed - watch.window)}, or"
            f" watch.window at least {written(needed - delay // MINUTE * MINUTE)}",
        )
    return delay


def _escalation(reader: Reader) -> tuple[Step, ...]:
    parts = reader.parts("escalate", ("after", "channels"), MOST_ESCALATIONS)
    steps = tuple(
        Step(part.duration("after", timedelta(minutes=15), "1m", "7d"), part.texts("channels", 20, 80, required=True))
        for part in parts
    )
    if any(later.after <= sooner.after for sooner, later in itertools.pairwise(steps)):
        reader.wrong("escalate", "must name steps in order of time")
    return steps


def dump(plain: Mapping[str, Any]) -> dict[str, Any]:
    """The written form in the order people expect, for export."""
    return {name: plain[name] for name in KNOWN if name in plain}
