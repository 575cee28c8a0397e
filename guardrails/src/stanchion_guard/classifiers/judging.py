"""One text under the classifiers: the undisguised view and decoded payloads, scored once for all detectors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from stanchion_guard.classifiers import lexicon, linear
from stanchion_guard.classifiers.features import Grams
from stanchion_guard.classifiers.linear import Hit, Scores
from stanchion_guard.reading import read
from stanchion_guard.views import Reading, View

MOST_PAYLOADS = 8
"""Decoded payloads that are judged; more of them are for the obfuscation detector."""


@dataclass(frozen=True, slots=True)
class Judged:
    """The loudest window of one view: its score in 0..1 and, worked out only when asked for, where it stands."""

    score: float
    view: View
    grams: Grams
    first: int
    last: int

    def original(self) -> tuple[int, int]:
        """The window's range in the original text."""
        return self.view.original(*self.grams.range_of(self.first, self.last))

    def classes(self) -> frozenset[str]:
        """The word classes that stand in the window."""
        mask = 0
        for value in self.grams.classes[self.first : self.last + 1].tolist():
            mask |= value
        return frozenset(name for bit, name in enumerate(lexicon.CLASSES) if mask >> bit & 1)


_ESCAPE = re.compile("%[0-9A-Fa-f]{2}")


def views(reading: Reading) -> Iterator[View]:
    """What is judged of a text: the undisguised view and what encoded runs stand for. Where all of these are judged,
    percent signs and their digits are left out of the first view; whatever is written plainly stays in it."""
    payloads = reading.payloads
    escaped = any(payload.name.startswith("decoded:percent") for payload in payloads)
    yield _without_escapes(reading).squeezed if escaped and len(payloads) <= MOST_PAYLOADS else reading.squeezed
    yield from payloads[:MOST_PAYLOADS]


def _without_escapes(reading: Reading) -> Reading:
    """Every place stays where it was."""
    return read(_ESCAPE.sub("   ", reading.raw))


def _scored(reading: Reading) -> tuple[tuple[View, Scores, tuple[Hit, ...]], ...]:
    return reading.keep("classifiers.scored", lambda: tuple(_score(view) for view in views(reading)))


def _score(view: View) -> tuple[View, Scores, tuple[Hit, ...]]:
    weights = linear.load()
    scores = linear.sums(weights, view.text)
    return view, scores, linear.worst(weights, scores)


def judge(reading: Reading, target: str) -> tuple[Judged, ...]:
    """The loudest window of each view that has letters, the loudest view first."""
    column = linear.load().targets.index(target)
    found = [_judged(view, scores, hits[column]) for view, scores, hits in _scored(reading) if hits]
    if len(found) > 1:
        found.sort(key=lambda one: -one.score)
    return tuple(found)


def score(reading: Reading, target: str) -> float | None:
    """The score of the loudest window, None where nothing has letters."""
    column = linear.load().targets.index(target)
    return max((hits[column].score for _, _, hits in _scored(reading) if hits), default=None)


def sentences(reading: Reading, target: str, threshold: float) -> tuple[Judged, ...]:
    """Every segment that reaches the threshold by itself, in the order of the text."""
    weights = linear.load()
    return tuple(
        _judged(view, scores, hit)
        for view, scores, _ in _scored(reading)
        for hit in linear.loud_segments(weights, scores, target, threshold)
    )


def _judged(view: View, scores: Scores, hit: Hit) -> Judged:
    return Judged(hit.score, view, scores.grams, hit.first, hit.last)
