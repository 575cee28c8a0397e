"""Training of one target: documents become windows, a logistic regression learns windows, the loudest window speaks.

A long attack has harmless sentences too, so after a first fit only the loudest windows of a positive document stay
positive (multiple-instance learning). Of a harmless document some windows by chance and, after the first fit, the
loudest ones are negative. One core and half a minute for ten thousand documents.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import sparse
from scipy.optimize import minimize

from stanchion_guard.classifiers import features, lexicon
from stanchion_guard.classifiers.linear import WINDOWS, sizes

MASKS = np.array(lexicon.combinations(), dtype=np.uint32)
KINDS = len(features.KINDS)
MOST_SEGMENTS = 240
"""Of a longer text only the beginning is trained on."""
Ints = np.ndarray
Floats = np.ndarray


@dataclass(frozen=True)
class Known:
    """What wordlists.py wrote: numbers for the table rows of words. In training they are columns beside the others;
    what is learned on them is then added to the words' own weights, so that reading a text costs nothing more."""

    rows: Ints
    vectors: Floats

    @classmethod
    def read(cls, path: Path) -> Known:
        with np.load(path) as stored:
            rows, first = np.unique(features.word_rows(stored["hashes"]), return_index=True)
            return cls(rows, stored["vectors"][first].astype(np.float32))


@dataclass(frozen=True)
class Texts:
    """Features of many documents in one row of words: `rows` has a line for each word, `words` and `segments` say where
    each document begins in it and in `classes` and `firsts` (first words of segments)."""

    rows: Ints
    firsts: Ints
    classes: Ints
    words: Ints
    segments: Ints

    def __len__(self) -> int:
        return len(self.words) - 1

    def segment_counts(self) -> Ints:
        return np.diff(self.segments)


def read_texts(texts: Sequence[str]) -> Texts:
    """Every text must have a letter."""
    rows, firsts, classes, words, segments = [], [], [], [0], [0]
    for text in texts:
        found = features.grams(text)
        count = min(len(found), MOST_SEGMENTS)
        length = int(found.firsts[count])
        rows.append(found.rows[:, :length].T)
        firsts.append(found.firsts[:count] + words[-1])
        classes.append(found.classes[:count])
        words.append(words[-1] + length)
        segments.append(segments[-1] + count)
    return Texts(
        np.concatenate(rows),
        np.concatenate([*firsts, [words[-1]]]),
        np.concatenate(classes),
        np.array(words),
        np.array(segments),
    )


@dataclass(frozen=True)
class Windows:
    """Every window of every document: its document, size, first segment and the segment after its last."""

    docs: Ints
    size: Ints
    first: Ints
    after: Ints


def windows_of(texts: Texts) -> Windows:
    docs, size, first, after = [], [], [], []
    for number, (start, end) in enumerate(zip(texts.segments[:-1], texts.segments[1:], strict=True)):
        count = int(end - start)
        for one in sizes(count):
            length = min(one, count)
            starts = np.arange(start, end - length + 1)
            docs.append(np.full(len(starts), number))
            size.append(np.full(len(starts), WINDOWS.index(one)))
            first.append(starts)
            after.append(starts + length)
    return Windows(*(np.concatenate(part) for part in (docs, size, first, after)))


@dataclass(frozen=True)
class Model:
    """`table` weighs the features' rows, `classes` the MASKS, `biases` the window sizes."""

    table: Floats
    classes: Floats
    biases: Floats


@dataclass(frozen=True)
class Fit:
    """A document's weight falls with the size of its source; each kind of feature has a scale, which is how dear its
    weights are to the regularisation. The first fit serves to find the loudest windows."""

    strength: float = 3.0
    class_scale: float = 0.8
    known_scale: float = 10.0
    source_power: float = 0.5
    kind_scales: tuple[float, ...] = (1.0,) * KINDS
    negatives: int = 3
    hard_negatives: int = 1
    widest: int = 2
    iterations: tuple[int, ...] = (15, 40)
    seed: int = 7
    known: Known | None = None


PLAIN = Fit()


def mean(models: Sequence[Model], spreads: Sequence[float]) -> Model:
    """One model whose logits are the mean of the others', each divided by its spread."""
    shares = [1 / (spread * len(models)) for spread in spreads]
    parts = (
        sum(getattr(model, name) * share for model, share in zip(models, shares, strict=True))
        for name in ("table", "classes", "biases")
    )
    return Model(*(np.asarray(part, dtype=np.float32) for part in parts))


def _present(texts: Texts) -> sparse.csr_matrix:
    """A line for each segment, a column for each mask that stands in it whole."""
    distinct, place = np.unique(texts.classes, return_inverse=True)
    found = (distinct[:, None] & MASKS) == MASKS
    return sparse.csr_matrix(found.astype(np.float32))[place]


