"""Whether an answer reads like finished text: the formula of docs/scorers.md, by hand and not fitted to anything.

quality = (1 - 0.7 loops) (1 - 0.4 cut off) (1 - 0.8 gibberish) (1 - 0.5 mixed scripts), each part in 0..1.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from functools import lru_cache
from itertools import pairwise

from stanchion_guard.detectors import build, detector_class
from stanchion_guard.grounding.lexicon import word_set
from stanchion_guard.views import Reading
from stanchion_server.quality.records import Evidence, Example, Result
from stanchion_server.quality.scorers.known import Kind, Known, Parameters, Single
from stanchion_server.quality.scorers.texts import answered, places_of, reading_of, words_of

WEIGHTS = {"loops": 0.7, "cut_off": 0.4, "gibberish": 0.8, "mixed_scripts": 0.5}
_REASONS = {
    "loops": "the same words or characters over and over",
    "cut_off": "ends in the middle of a sentence, a bracket or a code block",
    "gibberish": "words that no language spells, or characters as in noise",
    "mixed_scripts": "words that mix alphabets, or a second script in between",
}
_FEWEST_WORDS = 8
_FEWEST_LETTERS = 40
_LOW_BITS, _HIGH_BITS = 2.5, 5.4
"""Shannon entropy of running text lies between these, in bits a character, in alphabets of up to some 60 letters."""
_NOISE_FROM = 100
"""Characters, before their entropy says anything."""
_FEWEST_BLANKS = 1 / 12
"""Of the characters: with more blanks than that, a text has words, which are looked at one by one."""
_TAIL = 60
_ENDS = ".!?…。！？؟।:;)]}>\"'”’»`*_|~%"
_HANGING = word_set("the a an and or but of to in with for that which is are was were because if by from as")
_LIST_LINE = re.compile(r"\s{0,12}(?:[-*•–#>|]|\d{1,3}[.)]|[a-zA-Z][.)])\s?")
_ADDRESS = re.compile(r"[@./]")
_VOWELS = frozenset("aeiouyàáâãäåæèéêëìíîïòóôõöøùúûüýāēīōūąęěőűœ")
_CLUSTER = re.compile(r"[bcdfghjklmnpqrstvwxz]{6}")
_LAST_LATIN = "\u024f"
_SCRIPT_STARTS = ((0x0370, "greek"), (0x0400, "cyrillic"), (0x0530, "other"), (0x3040, "cjk"), (0xFF00, "other"))


@lru_cache(maxsize=20_000)
def is_odd(word: str) -> bool:
    """A word of Latin letters, not an acronym, that no language spells so: no vowel, six consonants in a row, or
    letters and digits by turns."""
    if len(word) < 5 or not word.isascii() or word.isupper() or word.isdigit():
        return False
    lower = word.lower()
    if not lower.isalpha():
        turns = sum(a.isdigit() != b.isdigit() for a, b in pairwise(lower))
        return turns >= 3
    return _VOWELS.isdisjoint(lower) or _CLUSTER.search(lower) is not None


def gibberish(text: str, words: list[str]) -> float:
    """The share of odd words, raised by replacement characters and by an entropy that running text does not have."""
    odd = sum(map(is_odd, words)) / len(words) if words else 0.0
    broken = text.count("�") / len(text)
    blanks = text.count(" ") + text.count("\n")
    noise = _noise(text) if len(text) >= _NOISE_FROM and blanks < _FEWEST_BLANKS * len(text) else 0.0
    return min(1.0, max(2.0 * odd, 20.0 * broken, noise))


def _noise(text: str) -> float:
    counts = Counter(text)
    if len(counts) > 120:
        return 0.0
    bits = math.log2(len(text)) - sum(count * math.log2(count) for count in counts.values()) / len(text)
    return min(1.0, max(_LOW_BITS - bits, bits - _HIGH_BITS, 0.0))


def cut_off(text: str, words: list[str]) -> float:
    """1 for an open code block, a hanging comma, hyphen or small word; 0.8 for a last line that just ends; else 0.
    Lists, tables, headings and short texts may end as they like."""
    if len(words) < _FEWEST_WORDS:
        return 0.0
    if text.count("```") % 2:
        return 1.0
    tail = text.rstrip()
    last = tail[-1]
    if last in _ENDS or not (last.isalnum() or last in ",-–—(&/"):
        return 0.0
    if words[-1].lower() in _HANGING or not last.isalnum():
        return 1.0
    line = tail[tail.rfind("\n") + 1 :]
    parts = line.split()
    if _LIST_LINE.match(line) or len(parts) < _FEWEST_WORDS or ord(last) >= 0x0E00 or _ADDRESS.search(parts[-1]):
        return 0.0
    return 0.8


def mixed_scripts(text: str, words: list[str]) -> float:
    """Twice the share of letters outside the commonest script, and every word that mixes two counts ten letters.
    Japanese and Chinese signs beside Latin names are usual: up to a third of the letters is free."""
    if text.isascii() or not any(letter > _LAST_LATIN and letter.isalpha() for letter in set(text)):
        return 0.0
    counts = Counter(_script(letter) for letter in text if letter.isalpha())
    total = counts.total()
    if total < _FEWEST_LETTERS or len(counts) == 1:
        return 0.0
    mixed = sum(1 for word in words if not word.isascii() and _mixes(word))
    second = total - max(counts.values())
    return min(1.0, 2.0 * max(0.0, second / total - 1 / 3) + 10 * mixed / total)


@lru_cache(maxsize=20_000)
def _mixes(word: str) -> bool:
    found = {_script(letter) for letter in word if letter.isalpha()}
    return len(found & {"latin", "greek", "cyrillic"}) > 1


@lru_cache(maxsize=8_192)
def _script(letter: str) -> str:
    found = "latin"
    for start, name in _SCRIPT_STARTS:
        if ord(letter) >= start:
            found = name
    return found


class TextQuality(Single):
    def __init__(self, known: Known, parameters: Parameters) -> None:
        super().__init__(known, f"1.repetition-{detector_class('repetition').version}")
        self._repetition = build("repetition", {})

    def judge(self, example: Example) -> Result | None:
        reading = reading_of(example.response)
        text, words = reading.raw, words_of(reading)
        if not text.strip() or example.expected_format:
            return None
        loops = self._repetition.detect(reading, 1, answered(example))
        parts = {
            "loops": loops.score or 0.0,
            "cut_off": cut_off(text, words),
            "gibberish": gibberish(text, words),
            "mixed_scripts": mixed_scripts(text, words),
        }
        score = math.prod(1.0 - WEIGHTS[name] * part for name, part in parts.items())
        seen = {name: part for name, part in parts.items() if WEIGHTS[name] * part >= 0.1}
        label = max(seen, key=lambda name: WEIGHTS[name] * seen[name]) if seen else ""
        where = (loops.findings[0].start, loops.findings[0].end) if loops.findings else (0, 0)
        evidence = [_evidence(name, part, reading, where) for name, part in seen.items()]
        return self.result(score, label, "; ".join(_REASONS[name] for name in seen), evidence)


def _evidence(name: str, part: float, reading: Reading, loop: tuple[int, int]) -> Evidence:
    start, end = loop if name == "loops" else (0, 0)
    if name == "cut_off":
        end = len(reading.raw.rstrip())
        start = max(0, end - _TAIL)
    if name == "gibberish":
        odd = [place for place, word in zip(places_of(reading), words_of(reading), strict=True) if is_odd(word)]
        start, end = odd[0] if odd else (0, 0)
    return Evidence("response", start, end, name, round(part, 4), _REASONS[name])


KINDS = (
    Kind(
        Known(
            id="text_quality", title="Finished, readable text", family="quality", lane="fast",
            direction="high_is_good", threshold=0.65, usual_ratio=1.0,
            blind_to="What the text says: fluent nonsense reads well. Poems, tables, code and lists of names may read"
            " badly; an answer that is cut off after a full stop looks finished. Answers asked for as JSON are not"
            " judged.",
        ),
        TextQuality,
    ),
)  # fmt: skip
