"""What the classifiers see of a text: hashed words, stems, pairs of words and the signs between them, and word classes,
sentence by sentence, all of it in numpy.

Every feature belongs to one *segment* (about a sentence), so that the score of any run of segments is a difference of
sums, and a sentence in a long document is found without reading the document twice. A text costs a fixed number of
features for each word, whatever the words are.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from stanchion_guard.classifiers import lexicon

Codes = npt.NDArray[np.uint32]
Indexes = npt.NDArray[np.int64]

BITS = {"word": 17, "stem": 16, "pair": 17, "skip": 16, "gap": 10}
"""Table rows of each kind of feature, as powers of two. `skip` is a pair with one word between; `gap` is the signs
between two words; blanks do not count, nor do line breaks, with which anybody could break up an attack."""
KINDS = tuple(BITS)
OFFSETS = dict(zip(KINDS, np.cumsum([0, *(1 << bits for bits in BITS.values())]).tolist(), strict=False))
ROWS = sum(1 << bits for bits in BITS.values())
LONGEST_SEGMENT = 40
"""Words. A text without any full stop is cut here."""
SHORTEST_SEGMENT = 4
"""Words. A shorter sentence joins the one after it."""

_LETTER = 1 << 16
_STOP = 1 << 17
_SIGN = np.uint32(_STOP - 1)
_GROUP = 1
_PERSON = 2
_GENDERED = ("he", "she", "him", "her", "his", "hers", "himself", "herself")
_STEM_LETTERS = 5
_IDEOGRAPHS = (np.uint32(_LETTER | 0x3040), np.uint32(_LETTER | 0xA000))
_PLANE = 1 << 16
_MULTIPLIER = np.uint32(0x01000193)
_SKIP = np.uint32(0x5BD1E995)
_FINISH = np.uint32(0x85EBCA6B)
_STOPS = ".!?\n\r;:…。！？；।؟|"
_SHIFTS = np.array([[32 - bits] for bits in BITS.values()], dtype=np.uint32)
_STARTS = np.array([[OFFSETS[kind]] for kind in KINDS], dtype=np.uint32)


@dataclass(frozen=True, slots=True)
class Segments:
    """Where a text's segments and words are. `firsts` is the index of each segment's first word, and of the end;
    `classes` is one bit mask of word classes for each segment; `starts` and `ends` are the words' ranges in the text
    that was read."""

    firsts: Indexes
    classes: Codes
    starts: Indexes
    ends: Indexes

    def __len__(self) -> int:
        return len(self.classes)

    def range_of(self, first: int, last: int) -> tuple[int, int]:
        """Where a run of segments stands in the text that was read, the last one included."""
        return int(self.starts[self.firsts[first]]), int(self.ends[self.firsts[last + 1] - 1])


@dataclass(frozen=True, slots=True)
class Grams(Segments):
    """One text's features. `rows` has a line for each of KINDS and a column for each word: rows of the one table of
    weights."""

    rows: Codes


@cache
def _folding() -> Codes:
    """For every character of the basic plane: letters and digits (all the same) with _LETTER set, stops with _STOP,
    nothing for blanks (a line break is a bare stop), other signs as they are."""
    table = np.arange(_PLANE, dtype=np.uint32)
    for code in range(_PLANE):
        letter = chr(code)
        if letter.isalpha() or 0x0900 <= code < 0x0E80:
            table[code] = code | _LETTER
        elif letter.isdigit():
            table[code] = ord("0") | _LETTER
        elif letter.isspace():
            table[code] = 0
    for stop in _STOPS:
        table[ord(stop)] |= _STOP
    return table


def tables() -> tuple[Codes, npt.NDArray[np.uint64], Codes]:
    """What characters, hashes and pronouns are looked up in, for the compiled scan."""
    return _folding(), _class_table(), _gendered()


def _signs(text: str) -> Codes:
    if text.isascii():
        return _folding().take(np.frombuffer(text.encode("ascii"), dtype=np.uint8))
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    return _folding().take(codes, mode="clip")


def _word_ranges(signs: Codes) -> Indexes:
    """Where words begin and end, in turn."""
    inside = np.zeros(len(signs) + 2, dtype=np.bool_)
    inside[1:-1] = signs & np.uint32(_LETTER)
    return np.flatnonzero(inside[1:] != inside[:-1])


def _character_ranges(signs: Codes) -> Indexes:
    """As `_word_ranges`; in scripts without spaces every character is a word."""
    inside = np.zeros(len(signs) + 2, dtype=np.bool_)
    inside[1:-1] = signs & np.uint32(_LETTER)
    alone = np.zeros_like(inside)
    alone[1:-1] = (signs >= _IDEOGRAPHS[0]) & (signs < _IDEOGRAPHS[1])
    if not alone.any():
        return np.flatnonzero(inside[1:] != inside[:-1])
    joint = inside[:-1] & inside[1:] & ~alone[:-1] & ~alone[1:]
    starts, ends = np.flatnonzero(inside[1:] & ~joint), np.flatnonzero(inside[:-1] & ~joint)
    return np.stack((starts, ends), axis=1).reshape(-1)


_POWERS: list[tuple[Codes, Codes]] = []


def _powers(length: int) -> tuple[Codes, Codes]:
    """Powers of the multiplier and of its inverse modulo 2^32, at least `length` of each. Two threads that both make
    them make the same ones."""
    if not _POWERS or len(_POWERS[-1][0]) < length:
        size = max(1 << 13, 1 << (length - 1).bit_length())
        inverse = np.uint32(pow(int(_MULTIPLIER), -1, 1 << 32))
        _POWERS[:] = [(_running(_MULTIPLIER, size), _running(inverse, size))]
    return _POWERS[-1]


def _running(factor: np.uint32, size: int) -> Codes:
    steps = np.full(size, factor, dtype=np.uint32)
    steps[0] = 1
    return np.cumprod(steps, dtype=np.uint32)


def _hashes(signs: Codes, edges: Indexes) -> Codes:
    """Lines for each word itself, its stem, and the signs after it: hashes of runs of signs, whatever their place, as
    differences of running sums that the multiplier's inverse brings back."""
    powers, inverses = _powers(len(signs) + 1)
    sums = np.zeros(len(signs) + 1, dtype=np.uint32)
    marks = signs & _SIGN
    marks *= powers[: len(signs)]
    marks.cumsum(dtype=np.uint32, out=sums[1:])
    at, back = sums.take(edges), inverses.take(edges)
    starts, ends, before = edges[::2], edges[1::2], at[::2]
    found = np.zeros((3, len(starts)), dtype=np.uint32)
    np.subtract(at[1::2], before, out=found[0])
    np.subtract(sums.take(np.minimum(ends, starts + _STEM_LETTERS)), before, out=found[1])
    found[:2] *= back[::2]
    found[1] ^= np.uint32(lexicon.STEM)
    np.subtract(before[1:], at[1:-1:2], out=found[2, :-1])
    found[2, :-1] *= back[1:-1:2]
    return found


