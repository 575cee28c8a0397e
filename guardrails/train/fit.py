"""Training of one target: documents become windows, a logistic regression learns windows, the worst window speaks.

A long attack has harmless sentences too, so after a first fit only the loudest windows of a positive document stay
positive (multiple-instance learning); every window of a harmless document is negative.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from stanchion_guard.classifiers import features, lexicon
from stanchion_guard.classifiers.linear import WINDOWS, sizes

CLASSES = len(lexicon.CLASSES)
_UPPER = np.triu_indices(CLASSES, 1)
WIDTH = (1 << features.CHARACTER_BITS) + features.WORD_ROWS + CLASSES + len(_UPPER[0]) + len(WINDOWS)
_WORDS = slice(1 << features.CHARACTER_BITS, (1 << features.CHARACTER_BITS) + features.WORD_ROWS)
NEGATIVE_WINDOWS = 6
"""Windows of each size that a harmless document gives to the training."""


@dataclass(frozen=True)
class Meanings:
    """A vector for the table row of each known word. In training they are columns beside the others; what is learned on
    them is then added to the words' own weights, so that reading a text costs nothing more."""

    table: sparse.csr_matrix

    @classmethod
    def read(cls, path: Path, scale: float) -> Meanings:
        with np.load(path) as stored:
            rows, first = np.unique(features.single_rows(stored["hashes"]), return_index=True)
            vectors = stored["vectors"][first] * scale
        width = vectors.shape[1]
        places = (vectors.ravel(), np.tile(np.arange(width), len(rows)), np.arange(0, vectors.size + 1, width))
        by_row = sparse.csr_matrix(places, shape=(len(rows), width))
        pick = sparse.csr_matrix((np.ones(len(rows)), (rows, np.arange(len(rows)))), (features.WORD_ROWS, len(rows)))
        return cls((pick @ by_row).astype(np.float32).tocsr())

    def columns(self, rows: sparse.csr_matrix) -> sparse.csr_matrix:
        return rows[:, _WORDS] @ self.table

    def folded(self, weights: np.ndarray) -> np.ndarray:
        """Weights of WIDTH columns, from those with the vectors' columns at their end."""
        found: np.ndarray = weights[:WIDTH].copy()
        found[_WORDS] += self.table @ weights[WIDTH:]
        return found


@dataclass(frozen=True)
class Windows:
    """One document's windows: a sparse row, the size, and the count of segments."""

    rows: sparse.csr_matrix
    sizes: np.ndarray
    segments: int


def _table(rows: np.ndarray, bounds: np.ndarray, width: int) -> sparse.csr_matrix:
    ones = np.ones(len(rows), dtype=np.float32)
    return sparse.csr_matrix((ones, rows, bounds), shape=(len(bounds) - 1, width))


def _class_rows(classes: np.ndarray) -> sparse.csr_matrix:
    bits = np.arange(CLASSES, dtype=np.uint32)
    present = ((classes[:, None] >> bits) & 1).astype(np.float32)
    pairs = present[:, _UPPER[0]] * present[:, _UPPER[1]]
    return sparse.csr_matrix(np.hstack((present, pairs)))


def _runs(count: int, size: int) -> sparse.csr_matrix:
    size = min(size, count)
    rows = count - size + 1
    columns = (np.arange(rows)[:, None] + np.arange(size)).ravel()
    return sparse.csr_matrix(
        (np.ones(rows * size, dtype=np.float32), columns, np.arange(0, rows * size + 1, size)), shape=(rows, count)
    )


def _scaled(rows: sparse.csr_matrix) -> sparse.csr_matrix:
    counts = np.asarray(rows.sum(axis=1)).ravel()
    return sparse.diags((1 / np.sqrt(np.maximum(counts, 1))).astype(np.float32)) @ rows


def windows(text: str, most_segments: int = 400) -> Windows | None:
    """The windows of a folded text, or None without letters. Beyond `most_segments` the text is cut (training only)."""
    found = features.grams(text)
    count = min(len(found), most_segments)
    if not count:
        return None
    letters = _table(
        found.characters[: found.character_bounds[count]],
        found.character_bounds[: count + 1],
        1 << features.CHARACTER_BITS,
    )
    words = _table(found.words[: found.word_bounds[count]], found.word_bounds[: count + 1], features.WORD_ROWS)
    classes = _class_rows(found.classes[:count])
    blocks, marks = [], []
    for size in sizes(count):
        run = _runs(count, size)
        length = min(size, count)
        bias = np.zeros((run.shape[0], len(WINDOWS)), dtype=np.float32)
        bias[:, WINDOWS.index(size)] = 1
        parts = (_scaled(run @ letters), _scaled(run @ words), run @ classes / math.sqrt(length), bias)
        blocks.append(sparse.hstack([sparse.csr_matrix(part) for part in parts], format="csr", dtype=np.float32))
        marks.append(np.full(run.shape[0], size))
    return Windows(sparse.vstack(blocks, format="csr"), np.concatenate(marks), count)


