"""How sure a share or a mean is."""

from __future__ import annotations

import math
from collections.abc import Sequence
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


def deviation(count: int, total: float, square_total: float) -> float | None:
    """The sample's standard deviation; None below two values."""
    if count < 2:
        return None
    return math.sqrt(max(0.0, (square_total - total * total / count) / (count - 1)))


def of_mean(count: int, total: float, square_total: float, z: float = Z_95) -> Interval | None:
    """Of the mean of values in 0..1, by the normal approximation, cut to 0..1; None below two values."""
    spread = deviation(count, total, square_total)
    if spread is None:
        return None
    mean, reach = total / count, z * spread / math.sqrt(count)
    return Interval(max(0.0, mean - reach), min(1.0, mean + reach))


def quantile(histogram: Sequence[int], fraction: float) -> float | None:
    """From bins of equal width over 0..1, linear inside a bin, so right to a bin's width; None without values."""
    if not sum(histogram):
        return None
    wanted, below = fraction * sum(histogram), 0
    for number, count in enumerate(histogram):
        if count and below + count >= wanted:
            return (number + (wanted - below) / count) / len(histogram)
        below += count
    return 1.0