def _first_words(signs: Codes, starts: Indexes) -> Indexes:
    """Indexes of the words that begin a segment, and the count of words."""
    count = len(starts)
    stops = np.flatnonzero(signs & np.uint32(_STOP))
    breaks = dict.fromkeys(starts.searchsorted(stops).tolist()) if len(stops) else ()
    chosen = [0]
    for word in (*breaks, count):
        while word - chosen[-1] > LONGEST_SEGMENT:
            chosen.append(chosen[-1] + LONGEST_SEGMENT)
        if word - chosen[-1] >= SHORTEST_SEGMENT and count - word >= SHORTEST_SEGMENT:
            chosen.append(word)
    return np.array([*chosen, count], dtype=np.int64)


def _rows(hashes: Codes) -> Codes:
    """Table rows: the upper bits of a multiplicative hash are its good ones."""
    words = hashes[0]
    rows = np.empty((len(KINDS), len(words)), dtype=np.uint32)
    rows[:2] = hashes[:2]
    np.multiply(words, _MULTIPLIER, out=rows[2])
    rows[2, :-1] += words[1:]
    np.bitwise_xor(words, _SKIP, out=rows[3])
    rows[3] *= _MULTIPLIER
    rows[3, :-2] += words[2:]
    rows[4] = hashes[2]
    rows ^= rows >> np.uint32(15)
    rows *= _FINISH
    rows >>= _SHIFTS
    rows += _STARTS
    return rows


