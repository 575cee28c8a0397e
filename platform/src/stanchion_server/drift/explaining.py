"""What stands behind a finding: bars, new values, which calls carry the change, and examples. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from stanchion_server.drift import shuffling, statistics
from stanchion_server.drift.records import Bars, Column, Finding, Flags, Numbers, Sample, Segment

DIMENSIONS = (
    "feature", "model", "provider", "prompt_version", "release", "environment", "service", "language", "topic",
    "outcome",
)  # fmt: skip
MOST_SEGMENTS = 3
MOST_EXAMPLES = 5
MOST_NEW_VALUES = 10
_BINS = 14
_BARS = 8
_SMALLEST_SHARE, _LARGEST_SHARE = 0.02, 0.95
_LEAST_CONTRIBUTION = 0.2
_FEWEST_LEFT = 30
_MOST_VALUES = 8
_SKEWED = 8.0


def second_figures(column: Column) -> dict[str, float]:
    """Figures that people know from elsewhere; no verdict rests on them."""
    now = column.is_current
    if column.kind == "number":
        values = np.asarray(column.values, dtype=np.float64)
        before, after = values[~now], values[now]
        figures = {"psi": statistics.psi(before, after), "wasserstein": statistics.wasserstein(before, after)}
        return figures | {"median_reference": float(np.median(before)), "median_current": float(np.median(after))}
    if column.kind == "category":
        counts = _counts(column)
        return {"psi": statistics.psi_of(counts[0], counts[1])}
    vectors = np.asarray(column.values, dtype=np.float32)
    return {"mmd": statistics.mmd(vectors[~now], vectors[now])}


def _counts(column: Column) -> tuple[Numbers, Numbers]:
    labels, places = statistics.codes([str(value) for value in column.values])
    sides = (places[~column.is_current], places[column.is_current])
    before, now = (np.bincount(side, minlength=len(labels)).astype(np.float64) for side in sides)
    return before, now


def bars(column: Column) -> Bars:
    if column.kind == "number":
        return _number_bars(np.asarray(column.values, dtype=np.float64), column.is_current)
    if column.kind == "category":
        return _category_bars(column)
    return Bars()


def _number_bars(values: Numbers, is_current: Flags) -> Bars:
    """Bins of equal width between the half-percent ends of both windows; of equal ratio where numbers are skewed."""
    low, middle, high = (float(edge) for edge in np.quantile(values, (0.005, 0.5, 0.995)))
    if low == high:
        low, high = low - 0.5, high + 0.5
    is_skewed = low > 0 and high > _SKEWED * middle
    edges = np.geomspace(low, high, _BINS + 1) if is_skewed else np.linspace(low, high, _BINS + 1)
    inside = np.clip(values, low, high)
    counts = [np.histogram(inside[side], edges)[0].astype(np.float64) for side in (~is_current, is_current)]
    before, now = (tuple(float(share) for share in statistics.shares(count)) for count in counts)
    return Bars(before, now, edges=tuple(float(edge) for edge in edges))


def _category_bars(column: Column) -> Bars:
    """The values whose shares changed most, by size of the change; what is left is one bar."""
    labels, _places = statistics.codes([str(value) for value in column.values])
    before, now = (statistics.shares(counts) for counts in _counts(column))
    order = sorted(range(len(labels)), key=lambda place: -abs(float(now[place] - before[place])))
    shown, rest = order[:_BARS], order[_BARS:]
    names = [labels[place] for place in shown] + (["(others)"] if rest else [])
    sides = []
    for share in (before, now):
        listed = [float(share[place]) for place in shown]
        sides.append(tuple(listed + ([float(share[rest].sum())] if rest else [])))
    return Bars(sides[0], sides[1], labels=tuple(names))


def new_values(column: Column) -> tuple[str, ...]:
    """Values of the current window that the reference has not at all, commonest first."""
    if column.kind != "category":
        return ()
    known = {value for value, now in zip(column.values, column.is_current, strict=True) if not now}
    new = Counter(
        str(value) for value, now in zip(column.values, column.is_current, strict=True) if now and value not in known
    )
    return tuple(value for value, _count in new.most_common(MOST_NEW_VALUES))


def explained(
    finding: Finding, column: Column, sample: Sample, words: Mapping[str, Mapping[str, Sequence[str]]]
) -> Finding:
    """A column that drifted with its words and, where its rows are calls, with segments and examples."""
    if finding.verdict != "drift":
        return finding
    told = replace(finding, words=words.get(finding.column, {}))
    if column.calls is None:
        return told
    examples = tuple(sample.keys[int(column.calls[place])] for place in _telling_rows(column))
    return replace(told, segments=segments(column, sample), examples=examples)


def segments(column: Column, sample: Sample) -> tuple[Segment, ...]:
    """The groups of calls whose leaving takes away most of the statistic, at most one for each dimension."""
    whole = _value(column, np.ones(len(column.is_current), dtype=np.bool_))
    best = []
    for dimension in DIMENSIONS:
        if dimension != column.name and dimension in sample.labels and whole:
            best += _best_segment(column, dimension, _told(column, sample, dimension), whole)
    return tuple(sorted(best, key=lambda segment: -segment.contribution_ratio)[:MOST_SEGMENTS])


def _told(column: Column, sample: Sample, dimension: str) -> NDArray[np.object_]:
    assert column.calls is not None
    listed = sample.labels[dimension]
    return np.array([listed[int(place)] or "" for place in column.calls], dtype=object)


def _best_segment(column: Column, dimension: str, told: NDArray[np.object_], whole: float) -> list[Segment]:
    common = [value for value, _count in Counter(told).most_common(_MOST_VALUES)]
    found = [_segment(column, dimension, str(value), np.asarray(told == value), whole) for value in common]
    known = [one for one in found if one is not None and one.contribution_ratio >= _LEAST_CONTRIBUTION]
    return [max(known, key=lambda segment: segment.contribution_ratio)] if known else []


def _segment(column: Column, dimension: str, value: str, inside: Flags, whole: float) -> Segment | None:
    """None for a group too small, one that is nearly everything, or one without which too few rows are left."""
    now = column.is_current
    shares = [float(inside[side].mean()) for side in (~now, now)]
    left = [int((~inside & side).sum()) for side in (~now, now)]
    if not max(shares) >= _SMALLEST_SHARE or min(shares) > _LARGEST_SHARE or min(left) < _FEWEST_LEFT:
        return None
    without = _value(column, ~inside)
    return Segment(dimension, value, shares[0], shares[1], without, max(0.0, 1 - without / whole))


def _value(column: Column, kept: Flags) -> float:
    """The statistic of these rows alone."""
    values = np.asarray(column.values, dtype=object if column.kind == "category" else None)[kept]
    _names, blocks = np.unique(column.blocks[kept], return_inverse=True)
    part = replace(column, values=values, is_current=column.is_current[kept], blocks=blocks, calls=None)
    sides = shuffling.sides_of(part.blocks, part.is_current)
    return float(statistics.of_column(part)(sides[None, :])[0])


def _telling_rows(column: Column) -> Sequence[int]:
    """Rows of the current window that look least like the reference: of the bin or value that grew most, or furthest
    along the way from one centre to the other."""
    now = np.flatnonzero(column.is_current)
    if column.kind == "text":
        vectors = np.asarray(column.values, dtype=np.float32)
        way = vectors[now].mean(axis=0) - vectors[~column.is_current].mean(axis=0)
        return [int(place) for place in now[np.argsort(-(vectors[now] @ way))[:MOST_EXAMPLES]]]
    if column.kind == "category":
        places = statistics.codes([str(value) for value in column.values])[1]
    else:
        edges = np.unique(np.quantile(np.asarray(column.values, dtype=np.float64), np.linspace(0.1, 0.9, 9)))
        places = np.searchsorted(edges, np.asarray(column.values, dtype=np.float64)).astype(np.intp)
    counts = [
        np.bincount(places[side], minlength=int(places.max()) + 1) for side in (~column.is_current, column.is_current)
    ]
    gains = statistics.shares(counts[1].astype(np.float64)) - statistics.shares(counts[0].astype(np.float64))
    return [int(place) for place in now if places[place] == int(gains.argmax())][:MOST_EXAMPLES]
