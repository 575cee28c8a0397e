"""Sentences, tokens, stems and numbers of a text, with offsets. Linear in the text: no pattern spans two characters."""

# ruff: noqa: E501 - the tables of endings are rows

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from stanchion_guard.grounding.lexicon import NEGATORS, STOP, word_set

LONGEST_SENTENCE = 600
_KEPT = "'.,%$€£"
SIGNS = "'.,"
"""Kept inside a word, and not around it."""
_CLAUSE_ENDS = ";()[]—–"
_ENDS = ".!?。！？…"
_BREAK = re.compile(f"[\n{_ENDS}]")
_ABBREVIATIONS = word_set("""mr mrs ms dr prof sr jr st vs etc inc ltd co corp no fig al e.g i.e u.s u.k a.m p.m""")
_UNITS = {
    word: value
    for value, word in enumerate(
        [
            "zero",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
        ]
    )
}
_TENS = {
    word: 10 * (i + 2)
    for i, word in enumerate(["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"])
}
_SCALES = {"hundred": 1e2, "thousand": 1e3, "million": 1e6, "billion": 1e9, "trillion": 1e12}
_SUFFIXES = {"k": 1e3, "m": 1e6, "mn": 1e6, "bn": 1e9, "b": 1e9, "tn": 1e12}
_ORDINALS = ("st", "nd", "rd", "th", "s")
_PERCENT = ("percent", "pct", "%")
JOINING = frozenset({*_TENS, *_SCALES, *_PERCENT, "longer"})
"""Words that may change how the word before them is read, or how they are read after it."""


class _Blanks(dict[int, str]):
    """Translation table filled as characters turn up: a letter, digit or kept sign stays, the rest becomes a blank."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        keep = character.isalnum() or character in _KEPT or 0x300 <= code < 0x370
        kept = "'" if character in "’ʼ" else character if keep else "," if character in _CLAUSE_ENDS else " "
        if len(self) < 4096:
            self[code] = kept
        return kept


_TABLE = _Blanks()


@dataclass(frozen=True, slots=True)
class Token:
    """`stem` is for comparing; `number` is the value of a figure or number word, its scale words included."""

    word: str
    stem: str
    capital: bool
    content: bool
    number: float | None = None
    percent: bool = False
    ends: bool = False
    """Whether a comma, bracket or dash parts it from the next."""


@dataclass(frozen=True, slots=True)
class Sentence:
    start: int
    end: int
    tokens: tuple[Token, ...]


def sentences(text: str, limit: int = 2_000) -> list[Sentence]:
    """At most `limit` sentences in order; a line break after a blank line or list item ends one too."""
    return [Sentence(start, end, tokens(text[start:end])) for start, end in spans(text)[:limit]]


def spans(text: str) -> list[tuple[int, int]]:
    """Where the sentences stand, blanks around them cut off. None is longer than `LONGEST_SENTENCE` characters."""
    found: list[tuple[int, int]] = []
    start = 0
    for end in _breaks(text):
        while end - start > LONGEST_SENTENCE:
            cut = text.rfind(" ", start + 1, start + LONGEST_SENTENCE)
            cut = cut if cut > start else start + LONGEST_SENTENCE
            _add(text, start, cut, found)
            start = cut
        _add(text, start, end, found)
        start = end
    return found


def _add(text: str, start: int, end: int, found: list[tuple[int, int]]) -> None:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    if end > start:
        found.append((start, end))


def _breaks(text: str) -> list[int]:
    places = (match.start() for match in _BREAK.finditer(text))
    return [*(at + 1 for at in places if text[at] == "\n" or _closes(text, at)), len(text)]


def _closes(text: str, at: int) -> bool:
    after = text[at + 1 : at + 2]
    if after and not after.isspace() and after not in "\"'”)" and text[at] <= "~":
        return False
    return text[at] != "." or not _abbreviated(text, at)


def _abbreviated(text: str, dot: int) -> bool:
    before = text[max(0, dot - 8) : dot].split()
    word = before[-1].lower() if before else ""
    initial = len(word) == 1 and word.isalpha() and text[dot - 1].isupper()
    return initial or word in _ABBREVIATIONS


def parts(text: str) -> list[str]:
    """A text's runs of letters, digits and the signs that may belong to them, in order."""
    return text.translate(_TABLE).split()


def token_of(part: str, *, first: bool) -> Token | None:
    """What `tokens` reads in one of the `parts` as long as none of the text is among JOINING, but for `ends`; None where
    it is nothing but signs. `first` is whether the text begins with it."""
    word = part.strip(SIGNS)
    return _made(word, first, False) if word else None


def tokens(text: str) -> tuple[Token, ...]:
    return _tokens(parts(text))


def _tokens(parts: Sequence[str]) -> tuple[Token, ...]:
    after = [*(part[0] == "," or part == "." for part in parts[1:]), False]
    ends = [part[-1] in ",." or comes for part, comes in zip(parts, after, strict=False)]
    raw = [part.strip(SIGNS) for part in parts]
    found = _numbers([_token(word, i == 0, ends[i]) for i, word in enumerate(raw) if word])
    for i, token in enumerate(found[1:], 1):
        if token.word == "longer" and found[i - 1].word == "no":
            found[i] = replace(token, content=False)
    return tuple(found)


