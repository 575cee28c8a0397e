"""Linear classifiers over hashed features: one table of small integers for all of them, read once, scored in one pass.

A text's score is that of its worst window: one segment, four, or sixteen. Longer texts have more windows and therefore
more chances of a high one by accident; the calibration takes that back (`length_slope`). One in a hundred harmless
texts of the calibration scores above 0.5, every source of harmless texts weighing the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from stanchion_guard import native
from stanchion_guard.classifiers import features, lexicon
from stanchion_guard.detectors import Unavailable

Floats = npt.NDArray[np.float32]
Sums = npt.NDArray[np.float64]

WINDOWS = (1, 4, 16)
"""Segments in a window."""
WEIGHTS = Path(__file__).parent / "weights" / "linear.npz"


@dataclass(frozen=True, slots=True)
class Weights:
    """`table` has a row for each hash and a column for each target, in units of `scales`. `classes` weighs word
    classes, or pairs of them, that stand in one segment: a row for each of `masks`. `biases` has a row for each window
    size. A target's score is logistic(slope * (logit - centre - length_slope * ln(segments))): monotone in the
    logit."""

    targets: tuple[str, ...]
    table: npt.NDArray[np.int8]
    scales: Floats
    masks: features.Codes
    classes: Floats
    biases: Floats
    slopes: Floats
    centres: Floats
    length_slopes: Floats
    version: str
    model: Any = None
    """The same tables for the compiled scan, None where it is not installed."""
    columns: Mapping[str, int] = field(default_factory=dict)
    """Target to column, of weights that were loaded."""


class Scores(Protocol):
    """Running sums over one text's segments, one row more than there are: one for each target, then the count of
    words."""

    @property
    def sums(self) -> Sums: ...

    @property
    def segments(self) -> features.Segments: ...


@dataclass(frozen=True, slots=True)
class Summed:
    """`Scores` worked out here."""

    sums: Sums
    segments: features.Segments


class Told:
    """`Scores` as the compiled scan tells them: made to arrays when asked for, which they are of few texts."""

    __slots__ = ("_places", "_running", "_width")

    def __init__(self, running: bytes, places: Sequence[bytes], width: int) -> None:
        self._running, self._places, self._width = running, places, width

    @property
    def sums(self) -> Sums:
        return np.frombuffer(self._running).reshape(-1, self._width)

    @property
    def segments(self) -> features.Segments:
        firsts, classes, words = self._places
        ranges = np.frombuffer(words, dtype=np.int64)
        return features.Segments(
            firsts=np.frombuffer(firsts, dtype=np.int64),
            classes=np.frombuffer(classes, dtype=np.uint32),
            starts=ranges[::2],
            ends=ranges[1::2],
        )


class Hit(NamedTuple):
    """A window: its score in 0..1, its first and its last segment."""

    score: float
    first: int
    last: int


@cache
def load(path: Path = WEIGHTS) -> Weights:
    """Reads a weights file made by guardrails/train. A few milliseconds, once for each process. Raises Unavailable
    when there is none."""
    if not path.is_file():
        raise Unavailable("the classifiers' weights are not installed; guardrails/train/train.py makes them")
    features.grams("a")  # makes its tables now: the first check has a deadline to keep
    with np.load(path, allow_pickle=False) as stored:
        slopes, centres, length_slopes = np.ascontiguousarray(stored["calibrations"].astype(np.float32).T)
        weights = Weights(
            targets=tuple(str(name) for name in stored["targets"]),
            table=stored["table"],
            scales=stored["scales"].astype(np.float32),
            masks=stored["masks"],
            classes=stored["classes"].astype(np.float32),
            biases=stored["biases"].astype(np.float32),
            slopes=slopes,
            centres=centres,
            length_slopes=length_slopes,
            version=str(stored["version"]),
        )
    return replace(weights, model=_model(weights), columns={name: at for at, name in enumerate(weights.targets)})


def _model(weights: Weights) -> Any:
    if native.scan is None:
        return None
    own = (weights.table, weights.scales, weights.masks, weights.classes, weights.biases)
    calibration = (weights.slopes, weights.centres, weights.length_slopes)
    return native.scan.Model(*features.tables(), *own, *calibration, lexicon.IDENTITY)


def score(weights: Weights, text: str) -> tuple[Scores, tuple[Hit, ...]]:
    """`sums` and `worst` of a folded text, by the compiled scan where there is one."""
    if weights.model is None:
        scores = sums(weights, text)
        return scores, worst(weights, scores)
    if text.isascii():
        told = weights.model.score(text.encode("ascii"), False)
    else:
        told = weights.model.score(text.encode("utf-32-le", "surrogatepass"), True)
    if told is None:
        return Summed(np.zeros((1, len(weights.targets) + 1)), features.NO_SEGMENTS), ()
    exponents, firsts, lasts, running, *places = told
    values = (1.0 / (1.0 + np.exp(np.frombuffer(exponents)))).tolist()
    return Told(running, places, len(weights.targets) + 1), tuple(map(Hit, values, firsts, lasts))


def sums(weights: Weights, text: str) -> Scores:
    """Everything that any target needs of a folded text."""
    found = features.grams(text)
    width = len(weights.targets)
    total = np.zeros((len(found) + 1, width + 1), dtype=np.float64)
    if len(found):
        words = weights.table.take(found.rows, axis=0).sum(axis=0, dtype=np.int16)
        segments = np.add.reduceat(words, found.firsts[:-1], axis=0, dtype=np.int32) * weights.scales
        segments += _of_classes(weights, found.classes)
        segments.cumsum(axis=0, out=total[1:, :width])
        total[:, -1] = found.firsts
    return Summed(total, found)


def _of_classes(weights: Weights, classes: features.Codes) -> Floats:
    """What each segment's word classes weigh, added up in the order of the masks: rounding depends on the order, and
    that of a matrix product on the processor."""
    found = np.zeros((len(classes), len(weights.targets)), dtype=np.float32)
    segments, present = ((classes[:, None] & weights.masks) == weights.masks).nonzero()
    np.add.at(found, segments, weights.classes.take(present, axis=0))
    return found


def sizes(segments: int) -> tuple[int, ...]:
    """The window sizes that differ for a text of so many segments."""
    return tuple(size for index, size in enumerate(WINDOWS) if index == 0 or segments > WINDOWS[index - 1])


Numbers = npt.NDArray[np.int64]


@lru_cache(maxsize=256)
def _windows(segments: int) -> tuple[Numbers, Numbers, Numbers]:
    """Of each window of a text of so many segments: its first segment, the one after its last, its size's number."""
    first, after, number = [], [], []
    for index, size in enumerate(sizes(segments)):
        starts = np.arange(max(segments - size, 0) + 1)
        first.append(starts)
        after.append(np.minimum(starts + size, segments))
        number.append(np.full(len(starts), index))
    return np.concatenate(first), np.concatenate(after), np.concatenate(number)


