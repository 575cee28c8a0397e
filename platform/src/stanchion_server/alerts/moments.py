"""One rule at one moment: what it asks, and what its condition makes of the answers. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime

from stanchion_server.alerts import timing
from stanchion_server.alerts.conditions import Absence, Baseline, BurnRate
from stanchion_server.alerts.conditions.baseline import clear
from stanchion_server.alerts.definitions import Definition
from stanchion_server.alerts.records import Ask, Judged, Labels, Readings
from stanchion_server.alerts.sources.asking import Answer, Failed


def asks_of(definition: Definition, slot: datetime) -> Mapping[str, Ask]:
    """The condition's questions by name; their windows end on a whole minute, about `delay` before the moment."""
    end = timing.window_end(slot, definition.delay, is_up=definition.condition.is_up)
    return definition.condition.needs(definition.watch, end)


def judged_by(
    definition: Definition,
    asks: Mapping[str, Ask],
    told: Mapping[Ask, Answer],
    spoiled: Mapping[str, AbstractSet[Labels]],
) -> Mapping[Labels, Judged] | Failed:
    """`spoiled` are the groups that are no examples for a baseline, by question (`baseline.hit`)."""
    given: dict[str, Readings] = {}
    for name, ask in asks.items():
        answer = told[ask]
        if isinstance(answer, Failed):
            return answer
        given[name] = answer
    if isinstance(definition.condition, Baseline):
        given = clear(given, spoiled)
    return definition.condition.judge(definition.watch, given)


def unit_of(definition: Definition) -> str:
    """What judged values are in: a burn rate is a multiple and an absence a count, whatever the measure is in."""
    if isinstance(definition.condition, BurnRate):
        return "times"
    return "samples" if isinstance(definition.condition, Absence) else definition.watch.unit
