"""Distances between two samples: numbers, words, vectors. Pure.

`Numeric`, `Categorical` and `Meaning` are what a verdict rests on, each a statistic for `shuffling.judge`. The other
functions are further figures for people, who know them from elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stanchion_server.drift.records import Column, Flags, Numbers, Places
from stanchion_server.drift.shuffling import Statistic

MOST_CATEGORIES = 40
RARE = "(rare)"
_RARE_ROWS = 5
_PSI_BINS = 10
_PSI_FLOOR = 1e-4
_MMD_ROWS = 500


class Numeric:
    """Kolmogorov-Smirnov: the largest gap between the two cumulative shares, 0..1."""

    def __init__(self, values: Numbers, blocks: Places) -> None:
        order = np.argsort(values, kind="stable")
        ordered = values[order]
        self._blocks = blocks[order]
        self._ends = np.append(np.flatnonzero(np.diff(ordered)), len(values) - 1)

    def __call__(self, labels: Flags) -> Numbers:
        rows = labels[:, self._blocks].astype(np.float32)
        passed = np.cumsum(rows, axis=1, dtype=np.float32)
        total = passed[:, -1:]
        passed = passed[:, self._ends]
        others = (self._ends + 1).astype(np.float32) - passed
        gaps = np.abs(passed / np.maximum(total, 1) - others / np.maximum(len(self._blocks) - total, 1))
        return np.asarray(gaps.max(axis=1), dtype=np.float64)


class Categorical:
    """Jensen-Shannon distance in base 2: 0 where both windows have the same shares, 1 where they share no value.

    Values in fewer than five rows of both windows together count as one; one that is new in the current window counts
    like any other.
    """

    def __init__(self, values: Sequence[str], blocks: Places) -> None:
        self.labels, places = codes(values)
        self._table = np.zeros((int(blocks.max()) + 1, len(self.labels)), dtype=np.float64)
        np.add.at(self._table, (blocks, places), 1.0)
        self._total = self._table.sum(axis=0)

    def __call__(self, labels: Flags) -> Numbers:
        current = labels.astype(np.float64) @ self._table
        return jensen_shannon(shares(self._total - current), shares(current))


class Meaning:
    """Distance of the centres of two clouds of vectors, in units of the cloud's own spread."""

    def __init__(self, vectors: NDArray[np.float32], blocks: Places) -> None:
        self._table = np.zeros((int(blocks.max()) + 1, vectors.shape[1]), dtype=np.float64)
        np.add.at(self._table, blocks, vectors)
        self._rows = np.bincount(blocks, minlength=len(self._table)).astype(np.float64)
        self._total = self._table.sum(axis=0)
        centred = vectors - vectors.mean(axis=0)
        self._spread = float(np.sqrt((centred**2).sum(axis=1).mean())) or 1.0

    def __call__(self, labels: Flags) -> Numbers:
        flags = labels.astype(np.float64)
        current, rows = flags @ self._table, flags @ self._rows
        others = self._rows.sum() - rows
        shift = current / np.maximum(rows, 1)[:, None] - (self._total - current) / np.maximum(others, 1)[:, None]
        return np.asarray(np.linalg.norm(shift, axis=1) / self._spread, dtype=np.float64)


def of_column(column: Column) -> Statistic:
    if column.kind == "category":
        return Categorical([str(value) for value in column.values], column.blocks)
    if column.kind == "text":
        return Meaning(np.asarray(column.values, dtype=np.float32), column.blocks)
    return Numeric(np.asarray(column.values, dtype=np.float64), column.blocks)


def codes(values: Sequence[str]) -> tuple[list[str], Places]:
    """The words, commonest first, and the place of each row's word among them; rare ones are one word at the end."""
    words, inverse, counts = np.unique(np.array(values, dtype=object), return_inverse=True, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    kept = [place for place in order[:MOST_CATEGORIES] if counts[place] >= _RARE_ROWS]
    names = [str(words[place]) for place in kept]
    is_complete = len(kept) == len(words)
    lookup = np.full(len(words), len(kept), dtype=np.intp)
    lookup[kept] = np.arange(len(kept))
    return (names if is_complete else [*names, RARE]), lookup[inverse]


def shares(counts: Numbers) -> Numbers:
    return np.asarray(counts / np.maximum(counts.sum(axis=-1, keepdims=True), 1.0))


def jensen_shannon(one: Numbers, other: Numbers) -> Numbers:
    """Of distributions along the last axis."""
    middle = (one + other) / 2
    divergence = (_relative(one, middle) + _relative(other, middle)) / 2
    return np.asarray(np.sqrt(np.clip(divergence, 0.0, 1.0)))


def _relative(one: Numbers, middle: Numbers) -> Numbers:
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = np.where(one > 0, one * np.log2(one / middle), 0.0)
    return np.asarray(parts.sum(axis=-1))


def wasserstein(reference: Numbers, current: Numbers) -> float:
    """How far values moved on average, in standard deviations of the reference (of both where that has none)."""
    points = np.sort(np.concatenate((reference, current)))
    widths = np.diff(points)
    below = [np.searchsorted(np.sort(side), points[:-1], side="right") / len(side) for side in (reference, current)]
    distance = float((np.abs(below[0] - below[1]) * widths).sum())
    # The deviation of equal numbers may be a rounding error instead of zero.
    scales = [float(side.std()) for side in (reference, points) if np.ptp(side) > 0]
    return distance / scales[0] if scales else 0.0


def psi(reference: Numbers, current: Numbers) -> float:
    """Population stability index over tenths of the reference. Grows with small samples: a figure, not a test."""
    edges = np.unique(np.quantile(reference, np.linspace(0, 1, _PSI_BINS + 1)[1:-1]))
    counts = [
        np.bincount(np.searchsorted(edges, side, side="left"), minlength=len(edges) + 1)
        for side in (reference, current)
    ]
    return psi_of(counts[0].astype(np.float64), counts[1].astype(np.float64))


def psi_of(reference: Numbers, current: Numbers) -> float:
    before, now = (np.maximum(shares(counts), _PSI_FLOOR) for counts in (reference, current))
    return float(((now - before) * np.log(now / before)).sum())


def mmd(reference: NDArray[np.float32], current: NDArray[np.float32]) -> float:
    """Maximum mean discrepancy (squared, unbiased) with an RBF kernel whose width is the median distance; of at most
    500 evenly chosen rows a side. Slightly negative where nothing differs."""
    one, other = (_thinned(side).astype(np.float64) for side in (reference, current))
    distances = _squares(np.concatenate((one, other)))
    width = float(np.median(distances[np.triu_indices(len(distances), 1)])) or 1.0
    kernel = np.exp(-distances / width)
    np.fill_diagonal(kernel, 0.0)
    n, m = len(one), len(other)
    within = kernel[:n, :n].sum() / (n * (n - 1)) + kernel[n:, n:].sum() / (m * (m - 1))
    return float(within - 2 * kernel[:n, n:].mean())


def _thinned(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    if len(rows) <= _MMD_ROWS:
        return rows
    return rows[np.linspace(0, len(rows) - 1, _MMD_ROWS).astype(np.intp)]


def _squares(rows: Numbers) -> Numbers:
    lengths = (rows**2).sum(axis=1)
    return np.asarray(np.maximum(lengths[:, None] + lengths[None, :] - 2 * rows @ rows.T, 0.0))
