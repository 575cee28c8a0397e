"""The plain and the folded view: compatibility forms, unseen characters, stray marks and look-alikes taken off."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from itertools import dropwhile, takewhile
from typing import Any

from stanchion_guard.confusables import latin_letters, script_letters
from stanchion_guard.edits import Edit, Same, replace_letters, replace_ranges
from stanchion_guard.hidden import HIDDEN, is_dropped
from stanchion_guard.scanning import CONTROLS, Bytes, pattern
from stanchion_guard.views import Disguise, View

_ASCII = bytes(range(128))
_NOT_CONTROLS = bytes(code for code in range(256) if 31 < code < 127 or code > 127 or code in b"\t\n\r\x0c")
_PUNCTUATION = dict(zip("´‘’‚‛′“”„‟″‐‑‒–—―−\u2028\u2029\u0085⠀", "'" * 6 + '"' * 5 + "-" * 7 + "\n\n\n ", strict=True))
_MARKS = r"\x{300}-\x{36F}\x{483}-\x{489}\x{1AB0}-\x{1AFF}\x{1DC0}-\x{1DFF}\x{20D0}-\x{20FF}\x{FE20}-\x{FE2F}"
_LOOSE = pattern(rf"[!-~][\p{{Mn}}\p{{Me}}]+|[^{_MARKS}\n][{_MARKS}]+")
"""As `_MARKED`, and any other mark on an ASCII sign, which no writing puts there."""
_MARKED = pattern(rf"[^{_MARKS}\n][{_MARKS}]+")
_MARK = pattern(rf"[{_MARKS}]")
_ASCII_LETTER = pattern(r"[A-Za-z]")
_PILED = ("Mn", "Me")
_NEAR = 24
_BOXED = {chr(0x1F150 + at): chr(65 + at) for at in range(26)} | {chr(0x1F170 + at): chr(65 + at) for at in range(26)}
_STYLED = pattern(
    r"(?:[\x{FF21}-\x{FF3A}\x{FF41}-\x{FF5A}\x{1D400}-\x{1D7FF}\x{24B6}-\x{24E9}\x{1F130}-\x{1F189}][ .]?){4,}"
)
_EAST_ASIAN = pattern(r"[\x{3040}-\x{30FF}\x{4E00}-\x{9FFF}\x{AC00}-\x{D7A3}]")


@lru_cache(8192)
def _plain_letter(letter: str) -> str:
    if letter in _PUNCTUATION:
        return _PUNCTUATION[letter]
    if is_dropped(letter):
        return ""
    found = latin_letters().get(letter) or _BOXED.get(letter)
    return found or unicodedata.normalize("NFKC", letter)


def _letters_beyond_ascii(data: Bytes) -> set[str]:
    return set(data.data.translate(None, _ASCII).decode("utf-8", "surrogatepass"))


def plain(data: Bytes, view: View | None = None) -> View:
    """Compatibility forms and typographic punctuation plain, unseen characters dropped, look-alikes read; case kept.
    `view`: whose bytes `data` are, where that is not the text itself."""
    view = view or Same("plain", data.text)
    if data.ascii:
        return _without_controls(view, data)
    letters = _letters_beyond_ascii(data)
    changed = {letter: new for letter in letters if (new := _plain_letter(letter)) != letter}
    changed |= {chr(code): "" for code in set(data.data.translate(None, _NOT_CONTROLS))}
    view = _compose(replace_letters(view, changed))
    return _unmask(view)


def _without_controls(view: View, data: Bytes) -> View:
    if not (data.may_hold(CONTROLS) and data.has(HIDDEN)):
        return view
    return replace_ranges(view, [(hit.start, hit.end, "") for hit in data.hits(HIDDEN)])


def folded(plain_view: View) -> View:
    """The plain view without case."""
    text = plain_view.text
    if text.isascii():
        return Same("folded", text.lower(), plain_view)
    small = text.casefold()
    if len(small) == len(text):
        return Same("folded", small, plain_view)
    long = {letter: letter.casefold() for letter in set(text) if len(letter.casefold()) > 1}
    view = replace_letters(plain_view, long)
    return Same("folded", view.text.casefold(), view)


def _compose(view: View) -> View:
    """Letters and the marks that belong to them as one; marks piled on Latin letters that no writing knows dropped."""
    if view.text.isascii():
        return view
    data = Bytes(view.text)
    if not data.has(_LOOSE):
        return view
    edits: list[Edit] = []
    for hit in data.hits(_LOOSE):
        whole = unicodedata.normalize("NFKC", hit.text)
        if unicodedata.normalize("NFD", whole)[0].isascii():
            whole = "".join(letter for letter in whole if unicodedata.category(letter) not in _PILED)
        if whole != hit.text:
            edits.append((hit.start, hit.end, whole))
    return replace_ranges(view, edits)


def _unmask(view: View) -> View:
    """Look-alikes of other scripts read as Latin, in words that mix the scripts or hide among Latin words."""
    text, table = view.text, script_letters()
    if text.isascii() or table.keys().isdisjoint(set(text)):
        return view
    edits = [
        (start, end, "".join(table.get(c, c) for c in text[start:end])) for start, end, _ in masked_words(Bytes(text))
    ]
    if not edits:
        return view
    pieces: list[str] = []
    at = 0
    for start, end, new in edits:
        pieces += (text[at:start], new)
        at = end
    return Same(view.name, "".join([*pieces, text[at:]]), view)


def masked_words(data: Bytes) -> Iterator[tuple[int, int, bool]]:
    """Words whose letters of other scripts all pass for Latin ones, and whether somebody plainly meant to deceive.

    Words wholly of look-alikes count only beside Latin words: honest Russian and Greek stay as they are.
    """
    if not data.has(_ASCII_LETTER):
        return
    mixed, whole = _maskable()
    text, table = data.text, script_letters()
    words = {(start, end) for start, end, _ in data.hits(mixed)}
    words |= {
        data.hit(match, group)[:2] for match in data.matches(whole) for group in (1, 2) if match.start(group) >= 0
    }
    for start, end in sorted(words):
        if text[start - 1 : start].isalpha() or text[end : end + 1].isalpha():
            continue
        before, after = _neighbour(reversed(text[max(0, start - _NEAR) : start])), _neighbour(text[end : end + _NEAR])
        hides = _passes(before, table) and _passes(after, table)
        pure = all(letter in table for letter in text[start:end])
        if hides or not pure:
            yield start, end, hides and end - start > 2 and (pure or _interleaved(text[start:end], table))


@cache
def _maskable() -> tuple[Any, Any]:
    looks = "".join(script_letters())
    either = rf"[\p{{Latin}}{looks}]*"
    mixed = pattern(rf"{either}(?:\p{{Latin}}[{looks}]|[{looks}]\p{{Latin}}){either}")
    return mixed, pattern(rf"[A-Za-z]\PL{{1,8}}([{looks}]{{2,}})|([{looks}]{{2,}})\PL{{1,8}}[A-Za-z]")


def _neighbour(letters: Iterable[str]) -> str:
    """The letters of the nearest word, in either direction."""
    return "".join(takewhile(str.isalpha, dropwhile(lambda letter: not letter.isalpha(), letters)))


def _passes(word: str, table: dict[str, str]) -> bool:
    """Latin, or look-alikes throughout."""
    return all(letter < "\u0370" or letter in table for letter in word)


def _interleaved(word: str, table: dict[str, str]) -> bool:
    """Not just a Greek or Cyrillic sign at one end of a Latin word, as in names of genes and units."""
    inner = word[1:-1]
    edges = (word[0] in table) + (word[-1] in table)
    return any(letter in table for letter in inner) or edges > 1 or "\u0400" <= word[0] <= "\u04ff"


def disguises_of(data: Bytes) -> Iterator[Disguise]:
    """Styled letters in Latin writing, look-alikes, and marks piled on letters, as ranges of the raw text."""
    if data.ascii:
        return
    if not data.has(_EAST_ASIAN):
        for hit in data.hits(_STYLED):
            yield Disguise("styled_letters", hit.start, hit.end)
    for start, end, meant in masked_words(data):
        if meant:
            yield Disguise("look_alikes", start, end)
    if data.has(_MARK):
        yield from _piles(data)


def _piles(data: Bytes) -> Iterator[Disguise]:
    for hit in data.hits(_MARKED):
        whole = unicodedata.normalize("NFC", hit.text)
        if hit.text[0].isascii() and hit.text[0].isalpha() and len(whole) > 1:
            yield Disguise("piled_marks", hit.start, hit.end)
