"""How many instances a load needs. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

TARGET_RATIO = 0.7
"""How busy an instance may be in a busy hour: beyond that, queues grow faster than load (Google's SRE book names 50 to
80 % as usual targets for serving)."""
QUANTILE = 0.95
FEWEST_HOURS = 24


@dataclass(frozen=True, slots=True)
class Size:
    """`needed` for the busy hours: ceil(demand / capacity), at least one. `surplus` is negative when there are too few;
    `surplus_usd_per_day` is what the ones too many cost."""

    hours: int
    count: int
    busy_p95_ratio: float
    needed: int
    surplus_usd_per_day: Decimal

    @property
    def surplus(self) -> int:
        return self.count - self.needed


def size(busy: Sequence[float], count: int, usd_per_hour: Decimal) -> Size | None:
    """Of `count` alike instances that were busy for these shares of each hour; None below FEWEST_HOURS hours."""
    if len(busy) < FEWEST_HOURS or not count:
        return None
    ranked = sorted(busy)
    p95 = ranked[min(len(ranked) - 1, math.ceil(QUANTILE * len(ranked)) - 1)]
    needed = max(1, math.ceil(round(p95 * count / TARGET_RATIO, 9)))
    return Size(len(busy), count, p95, needed, max(0, count - needed) * usd_per_hour * 24)
