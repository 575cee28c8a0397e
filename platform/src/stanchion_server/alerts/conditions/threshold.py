"""A value above or below a fixed limit, with another limit for being well again. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from stanchion_server.alerts.conditions.watching import Watch, shown
from stanchion_server.alerts.records import Ask, Judged, Labels, Readings, Sample

RECOVERY_RATIO = 0.9


@dataclass(frozen=True, slots=True)
class Threshold:
    """Bad above `limit` (below it where not `is_up`); good again at `recovers_at`, which lies on the good side. A share
    of fewer than `min_bad` bad ones is never bad, however few the samples."""

    limit: float
    recovers_at: float
    is_up: bool | None = True
    min_bad: int = 0

    def needs(self, watch: Watch, end: datetime) -> dict[str, Ask]:
        return {"now": watch.ask(end)}

    def judge(self, watch: Watch, answers: Mapping[str, Readings]) -> dict[Labels, Judged]:
        return {labels: self._one(watch, sample) for labels, sample in answers["now"].items()}

    def _one(self, watch: Watch, sample: Sample) -> Judged:
        if sample.value is None:
            return Judged("no_data", samples=sample.samples)
        if sample.samples < watch.min_samples:
            return few(watch, sample, self.limit)
        word = "above" if self.is_up else "below"
        reason = f"{shown(sample.value, watch.unit)} ({word} {shown(self.limit, watch.unit)} is bad)"
        sign = 1 if self.is_up else -1
        if sign * sample.value > sign * self.limit and (sample.bad or 0) >= self.min_bad:
            return Judged("bad", sample.value, self.limit, sample.samples, reason)
        is_good = sign * sample.value <= sign * self.recovers_at
        return Judged("good" if is_good else "between", sample.value, self.limit, sample.samples, reason)


def few(watch: Watch, sample: Sample, limit: float | None) -> Judged:
    reason = f"{sample.samples} samples, {watch.min_samples} are needed"
    return Judged("too_few", sample.value, limit, sample.samples, reason)


def recovery(limit: float, *, is_up: bool) -> float:
    """90 % of the limit where more is worse; as far on the other side where less is. For limits at or below zero
    there is no such share, and the limit itself serves."""
    if limit <= 0:
        return limit
    return limit * RECOVERY_RATIO if is_up else limit * (2 - RECOVERY_RATIO)
