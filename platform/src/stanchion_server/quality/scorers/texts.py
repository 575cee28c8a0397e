"""A call's texts as the engine reads them: each text read once for all scorers of a batch."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from threading import Lock

from stanchion_guard.detectors import relevance
from stanchion_guard.grounding.words import Sentence, sentences, spans
from stanchion_guard.reading import read
from stanchion_guard.records import Part, Subject
from stanchion_guard.views import Reading
from stanchion_server.quality.records import Example

MOST_CHARACTERS = 40_000
"""Of a text, what light scorers read. The rest is not judged, and a range never lies there."""
MOST_KEPT_CHARACTERS = 500_000
"""Of all texts together whose readings are kept: some 40 MiB with what is derived from them."""

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_BETWEEN_WORDS = {code: " " for code in range(128) if not chr(code).isalnum() and chr(code) != "'"}


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

    def forget(self) -> None:
        with self._lock:
            self._kept.clear()
            self._characters = 0


_shelf = _Shelf()


def reading_of(text: str) -> Reading:
    return _shelf.reading(text)


def forget() -> None:
    """Every text is read anew."""
    _shelf.forget()


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
    return reading.keep("scorers.words", lambda: words(reading.raw))


def words(text: str) -> list[str]:
    """What `_WORD` finds, for most texts without asking it."""
    if not text.isascii() or "''" in text:
        return _WORD.findall(text)
    found = text.translate(_BETWEEN_WORDS).split()
    return found if "'" not in text else [word for one in found if (word := one.strip("'"))]


def places_of(reading: Reading) -> list[tuple[int, int]]:
    """Where the words of `words_of` stand."""
    return reading.keep("scorers.places", lambda: list(_places(reading.raw, words_of(reading))))


def _places(text: str, found: Iterable[str]) -> Iterator[tuple[int, int]]:
    """No word begins between two words, so the next one stands where its letters do."""
    end = 0
    for word in found:
        start = text.index(word, end)
        end = start + len(word)
        yield start, end


def wanted_of(reading: Reading) -> tuple[relevance.Word, ...]:
    return reading.keep("scorers.wanted", lambda: relevance.wanted_of(reading.raw))


def said_of(reading: Reading) -> relevance.Said:
    return reading.keep("scorers.said", lambda: relevance.said_of(reading.raw))


def sentences_of(reading: Reading) -> Sequence[Sentence]:
    return reading.keep("scorers.sentences", lambda: sentences(reading.raw))


def spans_of(reading: Reading) -> list[tuple[int, int]]:
    return reading.keep("scorers.spans", lambda: spans(reading.raw))