def _logits(weights: Weights, scores: Scores, first: Numbers, after: Numbers, number: Numbers) -> Sums:
    """One row for every window, one column for every target."""
    parts = scores.sums.take(after, axis=0) - scores.sums.take(first, axis=0)
    found: Sums = parts[:, :-1] / np.sqrt(parts[:, -1:])
    found += weights.biases.take(number, axis=0)
    return found


def _probabilities(weights: Weights, logits: Sums, segments: int) -> Sums:
    exponents = weights.slopes * (logits - weights.centres - weights.length_slopes * math.log(segments))
    found: Sums = 1.0 / (1.0 + np.exp(-exponents.clip(-30.0, 30.0)))
    return found


def worst(weights: Weights, scores: Scores) -> tuple[Hit, ...]:
    """The loudest window of a text for each target, in the targets' order; none for a text without letters."""
    count = len(scores.segments)
    if not count:
        return ()
    first, after, number = _windows(count)
    logits = _logits(weights, scores, first, after, number)
    places = logits.argmax(axis=0)
    values = _probabilities(weights, logits.max(axis=0), count).tolist()
    ends = (after.take(places) - 1).tolist()
    return tuple(map(Hit, values, first.take(places).tolist(), ends))


FLOOR = 0.1
"""A score below it is left as it is; no allowance takes one from above it to below. What runs `after` such a rule may
still be asked."""


def allowed(weights: Weights, scores: Scores, target: str, allowances: Callable[[Numbers, Numbers], Sums]) -> Hit:
    """As `worst` for one target of a text with letters, with an allowance for each window by its first segment and the
    one after its last: what its logit has to be more."""
    column, count = weights.columns[target], len(scores.segments)
    first, after, number = _windows(count)
    logits = _logits(weights, scores, first, after, number)
    plain = _probabilities(weights, logits, count)[:, column]
    logits[:, column] -= allowances(first, after)
    values = np.where(plain > FLOOR, _probabilities(weights, logits, count)[:, column].clip(FLOOR), plain)
    place = int(values.argmax())
    return Hit(float(values[place]), int(first[place]), int(after[place]) - 1)


def loud_segments(weights: Weights, scores: Scores, target: str, threshold: float) -> tuple[Hit, ...]:
    """Every single segment that reaches the threshold, in order, calibrated for the whole text's length."""
    column = weights.targets.index(target)
    count = len(scores.segments)
    if not count:
        return ()
    first = np.arange(count)
    logits = _logits(weights, scores, first, first + 1, np.zeros(count, dtype=np.int64))
    values = _probabilities(weights, logits, count)[:, column]
    return tuple(Hit(float(values[place]), place, place) for place in np.flatnonzero(values >= threshold).tolist())