def _made(word: str, first: bool, ends: bool) -> Token:
    lower = word.lower()
    if lower.endswith("'s"):
        lower = lower[:-2]
    number, percent = figure(lower)
    plain = lower.strip("$€£%")
    month = word == "May" and not first
    content = month or (bool(plain) and plain not in STOP and plain not in NEGATORS and not plain.startswith("n't"))
    capital = word[:1].isupper() and not first
    return Token(lower, stem(plain), capital, content, number, percent, ends)


_token = lru_cache(maxsize=20_000)(_made)


def figure(word: str) -> tuple[float | None, bool]:
    """The value a single written figure or number word stands for, and whether it is a percentage."""
    percent = word.endswith("%")
    plain = word.strip("$€£%")
    if plain in _UNITS:
        return float(_UNITS[plain]), False
    if plain in _TENS:
        return float(_TENS[plain]), False
    if not plain[:1].isdigit() or len(plain) > 24:
        return None, False
    digits = plain.rstrip("abcdefghijklmnopqrstuvwxyz")
    tail = plain[len(digits) :]
    if tail and tail not in _SUFFIXES and tail not in _ORDINALS:
        return None, False
    value = _decimal(digits)
    return (None if value is None else value * _SUFFIXES.get(tail, 1.0)), percent


def _decimal(digits: str) -> float | None:
    groups = digits.split(",")
    if len(groups) > 1 and not all(len(group.split(".")[0]) == 3 for group in groups[1:]):
        return None
    plain = "".join(groups)
    if not plain.isascii() or not plain.replace(".", "", 1).isdigit():
        return None
    return float(plain)


def _numbers(found: list[Token]) -> list[Token]:
    """Joins "1.5 million", "two hundred" and "twenty five" into the first token's value."""
    joined: list[Token] = []
    for token in found:
        before = joined[-1] if joined else None
        if before is not None and before.number is not None and token.word in _SCALES:
            joined[-1] = _valued(before, before.number * _SCALES[token.word], token)
        elif before is not None and before.word in _TENS and token.word in _UNITS and 0 < _UNITS[token.word] < 10:
            joined[-1] = _valued(before, (before.number or 0) + _UNITS[token.word], token)
        elif before is not None and before.number is not None and token.word in _PERCENT:
            joined[-1] = replace(before, percent=True, ends=token.ends)
        else:
            joined.append(token)
    return joined


def _valued(token: Token, value: float, last: Token) -> Token:
    return replace(token, content=True, number=value, ends=last.ends)


_ENDINGS = (
    ("ational", "ate"), ("fulness", "ful"), ("ousness", "ous"), ("iveness", "ive"), ("ization", "ize"), ("isation", "ize"),
    ("ations", "at"), ("ation", "at"), ("ements", ""), ("ement", ""), ("ments", ""), ("ment", ""), ("ities", ""), ("ity", ""),
    ("ingly", ""), ("edly", ""), ("ions", ""), ("ion", ""), ("ings", ""), ("ing", ""), ("iest", "y"), ("ies", "y"), ("ied", "y"),
    ("ers", ""), ("ors", ""), ("est", ""), ("ed", ""), ("er", ""), ("or", ""), ("ly", ""), ("es", ""), ("s", ""), ("e", ""),
)  # fmt: skip
_BY_LAST = {last[0][-1]: tuple(pair for pair in _ENDINGS if pair[0][-1] == last[0][-1]) for last in _ENDINGS}
_IRREGULAR = {
    "began": "begin", "begun": "begin", "wrote": "write", "written": "write", "won": "win", "lost": "lose", "made": "make",
    "taught": "teach", "bought": "buy", "sold": "sell", "led": "lead", "fell": "fall", "fallen": "fall", "rose": "rise", "grew": "grow",
    "grown": "grow", "took": "take", "taken": "take", "came": "come", "went": "go", "gone": "go", "gave": "give", "given": "give",
    "held": "hold", "kept": "keep", "left": "leave", "met": "meet", "paid": "pay", "ran": "run", "sang": "sing", "sung": "sing",
    "spoke": "speak", "spent": "spend", "stood": "stand", "thought": "think", "told": "tell", "died": "die", "dies": "die", "dying": "die",
    "men": "man", "women": "woman", "children": "child", "people": "person", "feet": "foot", "became": "become", "built": "build",
    "chose": "choose", "chosen": "choose", "drew": "draw", "drawn": "draw", "drove": "drive", "known": "know", "knew": "know",
}  # fmt: skip


@lru_cache(maxsize=20_000)
def stem(word: str) -> str:
    """A rough English stem: enough for "founded" and "founder" to meet, not a dictionary form."""
    word = _IRREGULAR.get(word, word)
    if len(word) < 4 or not word.isalpha():
        return word
    for ending, instead in _BY_LAST.get(word[-1], ()):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word[: len(word) - len(ending)] + instead
            break
    if len(word) > 4 and word[-1] == word[-2] and word[-1] not in "aeiouls":
        word = word[:-1]
    return word[:-1] + "i" if len(word) > 3 and word.endswith("y") else word
