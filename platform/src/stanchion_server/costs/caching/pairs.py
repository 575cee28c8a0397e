"""Which served answers people are asked to judge: a sample of pairs of questions that stays the same from look to look.

Whether a pair is drawn depends on a number made of its content alone and on how often it was served, so a pair that was
drawn once is drawn again as long as the traffic is like it was, and its verdict stays of use.
"""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stanchion_server.costs.caching.records import Numbers, Served, Truths
from stanchion_server.costs.caching.sweep import THRESHOLDS

MOST_OF_A_BAND = 80
"""Enough for a band on its own to be found right: 73 pairs without a wrong one."""
_RANK_BYTES = 6
"""Of a digest, that the rank is made of."""
EDGES = np.array(THRESHOLDS, dtype=np.float32).astype(np.float64)
"""Lower edges of the bands of similarity. Cosines are compared in float32, in which 0.9 is a little less."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A question and the earlier one whose answer it would have got, by calls that asked them. `hits` are counted in
    each of the judged caches. `chance` is how likely a pair that is served as often is drawn; `order` is its place
    among those of its band, shuffled: the first of them are a sample in which no pair is likelier than another."""

    id: str
    band: int
    order: int
    chance: float
    similarity: float
    asked: int
    answered: int
    hits: tuple[int, ...]


def mark_of(feature: str, key: int, text: str) -> bytes:
    """What stands for a question with all that must be equal besides its words."""
    told = f"{feature}\0{key}\0{text}".encode("utf-8", "replace")
    return hashlib.blake2b(told, digest_size=16).digest()


def bands_of(served: Served, mine: Truths) -> tuple[int, ...]:
    """Hits with other words in each band, least alike first, of the calls that are `mine`."""
    similarity = served.similarity[~served.is_equal & mine[served.asked]]
    return tuple(np.bincount(_band(similarity), minlength=len(EDGES)).tolist())


def _band(similarity: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Numbers:
    return np.maximum(np.searchsorted(EDGES, similarity, side="right") - 1, 0)


def sampled(served: Sequence[Served], marks: Sequence[bytes]) -> list[Pair]:
    """Up to MOST_OF_A_BAND of each band, from hits with other words. `served` is one for each judged cache, `marks` one
    for each call: calls with equal marks ask the same question."""
    by_band: dict[int, list[_Found]] = defaultdict(list)
    for one in _distinct(served, marks):
        by_band[one.band].append(one)
    return [pair for band in sorted(by_band) for pair in _drawn(by_band[band])]


@dataclass(frozen=True, slots=True)
class _Found:
    id: str
    band: int
    rank: float
    similarity: float
    asked: int
    answered: int
    hits: tuple[int, ...]


def _distinct(served: Sequence[Served], marks: Sequence[bytes]) -> list[_Found]:
    numbers: dict[bytes, int] = {}
    mark = np.array([numbers.setdefault(one, len(numbers)) for one in marks], dtype=np.int64)
    unequal = [~one.is_equal for one in served]
    asked = np.concatenate([one.asked[some] for one, some in zip(served, unequal, strict=True)])
    answered = np.concatenate([one.answered[some] for one, some in zip(served, unequal, strict=True)])
    similarity = np.concatenate([one.similarity[some] for one, some in zip(served, unequal, strict=True)])
    cache = np.repeat(np.arange(len(served)), [int(some.sum()) for some in unequal])
    codes = mark[asked] * max(1, len(numbers)) + mark[answered]
    _codes, first, pair = np.unique(codes, return_index=True, return_inverse=True)
    hits = np.zeros((len(first), len(served)), dtype=np.int64)
    np.add.at(hits, (pair.reshape(-1), cache), 1)
    return [
        _found(marks, float(similarity[place]), int(asked[place]), int(answered[place]), tuple(row))
        for place, row in zip(first.tolist(), hits.tolist(), strict=True)
    ]


def _found(marks: Sequence[bytes], similarity: float, asked: int, answered: int, hits: tuple[int, ...]) -> _Found:
    digest = hashlib.blake2b(marks[asked] + marks[answered], digest_size=16)
    band = int(_band(np.array([similarity]))[0])
    drawn = (int.from_bytes(digest.digest()[:_RANK_BYTES], "big") + 1) / (1 << 8 * _RANK_BYTES)
    return _Found(digest.hexdigest(), band, -math.log(drawn) / sum(hits), similarity, asked, answered, hits)


def _drawn(found: list[_Found]) -> list[Pair]:
    """Those of the lowest ranks: the rank of a pair that is served so many times is that of its luckiest time, so the
    next rank tells the chance of each (bottom-k samples with exponential ranks; Cohen and Kaplan 2007). Told in the
    order of bytes of the digest that no rank is made of: in that of their ranks the often served ones would come first,
    and as long as not all are judged they would count twice, by their hits and by their place."""
    found.sort(key=lambda one: (one.rank, one.id))
    limit = found[MOST_OF_A_BAND].rank if len(found) > MOST_OF_A_BAND else math.inf
    shuffled = sorted(found[:MOST_OF_A_BAND], key=lambda one: (one.id[2 * _RANK_BYTES :], one.id))
    return [
        Pair(
            one.id, one.band, order, max(-math.expm1(-sum(one.hits) * limit), 1e-9), one.similarity, one.asked,
            one.answered, one.hits,
        )
        for order, one in enumerate(shuffled)
    ]  # fmt: skip
