"""Incidents of a rule are no examples for its baseline: what moves forward finds what looking at all of them finds."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from stanchion_server.alerts import definitions, evaluating, moments, replaying
from stanchion_server.alerts.conditions.baseline import hit
from stanchion_server.alerts.definitions import Definition
from stanchion_server.alerts.past import Trail
from stanchion_server.alerts.records import Ask, Group, Labels, Readings, Sample, Window

AT = datetime(2026, 11, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)
FEATURES: tuple[Labels, ...] = ((("feature", "refunds"),), (("feature", "search"),))


def spell(start: int, length: int) -> Window:
    return Window(AT + start * HOUR, AT + (start + length) * HOUR)


SPELLS = st.tuples(st.sampled_from(FEATURES), st.integers(0, 60), st.integers(1, 30))


@given(st.integers(1, 12), st.lists(st.tuples(st.integers(0, 5), st.lists(SPELLS, max_size=3)), max_size=25))
def test_a_trail_finds_what_looking_at_every_incident_finds(
    length: int, steps: list[tuple[int, list[tuple[Labels, int, int]]]]
) -> None:
    trail, known, start = Trail(), list[tuple[Labels, Window]](), 0
    for further, added in steps:
        start += further
        for labels, begins, lasts in added:
            known.append((labels, spell(begins, lasts)))
            trail.add(labels, spell(begins, lasts))
        window = spell(start, length)
        assert trail.hit(window) == {labels for labels, incident in known if incident.overlaps(window)}


def defined() -> Definition:
    watch = {"source": "calls", "measure": "calls", "window": "2h", "by": ["feature"]}
    when = {"type": "baseline", "weeks": 3, "deviations": 3}
    plain = {"name": "odd", "watch": watch, "when": when, "every": "1h", "keep_firing": "0s"}
    definition, problems = definitions.parse(plain)
    assert definition is not None, problems
    return definition


SLOTS = [AT + place * HOUR for place in range(24 * 45)]


def waves(seed: int) -> replaying.Read:
    """About a hundred an hour; `refunds` is high for hours at a time, `search` for nine days without an end."""
    one = random.Random(seed)
    start = AT - timedelta(weeks=4)
    hours = {(labels, start + place * HOUR): one.uniform(90, 110) for labels in FEATURES for place in range(24 * 75)}
    for place in range(24 * 7, 24 * 75, 17):
        for more in range(one.randint(1, 6)):
            if (FEATURES[0], at := start + (place + more) * HOUR) in hours:
                hours[FEATURES[0], at] = 300
    for place in range(24 * 40, 24 * 49):
        hours[FEATURES[1], start + place * HOUR] = 1_000

    def read(name: str, ask: Ask) -> Readings:
        at = datetime.fromtimestamp(ask.window.end.timestamp() // 3_600 * 3_600, UTC)
        return {labels: Sample(hours[labels, at], 100) for labels in FEATURES if (labels, at) in hours}

    return read


def looked_at_one_by_one(
    definition: Definition, read: replaying.Read, *, is_cleared: bool
) -> list[tuple[Labels, datetime, datetime | None]]:
    """Labels, start and end of each incident, with all of them looked at anew at each moment."""
    groups: Mapping[str, Group] = {}
    over: list[tuple[Labels, Window]] = []
    firing: dict[Labels, datetime] = {}
    for slot in SLOTS:
        asks = moments.asks_of(definition, slot)
        incidents = [*over, *((labels, Window(start, slot)) for labels, start in firing.items())]
        spoiled = hit(asks, incidents) if is_cleared else {}
        judged = moments.judged_by(definition, asks, {ask: read(name, ask) for name, ask in asks.items()}, spoiled)
        assert isinstance(judged, Mapping)
        after = evaluating.evaluate(groups, judged, slot, definition.patience)
        groups = after.groups
        for change in after.changes:
            if change.kind == "fire":
                firing[change.group.labels] = slot
            elif change.kind == "resolve":
                over.append((change.group.labels, Window(firing.pop(change.group.labels), slot)))
    still = [(labels, start, None) for labels, start in firing.items()]
    return sorted([*((labels, window.start, window.end) for labels, window in over), *still], key=lambda one: one[:2])


def test_a_replayed_baseline_leaves_out_the_same_weeks_as_looking_at_every_episode() -> None:
    definition, read = defined(), waves(7)
    told = [(one.labels, one.start, one.end) for one in replaying.replay(definition, SLOTS, read).episodes]
    expected = looked_at_one_by_one(definition, read, is_cleared=True)
    assert sorted(told) == expected and len(told) > 40
    assert looked_at_one_by_one(definition, read, is_cleared=False) != expected, "no week was left out"
