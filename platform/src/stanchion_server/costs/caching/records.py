"""Recorded calls as a cache sees them, what a cache is set to, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Rows = NDArray[np.float32]
Numbers = NDArray[np.int64]
Truths = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Traffic:
    """Calls in order of `at_s`, a column each, of one cache.

    `key` numbers what must be equal besides the text: the instructions, the turns before, and what of the question is
    too long to be embedded. `text` is a row of the embeddings; equal texts share one. `usd` is 0 where `is_priced` is
    false. Only the answer of a call that `is_answered` can be kept; it is there `duration_s` after the call began.
    """

    at_s: Floats
    duration_s: Floats
    key: Numbers
    text: Numbers
    model: Numbers
    usd: Floats
    is_priced: Truths
    is_answered: Truths

    def __len__(self) -> int:
        return len(self.at_s)


@dataclass(frozen=True, slots=True)
class Setting:
    """`threshold` is the least cosine that is served, None for equal texts only. An answer is served for `ttl_s` after
    it was kept, None for ever; with more than `capacity` answers the one longest unused goes. `is_shared`: models
    serve each other's answers."""

    threshold: float | None
    ttl_s: float | None
    capacity: int | None = None
    is_shared: bool = True


@dataclass(frozen=True, slots=True)
class Served:
    """Hits in order of time: the call that asked, the call whose answer it would have got, and how alike they are.
    `is_equal`: the texts are the same."""

    asked: Numbers
    answered: Numbers
    similarity: Floats
    is_equal: Truths


@dataclass(frozen=True, slots=True)
class Kept:
    """Answers of one cache that made way for others, that became too old, and the most there were at a time."""

    evicted: int
    expired: int
    entries: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """`saved_usd` and `saved_s` are what the served calls had cost and taken, before any upkeep; `unpriced_hits` add
    nothing to the dollars. Ages are those of served answers, None without a hit. `kept` is None for some calls of a
    cache that others use, too."""

    setting: Setting
    lookups: int
    hits: int
    equal_hits: int
    saved_usd: float
    unpriced_hits: int
    saved_s: float
    age_p50_s: float | None
    age_p95_s: float | None
    kept: Kept | None

    @property
    def hit_ratio(self) -> float | None:
        return self.hits / self.lookups if self.lookups else None
