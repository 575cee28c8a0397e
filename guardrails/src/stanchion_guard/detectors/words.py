"""Forbidden or watched words: whole words and phrases, whatever the case, the disguise and the encoding."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, ClassVar

import re2

from stanchion_guard.detectors import Tier
from stanchion_guard.known import ALSO_UNESCAPED
from stanchion_guard.reading import also, read
from stanchion_guard.records import Detection, Finding, Subject
from stanchion_guard.scanning import Bytes, folded_bytes_of, pattern
from stanchion_guard.views import Reading, View

MOST_WORDS = 10_000
_TOKEN = re.compile(r"\w+")
_ASCII_TO_SPACE = bytes(code if code > 127 or chr(code).isalnum() or code == 95 else 32 for code in range(256))
_UNSPACED = pattern(
    r"[\x{E00}-\x{EFF}\x{1000}-\x{109F}\x{1780}-\x{17FF}\x{3040}-\x{30FF}\x{3400}-\x{9FFF}\x{20000}-\x{2FFFF}]"
)
_MOST_MEMORY = 64 << 20


class Words:
    """Looks the text's words up in a set, so a list of ten thousand costs what a list of ten does."""

    name: ClassVar[str] = "words"
    version: ClassVar[str] = "2"
    tier: ClassVar[Tier] = "light"
    labels: ClassVar[tuple[str, ...]] = ("WORD",)
    threshold: ClassVar[float] = 0.5
    blind_to: ClassVar[str] = (
        "Inflections, compounds and misspellings that the list does not hold; meaning; escapes in a third layer."
    )
    parameters: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "additionalProperties": False,
        "required": ["words"],
        "properties": {
            "words": {
                "type": "array",
                "items": {"type": "string", "minLength": 1, "maxLength": 100},
                "minItems": 1,
                "maxItems": MOST_WORDS,
            },
            "label": {"type": "string", "minLength": 1, "maxLength": 60},
        },
    }

    def __init__(self, words: Sequence[str], label: str = "WORD") -> None:
        """`words`: words and phrases, at most 10,000; case and look-alikes do not matter, spaces in a phrase stand for
        any gap. Writing without spaces, such as Chinese, Japanese and Thai, is searched for anywhere."""
        if len(words) > MOST_WORDS:
            raise ValueError(f"words takes at most {MOST_WORDS} words, not {len(words)}")
        self._label = label
        self._singles: set[bytes] = set()
        self._phrases: dict[bytes, list[tuple[str, ...]]] = {}
        anywhere = []
        for word in words:
            folded = read(word).folded.text.strip()
            tokens = tuple(_TOKEN.findall(folded))
            if not folded:
                raise ValueError(f"words: {word!r} is empty once folded")
            if not tokens or _UNSPACED.search(folded):
                anywhere.append(folded)
            elif len(tokens) == 1 and tokens[0] == folded:
                self._singles.add(folded.encode())
            else:
                self._phrases.setdefault(max(tokens, key=len).encode(), []).append(tokens)
        self._keys = frozenset(self._singles) | self._phrases.keys()
        self._anywhere = _alternatives(anywhere)

    def detect(self, reading: Reading, part: int, subject: Subject) -> Detection:
        folded, squeezed = reading.folded, reading.squeezed
        found = set(self._places(folded, folded_bytes_of(reading)))
        if squeezed.text != folded.text:
            found |= set(self._places(squeezed, Bytes(squeezed.text)))
        for view in also(reading):
            found |= {
                place for place in self._places_within(view) if view.name not in ALSO_UNESCAPED or _new(place, found)
            }
        findings = tuple(
            Finding(self.name, self._label, 1.0, part, start, end, "a listed word", view)
            for start, end, view in _widest(found)
        )
        return Detection(1.0 if findings else 0.0, findings)

    def _places_within(self, view: View) -> Iterator[tuple[int, int, str]]:
        folded = read(view.text).folded
        for start, end, _ in self._places(folded, Bytes(folded.text)):
            yield *view.original(*folded.original(start, end)), view.name

    def _places(self, view: View, data: Bytes) -> Iterator[tuple[int, int, str]]:
        tokens = _tokens(data)
        for key in self._keys & tokens:
            if key in self._singles:
                for start, end in _whole_words(view.text, key.decode()):
                    yield *view.original(start, end), view.name
            for phrase in self._phrases.get(key, ()):
                if not tokens.issuperset(token.encode() for token in phrase):
                    continue
                for match in _gapped(phrase).finditer(view.text):
                    yield *view.original(*match.span()), view.name
        if self._anywhere is not None:
            for hit in data.hits(self._anywhere):
                yield *view.original(hit.start, hit.end), view.name


def _tokens(data: Bytes) -> set[bytes]:
    if data.ascii:
        return set(data.data.translate(_ASCII_TO_SPACE).split())
    return {token.encode("utf-8", "surrogatepass") for token in set(_TOKEN.findall(data.text))}


def _whole_words(text: str, word: str) -> Iterator[tuple[int, int]]:
    at = text.find(word)
    while at >= 0:
        end = at + len(word)
        if not _wordy(text[at - 1 : at] if at else "") and not _wordy(text[end : end + 1]):
            yield at, end
        at = text.find(word, end)


def _wordy(letter: str) -> bool:
    return letter == "_" or letter.isalnum()


@lru_cache(4096)
def _gapped(tokens: tuple[str, ...]) -> Any:
    """Plain words with gaps between: linear in the standard library too, which knows word boundaries in all scripts."""
    return re.compile(r"\b" + r"[\W_]{1,8}".join(map(re.escape, tokens)) + r"\b")


def _alternatives(words: Sequence[str]) -> Any:
    if not words:
        return None
    options = re2.Options()
    options.max_mem, options.log_errors = _MOST_MEMORY, False
    return re2.compile("|".join(map(re2.escape, sorted(words, key=len, reverse=True))), options)


def _new(place: tuple[int, int, str], found: set[tuple[int, int, str]]) -> bool:
    """Whether nothing was found that lies within the place."""
    return not any(place[0] <= start and end <= place[1] for start, end, _ in found)


def _widest(places: set[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """Without places that lie within another one."""
    kept: list[tuple[int, int, str]] = []
    for place in sorted(places, key=lambda place: (place[0], -place[1], place[2])):
        if not kept or place[1] > kept[-1][1]:
            kept.append(place)
    return kept