def _lengths(texts: Texts, windows: Windows) -> Floats:
    return (texts.firsts[windows.after] - texts.firsts[windows.first]).astype(np.float32)


def logits(texts: Texts, windows: Windows, model: Model) -> Floats:
    """Of every window."""
    words = np.zeros(len(texts.rows) + 1)
    for start in range(0, len(texts.rows), 1 << 18):
        part = model.table.take(texts.rows[start : start + (1 << 18)]).sum(axis=1)
        words[start + 1 : start + 1 + len(part)] = part
    words = np.cumsum(words)
    classes = np.concatenate(([0.0], np.cumsum(_present(texts) @ model.classes)))
    sums = words[texts.firsts[windows.after]] - words[texts.firsts[windows.first]]
    sums += classes[windows.after] - classes[windows.first]
    found: Floats = sums / np.sqrt(_lengths(texts, windows)) + model.biases[windows.size]
    return found


def loudest(texts: Texts, windows: Windows, model: Model, allowances: Floats | float = 0.0) -> Floats:
    """Of every document: the logit of its loudest window, each less what it has to score more."""
    found = np.full(len(texts), -np.inf)
    np.maximum.at(found, windows.docs, logits(texts, windows, model) - allowances)
    return found


def _ranges(starts: Ints, ends: Ints) -> Ints:
    """All integers of all the ranges, one range after the other."""
    lengths = ends - starts
    steps = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return steps + np.repeat(starts, lengths)


@dataclass(frozen=True)
class _Matrix:
    """Columns of the chosen windows: those table rows that occur, classes and sizes, and what is known of the words."""

    used: Ints
    table: sparse.csr_matrix
    classes: sparse.csr_matrix
    sizes: sparse.csr_matrix
    known: Floats


def _matrix(texts: Texts, windows: Windows, chosen: Ints, present: sparse.csr_matrix, fit: Fit) -> _Matrix:
    first, after = windows.first[chosen], windows.after[chosen]
    starts, ends = texts.firsts[first], texts.firsts[after]
    rows = texts.rows[_ranges(starts, ends)]
    scale = np.repeat(1 / np.sqrt(ends - starts), ends - starts).astype(np.float32)
    bounds = np.concatenate(([0], np.cumsum((ends - starts) * KINDS)))
    seen = np.zeros(features.ROWS, dtype=bool)
    seen[rows.ravel()] = True
    used = np.flatnonzero(seen)
    column = np.zeros(features.ROWS, dtype=np.int32)
    column[used] = np.arange(len(used), dtype=np.int32)
    values = scale[:, None] * np.array(fit.kind_scales, dtype=np.float32)
    table = sparse.csr_matrix((values.ravel(), column[rows.ravel()], bounds), (len(chosen), len(used)))
    runs = np.concatenate(([0], np.cumsum(after - first)))
    weights = np.repeat(fit.class_scale / np.sqrt(ends - starts), after - first).astype(np.float32)
    pick = sparse.csr_matrix((weights, _ranges(first, after), runs), (len(chosen), len(texts.classes)))
    marks = sparse.csr_matrix(
        (np.ones(len(chosen), dtype=np.float32), windows.size[chosen], np.arange(len(chosen) + 1)),
        (len(chosen), len(WINDOWS)),
    )
    return _Matrix(used, table, (pick @ present).tocsr(), marks, _known(rows[:, 0], scale, ends - starts, fit))


def _known(words: Ints, scale: Floats, lengths: Ints, fit: Fit) -> Floats:
    if fit.known is None:
        return np.zeros((len(lengths), 0), dtype=np.float32)
    place = np.searchsorted(fit.known.rows, words).clip(max=len(fit.known.rows) - 1)
    known = fit.known.rows[place] == words
    bounds = np.concatenate(([0], np.cumsum(lengths)))
    values = np.where(known, scale, 0).astype(np.float32)
    pick = sparse.csr_matrix((values, place, bounds), (len(lengths), len(fit.known.rows)))
    return np.asarray(pick @ (fit.known.vectors * np.float32(fit.known_scale)))


