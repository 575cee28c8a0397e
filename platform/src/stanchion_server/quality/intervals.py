"""Confidence intervals of shares."""

from __future__ import annotations

import math
from dataclasses import dataclass

Z_95 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Interval:
    low: float
    high: float


def wilson(hits: float, total: float, z: float = Z_95) -> Interval:
    """Wilson's score interval of hits / total (1927); `total` may be an effective sample size. ValueError for a total
    of 0: nothing is known then."""
    if total <= 0 or not 0 <= hits <= total * (1 + 1e-12):
        raise ValueError(f"no share of {hits} in {total}")
    share = min(1.0, hits / total)
    middle = share + z * z / (2 * total)
    reach = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    below = 1 + z * z / total
    return Interval(max(0.0, (middle - reach) / below), min(1.0, (middle + reach) / below))