def word_rows(hashes: Codes) -> Indexes:
    """Table rows of single words by their hash."""
    mixed = hashes ^ (hashes >> np.uint32(15))
    rows: Indexes = ((mixed * _FINISH) >> _SHIFTS[0, 0]).astype(np.int64)
    return rows


def hash_of(word: str) -> int:
    """The hash under which a folded word stands: what the word-class table is keyed by."""
    signs = _signs(word)
    return int(_hashes(signs, np.array([0, len(signs)]))[0, 0])


_SLOTS = 1 << 16
_LITTLE = sys.byteorder == "little"
_LOW, _HIGH = slice(not _LITTLE, None, 2), slice(_LITTLE, None, 2)


@cache
def _class_table() -> npt.NDArray[np.uint64]:
    """Hash table with open addressing in one probe: full hash above the class mask, for words and for five-letter
    stems."""
    table = np.zeros(_SLOTS, dtype=np.uint64)
    for word, mask in lexicon.masks().items():
        hashed = hash_of(word[:-1]) ^ lexicon.STEM if word.endswith("*") else hash_of(word)
        table[hashed & (_SLOTS - 1)] = hashed << 32 | mask
    return table


def _masks(hashes: Codes) -> Codes:
    """The classes of each word, by itself or by its stem."""
    entries = _class_table().take(hashes & np.uint32(_SLOTS - 1)).view(np.uint32)
    masks = entries[:, _LOW] * (entries[:, _HIGH] == hashes)
    found: Codes = masks[0] | masks[1]
    return found


_PRONOUN_SLOTS = 1 << 10


@cache
def _gendered() -> Codes:
    """The hashes of gendered pronouns, each under its last ten bits, so that one look tells a word from them."""
    table = np.zeros(_PRONOUN_SLOTS, dtype=np.uint32)
    for word in _GENDERED:
        table[hash_of(word) % _PRONOUN_SLOTS] = hash_of(word)
    return table


def _cover(hashes: Codes, masks: Codes) -> None:
    """Words for groups of people become one sign, pronouns that tell a person's sex another: the score may not depend
    on which group or which sex."""
    words = hashes[:2]
    pronouns = _gendered().take(words[0] & np.uint32(_PRONOUN_SLOTS - 1)) == words[0]
    groups = masks & np.uint32(lexicon.IDENTITY) != 0
    if groups.any():
        words[:, groups] = _GROUP
    if pronouns.any():
        words[:, pronouns] = _PERSON


NO_SEGMENTS = Segments(np.zeros(1, dtype=np.int64), np.zeros(0, dtype=np.uint32), *(np.zeros(0, dtype=np.int64),) * 2)
_NOTHING = Grams(
    NO_SEGMENTS.firsts, NO_SEGMENTS.classes, NO_SEGMENTS.starts, NO_SEGMENTS.ends, np.zeros((len(KINDS), 0), np.uint32)
)


def grams(text: str) -> Grams:
    """Features of a folded text; a text without letters has no segment. Cost grows linearly with the text."""
    signs = _signs(text)
    edges = _word_ranges(signs) if text.isascii() else _character_ranges(signs)
    if not len(edges):
        return _NOTHING
    firsts = _first_words(signs, edges[::2])
    hashes = _hashes(signs, edges)
    masks = _masks(hashes[:2])
    _cover(hashes, masks)
    return Grams(
        rows=_rows(hashes),
        firsts=firsts,
        classes=np.bitwise_or.reduceat(masks, firsts[:-1]),
        starts=edges[::2],
        ends=edges[1::2],
    )