def _sample(doc: Windows, generator: np.random.Generator) -> np.ndarray:
    chosen = []
    for size in np.unique(doc.sizes):
        places = np.flatnonzero(doc.sizes == size)
        chosen.append(generator.permutation(places)[:NEGATIVE_WINDOWS])
    return np.concatenate(chosen)


def _loudest(doc: Windows, weights: np.ndarray | None) -> np.ndarray:
    """The widest windows, and of each narrower size but the narrowest the loudest one."""
    chosen = [np.flatnonzero(doc.sizes == doc.sizes.max())[:4]]
    if weights is None:
        return chosen[0]
    values = doc.rows @ weights
    for size in np.unique(doc.sizes)[:-1]:
        places = np.flatnonzero(doc.sizes == size)
        if size > 1:
            chosen.append(places[[int(values[places].argmax())]])
    return np.concatenate(chosen)


@dataclass(frozen=True)
class Fit:
    """What one training needs: a source gets the weight its share asks for, whatever its size."""

    strength: float = 3.0
    rounds: int = 2
    class_scale: float = 0.3
    source_power: float = 0.5
    meanings: Meanings | None = None


PLAIN = Fit()


def _shares(labels: np.ndarray, sources: Sequence[str], power: float) -> np.ndarray:
    """Document weights: a source of n documents weighs n**power, and both labels weigh the same in all."""
    _names, index, counts = np.unique(np.array(sources), return_inverse=True, return_counts=True)
    share = counts[index].astype(float) ** (power - 1)
    for label in (0, 1):
        share[labels == label] /= share[labels == label].sum()
    return share * len(labels) / 2


def _with_meanings(rows: sparse.csr_matrix, scale: np.ndarray, meanings: Meanings | None) -> sparse.csr_matrix:
    scaled = rows @ sparse.diags(scale)
    return scaled if meanings is None else sparse.hstack([scaled, meanings.columns(rows)], format="csr")


def _without_meanings(found: np.ndarray, scale: np.ndarray, meanings: Meanings | None) -> np.ndarray:
    weights = found.copy()
    weights[:WIDTH] *= scale
    folded = weights if meanings is None else meanings.folded(weights)
    return folded.astype(np.float32)


def train(docs: Sequence[Windows], labels: np.ndarray, sources: Sequence[str], fit: Fit = PLAIN) -> np.ndarray:
    """Weights of WIDTH columns. Deterministic."""
    generator = np.random.default_rng(7)
    shares = _shares(labels, sources, fit.source_power)
    scale = np.ones(WIDTH, dtype=np.float32)
    scale[-(CLASSES + len(_UPPER[0]) + len(WINDOWS)) : -len(WINDOWS)] = fit.class_scale
    fixed = {i: _sample(doc, generator) for i, doc in enumerate(docs) if labels[i] == 0}
    weights: np.ndarray | None = None
    for _ in range(fit.rounds):
        blocks, truth, share = [], [], []
        for i, doc in enumerate(docs):
            chosen = fixed[i] if labels[i] == 0 else _loudest(doc, weights)
            blocks.append(doc.rows[chosen])
            truth.append(np.full(len(chosen), labels[i]))
            share.append(np.full(len(chosen), shares[i] / math.sqrt(len(chosen))))
        matrix = _with_meanings(sparse.vstack(blocks, format="csr"), scale, fit.meanings)
        model = LogisticRegression(C=fit.strength, solver="lbfgs", max_iter=60, tol=1e-3, fit_intercept=False)
        model.fit(matrix, np.concatenate(truth), sample_weight=np.concatenate(share))
        weights = _without_meanings(model.coef_[0], scale, fit.meanings)
    assert weights is not None
    return weights


def logit(doc: Windows, weights: np.ndarray) -> float:
    """The loudest window's."""
    return float((doc.rows @ weights).max())
