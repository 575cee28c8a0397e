"""Which words tell English, and what harmless passages in other languages need: what languages.py reckons with."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from stanchion_guard.classifiers import tongues
from stanchion_guard.detectors import language

_WORD = re.compile(r"[a-z]{2,}")
MOST_WORDS, FEWEST_SOURCES, FEWEST_DOCS, TIMES = 1000, 4, 15, 8.0
"""An English word stands in so many English texts of so many families, and so many times more often than in others."""
FEWEST_TEXTS = 40
"""A source tells of a group of languages by at least so many texts."""
SHARE = 0.01
"""Of harmless texts in other languages that may still be flagged, in the worst source left out."""


def english_words(english: Iterable[tuple[str, str]], others: Iterable[str]) -> list[str]:
    """The commonest of them first, of folded texts: English ones with their family, and ones in other languages."""
    families: dict[str, set[str]] = defaultdict(set)
    inside, outside = Counter[str](), Counter[str]()
    counts = [0, 0]
    for text, family in english:
        counts[0] += 1
        for word in set(_WORD.findall(text)):
            inside[word] += 1
            families[word].add(family)
    for text in others:
        counts[1] += 1
        outside.update(set(_WORD.findall(text)))
    shared = {word for code, words in language.COMMON.items() if code != "en" for word in words.split()}
    kept = (
        word
        for word, count in sorted(inside.items(), key=lambda item: (-item[1], item[0]))
        if count >= FEWEST_DOCS
        and len(families[word]) >= FEWEST_SOURCES
        and word not in shared
        and count * counts[1] >= TIMES * counts[0] * (outside[word] + 0.5)
    )
    return [word for word, _ in zip(kept, range(MOST_WORDS), strict=False)]


def needed(excess: Mapping[str, Sequence[float]]) -> float:
    """What a group of languages has to score more, by how far its harmless texts of each source lie above the
    threshold: enough for the worst source with texts enough, or for all of them together; never less than nothing."""
    enough = [values for values in excess.values() if len(values) >= FEWEST_TEXTS]
    told = enough or [[value for values in excess.values() for value in values]]
    return max(0.0, *(float(np.quantile(values, 1 - SHARE)) for values in told if len(values)))


def told_of(measured: Iterable[tuple[str, np.ndarray, np.ndarray]]) -> dict[str, object]:
    """By group of languages: what is needed, and by source the count of texts and their 99th percentile. Of each
    source: its name, and the group and the excess of every text."""
    excess: dict[str, dict[str, list[float]]] = defaultdict(dict)
    for source, groups, values in measured:
        for number, name in enumerate(tongues.GROUPS):
            if (groups == number).any():
                excess[name][source] = values[groups == number].tolist()
    return {
        name: {
            "needed": round(needed(by_source), 2),
            **{
                source: [len(values), round(float(np.quantile(values, 1 - SHARE)), 2)]
                for source, values in by_source.items()
            },
        }
        for name, by_source in excess.items()
    }
