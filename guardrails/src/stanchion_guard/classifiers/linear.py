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
    pairs = np.einsum("sa,kab,sb->sk", present, weights.pairs, present, optimize=False)
    sums: Floats = present @ weights.classes + pairs
    return sums


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


def logits(weights: Weights, scores: Scores, target: int, size: int) -> npt.NDArray[np.float64]:
    """One logit for every window of `size` segments."""
    found = scores.grams
    letters = _runs(np.diff(found.character_bounds), size)
    words = _runs(np.diff(found.word_bounds), size)
    sentences = min(size, len(found))
    result: npt.NDArray[np.float64] = (
        _runs(scores.characters[:, target], size) / np.sqrt(letters)
        + _runs(scores.words[:, target], size) / np.sqrt(words)
        + _runs(scores.classes[:, target], size) / math.sqrt(sentences)
        + float(weights.biases[WINDOWS.index(size), target])
    )
    return result


def sizes(segments: int) -> tuple[int, ...]:
    """The window sizes that differ for a text of so many segments."""
    return tuple(size for index, size in enumerate(WINDOWS) if index == 0 or segments > WINDOWS[index - 1])


def worst(weights: Weights, scores: Scores, target: str) -> Hit | None:
    """The loudest window of a text for a target; None for a text without letters."""
    column = weights.targets.index(target)
    found = scores.grams
    best: tuple[float, int, int] | None = None
    for size in sizes(len(found)):
        values = logits(weights, scores, column, size)
        place = int(values.argmax())
        if best is None or float(values[place]) > best[0]:
            best = (float(values[place]), place, min(place + size, len(found)) - 1)
    if best is None:
        return None
    probability = weights.calibrations[column].probability(best[0], len(found))
    return Hit(probability, int(found.starts[best[1]]), int(found.ends[best[2]]))


def loud_segments(weights: Weights, scores: Scores, target: str, threshold: float) -> tuple[Hit, ...]:
    """Every single segment that reaches the threshold, in order, calibrated for the whole text's length."""
    column = weights.targets.index(target)
    found = scores.grams
    if not len(found):
        return ()
    values = logits(weights, scores, column, 1)
    calibration = weights.calibrations[column]
    return tuple(
        Hit(probability, int(found.starts[place]), int(found.ends[place]))
        for place, logit in enumerate(values.tolist())
        if (probability := calibration.probability(logit, len(found))) >= threshold
    )
