"""Linear classifiers over hashed features: one table of small integers for all of them, read once, scored in one pass.

A text's score is that of its worst window: one segment, four, or sixteen. Longer texts have more windows and therefore
more chances of a high one by accident; the calibration takes that back (`length_slope`). One in a hundred harmless
texts of the calibration scores above 0.5, every source of harmless texts weighing the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stanchion_guard.classifiers import features, lexicon
from stanchion_guard.detectors import Unavailable

Floats = npt.NDArray[np.float32]

WINDOWS = (1, 4, 16)
"""Segments in a window."""
WEIGHTS = Path(__file__).parent / "weights" / "linear.npz"


@dataclass(frozen=True, slots=True)
class Calibration:
    """score = logistic(slope * (logit - centre - length_slope * ln(segments))): monotone in the logit."""

    slope: float
    centre: float
    length_slope: float

    def probability(self, logit: float, segments: int) -> float:
        exponent = self.slope * (logit - self.centre - self.length_slope * math.log(max(segments, 1)))
        return 1.0 / (1.0 + math.exp(-min(max(exponent, -30.0), 30.0)))


@dataclass(frozen=True, slots=True)
class Weights:
    """`characters` and `words` have a row for each hash and a column for each target; `classes` and `pairs` weigh word
    classes in one segment; `biases` has a row for each window size."""

    targets: tuple[str, ...]
    characters: Floats
    words: Floats
    classes: Floats
    pairs: Floats
    biases: Floats
    calibrations: tuple[Calibration, ...]
    version: str


@dataclass(frozen=True, slots=True)
class Scores:
    """Sums of one text's segments: a row for each segment, a column for each target, for each kind of gram."""

    characters: Floats
    words: Floats
    classes: Floats
    grams: features.Grams


@dataclass(frozen=True, slots=True)
class Hit:
    """The window that speaks loudest for a target: its score in 0..1 and its range in the text that was read."""

    score: float
    start: int
    end: int


@cache
def load(path: Path = WEIGHTS) -> Weights:
    """Reads a weights file made by guardrails/train. A few milliseconds, once for each process. Raises Unavailable
    when there is none."""
    if not path.is_file():
        raise Unavailable("the classifiers' weights are not installed; guardrails/train/train.py makes them")
    features.grams("a")  # makes its tables now: the first check has a deadline to keep
    with np.load(path, allow_pickle=False) as stored:
        scales = stored["scales"].astype(np.float32)
        return Weights(
            targets=tuple(str(name) for name in stored["targets"]),
            characters=stored["characters"].astype(np.float32) * scales[0],
            words=stored["words"].astype(np.float32) * scales[1],
            classes=stored["classes"].astype(np.float32),
            pairs=stored["pairs"].astype(np.float32),
            biases=stored["biases"].astype(np.float32),
            calibrations=tuple(Calibration(*map(float, row)) for row in stored["calibrations"]),
            version=str(stored["version"]),
        )


def _segment_sums(table: Floats, rows: features.Indexes, bounds: features.Indexes) -> Floats:
    sums: Floats = np.add.reduceat(table.take(rows, axis=0), bounds[:-1], axis=0)
    return sums


def _class_sums(weights: Weights, classes: features.Codes) -> Floats:
    bits = np.arange(len(lexicon.CLASSES), dtype=np.uint32)
    present = ((classes[:, None] >> bits) & np.uint32(1)).astype(np.float32)
    targets, size, _ = weights.pairs.shape
    beside = (present @ weights.pairs.transpose(1, 0, 2).reshape(size, -1)).reshape(-1, targets, size)
    pairs = (beside @ present[:, :, None])[:, :, 0]
    return np.asarray(present @ weights.classes + pairs, dtype=np.float32)


def sums(weights: Weights, text: str) -> Scores:
    """Everything that any target needs of a folded text."""
    found = features.grams(text)
    if not len(found):
        nothing = np.zeros((0, len(weights.targets)), dtype=np.float32)
        return Scores(nothing, nothing, nothing, found)
    return Scores(
        characters=_segment_sums(weights.characters, found.characters, found.character_bounds),
        words=_segment_sums(weights.words, found.words, found.word_bounds),
        classes=_class_sums(weights, found.classes),
        grams=found,
    )


def _runs(values: npt.NDArray[Any], size: int) -> npt.NDArray[Any]:
    """Sums over every run of `size` rows, the whole if there are fewer."""
    start = np.zeros((1, *values.shape[1:]))
    total = np.concatenate((start, np.cumsum(values, axis=0, dtype=np.float64)))
    runs: npt.NDArray[Any] = total[min(size, len(values)) :] - total[: len(total) - min(size, len(values))]
    return runs


def logits(weights: Weights, scores: Scores, size: int) -> npt.NDArray[np.float64]:
    """One row for every window of `size` segments, one column for every target."""
    found = scores.grams
    letters = _runs(np.diff(found.character_bounds), size)[:, None]
    words = _runs(np.diff(found.word_bounds), size)[:, None]
    sentences = min(size, len(found))
    result: npt.NDArray[np.float64] = (
        _runs(scores.characters, size) / np.sqrt(letters)
        + _runs(scores.words, size) / np.sqrt(words)
        + _runs(scores.classes, size) / math.sqrt(sentences)
        + weights.biases[WINDOWS.index(size)]
    )
    return result


def sizes(segments: int) -> tuple[int, ...]:
    """The window sizes that differ for a text of so many segments."""
    return tuple(size for index, size in enumerate(WINDOWS) if index == 0 or segments > WINDOWS[index - 1])


def worst(weights: Weights, scores: Scores) -> tuple[Hit, ...]:
    """The loudest window of a text for each target, in the targets' order; none for a text without letters."""
    count = len(scores.grams)
    if not count:
        return ()
    best: list[tuple[float, int, int]] = [(-math.inf, 0, 0)] * len(weights.targets)
    for size in sizes(count):
        values = logits(weights, scores, size)
        places = values.argmax(axis=0).tolist()
        tops = values.max(axis=0).tolist()
        for column, (top, place) in enumerate(zip(tops, places, strict=True)):
            best[column] = max(best[column], (top, place, min(place + size, count) - 1), key=lambda one: one[0])
    return tuple(
        _hit(scores, weights.calibrations[column], *found, segments=count) for column, found in enumerate(best)
    )


def _hit(scores: Scores, calibration: Calibration, logit: float, first: int, last: int, *, segments: int) -> Hit:
    start, end = int(scores.grams.starts[first]), int(scores.grams.ends[last])
    return Hit(calibration.probability(logit, segments), start, end)


def loud_segments(weights: Weights, scores: Scores, target: str, threshold: float) -> tuple[Hit, ...]:
    """Every single segment that reaches the threshold, in order, calibrated for the whole text's length."""
    column = weights.targets.index(target)
    count = len(scores.grams)
    if not count:
        return ()
    values = logits(weights, scores, 1)[:, column].tolist()
    hits = (
        _hit(scores, weights.calibrations[column], logit, place, place, segments=count)
        for place, logit in enumerate(values)
    )
    return tuple(hit for hit in hits if hit.score >= threshold)
