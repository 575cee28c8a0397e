"""What a rule would have done, moment by moment, over readings of the past. Pure: the same judging and the same steps
from one evaluation to the next as the watcher's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from stanchion_server.alerts import evaluating, moments
from stanchion_server.alerts.conditions import Baseline
from stanchion_server.alerts.conditions.baseline import NOW
from stanchion_server.alerts.definitions import Definition
from stanchion_server.alerts.past import Trail
from stanchion_server.alerts.records import Ask, Group, Judged, Labels, Readings, Window
from stanchion_server.alerts.sources.asking import Failed

MOST_POINTS = 400
Read = Callable[[str, Ask], Readings]
"""The answer to a question by its name in the condition; windows of a name only ever move forward."""


@dataclass(frozen=True, slots=True)
class Episode:
    """From firing to well again: what would have been one incident. `labels` are those of its group, none where groups
    are taken together; `members` the groups inside at the last, the worst first. `end` is None when it still fires.
    `threshold` and `samples` are those of the newest evaluation in it, `reason` is that of the first."""

    labels: Labels
    start: datetime
    end: datetime | None
    worst: float | None
    threshold: float | None
    samples: int | None
    reason: str
    is_no_data: bool
    is_flapping: bool
    members: tuple[Labels, ...]


@dataclass(frozen=True, slots=True)
class Point:
    """The worst judged value of a stretch of time, and what it was held against."""

    value: float
    threshold: float | None


@dataclass(frozen=True, slots=True)
class Replayed:
    """`episodes` in order of their beginning. `lines` map groups to points by the number of the stretch of `step` since
    the first moment; readings of too few samples are left out of them. `outcomes` count judgements, one per moment and
    group. `left_out` is the most groups that were not looked at because of the rule's cap."""

    episodes: tuple[Episode, ...]
    lines: Mapping[Labels, Mapping[int, Point]]
    step: timedelta
    outcomes: Mapping[str, int]
    left_out: int

    def ranked(self) -> list[tuple[Labels, int, Mapping[int, Point]]]:
        """Groups with the number of their episodes and their points: those that fired most first."""
        fired = Counter(labels for one in self.episodes for labels in one.members)
        return sorted(
            ((labels, fired[labels], points) for labels, points in self.lines.items()),
            key=lambda one: (-one[1], -len(one[2]), one[0]),
        )


def replay(definition: Definition, slots: Sequence[datetime], read: Read) -> Replayed:
    """`slots` are moments of the rule's grid in order, each `patience.every` after the one before, at least one."""
    run = _Run(definition, slots[0], step_of(slots, definition.patience.every))
    before: Mapping[str, Ask] = {}
    judged: Mapping[Labels, Judged] = {}
    for slot in slots:
        asks = moments.asks_of(definition, slot)
        # Moments of one minute ask the same; only a baseline hears of incidents in between.
        if asks != before or isinstance(definition.condition, Baseline):
            before, judged = asks, _judged(definition, asks, read, run.spoiled(asks))
        run.step_to(slot, judged)
    return run.done()


def _judged(
    definition: Definition, asks: Mapping[str, Ask], read: Read, spoiled: Mapping[str, AbstractSet[Labels]]
) -> Mapping[Labels, Judged]:
    told = {ask: read(name, ask) for name, ask in asks.items()}
    judged = moments.judged_by(definition, asks, told, spoiled)
    assert not isinstance(judged, Failed)
    return judged


def step_of(slots: Sequence[datetime], every: timedelta) -> timedelta:
    """How long a stretch one point speaks for: whole intervals, at most MOST_POINTS of them."""
    return every * -(-len(slots) // MOST_POINTS)


@dataclass(slots=True)
class _Run:
    definition: Definition
    first: datetime
    step: timedelta
    groups: Mapping[str, Group] = field(default_factory=dict)
    open: dict[str, Episode] = field(default_factory=dict)
    over: list[Episode] = field(default_factory=list)
    lines: dict[Labels, dict[int, Point]] = field(default_factory=dict)
    outcomes: Counter[str] = field(default_factory=Counter)
    left_out: int = 0
    trails: dict[str, Trail] = field(default_factory=dict)

    def spoiled(self, asks: Mapping[str, Ask]) -> dict[str, AbstractSet[Labels]]:
        """What `baseline.hit` finds among the episodes so far; those that still fire reach up to now."""
        if not isinstance(self.definition.condition, Baseline):
            return {}
        found: dict[str, AbstractSet[Labels]] = {}
        for name, ask in asks.items():
            if name != NOW:
                firing = {
                    one for episode in self.open.values() if episode.start < ask.window.end for one in episode.members
                }
                found[name] = self.trails.setdefault(name, Trail()).hit(ask.window) | firing
        return found

    def step_to(self, slot: datetime, judged: Mapping[Labels, Judged]) -> None:
        after = evaluating.evaluate(self.groups, judged, slot, self.definition.patience)
        self.groups, self.left_out = after.groups, max(self.left_out, after.left_out)
        self._draw((slot - self.first) // self.step, judged)
        firing = evaluating.firing(self.groups, is_together=self.definition.is_together)
        for key in [key for key in self.open if key not in firing]:
            self._close(key, slot)
        for key, groups in firing.items():
            self.open[key] = self._told(self.open.get(key), groups)

    def _close(self, key: str, slot: datetime) -> None:
        one = replace(self.open.pop(key), end=slot)
        self.over.append(one)
        for trail in self.trails.values():
            for labels in one.members:
                trail.add(labels, Window(one.start, slot))

    def _told(self, before: Episode | None, groups: Sequence[Group]) -> Episode:
        is_up = self.definition.patience.is_up
        lead = evaluating.lead(groups, is_up)
        return Episode(
            labels=() if self.definition.is_together else lead.labels,
            start=before.start if before else min(group.since for group in groups), end=None,
            worst=evaluating.worst(before.worst if before else None, lead.peak, is_up),
            threshold=lead.threshold, samples=lead.samples, reason=before.reason if before else lead.reason,
            is_no_data=all(group.state == "no_data" for group in groups),
            is_flapping=(before is not None and before.is_flapping) or any(group.is_flapping for group in groups),
            members=(lead.labels, *(group.labels for group in groups if group is not lead)),
        )  # fmt: skip

    def _draw(self, place: int, judged: Mapping[Labels, Judged]) -> None:
        is_up = self.definition.patience.is_up
        for labels, one in judged.items():
            self.outcomes[one.outcome] += 1
            if one.value is None or one.outcome in ("too_few", "no_data"):
                continue
            line = self.lines.setdefault(labels, {})
            known = line.get(place)
            if known is None or evaluating.worst(known.value, one.value, is_up) != known.value:
                line[place] = Point(one.value, one.threshold)

    def done(self) -> Replayed:
        episodes = sorted((*self.over, *self.open.values()), key=lambda one: (one.start, one.labels))
        return Replayed(tuple(episodes), self.lines, self.step, self.outcomes, self.left_out)
