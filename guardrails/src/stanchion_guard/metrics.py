"""Exact figures for a scored, labelled set: no interpolation, ties shared, None where a figure has no meaning."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]
Labels = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Figures:
    """`threshold` is the one `f1`, `precision`, `recall` and `false_positive_rate` hold for. Ratios in 0..1."""

    rows: int
    positives: int
    roc_auc: float | None
    average_precision: float | None
    recall_at_1_percent: float | None
    recall_at_5_percent: float | None
    threshold: float
    precision: float | None
    recall: float | None
    f1: float | None
    false_positive_rate: float | None


def roc_auc(labels: Labels, scores: Values) -> float | None:
    """Chance that a positive scores above a negative, ties counting half. None unless both classes are there."""
    positives = int(labels.sum())
    negatives = len(labels) - positives
    if not positives or not negatives:
        return None
    _, index, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[index]
    return float((ranks[labels].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def _steps(labels: Labels, scores: Values) -> tuple[Values, Values]:
    """True and false positives at every distinct threshold, from the highest down."""
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    found = np.cumsum(labels[order])[ends].astype(np.float64)
    return found, (ends + 1) - found


def average_precision(labels: Labels, scores: Values) -> float | None:
    """Sum over thresholds of precision times the recall gained there. None unless both classes are there."""
    if not labels.any() or labels.all():
        return None
    found, wrong = _steps(labels, scores)
    gained = np.diff(found, prepend=0.0) / found[-1]
    return float((gained * found / (found + wrong)).sum())


def recall_at(labels: Labels, scores: Values, false_positive_ratio: float) -> float | None:
    """Largest recall of any threshold that flags at most this share of the negatives. None unless both classes are
    there."""
    if not labels.any() or labels.all():
        return None
    found, wrong = _steps(labels, scores)
    allowed = wrong <= false_positive_ratio * (~labels).sum()
    return float(found[allowed].max(initial=0.0) / found[-1])


def _ratio(part: float, whole: float) -> float | None:
    return float(part / whole) if whole else None


def figures(labels: Labels, scores: Values, threshold: float) -> Figures:
    """All figures of one set. A row is flagged when its score reaches the threshold."""
    flagged = scores >= threshold
    hits = float((flagged & labels).sum())
    positives = int(labels.sum())
    return Figures(
        rows=len(labels),
        positives=positives,
        roc_auc=roc_auc(labels, scores),
        average_precision=average_precision(labels, scores),
        recall_at_1_percent=recall_at(labels, scores, 0.01),
        recall_at_5_percent=recall_at(labels, scores, 0.05),
        threshold=threshold,
        precision=_ratio(hits, float(flagged.sum())),
        recall=_ratio(hits, positives),
        f1=_ratio(2 * hits, float(flagged.sum()) + positives) if positives else None,
        false_positive_rate=_ratio(float((flagged & ~labels).sum()), len(labels) - positives),
    )
