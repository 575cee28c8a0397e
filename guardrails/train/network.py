"""A small network in numpy: a linear part beside one layer of tanh, several of them from different starts averaged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
HIDDEN, NETS, EPOCHS, BATCH, STEP, DECAY = 12, 5, 40, 64, 3e-3, 2e-3
"""Units of one network, networks, passes over the data, rows of a step, Adam's step, weight decay of a step."""


@dataclass(frozen=True, slots=True)
class Network:
    """For raw values x: the logit is x @ direct + tanh(x @ inner + bias) @ outer + rest."""

    direct: Matrix
    inner: Matrix
    bias: Matrix
    outer: Matrix
    rest: float

    def score(self, values: Matrix) -> Matrix:
        logit = values @ self.direct + np.tanh(values @ self.inner + self.bias) @ self.outer + self.rest
        return np.asarray(1 / (1 + np.exp(-np.clip(logit, -40, 40))))


def fit(values: Matrix, labels: Matrix, weights: Matrix, seed: int) -> Network:
    """The mean of `NETS` networks as one of `NETS * HIDDEN` units, standardisation folded in."""
    mean, spread = values.mean(0), values.std(0) + 1e-3
    x, share = (values - mean) / spread, weights / weights.mean()
    found = [_one(x, labels, share, np.random.default_rng(seed + i)) for i in range(NETS)]
    direct = np.mean([u for u, _, _, _, _ in found], axis=0) / spread
    inner = np.concatenate([w for _, w, _, _, _ in found], axis=1) / spread[:, None]
    bias = np.concatenate([b for _, _, b, _, _ in found]) - mean @ inner
    outer = np.concatenate([v for _, _, _, v, _ in found]) / NETS
    rest = float(np.mean([c[0] for _, _, _, _, c in found]) - mean @ direct)
    return Network(direct, inner, bias, outer, rest)


def _one(x: Matrix, y: Matrix, share: Matrix, rng: np.random.Generator) -> list[Matrix]:
    width = x.shape[1]
    parts = [
        np.zeros(width),
        rng.normal(0, width**-0.5, (width, HIDDEN)),
        np.zeros(HIDDEN),
        rng.normal(0, 0.1, HIDDEN),
        np.zeros(1),
    ]
    first, second, time = [np.zeros_like(p) for p in parts], [np.zeros_like(p) for p in parts], 0
    for epoch in range(EPOCHS):
        step = STEP * (1 - epoch / EPOCHS)
        for rows in np.array_split(rng.permutation(len(x)), max(1, len(x) // BATCH)):
            time += 1
            for i, slope in enumerate(_slopes(parts, x[rows], y[rows], share[rows])):
                first[i] = 0.9 * first[i] + 0.1 * slope
                second[i] = 0.999 * second[i] + 0.001 * slope * slope
                move = first[i] / (1 - 0.9**time) / (np.sqrt(second[i] / (1 - 0.999**time)) + 1e-8)
                parts[i] = parts[i] - step * (move + (DECAY / STEP * parts[i] if i != 4 else 0.0))
    return parts


def _slopes(parts: list[Matrix], x: Matrix, y: Matrix, share: Matrix) -> list[Matrix]:
    direct, inner, bias, outer, rest = parts
    hidden = np.tanh(x @ inner + bias)
    chance = 1 / (1 + np.exp(-np.clip(x @ direct + hidden @ outer + rest, -40, 40)))
    error = share * (chance - y) / len(y)
    back = error[:, None] * outer * (1 - hidden * hidden)
    return [x.T @ error, x.T @ back, back.sum(0), hidden.T @ error, np.array([error.sum()])]
