"""One text under the classifiers: the undisguised view and decoded payloads, scored once for all detectors."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from stanchion_guard.classifiers import lexicon, linear, tongues
from stanchion_guard.classifiers.features import Segments
from stanchion_guard.classifiers.linear import Hit, Scores
from stanchion_guard.detectors import language
from stanchion_guard.hidden import tag_runs
from stanchion_guard.payloads import SPELT
from stanchion_guard.reading import read, squeezed_of, unescaped
from stanchion_guard.scanning import bytes_of
from stanchion_guard.views import Reading, View

MOST_PAYLOADS = 8
"""Decoded payloads that are judged; more of them are for the obfuscation detector."""


@dataclass(frozen=True, slots=True)
class Judged:
    """The loudest window of one view: its score in 0..1 and, worked out only when asked for, where it stands."""

    score: float
    view: View
    segments: Segments
    first: int
    last: int

    def original(self) -> tuple[int, int]:
        """The window's range in the original text."""
        return self.view.original(*self.segments.range_of(self.first, self.last))

    def classes(self) -> frozenset[str]:
        """The word classes that stand in the window."""
        mask = 0
        for value in self.segments.classes[self.first : self.last + 1].tolist():
            mask |= value
        return frozenset(name for bit, name in enumerate(lexicon.CLASSES) if mask >> bit & 1)


_ESCAPE = re.compile("%[0-9A-Fa-f]{2}")
_LETTER = re.compile(r"\\u[0-9A-Fa-f]{4}")
"""An escape of JSON that can stand for a letter: where there is none, a text with escapes is judged as it stands."""


def views(reading: Reading) -> Iterator[View]:
    """What is judged of a text: the undisguised view and what encoded runs stand for. Where all of these are judged,
    percent signs and their digits are left out of the first view; whatever is written plainly stays in it. Where
    escapes of JSON can stand for letters, the text is also judged without escapes, and where tag characters spell
    something, with that in its place."""
    payloads = reading.payloads
    escaped = any(payload.name.startswith("decoded:percent") for payload in payloads)
    yield _without_escapes(reading).squeezed if escaped and len(payloads) <= MOST_PAYLOADS else reading.squeezed
    yield from payloads[:MOST_PAYLOADS]
    if _LETTER.search(reading.raw):
        yield from (squeezed_of(view) for view in unescaped(reading))
    if tag_runs(bytes_of(reading)):
        yield read(reading.raw.translate(SPELT)).squeezed


def _without_escapes(reading: Reading) -> Reading:
    """Every place stays where it was."""
    return read(_ESCAPE.sub("   ", reading.raw))


def _scored(reading: Reading) -> tuple[tuple[View, Scores, tuple[Hit, ...]], ...]:
    return reading.keep("classifiers.scored", lambda: tuple(_score(view) for view in views(reading)))


def _score(view: View) -> tuple[View, Scores, tuple[Hit, ...]]:
    scores, hits = linear.score(linear.load(), view.text)
    return view, scores, hits


def judge(reading: Reading, target: str) -> tuple[Judged, ...]:
    """The loudest window of each view that has letters, the loudest view first."""
    column = linear.load().columns[target]
    found = [_judged(view, scores, hits[column]) for view, scores, hits in _scored(reading) if hits]
    if len(found) > 1:
        found.sort(key=lambda one: -one.score)
    return tuple(found)


MOST_SEGMENTS_ALLOWED = 500
"""Of a view with more segments nothing is let off: to tell the language of every word of 200,000 Chinese characters
took a quarter of a second, of so many segments 25 to 45 ms at most."""


def attacks(reading: Reading) -> tuple[Judged, ...]:
    """As `judge` for attacks, where passages in other languages than English have to score more: of each view the
    passage that is then the loudest, the loudest view first. Costs more only where one scores above linear.FLOOR."""
    column = linear.load().columns["attack"]
    found = [_allowed(_judged(view, scores, hits[column]), scores) for view, scores, hits in _scored(reading) if hits]
    if len(found) > 1:
        found.sort(key=lambda one: -one.score)
    return tuple(found)


def _allowed(one: Judged, scores: Scores) -> Judged:
    """What is English, or in no language that can be told, stays as it is: nothing else in the view is louder."""
    if one.score <= linear.FLOOR or len(one.segments) > MOST_SEGMENTS_ALLOWED:
        return one
    needed = tongues.NEEDED["attack"]
    passage = tongues.counts(one.view.text, one.segments, one.first, one.last).sum(axis=0, keepdims=True)
    if not tongues.offsets(passage, needed)[0]:
        return one
    running = np.zeros((len(one.segments) + 1, tongues.COLUMNS), dtype=np.int64)
    tongues.counts(one.view.text, one.segments).cumsum(axis=0, out=running[1:])
    hit = linear.allowed(
        linear.load(), scores, "attack", lambda first, after: tongues.offsets(running[after] - running[first], needed)
    )
    return _judged(one.view, scores, hit)


_SEGMENTS_TOLD = 6


def limit(reading: Reading) -> str | None:
    """What a detector that was measured in English alone says of a text that is mostly in another language. None for
    English, for what is too short to tell, and where a text begins and ends in English, which costs some
    microseconds."""
    found: str | None = reading.keep("judging.limit", lambda: _limit(reading))
    return found


def _limit(reading: Reading) -> str | None:
    if tongues.reads_english(reading.raw):
        return None
    view, scores, hits = _scored(reading)[0]
    if not hits:
        return None
    segments = scores.segments
    count = len(segments)
    told = tongues.counts(view.text, segments, 0, min(_SEGMENTS_TOLD, count) - 1)
    if count > _SEGMENTS_TOLD:
        told = np.concatenate((told, tongues.counts(view.text, segments, max(_SEGMENTS_TOLD, count - _SEGMENTS_TOLD))))
    if not tongues.mostly_foreign(told):
        return None
    code, _ = reading.keep("language", lambda: language.identify(reading.raw))
    return "a language other than English: not covered" if code in (None, "en") else f"language {code} not covered"


def score(reading: Reading, target: str) -> float | None:
    """The score of the loudest window, None where nothing has letters."""
    found = scores(reading, (target,))
    return found[0] if found else None


def scores(reading: Reading, targets: Sequence[str]) -> list[float]:
    """The score of the loudest window for each target, none where nothing has letters."""
    columns = linear.load().columns
    scored = _scored(reading)
    if len(scored) == 1:
        hits = scored[0][2]
        return [hits[columns[target]].score for target in targets] if hits else []
    with_letters = [hits for _, _, hits in scored if hits]
    return [max(hits[columns[target]].score for hits in with_letters) for target in targets] if with_letters else []


def sentences(reading: Reading, target: str, threshold: float) -> tuple[Judged, ...]:
    """Every segment that reaches the threshold by itself, in the order of the text."""
    weights = linear.load()
    return tuple(
        _judged(view, scores, hit)
        for view, scores, _ in _scored(reading)
        for hit in linear.loud_segments(weights, scores, target, threshold)
    )


def _judged(view: View, scores: Scores, hit: Hit) -> Judged:
    return Judged(hit.score, view, scores.segments, hit.first, hit.last)
