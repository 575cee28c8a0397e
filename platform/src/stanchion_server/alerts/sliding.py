"""Readings of a window that moves forward over recorded minutes. Pure.

Each minute is added once and taken away once, however many moments are read; sums are exact, so that nothing of what
left the window stays in them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from stanchion_server.alerts.records import Labels, Part, Readings, Sample, Window

Meaning = Callable[[Sequence[float], Mapping[int, int]], Sample]
"""What sums and a histogram over a window mean."""


@dataclass(slots=True)
class _Total:
    values: list[Any]
    minutes: int = 0
    counts: dict[int, int] = field(default_factory=dict)


class Slide:
    """One window's way. `parts` are in order of time. With `is_whole` the one group without labels is always there,
    as a window without anything is one for a rule that does not split."""

    def __init__(self, parts: Sequence[Part], width: int, meaning: Meaning, *, is_whole: bool) -> None:
        self._parts, self._width, self._meaning = parts, width, meaning
        self._first = self._last = 0
        self._totals: dict[Labels, _Total] = {}
        self._readings: dict[Labels, Sample] = {}
        self._always: Labels | None = () if is_whole else None
        if is_whole:
            self._readings[()] = meaning([0.0] * width, {})

    def readings(self, window: Window) -> Readings:
        """The window must begin and end no earlier than the one before."""
        self._last, entered = self._move(self._last, window.end, 1)
        self._first, left = self._move(self._first, window.start, -1)
        touched = entered | left
        if touched:
            self._readings = dict(self._readings)
        for labels in touched:
            self._read(labels)
        return self._readings

    def _move(self, first: int, until: datetime, sign: int) -> tuple[int, set[Labels]]:
        """The place of the next part, and the groups whose parts before it were added or taken away."""
        place, touched = first, set()
        while place < len(self._parts) and self._parts[place].at < until:
            self._add(self._parts[place], sign)
            touched.add(self._parts[place].labels)
            place += 1
        return place, touched

    def _add(self, part: Part, sign: int) -> None:
        total = self._totals.get(part.labels)
        if total is None:
            total = self._totals[part.labels] = _Total([0] * self._width)
        total.minutes += sign
        total.values = [one + sign * other for one, other in zip(total.values, part.values, strict=True)]
        for bucket, count in zip(part.buckets, part.counts, strict=True):
            total.counts[bucket] = total.counts.get(bucket, 0) + sign * count

    def _read(self, labels: Labels) -> None:
        total = self._totals[labels]
        if not total.minutes and labels != self._always:
            del self._totals[labels]
            self._readings.pop(labels, None)
            return
        counts = {bucket: count for bucket, count in total.counts.items() if count}
        total.counts = counts
        self._readings[labels] = self._meaning([float(value) for value in total.values], counts)