def _solve(matrix: _Matrix, labels: Floats, shares: Floats, strength: float, iterations: int) -> Floats:
    """Logistic regression by L-BFGS: the coefficients of all columns, side by side."""
    left = sparse.hstack([matrix.table, matrix.classes, matrix.sizes], format="csr", dtype=np.float32)
    turned = left.T.tocsr()
    width = left.shape[1]
    signs = np.where(labels > 0, 1.0, -1.0)

    def loss(point: Floats) -> tuple[float, Floats]:
        single = point.astype(np.float32)
        margin = signs * (left @ single[:width] + matrix.known @ single[width:])
        value = float((shares * np.logaddexp(0, -margin)).sum()) + 0.5 / strength * float(point @ point)
        pull = (-shares * signs / (1 + np.exp(np.minimum(margin, 60)))).astype(np.float32)
        slope = np.concatenate((turned @ pull, matrix.known.T @ pull)) + point / strength
        return value, slope

    start = np.zeros(width + matrix.known.shape[1])
    options = {"maxiter": iterations, "ftol": 1e-6, "maxcor": 8}
    return np.asarray(minimize(loss, start, jac=True, method="L-BFGS-B", options=options).x)


def _model(found: Floats, matrix: _Matrix, fit: Fit) -> Model:
    used, masks = len(matrix.used), len(MASKS)
    scales = np.repeat(np.array(fit.kind_scales), [1 << bits for bits in features.BITS.values()])
    table = np.zeros(features.ROWS, dtype=np.float32)
    table[matrix.used] = found[:used] * scales[matrix.used]
    if fit.known is not None:
        meant = fit.known.vectors @ found[used + masks + len(WINDOWS) :].astype(np.float32)
        table[fit.known.rows] += meant * np.float32(fit.known_scale)
    classes = (found[used : used + masks] * fit.class_scale).astype(np.float32)
    return Model(table, classes, found[used + masks :][: len(WINDOWS)].astype(np.float32))


HEAVIER = {"hh_rlhf_harmless_test": 3.0, "wordnet_examples_long": 3.0}
"""Questions that people asked to provoke a model, yet no attacks: they are most of what is flagged wrongly. Long plain
prose, of which there is little else."""


def source_shares(labels: Ints, sources: Sequence[str], power: float) -> Floats:
    """Document weights: a source of n documents weighs n**power, some more, and both labels weigh the same in all."""
    names, index, counts = np.unique(np.array(sources), return_inverse=True, return_counts=True)
    heavier = np.array([HEAVIER.get(str(name), 1.0) for name in names])
    share = heavier[index] * counts[index].astype(float) ** (power - 1)
    for label in (0, 1):
        share[labels == label] /= share[labels == label].sum()
    return share * len(labels) / 2


def _best(windows: Windows, values: Floats, most: int) -> Ints:
    """The `most` loudest windows of each document and size."""
    order = np.lexsort((-values, windows.size, windows.docs))
    key = windows.docs[order] * len(WINDOWS) + windows.size[order]
    rank = np.arange(len(order)) - np.searchsorted(key, key)
    return np.sort(order[rank < most])


def _chosen(windows: Windows, labels: Ints, values: Floats | None, chance: Floats, fit: Fit) -> Ints:
    """Of harmless documents windows by chance and the loudest, of the others the widest and the loudest."""
    positive = labels[windows.docs] == 1
    widest = np.zeros(len(labels), dtype=int)
    np.maximum.at(widest, windows.docs, windows.size)
    wide = windows.size == widest[windows.docs]
    some = _best(windows, chance, fit.negatives)
    picks = [some[~positive[some]], np.flatnonzero(positive & wide & (windows.first < _limit(windows, fit.widest)))]
    if values is not None:
        hard = _best(windows, values, fit.hard_negatives)
        best = _best(windows, values, 1)
        picks += [hard[~positive[hard]], best[positive[best] & ~wide[best] & (windows.size[best] > 0)]]
    return np.unique(np.concatenate(picks))


def _limit(windows: Windows, most: int) -> Ints:
    """The first segment of each window's document, and `most` more."""
    start = np.full(windows.docs.max() + 1, np.iinfo(np.int64).max)
    np.minimum.at(start, windows.docs, windows.first)
    return start[windows.docs] + most


def train(texts: Texts, windows: Windows, labels: Ints, shares: Floats, fit: Fit) -> Model:
    """Only documents with a share above zero are seen. Deterministic."""
    inside = np.flatnonzero(shares[windows.docs] > 0)
    seen = Windows(*(part[inside] for part in (windows.docs, windows.size, windows.first, windows.after)))
    chance = np.random.default_rng(fit.seed).random(len(windows.docs))[inside]
    present = _present(texts)
    model: Model | None = None
    for iterations in fit.iterations:
        values = None if model is None else logits(texts, seen, model)
        chosen = _chosen(seen, labels, values, chance, fit)
        docs = seen.docs[chosen]
        parts = np.bincount(docs, minlength=len(labels))[docs]
        matrix = _matrix(texts, seen, chosen, present, fit)
        found = _solve(matrix, labels[docs], shares[docs] / np.sqrt(parts), fit.strength, iterations)
        model = _model(found, matrix, fit)
    assert model is not None
    return model
