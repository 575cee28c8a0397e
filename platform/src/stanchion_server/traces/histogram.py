"""Histograms of durations in log buckets: mergeable by addition, a percentile is within 1 % of the truth. Pure.

Bucket b holds values in (1.02^(b-1), 1.02^b] milliseconds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

GAMMA = 1.02
SHORTEST_MS = 0.001
"""Anything shorter falls into the bucket of one microsecond: zero has no logarithm."""


def bucket_of(duration_ms: float) -> int:
    return math.ceil(math.log(max(duration_ms, SHORTEST_MS)) / math.log(GAMMA))


def bucket_sql(duration_ms: str) -> str:
    """The SQL expression equal to `bucket_of`, for an SQL expression of type double precision."""
    return f"ceil(ln(greatest({duration_ms}, {SHORTEST_MS}::float8)) / ln({GAMMA}::float8))::smallint"


def value_of(bucket: int) -> float:
    """The point of a bucket with the smallest largest relative error (1 %), in milliseconds."""
    return float(2 * GAMMA**bucket / (1 + GAMMA))


def percentile(counts: Mapping[int, int], fraction: float) -> float | None:
    """The value below which `fraction` of all values lie; None for an empty histogram."""
    total = sum(counts.values())
    if not total:
        return None
    rank = max(1, math.ceil(fraction * total))
    seen = 0
    for bucket in sorted(counts):
        seen += counts[bucket]
        if seen >= rank:
            return value_of(bucket)
    return None
