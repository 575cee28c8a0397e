"""From the calls that were looked at to a month, and what a person is told of how."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from stanchion_server.costs.advice.records import Finding
from stanchion_server.costs.advice.sampling import Sample, Share

DAYS_OF_A_MONTH = 30
OF_ORDER = frozenset({"exact_cache", "semantic_cache", "approved", "prompt_cache", "several", "history", "asking_back"})
"""What rests on calls that came before: it is seen inside a stretch of time, and less of it across gaps."""


@dataclass(frozen=True, slots=True)
class Months:
    """`days` is the time that the calls are of, from the first one on; at least one."""

    days: float
    sample: Sample

    def of(self, finding: Finding) -> Decimal:
        """How many times a month is what was looked at: by time, and where hours were left out by the cost of the same
        feature and model in all of them."""
        if finding.days is not None:
            return _ratio(finding.days)
        return _ratio(self.days) * self._share(finding).scale

    def of_feature(self, feature: str) -> Decimal:
        return _ratio(self.days) * self.sample.share(feature).scale

    def basis(self, finding: Finding) -> tuple[str, ...]:
        """Empty where every call was looked at."""
        if self.sample.is_whole or finding.days is not None:
            return ()
        gaps = ""
        if finding.kind in OF_ORDER:
            gaps = " What rests on calls in hours that were left out is not seen, so it may save more."
        return (f"Scaled to a month by what was looked at: {_told(self._share(finding))}.{gaps}",)

    def read(self) -> dict[str, Any] | None:
        """None where every call was looked at."""
        if self.sample.is_whole:
            return None
        share = self.sample.share()
        known = {feature: self.sample.share(feature) for feature, _model in self.sample.known}
        unread = {feature: one for feature, one in known.items() if not one.read.calls}
        return {
            "slices": self.sample.slices, "known_usd": str(share.known.usd) if share.is_by_cost else None,
            "ratio": float(1 / share.scale), "unread_features": len(unread),
            "unread_usd": str(sum((one.known.usd for one in unread.values()), Decimal(0))),
        }  # fmt: skip

    def _share(self, finding: Finding) -> Share:
        if not finding.where:
            return self.sample.share()
        return self.sample.share(finding.feature, finding.where.get("model"))


def _ratio(days: float) -> Decimal:
    return DAYS_OF_A_MONTH / Decimal(repr(days))


def _told(share: Share) -> str:
    calls = f"{share.read.calls:,} of {share.known.calls:,} calls"
    if not share.is_by_cost:
        return f"{calls} of this kind"
    return f"${share.read.usd:.4f} of the ${share.known.usd:.4f} ({1 / share.scale:.1%}) that {calls} cost"
