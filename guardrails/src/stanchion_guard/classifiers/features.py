"""What the classifiers see of a text: hashed n-grams and word classes, sentence by sentence, all of it in numpy.

Only letters and digits count: punctuation and layout say more about where a text comes from than about what it asks
for. Every gram belongs to one *segment* (about a sentence), so that the score of any run of segments is a difference of
sums, and a sentence in a long document is found without reading the document twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from stanchion_guard.classifiers import lexicon

Codes = npt.NDArray[np.uint32]
Indexes = npt.NDArray[np.int64]

CHARACTER_BITS = 17
WORD_BITS = 17
WORD_ROWS = 2 << WORD_BITS
"""Pairs and triples of words in the first half, single words in the second: those carry what a word means."""
LONGEST_SEGMENT = 40
"""Words. A text without any full stop is cut here."""
SHORTEST_SEGMENT = 4
"""Words. A shorter sentence joins the one after it."""

_SPACE = 32
_DIGIT = 48
_GROUP = 1
_STEM_LETTERS = 5
_IDEOGRAPHS = range(0x3040, 0xA000)
_PLANE = 1 << 16
_MULTIPLIER = np.uint32(0x01000193)
_FINISH = np.uint32(0x85EBCA6B)
_STOPS = ".!?\n\r;:…。！？；।؟|"


@dataclass(frozen=True, slots=True)
class Grams:
    """One text's features. `characters` and `words` are table rows; `character_bounds` and `word_bounds` say where each
    segment's rows begin (one offset more than there are segments); `classes` is one bit mask of word classes for each
    segment; `starts` and `ends` are the segments' ranges in the text that was read."""

    characters: Indexes
    words: Indexes
    character_bounds: Indexes
    word_bounds: Indexes
    classes: Codes
    starts: Indexes
    ends: Indexes

    def __len__(self) -> int:
        return len(self.starts)


@cache
def _folding() -> Codes:
    """For every character of the basic plane: a letter as it is, one digit for all digits, a space for the rest."""
    table = np.full(_PLANE, _SPACE, dtype=np.uint32)
    for code in range(_PLANE):
        letter = chr(code)
        if letter.isalpha() or 0x0900 <= code < 0x0E80:
            table[code] = code
        elif letter.isdigit():
            table[code] = _DIGIT
    return table


@cache
def _stops() -> npt.NDArray[np.bool_]:
    table = np.zeros(_PLANE, dtype=np.bool_)
    table[[ord(stop) for stop in _STOPS]] = True
    return table


def _codes(text: str) -> Codes:
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    return np.minimum(codes, _PLANE - 1)


def _mix(hashes: Codes, bits: int) -> Indexes:
    """Table rows: the upper bits of a multiplicative hash are its good ones."""
    hashes ^= hashes >> np.uint32(15)
    hashes *= _FINISH
    hashes >>= np.uint32(32 - bits)
    return hashes.astype(np.int64)


def _word_ranges(letters: Codes) -> tuple[Indexes, Indexes]:
    """Where words begin and end; in scripts without spaces every character is a word."""
    inside = np.zeros(len(letters) + 2, dtype=np.bool_)
    inside[1:-1] = letters != _SPACE
    if letters.max(initial=0) < _IDEOGRAPHS.start:
        edges = np.flatnonzero(inside[1:] != inside[:-1])
        return edges[::2], edges[1::2]
    alone = np.zeros_like(inside)
    alone[1:-1] = (letters >= _IDEOGRAPHS.start) & (letters < _IDEOGRAPHS.stop)
    joint = inside[:-1] & inside[1:] & ~alone[:-1] & ~alone[1:]
    return np.flatnonzero(inside[1:] & ~joint), np.flatnonzero(inside[:-1] & ~joint)


def _word_hashes(letters: Codes, starts: Indexes, ends: Indexes) -> tuple[Codes, Codes]:
    """Hashes of each word and of its stem, whatever its place: a difference of running sums, brought back by the
    multiplier's inverse."""
    powers, inverses = _powers(len(letters) + 1)
    sums = np.zeros(len(letters) + 1, dtype=np.uint32)
    np.cumsum(letters * powers[: len(letters)], dtype=np.uint32, out=sums[1:])
    first, back = sums[starts], inverses[starts]
    words = (sums[ends] - first) * back
    stems = (sums[np.minimum(ends, starts + _STEM_LETTERS)] - first) * back
    return words, stems ^ np.uint32(lexicon.STEM)


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


def _segment_starts(breaks: npt.NDArray[np.bool_]) -> Indexes:
    """Indexes of the words that begin a segment, from whether a stop stands before each word."""
    count = len(breaks)
    chosen = [0]
    for word in [*np.flatnonzero(breaks).tolist(), count]:
        while word - chosen[-1] > LONGEST_SEGMENT:
            chosen.append(chosen[-1] + LONGEST_SEGMENT)
        if word - chosen[-1] >= SHORTEST_SEGMENT and count - word >= SHORTEST_SEGMENT:
            chosen.append(word)
    return np.array(chosen, dtype=np.int64)


