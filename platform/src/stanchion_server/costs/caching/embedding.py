"""Texts as unit vectors: a sentence model from local files where there is one, else counts of letters and words."""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from typing import Protocol

import numpy as np

from stanchion_guard.detectors import Unavailable
from stanchion_guard.detectors.heavy import sentence_model
from stanchion_server.costs.caching.records import Numbers, Rows

LONGEST = 2_000
"""Characters of a text that are embedded."""
DIMENSIONS = 512
_AT_ONCE = 2_048
_WORD = re.compile(r"\w+")
_BLANKS = re.compile(r"\s+")


class Embedder(Protocol):
    """`weakness` is what a person must know who reads similarities made by it."""

    @property
    def name(self) -> str: ...
    @property
    def weakness(self) -> str: ...
    def rows(self, texts: Sequence[str]) -> Rows:
        """A unit row for each text."""
        ...


def normalised(text: str) -> str:
    """What two prompts must share to be the same: case, blanks and how accents are composed do not count. Compatibility
    forms do, as 10² is not 102."""
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
    return _BLANKS.sub(" ", folded).strip()


class Lexical:
    """Triples of letters and whole words, hashed into 512 numbers with a sign; square roots of the counts."""

    name = "letters and words, hashed (lexical-1)"
    weakness = (
        "It compares spelling, not meaning: the same question in other words is missed, and two questions that differ"
        " in a number, a name or a “not” look alike."
    )

    def rows(self, texts: Sequence[str]) -> Rows:
        found = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
        for place, text in enumerate(texts):
            places, signs = _hashed(text)
            np.add.at(found[place], places, signs)
        found = np.sign(found) * np.sqrt(np.abs(found))
        lengths = np.linalg.norm(found, axis=1, keepdims=True)
        return np.asarray(found / np.where(lengths == 0, 1, lengths), dtype=np.float32)


def _hashed(text: str) -> tuple[Numbers, Rows]:
    hashes = np.fromiter((zlib.crc32(part.encode("utf-8", "replace")) for part in _parts(text)), dtype=np.int64)
    return hashes % DIMENSIONS, np.where((hashes >> 20) & 1, 1.0, -1.0).astype(np.float32)


def _parts(text: str) -> Iterator[str]:
    for word in _WORD.findall(text[:LONGEST]):
        yield word
        padded = f"\2{word}\3"
        for start in range(len(padded) - 2):
            yield padded[start : start + 3]


class Sentences:
    """The sentence model that is installed beside the server."""

    weakness = "It reads some 256 tokens of a text; negation, numbers and names hardly move it."

    def __init__(self) -> None:
        self._model = sentence_model.load(sentence_model.installed_folder())
        self.name = sentence_model.PACKAGE

    def rows(self, texts: Sequence[str]) -> Rows:
        """Texts of like length together, so that little is padded."""
        order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
        made = [self._model.embed([texts[place] for place in some]) for some in _portions(order)]
        found = np.empty((len(texts), made[0].shape[1] if made else 1), dtype=np.float32)
        if made:
            found[order] = np.concatenate(made)
        return found


def _portions(order: Sequence[int]) -> Iterator[Sequence[int]]:
    for first in range(0, len(order), _AT_ONCE):
        yield order[first : first + _AT_ONCE]


def installed() -> Embedder:
    """The best one there is on this machine."""
    if find_spec("tokenizers") is None or find_spec(sentence_model.PACKAGE) is None:
        return Lexical()
    try:
        return Sentences()
    except Unavailable:
        return Lexical()
