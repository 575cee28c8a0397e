"""How fast an error budget burns, in several pairs of windows at once. Pure.

Tiers and the twelfth for the short window follow chapter 5, "Alerting on SLOs", of Google's SRE workbook (2018).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from stanchion_server.alerts.conditions.watching import Watch, shown
from stanchion_server.alerts.records import Ask, Judged, Labels, Readings, Sample

SHORT_PART = 12
REACHABLE_RATIO = 0.9
"""A tier above this share of the highest possible rate would need almost every call to be bad."""
FEWEST_BAD = 5
_NONE = Sample(None, 0, 0)


@dataclass(frozen=True, slots=True)
class Tier:
    """Bad when both the window and its twelfth burn faster than `rate` times the sustainable speed."""

    rate: float
    window: timedelta

    @property
    def short(self) -> timedelta:
        return max(self.window / SHORT_PART, timedelta(minutes=1))


TIERS = (Tier(14.4, timedelta(hours=1)), Tier(6.0, timedelta(hours=6)), Tier(1.0, timedelta(days=3)))


@dataclass(frozen=True, slots=True)
class BurnRate:
    """`objective_ratio` is the share that must be good, such as 0.99. At least `min_bad` bad ones must lie in the long
    window: with few calls, one failure is a large share."""

    objective_ratio: float
    tiers: tuple[Tier, ...] = TIERS[:2]
    min_bad: int = FEWEST_BAD
    is_up: bool | None = True

    def needs(self, watch: Watch, end: datetime) -> dict[str, Ask]:
        asks = {}
        for tier in self.tiers:
            asks[f"long {tier.rate:g}"] = watch.ask(end, tier.window)
            asks[f"short {tier.rate:g}"] = watch.ask(end, tier.short)
        return asks

    def judge(self, watch: Watch, answers: Mapping[str, Readings]) -> dict[Labels, Judged]:
        everyone = {labels for readings in answers.values() for labels in readings}
        return {labels: self._one(watch, labels, answers) for labels in everyone}

    def _one(self, watch: Watch, labels: Labels, answers: Mapping[str, Readings]) -> Judged:
        """The tier that burns, else the one nearest to it. The value is the long window's burn rate."""
        told: list[tuple[float, Judged]] = []
        for tier in self.tiers:
            long, short = (answers.get(f"{name} {tier.rate:g}", {}).get(labels, _NONE) for name in ("long", "short"))
            judged = self._tier(watch, tier, long, short)
            if judged.outcome == "bad":
                return judged
            told.append(((judged.value or 0.0) / tier.rate, judged))
        return max(told, key=lambda one: one[0])[1]

    def _tier(self, watch: Watch, tier: Tier, long: Sample, short: Sample) -> Judged:
        if not long.samples or long.bad is None:
            return Judged("no_data", samples=long.samples)
        rate, near = self.rate_of(long), self.rate_of(short)
        share = long.bad / long.samples
        reason = (
            f"{shown(share, 'ratio')} bad in {_length(tier.window)} burns the budget of {_objective(self)}"
            f" {rate:.3g} times too fast (limit {tier.rate:g})"
        )
        if long.samples < watch.min_samples:
            return Judged("too_few", rate, tier.rate, long.samples, reason)
        if rate > tier.rate and near > tier.rate and long.bad >= self.min_bad:
            return Judged("bad", rate, tier.rate, long.samples, reason)
        return Judged("good", rate, tier.rate, long.samples, reason)

    def rate_of(self, sample: Sample) -> float:
        if not sample.samples or not sample.bad:
            return 0.0
        return sample.bad / sample.samples / (1 - self.objective_ratio)


def highest_rate(objective_ratio: float) -> float:
    """When everything is bad."""
    return 1 / (1 - objective_ratio)


def unreachable(objective_ratio: float, tier: Tier) -> str:
    """Why a tier could practically never fire; empty when it can."""
    most = highest_rate(objective_ratio)
    if tier.rate <= REACHABLE_RATIO * most:
        return ""
    return (
        f"a burn rate of {tier.rate:g} needs {min(tier.rate / most, 9.99):.0%} of all calls to be bad: with an"
        f" objective of {objective_ratio:.4g} the highest possible rate is {most:.3g}, and at most"
        f" {REACHABLE_RATIO * most:.3g} is accepted"
    )


def _objective(rate: BurnRate) -> str:
    return f"{rate.objective_ratio * 100:.4g} %"


def _length(window: timedelta) -> str:
    hours = window.total_seconds() / 3600
    return f"{hours / 24:g} d" if hours >= 48 else f"{hours:g} h" if hours >= 1 else f"{hours * 60:g} min"
