"""Texts as vectors and as topics, from their words alone. Pure; the same texts give the same vectors.

Both windows together make a table of texts and words, each word weighed by how rare it is (TF-IDF); its 48 strongest
directions (latent semantic analysis) are the vectors. Both windows shape the directions alike, so that shuffling the
windows' labels stays a valid test. Meaning beyond the words is not seen: a sentence model would see it, at a hundred
times the cost.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

DIMENSIONS = 48
MOST_WORDS = 2_000
TOPICS = 8
MOST_CHARACTERS = 2_000
_WORD = re.compile(r"[^\W\d_]{2,24}")
_NO_SPACES = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\u0e00-\u0e7f]")
_ROUNDS = 12
STEM = 6
_SPARE, _PASSES = 12, 2

Vectors = NDArray[np.float32]


def words_of(text: str) -> list[str]:
    """Lower-case words cut to six letters, so that most endings fall away; letter pairs where a script has no spaces.
    Of a text, the first 2,000 characters count."""
    found = []
    for word in _WORD.findall(text[:MOST_CHARACTERS].lower()):
        if _NO_SPACES.search(word):
            found += [sys.intern(word[at : at + 2]) for at in range(len(word) - 1)]
        else:
            found.append(sys.intern(word[:STEM]))
    return found


def vectors(listed: Sequence[Sequence[str]], random: np.random.Generator) -> Vectors:
    """A row of at most 48 numbers for each list of words; a text that shares no word with another is the centre."""
    table = _weighed(listed)
    table -= table.mean(axis=0)
    size = min(DIMENSIONS, *table.shape)
    # The strongest directions by a randomised range finder (Halko, Martinsson, Tropp 2011): two passes are enough here.
    found = table @ random.standard_normal((table.shape[1], size + _SPARE), dtype=np.float32)
    for _pass in range(_PASSES):
        found = table @ (table.T @ np.linalg.qr(found)[0])
    basis = np.linalg.qr(found)[0]
    left, strengths, _right = np.linalg.svd(basis.T @ table, full_matrices=False)
    return np.asarray((basis @ left)[:, :size] * strengths[:size], dtype=np.float32)


def _weighed(listed: Sequence[Sequence[str]]) -> Vectors:
    """Unit rows over the words that at least two texts share, the commonest 2,000 of them."""
    found_in = Counter(word for words in listed for word in set(words))
    shared = [(word, count) for word, count in found_in.most_common(MOST_WORDS) if count >= 2]
    places = {word: place for place, (word, _count) in enumerate(shared)}
    rarity = np.array([np.log((1 + len(listed)) / (1 + count)) + 0.1 for _word, count in shared], dtype=np.float32)
    table = np.zeros((len(listed), max(len(shared), 1)), dtype=np.float32)
    for row, words in zip(table, listed, strict=True):
        for word, times in Counter(words).items():
            if (place := places.get(word)) is not None:
                row[place] = (1 + np.log(times)) * rarity[place]
    table /= np.maximum(np.linalg.norm(table, axis=1, keepdims=True), 1e-9)
    return table


def topics(rows: Vectors, random: np.random.Generator) -> NDArray[np.intp]:
    """The number of each row's topic: k-means by direction, over both windows together, so that no window shapes the
    topics more than the other."""
    rows = np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9), dtype=np.float32)
    count = min(TOPICS, len(rows))
    centres = _spread_out(rows, count, random)
    places = np.zeros(len(rows), dtype=np.intp)
    for _round in range(_ROUNDS):
        places = (rows @ centres.T).argmax(axis=1)
        for topic in range(count):
            members = rows[places == topic]
            if len(members):
                centre = members.mean(axis=0)
                centres[topic] = centre / max(float(np.linalg.norm(centre)), 1e-9)
    return np.asarray(places, dtype=np.intp)


def _spread_out(rows: Vectors, count: int, random: np.random.Generator) -> Vectors:
    """Starting centres far from each other, as k-means++ draws them."""
    chosen = [int(random.integers(len(rows)))]
    nearest = 1 - rows @ rows[chosen[0]]
    while len(chosen) < count:
        weights = np.clip(nearest, 0, None) ** 2
        total = float(weights.sum())
        pick = int(random.choice(len(rows), p=weights / total)) if total else int(random.integers(len(rows)))
        chosen.append(pick)
        nearest = np.minimum(nearest, 1 - rows @ rows[pick])
    return rows[chosen].copy()


def telling_words(
    listed: Sequence[Sequence[str]], is_inside: Sequence[bool] | NDArray[np.bool_], most: int = 6
) -> list[str]:
    """The words that a part of the texts uses more than the rest, by difference of the shares of texts with them,
    rare words before common ones. One in fewer than three texts of the part tells nothing."""
    inside, outside, members = Counter[str](), Counter[str](), 0
    for words, belongs in zip(listed, is_inside, strict=True):
        (inside if belongs else outside).update(set(words))
        members += bool(belongs)
    rest = max(len(listed) - members, 1)
    gains = {
        word: (count / max(members, 1) - outside[word] / rest)
        * float(np.log(len(listed) / (count + outside[word])) + 0.1)
        for word, count in inside.items()
        if count >= 3
    }
    ranked = sorted(gains, key=lambda word: (-gains[word], word))
    return [word for word in ranked[:most] if gains[word] > 0]
