"""The release (or prompt version) that serves now against the one before it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from stanchion_server.alerts.conditions.watching import Watch, shown
from stanchion_server.alerts.records import Ask, Judged, Labels, Readings, Sample

RECOVERY_RATIO = 0.9


@dataclass(frozen=True, slots=True)
class ReleaseChange:
    """Bad when the value of the release with most samples in the window is worse by more than `change_ratio` than that
    of the release with most samples in the `lookback` before. Without another release there is nothing to compare.
    A change from zero counts as bad as soon as the value is above `least`."""

    change_ratio: float
    least: float = 0.0
    dimension: str = "release"
    lookback: timedelta = timedelta(days=7)
    is_up: bool | None = True

    def needs(self, watch: Watch, end: datetime) -> dict[str, Ask]:
        before = end - watch.window
        return {
            "now": watch.ask_by(end, watch.window, self.dimension),
            "before": watch.ask_by(before, self.lookback, self.dimension),
        }

    def judge(self, watch: Watch, answers: Mapping[str, Readings]) -> dict[Labels, Judged]:
        now, before = (_by_release(answers[name]) for name in ("now", "before"))
        return {labels: self._one(watch, releases, before.get(labels, {})) for labels, releases in now.items()}

    def _one(self, watch: Watch, now: Mapping[str, Sample], before: Mapping[str, Sample]) -> Judged:
        name, sample = max(now.items(), key=lambda item: item[1].samples)
        others = {
            other: one
            for other, one in before.items()
            if other != name and one.value is not None and one.samples >= max(watch.min_samples, 1)
        }
        if sample.value is None or not others:
            reason = f"{self.dimension} {name or '(none)'} has no other before it to be compared with"
            return Judged("too_few", sample.value, None, sample.samples, reason)
        if sample.samples < watch.min_samples:
            reason = f"{sample.samples} samples, {watch.min_samples} are needed"
            return Judged("too_few", sample.value, None, sample.samples, reason)
        other, usual = max(others.items(), key=lambda item: item[1].samples)
        assert usual.value is not None
        return self._compared(watch, (name, sample.value, sample.samples), (other, usual.value))

    def _compared(self, watch: Watch, now: tuple[str, float, int], before: tuple[str, float]) -> Judged:
        name, value, samples = now
        other, usual = before
        reason = (
            f"{shown(value, watch.unit)} with {self.dimension} {name or '(none)'}, {shown(usual, watch.unit)} with"
            f" {other or '(none)'} before"
        )
        sign = 1 if self.is_up is not False else -1
        limit = usual * (1 + sign * self.change_ratio)
        limit = max(limit, self.least) if sign > 0 else limit
        if sign * value > sign * limit:
            return Judged("bad", value, limit, samples, reason)
        edge = usual + RECOVERY_RATIO * (limit - usual)
        return Judged("good" if sign * value <= sign * edge else "between", value, limit, samples, reason)


def _by_release(readings: Readings) -> dict[Labels, dict[str, Sample]]:
    """The last label is the release."""
    found: dict[Labels, dict[str, Sample]] = {}
    for labels, sample in readings.items():
        found.setdefault(labels[:-1], {})[labels[-1][1]] = sample
    return found
