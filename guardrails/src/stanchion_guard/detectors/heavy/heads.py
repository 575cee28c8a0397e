"""Small networks over sentence embeddings of a text's windows, each beside the light classifier of the same target.

Windows are runs of segments of the view that the light classifiers read, 4 and 16 long, side by side. The loudest one
counts, as with the light classifiers, because a long attack has harmless sentences too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stanchion_guard.classifiers import linear
from stanchion_guard.detectors import Unavailable
from stanchion_guard.detectors.heavy import encoder
from stanchion_guard.detectors.heavy.encoder import Array

WEIGHTS = Path(linear.WEIGHTS).with_name("heads.npz")
WINDOWS = (4, 16)
"""Segments in a window."""
MOST_SEGMENTS = 240
"""Of a longer text, this many from its beginning are read, and the passage that the light classifier finds loudest."""
Run = tuple[int, int]
Ratios = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Head:
    """The logit of a window's embedding z is z @ direct + relu(z @ inner + bias) @ outer + rest. A text's is that of
    its loudest window. Its score is logistic(slope * (light + logit / spread - centre - length_slope *
    ln(segments))), `light` being the light classifier's score, its own logistic undone and divided by `light_slope`:
    both terms then weigh the same. 0.5 is what one in a hundred harmless texts of the calibration reaches."""

    direct: Array
    inner: Array
    bias: Array
    outer: Array
    rest: float
    spread: float
    light_slope: float
    slope: float
    centre: float
    length_slope: float

    def logits(self, rows: Array) -> Array:
        """Of windows, one row of `rows` for each."""
        hidden = np.maximum(rows @ self.inner + self.bias, 0)
        return np.asarray(rows @ self.direct + hidden @ self.outer + self.rest, dtype=np.float32)

    def score(self, light: float, logit: float, segments: int) -> float:
        """`light` is a score in 0..1, `logit` that of the loudest window."""
        odds = np.log(light / (1.0 - light)) if 0.0 < light < 1.0 else np.copysign(30.0, light - 0.5)
        total = np.clip(odds, -30, 30) / self.light_slope + logit / self.spread
        exponent = self.slope * (total - self.centre - self.length_slope * np.log(max(segments, 1)))
        return float(1 / (1 + np.exp(-np.clip(exponent, -30, 30))))


@dataclass(frozen=True, slots=True)
class Heads:
    """All heads by target, and a name for these weights that changes with them."""

    by_target: Mapping[str, Head]
    version: str


@cache
def load(path: Path = WEIGHTS) -> Heads:
    """Reads a file made by guardrails/train/train_heads.py and makes sure that it was fitted on the encoder that is
    installed. Raises Unavailable."""
    if not path.is_file():
        raise Unavailable(
            "the weights of the second look are not installed; guardrails/train/train_heads.py makes them"
        )
    with np.load(path, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    probe = encoder.load().embed([encoder.PROBE])[0]
    if float(probe @ arrays["probe"]) < 0.999:
        raise Unavailable("the installed sentence encoder is another than the heads were fitted on: install its 0.2.1")
    targets = [str(name) for name in arrays["targets"]]
    return Heads({name: _head(arrays, name) for name in targets}, str(arrays["version"]))


def version(path: Path = WEIGHTS) -> str:
    """The name of the shipped weights, without loading the encoder."""
    with np.load(path, allow_pickle=False) as stored:
        return str(stored["version"])


def _head(arrays: Mapping[str, NDArray[np.generic]], target: str) -> Head:
    direct, inner, bias, outer = (
        np.asarray(arrays[f"{target}.{part}"], dtype=np.float32) for part in ("direct", "inner", "bias", "outer")
    )
    return Head(direct, inner, bias, outer, *(float(value) for value in np.asarray(arrays[f"{target}.numbers"])))


def runs(segments: int, loudest: Run | None = None) -> list[Run]:
    """First and last segment of every window: of each size side by side, the larger size only where it differs. Of a
    text longer than MOST_SEGMENTS the passage `loudest` first, then the beginning."""
    read = min(segments, MOST_SEGMENTS)
    found = [loudest] if loudest is not None and loudest[1] >= read else []
    for index, size in enumerate(WINDOWS):
        if index == 0 or segments > WINDOWS[index - 1]:
            found += [(first, min(first + size, read) - 1) for first in range(0, read, size)]
    return found
