"""How many answers of a cache would have been wrong, by what people said of sampled pairs. Pure."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from stanchion_server.quality.intervals import Interval, wilson

TOLERATED = 0.05
"""A threshold is proposed where wrong answers surely (95 %) stay below this share of the hits with other words."""
SAME, WRONG, UNSURE = "same", "wrong", "unsure"
_Weighted = list[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Judged:
    """What was said of a pair that was drawn by `chance` from what stands at `band` among a cache's hits; it served it
    `hits` times."""

    band: int
    chance: float
    hits: int
    verdict: str


@dataclass(frozen=True, slots=True)
class WrongHits:
    """Of hits with other words. `ratio` is None while no pair was judged to be either; `low` and `high` are its 95 %
    interval. `unseen_ratio` of the hits are as alike as no pair of their feature that was judged: they may be all right
    or all wrong.
    """

    pairs: int
    wrong: int
    unsure: int
    ratio: float | None
    low: float
    high: float
    unseen_ratio: float

    @property
    def is_tolerable(self) -> bool:
        return self.high < TOLERATED

    @property
    def is_intolerable(self) -> bool:
        return self.low > TOLERATED


def estimate(bands: Sequence[int], judged: Iterable[Judged]) -> WrongHits | None:
    """None where nothing with other words was served. `bands` are a cache's hits in each band of similarity,
    of each feature where they are of several.

    A pair stands for its hits by its chance, a band for its hits by those of its pairs. The interval is Wilson's with
    the effective number of pairs: the lower of Kish's, by the weights alone, and that of the weighted deviations. Pairs
    of which a person was not sure are right at the lower end and wrong at the upper.
    """
    total = sum(bands)
    if not total:
        return None
    seen = [one for one in judged if one.hits and bands[one.band]]
    sure = [one for one in seen if one.verdict != UNSURE]
    unseen = 1 - sum(bands[band] for band in {one.band for one in seen}) / total
    wrong = sum(one.verdict == WRONG for one in seen)
    low = _interval(bands, seen, {WRONG}).low if wrong else 0.0
    high = _interval(bands, seen, {WRONG, UNSURE}).high
    return WrongHits(
        pairs=len(seen), wrong=wrong, unsure=len(seen) - len(sure),
        ratio=_share(_weighted(bands, sure, {WRONG})) if sure else None,
        low=low * (1 - unseen), high=min(1.0, high * (1 - unseen) + unseen), unseen_ratio=unseen,
    )  # fmt: skip


def _interval(bands: Sequence[int], seen: Sequence[Judged], counted: set[str]) -> Interval:
    weighted = _weighted(bands, seen, counted)
    if not weighted:
        return Interval(0.0, 1.0)
    share, number = _share(weighted), 1 / math.fsum(weight**2 for weight, _value in weighted)
    spread = math.fsum((weight * (value - share)) ** 2 for weight, value in weighted)
    if spread > 0:
        number = min(number, share * (1 - share) / spread)
    return wilson(share * number, number)


def _share(weighted: _Weighted) -> float:
    return min(1.0, math.fsum(weight * value for weight, value in weighted))


def _weighted(bands: Sequence[int], seen: Sequence[Judged], counted: set[str]) -> _Weighted:
    """(weight, 1 for counted verdicts), the weights together 1."""
    by_band: dict[int, list[Judged]] = defaultdict(list)
    for one in seen:
        by_band[one.band].append(one)
    of_all = sum(bands[band] for band in by_band)
    found = []
    for band, some in by_band.items():
        of_band = math.fsum(one.hits / one.chance for one in some)
        found += [
            (bands[band] / of_all * one.hits / one.chance / of_band, float(one.verdict in counted)) for one in some
        ]
    return found
