"""A total against its own usual size in the time just before. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from stanchion_server.alerts.conditions.watching import Watch, shown
from stanchion_server.alerts.records import Ask, Judged, Labels, Readings, Sample

RECOVERY_RATIO = 0.5


@dataclass(frozen=True, slots=True)
class Surge:
    """Bad when the window's total is more than `times` the mean of as long a time in the `lookback` before it, and more
    than `least`: from next to nothing any change is large. It is well again at half of that."""

    times: float
    least: float
    lookback: timedelta = timedelta(hours=24)
    is_up: bool | None = True

    def needs(self, watch: Watch, end: datetime) -> dict[str, Ask]:
        return {"now": watch.ask(end), "before": watch.ask(end - watch.window, self.lookback)}

    def judge(self, watch: Watch, answers: Mapping[str, Readings]) -> dict[Labels, Judged]:
        before = answers["before"]
        return {labels: self._one(watch, sample, before.get(labels)) for labels, sample in answers["now"].items()}

    def _one(self, watch: Watch, sample: Sample, before: Sample | None) -> Judged:
        if sample.value is None:
            return Judged("no_data", samples=sample.samples)
        if sample.samples < watch.min_samples:
            reason = f"{sample.samples} samples, {watch.min_samples} are needed"
            return Judged("too_few", sample.value, None, sample.samples, reason)
        total = before.value if before is not None and before.value is not None else 0.0
        usual = total * (watch.window / self.lookback)
        limit = max(self.times * usual, self.least)
        reason = f"{shown(sample.value, watch.unit)}; usual in as long a time is {shown(usual, watch.unit)}"
        if sample.value > limit:
            return Judged("bad", sample.value, limit, sample.samples, reason)
        is_good = sample.value <= RECOVERY_RATIO * limit
        return Judged("good" if is_good else "between", sample.value, limit, sample.samples, reason)