def _character_rows(letters: Codes) -> Indexes:
    """Rows of the 3- to 5-grams that begin at each letter: three rows for every letter."""
    count = len(letters)
    padded = np.zeros(count + 4, dtype=np.uint32)
    padded[:count] = letters
    hashes = padded[:count] * _MULTIPLIER + padded[1 : count + 1]
    rows = np.empty((count, 3), dtype=np.uint32)
    for column in range(3):
        hashes = hashes * _MULTIPLIER + padded[column + 2 : count + column + 2]
        rows[:, column] = hashes
    return _mix(rows.ravel(), CHARACTER_BITS)


def _word_rows(hashes: Codes) -> Indexes:
    """Rows of each word's 1-, 2- and 3-gram and of the pair that skips one word: four rows for every word."""
    count = len(hashes)
    padded = np.zeros(count + 2, dtype=np.uint32)
    padded[:count] = hashes
    rows = np.empty((count, 4), dtype=np.uint32)
    rows[:, 0] = padded[:count]
    rows[:, 1] = rows[:, 0] * _MULTIPLIER + padded[1 : count + 1]
    rows[:, 2] = rows[:, 1] * _MULTIPLIER + padded[2:]
    rows[:, 3] = (rows[:, 0] ^ np.uint32(0x5BD1E995)) * _MULTIPLIER + padded[2:]
    found = _mix(rows.ravel(), WORD_BITS)
    found[::4] += 1 << WORD_BITS
    return found


def single_rows(hashes: Codes) -> Indexes:
    """Table rows of single words by their hash."""
    return _mix(hashes.copy(), WORD_BITS) + (1 << WORD_BITS)


def hash_of(word: str) -> int:
    """The hash under which a folded word stands: what the word-class table is keyed by."""
    codes = _folding()[_codes(word)]
    return int(_word_hashes(codes, np.array([0]), np.array([len(codes)]))[0][0])


@cache
def _class_table() -> tuple[Codes, Codes]:
    """Hash table with open addressing in one probe: full hash and class mask, for words and for five-letter stems."""
    keys = np.zeros(1 << 16, dtype=np.uint32)
    masks = np.zeros(1 << 16, dtype=np.uint32)
    for word, mask in lexicon.masks().items():
        hashed = hash_of(word[:-1]) ^ lexicon.STEM if word.endswith("*") else hash_of(word)
        slot = hashed & 0xFFFF
        keys[slot] = hashed
        masks[slot] = mask
    return keys, masks


def _masks(hashes: Codes) -> Codes:
    keys, masks = _class_table()
    slots = hashes & np.uint32(0xFFFF)
    return np.where(keys[slots] == hashes, masks[slots], np.uint32(0))


def _cover(letters: Codes, kept: npt.NDArray[np.bool_], starts: Indexes, ends: Indexes) -> Codes:
    """Words for groups of people become one sign, whatever their length: the score may not depend on which group."""
    edges = np.zeros(len(letters) + 1, dtype=np.int8)
    edges[starts] = 1
    edges[ends] -= 1
    kept &= np.cumsum(edges[:-1]) == 0
    kept[starts] = True
    covered = letters.copy()
    covered[starts] = _GROUP
    return covered


_NOTHING = Grams(*(np.zeros(0, dtype=np.int64),) * 4, np.zeros(0, np.uint32), *(np.zeros(0, dtype=np.int64),) * 2)


def grams(text: str) -> Grams:
    """Features of a folded text; a text without letters has no segment. Cost grows linearly with the text."""
    codes = _codes(text)
    letters = _folding().take(codes)
    starts, ends = _word_ranges(letters)
    if not len(starts):
        return _NOTHING
    stops = np.concatenate(([0], np.cumsum(_stops()[codes])))
    breaks = stops[starts[1:]] > stops[ends[:-1]]
    firsts = _segment_starts(np.concatenate(([False], breaks)))
    kept = letters != _SPACE
    kept[1:] |= kept[:-1]
    hashes, stems = _word_hashes(letters, starts, ends)
    masks = _masks(hashes) | _masks(stems)
    groups = masks & np.uint32(lexicon.IDENTITY) != 0
    if groups.any():
        hashes = np.where(groups, np.uint32(_GROUP), hashes)
        letters = _cover(letters, kept, starts[groups], ends[groups])
    places = np.cumsum(kept) - 1
    rows = _character_rows(letters[kept])
    return Grams(
        characters=rows,
        words=_word_rows(hashes),
        character_bounds=np.append(places[starts[firsts]] * 3, len(rows)),
        word_bounds=np.append(firsts * 4, len(hashes) * 4),
        classes=np.bitwise_or.reduceat(masks, firsts),
        starts=starts[firsts],
        ends=ends[np.append(firsts[1:], len(starts)) - 1],
    )
