"""A value against the same hour of earlier weeks: median and MAD, so that one odd week changes little. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timedelta

from stanchion_server.alerts.conditions.threshold import few
from stanchion_server.alerts.conditions.watching import Watch, shown
from stanchion_server.alerts.records import Ask, Judged, Labels, Readings, Window

WEEK = timedelta(weeks=1)
FEWEST_POINTS = 3
MAD_TO_SIGMA = 1.4826
"""The median absolute deviation of normal values times this is their standard deviation."""
RECOVERY_RATIO = 0.9
NOW = "now"


@dataclass(frozen=True, slots=True)
class Baseline:
    """Bad beyond `deviations` robust standard deviations from the median of the last `weeks` weeks. The deviation is at
    least `floor_ratio` of the median: quiet numbers would alarm at anything."""

    weeks: int = 4
    deviations: float = 4.0
    floor_ratio: float = 0.1
    is_up: bool | None = True

    def needs(self, watch: Watch, end: datetime) -> dict[str, Ask]:
        past = {f"week {number}": watch.ask(end - number * WEEK) for number in range(1, self.weeks + 1)}
        return {NOW: watch.ask(end), **past}

    def judge(self, watch: Watch, answers: Mapping[str, Readings]) -> dict[Labels, Judged]:
        past = [answers[name] for name in sorted(answers) if name != NOW]
        found = {}
        for labels, sample in answers[NOW].items():
            values = [
                one[labels].value for one in past if labels in one and one[labels].samples >= max(watch.min_samples, 1)
            ]
            known = [value for value in values if value is not None]
            if sample.value is None:
                found[labels] = Judged("no_data", samples=sample.samples)
            elif sample.samples < watch.min_samples:
                found[labels] = few(watch, sample, None)
            elif len(known) < FEWEST_POINTS:
                reason = f"{len(known)} of the same hours of earlier weeks are known, {FEWEST_POINTS} are needed"
                found[labels] = Judged("too_few", sample.value, None, sample.samples, reason)
            else:
                found[labels] = self._one(watch, sample.value, sample.samples, known)
        return found

    def _one(self, watch: Watch, value: float, samples: int, known: list[float]) -> Judged:
        middle, width = band(known, self.deviations, self.floor_ratio)
        distance = value - middle
        is_high = distance > 0
        limit = middle + width if is_high else middle - width
        reason = (
            f"{shown(value, watch.unit)}; the same hour of {len(known)} earlier weeks: {shown(middle, watch.unit)}"
            f" ± {shown(width, watch.unit)}"
        )
        counts = self.is_up is None or self.is_up == is_high
        if counts and abs(distance) > width:
            return Judged("bad", value, limit, samples, reason)
        is_good = not counts or abs(distance) <= RECOVERY_RATIO * width
        return Judged("good" if is_good else "between", value, limit, samples, reason)


def band(known: list[float], deviations: float, floor_ratio: float) -> tuple[float, float]:
    """Median, and how far from it is still usual."""
    middle = statistics.median(known)
    mad = statistics.median(abs(value - middle) for value in known)
    return middle, deviations * max(MAD_TO_SIGMA * mad, floor_ratio * abs(middle), 1e-9)


def hit(needs: Mapping[str, Ask], incidents: Sequence[tuple[Labels, Window]]) -> dict[str, set[Labels]]:
    """The groups that were in an incident, by the question about the earlier week in which they were."""
    return {
        name: {labels for labels, incident in incidents if incident.overlaps(ask.window)}
        for name, ask in needs.items()
        if name != NOW
    }


def clear(answers: Mapping[str, Readings], spoiled: Mapping[str, AbstractSet[Labels]]) -> dict[str, Readings]:
    """Without the earlier weeks of a group that lay inside one of its incidents: what was wrong then is no example."""
    found: dict[str, Readings] = {}
    for name, readings in answers.items():
        gone = spoiled.get(name, frozenset())
        found[name] = {one: sample for one, sample in readings.items() if one not in gone} if gone else readings
    return found
