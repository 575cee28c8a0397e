"""The squeezed view: spaced-out letters joined, digits and signs inside words read as the letters they stand for."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from stanchion_guard.edits import Edit, Same, replace_ranges
from stanchion_guard.scanning import Bytes, Hit, pattern
from stanchion_guard.views import Disguise, View

_SPACED = pattern(
    r"(?:^|[^a-z0-9@$])([a-z0134578@$!](?:[ ]?[._\-*|/+~,][ ]?[a-z0134578@$!]|[ ][a-z0134578@$!]){3,})(?:$|[^a-z0-9@$])"
)
_GAPS = " ._-*|/+~,"
_LEET = pattern(r"[a-z0-9@$!|+]*(?:[a-z][013457@$!|]{1,3}[a-z]|[a-z]{2}[013457@$]|[013457@$][a-z]{2})[a-z0-9@$!|+]*")
_LEET_NEAR = pattern(r"[a-z][013457@$!|]{1,3}[a-z]")
_EITHER = pattern(f"{_LEET_NEAR.pattern}|{_SPACED.pattern}")
_LETTER_OF = {
    "0": "o",
    "3": "e",
    "4": "a",
    "5": "s",
    "7": "t",
    "8": "b",
    "@": "a",
    "$": "s",
    "!": "i",
    "|": "l",
    "+": "t",
}
_VOWELS = frozenset("aeiouy")
_LONGEST_WORD = 24


def unsqueezed(folded: View) -> View:
    """The squeezed view of a text in which nothing is disguised."""
    return Same("squeezed", folded.text, folded)


def squeeze(folded: View, data: Bytes) -> tuple[View, tuple[Disguise, ...]]:
    """The squeezed view and what was found on the way; `data` are the bytes of `folded`."""
    view = unsqueezed(folded)
    if not data.has(_EITHER):
        return view, ()
    words = list(_leet_words(data))
    if words:
        view = Same("squeezed", _with(folded.text, words), folded)
    spaced = list(_spaced_words(data))
    edits: list[Edit] = [(hit.start, hit.end, _joined(view.text[hit.start : hit.end])) for hit in spaced]
    squeezed = replace_ranges(view, edits)
    return squeezed, (*_report_spaced(folded, spaced), *_report_leet(folded, words))


def _leet_words(data: Bytes) -> Iterator[Hit]:
    if not data.has(_LEET_NEAR):
        return
    for hit in data.hits(_LEET):
        letters = read_leet(hit.text)
        if letters is not None and not _address(data.text, hit):
            yield Hit(hit.start, hit.end, letters)


def _address(text: str, hit: Hit) -> bool:
    """Part of an e-mail address or of a link, where digits and @ mean themselves."""
    whole = text[hit.start : hit.end]
    return text[hit.start - 1 : hit.start] in ("/", "=", "#", "_", "&") or (
        "@" in whole and text[hit.end : hit.end + 1] in (".", "-", "_")
    )


def read_leet(word: str) -> str | None:
    """The letters that `word` stands for, None where it reads like a code, a size or a model number."""
    if not 3 <= len(word) <= _LONGEST_WORD or any(digit in word for digit in "269"):
        return None
    bare = word.rstrip("!|+")
    letters = sum(letter.isalpha() for letter in bare)
    signs = len(bare) - letters
    if not signs or letters < 2 or letters * 5 < len(bare) * 2 or not _LEET_NEAR.search(bare):
        return None
    if len(bare) >= 6 and all(letter in "0123456789abcdef" for letter in bare):
        return None
    spelt = _spell(bare)
    return spelt + word[len(bare) :] if _pronounceable(spelt) else None


def _spell(word: str) -> str:
    """A one after a vowel or beside another one is an l, any other an i."""
    out: list[str] = []
    for at, sign in enumerate(word):
        if sign == "1":
            double = "1" in (word[at - 1 : at], word[at + 1 : at + 2])
            out.append("l" if double or (out and out[-1] in _VOWELS) else "i")
        else:
            out.append(_LETTER_OF.get(sign, sign))
    return "".join(out)


def _pronounceable(word: str) -> bool:
    longest = run = 0
    for letter in word:
        run = 0 if letter in _VOWELS else run + 1
        longest = max(longest, run)
    return longest < 5 and any(letter in _VOWELS for letter in word)


def _with(text: str, words: list[Hit]) -> str:
    pieces: list[str] = []
    at = 0
    for word in words:
        pieces += (text[at : word.start], word.text)
        at = word.end
    return "".join([*pieces, text[at:]])


def _spaced_words(data: Bytes) -> Iterator[Hit]:
    for hit in data.hits(_SPACED, 1):
        letters = [letter for letter in hit.text if letter not in _GAPS]
        if 2 * sum(map(str.isalpha, letters)) > len(letters) or read_leet("".join(letters)):
            yield hit


def _joined(spaced: str) -> str:
    letters = "".join(letter for letter in spaced if letter not in _GAPS)
    return read_leet(letters) or letters


def _report_spaced(folded: View, spaced: list[Hit]) -> Iterator[Disguise]:
    for hit in spaced:
        letters = _joined(hit.text)
        in_order = all(ord(b) - ord(a) == 1 for a, b in pairwise(letters))
        if len(letters) >= 5 and not in_order and _pronounceable(letters[:_LONGEST_WORD]):
            yield Disguise("spaced_letters", *folded.original(hit.start, hit.end))


def _report_leet(folded: View, words: list[Hit]) -> Iterator[Disguise]:
    """One such word may be a name or a code; two, or one with several digits, are a manner of writing."""
    signs = [sum(not c.isalpha() for c in folded.text[w.start : w.end].strip("!|+")) for w in words]
    if len(words) > 1 or any(count > 1 for count in signs):
        for word in words:
            yield Disguise("leet", *folded.original(word.start, word.end))
