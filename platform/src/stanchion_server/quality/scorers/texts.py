"""A call's texts as the engine reads them: each text read once for all scorers of a batch."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock

from stanchion_guard.grounding.words import Sentence, Token, sentences, spans, tokens
from stanchion_guard.reading import read
from stanchion_guard.records import Part, Subject
from stanchion_guard.views import Reading
from stanchion_server.quality.records import Example

MOST_CHARACTERS = 40_000
"""Of a text, what light scorers read. The rest is not judged, and a range never lies there."""
MOST_KEPT_CHARACTERS = 500_000
"""Of all texts together whose readings are kept: some 40 MiB with what is derived from them."""

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


class _Shelf:
    """The readings of the texts met last, whichever scorer asked."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Reading] = OrderedDict()
        self._characters = 0
        self._lock = Lock()

    def reading(self, text: str) -> Reading:
        with self._lock:
            found = self._kept.get(text)
            if found is not None:
                self._kept.move_to_end(text)
                return found
            found = self._kept[text] = read(_readable(text[:MOST_CHARACTERS]))
            self._characters += len(text)
            while self._characters > MOST_KEPT_CHARACTERS and len(self._kept) > 1:
                self._characters -= len(self._kept.popitem(last=False)[0])
            return found


_shelf = _Shelf()


def reading_of(text: str) -> Reading:
    return _shelf.reading(text)


def _readable(text: str) -> str:
    """Lone surrogates as one question mark each, so that places stay where they are."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def asked(example: Example) -> Subject:
    return Subject((Part("input", _bounded(example.prompt), "user"),))


def answered(example: Example) -> Subject:
    """The question in part 0, the answer in part 1."""
    question = Part("input", _bounded(example.asked), "user")
    return Subject((question, Part("output", _bounded(example.response), "assistant")))


def _bounded(text: str) -> str:
    return text if len(text) <= MOST_CHARACTERS else text[:MOST_CHARACTERS]


def words_of(reading: Reading) -> list[str]:
    """Words as written, in order."""
    return reading.keep("scorers.words", lambda: _WORD.findall(reading.raw))


def places_of(reading: Reading) -> list[tuple[int, int]]:
    """Where the words of `words_of` stand."""
    return reading.keep("scorers.places", lambda: [found.span() for found in _WORD.finditer(reading.raw)])


def tokens_of(reading: Reading) -> tuple[Token, ...]:
    return reading.keep("scorers.tokens", lambda: tokens(reading.raw))


def sentences_of(reading: Reading) -> Sequence[Sentence]:
    return reading.keep("scorers.sentences", lambda: sentences(reading.raw))


def spans_of(reading: Reading) -> list[tuple[int, int]]:
    return reading.keep("scorers.spans", lambda: spans(reading.raw))
