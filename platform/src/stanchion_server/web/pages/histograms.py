"""Histograms of scores as small pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stanchion_server.quality.scorers import Direction

HEIGHT = 24
BAR_STEP = 5


@dataclass(frozen=True, slots=True)
class Bar:
    """`y` is measured from above. `is_flagged`: on the bad side of the threshold. `label` tells range and count."""

    x: int
    y: float
    height: float
    is_flagged: bool
    label: str


@dataclass(frozen=True, slots=True)
class Picture:
    width: int
    height: int
    bars: tuple[Bar, ...]


def picture(histogram: Sequence[int], threshold: float | None, direction: Direction, height: int = HEIGHT) -> Picture:
    """Bins of equal width over 0..1, the tallest as high as the picture; whatever is there shows at least a pixel."""
    most = max(histogram, default=0) or 1
    size = len(histogram)
    bars = []
    for place, count in enumerate(histogram):
        if not count:
            continue
        tall = round(max(1.0, height * count / most), 1)
        low, high = place / size, (place + 1) / size
        bars.append(
            Bar(place * BAR_STEP, round(height - tall, 1), tall, _is_bad((low + high) / 2, threshold, direction),
                f"{low:.2f} to {high:.2f}: {count:,}")
        )  # fmt: skip
    return Picture(size * BAR_STEP, height, tuple(bars))


def _is_bad(middle: float, threshold: float | None, direction: Direction) -> bool:
    if threshold is None:
        return False
    return middle >= threshold if direction == "low_is_good" else middle < threshold
