"""Passages in other languages than English, which the attack classifiers judge badly: harmless ones score too high
there, so they have to score more to count.

What counts is the passage that scores, not the message, and its words: an attack is hardly ever let off for words that
stand around it. Where a tenth of a passage's words are English beyond doubt, or some that are stand close together, or
too few are of any other language, it counts as English.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from stanchion_guard.classifiers.features import Segments
from stanchion_guard.detectors import language

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

MOST_ENGLISH, LEAST_FOREIGN, FEWEST_FOREIGN = 0.1, 0.2, 3
"""Shares of a passage's words, and a count. Harmless English texts have 0.2 to 0.6 and hardly any; others 0 to 0.05 and
0.2 to 1 (the training's texts by source, tenth to ninetieth percentile)."""
GROUPS = ("latin", "romance", "alphabets", "arabic", "indic", "ideographs", "southeast")
"""Languages: others in Latin letters; Catalan, French, Galician, Italian, Portuguese, Romanian, Spanish; Greek,
Cyrillic, Armenian, Hebrew, Georgian and the like; in Arabic letters; of India; Chinese, Japanese, Korean; Thai, Lao,
Khmer, Burmese."""
NEEDED: Mapping[str, Sequence[float]] = {"attack": (0.34, 0.58, 0.14, 0.5, 0.65, 0.61, 0.0)}
"""By target and GROUPS: what a passage's logit has to be more than an English one's, so that of harmless passages of a
source that no model saw one in a hundred is flagged. Measured by guardrails/train/languages.py on 27 November 2026; of
the other targets `indirect` needs nothing, and harm and toxicity were not measured."""
WORDS, ENGLISH, RUNS, FOREIGN = range(4)
"""Columns of counts; one for each of GROUPS follows. RUNS: words that end some words of English in a row."""
COLUMNS = FOREIGN + 1 + len(GROUPS)
_RUNS = ((10, 3), (30, 4))
"""Of so many words in a row, at least so many are English beyond doubt: the second where an attack's words stand far
apart. It takes 2.3 in a hundred of CyberSecEval's translated look-alikes for English (27 November 2026)."""
_MOST_IN_RUN = max(least for _, least in _RUNS)
_ROMANCE = frozenset(("ca", "es", "fr", "gl", "it", "pt", "ro"))
_BLOCKS = (
    (0, 0), (0x370, 2), (0x600, 3), (0x780, 2), (0x900, 4), (0xE00, 6), (0x10A0, 2), (0x1100, 5), (0x1200, 2),
    (0x1780, 6), (0x1800, 2), (0x1E00, 0), (0x1F00, 2), (0x2000, 0), (0x2C00, 2), (0x2E80, 5),
)  # fmt: skip
"""Where blocks of letters begin, and the number of their group."""
_STARTS = tuple(start for start, _ in _BLOCKS)
_MORE = {
    "af": "nie die het is jou jy ek ons hulle van vir met wat sal kan wees hierdie daardie moet word",
    "cy": "yn yr y ac mae nid ddim sydd wedi fod hyn gan oes ond neu eich chi fy rhaid gyda bydd",
    "eu": "eta da ez bat du hau zer nola dira dut zure nire egin duzu behar baina edo izan dago gehiago",
    "ga": "agus an na ar is ní sé tá bhí leis don nach gur mar seo sin cad conas",
    "gl": "unha non máis polo pola teu estes isto esta hoxe onde moi tamén cando ti pode foi",
    "is": "og er ekki það sem við þú ég eru hann hún var verið þetta til hvað hvernig",
    "ms": "yang dan tidak untuk ini itu dengan boleh anda saya adalah pada dalam akan kepada telah",
    "sl": "je in ne da se za ki na so bi tudi kaj kako lahko ali sem pri biti vse ni",
    "sw": "na ya wa kwa ni katika hii yako kama za la si hiyo lakini nini je hapa",
    "tl": "ang ng sa mga na ay hindi ito ako ikaw ka mo ko at kung para may siya ano paano bakit bawat kanyang",
}
"""Common words of languages that the detector `language` does not tell."""


_IS_ENGLISH = (ENGLISH,)


@cache
def english() -> frozenset[str]:
    """Folded words that are common in English and rare in texts in other languages; guardrails/train/languages.py picks
    them."""
    return frozenset((Path(__file__).parent / "english.txt").read_text(encoding="utf-8").split())


@cache
def _known() -> Mapping[str, tuple[int, ...]]:
    """The columns that a word counts in."""
    codes: dict[str, set[str]] = {}
    for listed in (language.COMMON, _MORE):
        for code, words in listed.items():
            for word in words.split():
                codes.setdefault(word, set()).add(code)
    found = {word: (FOREIGN, *_group(those)) for word, those in codes.items() if "en" not in those and len(word) > 1}
    return found | dict.fromkeys(english(), _IS_ENGLISH)


def _group(codes: set[str]) -> tuple[int, ...]:
    """Of a word in Latin letters: none where languages of both groups have it."""
    if codes & _ROMANCE:
        return () if codes - _ROMANCE else (FOREIGN + 1 + GROUPS.index("romance"),)
    return (FOREIGN + 1 + GROUPS.index("latin"),)


def _columns(word: str) -> tuple[int, ...]:
    if not word.isascii():
        if _hides_english(word):
            return _IS_ENGLISH
        group = _BLOCKS[bisect_right(_STARTS, ord(max(word))) - 1][1]
        if group:
            return FOREIGN, FOREIGN + 1 + group
        return _known().get(word, (FOREIGN,))
    return _known().get(word, ())


_SHORTEST_HIDDEN = 4


def _hides_english(word: str) -> bool:
    """Whether a word is an English one with other letters stuck to it: each of an attack's words would count as foreign
    for one. Shorter ones are what words of other languages leave without their accents."""
    plain = word.encode("ascii", "ignore").decode()
    return len(plain) >= _SHORTEST_HIDDEN and plain in english() and word not in _known()


def counts(text: str, segments: Segments, first: int = 0, last: int | None = None) -> Counts:
    """By segment from `first` to `last`, which is included: its words, those that are English beyond doubt, how often
    some follow each other, words of another language, and of these the ones of each of GROUPS. Linear in the text."""
    firsts = segments.firsts[first : None if last is None else last + 2]
    found = np.zeros((len(firsts) - 1, COLUMNS), dtype=np.int64)
    found[:, WORDS] = np.diff(firsts)
    places = firsts.tolist()
    starts, ends = (side[places[0] : places[-1]].tolist() for side in (segments.starts, segments.ends))
    latest = [-max(_RUNS)[0]] * _MOST_IN_RUN
    for row, (begin, end) in enumerate(pairwise(places)):
        for word in range(begin - places[0], end - places[0]):
            columns = _columns(text[starts[word] : ends[word]])
            for column in columns:
                found[row, column] += 1
            if columns == _IS_ENGLISH:
                latest = [*latest[1:], word]
                found[row, RUNS] += any(word - latest[-least] < length for length, least in _RUNS)
    return found


def offsets(passages: Counts, needed: Sequence[float]) -> Floats:
    """What each passage's logit has to be more than an English one's, by a row of counts for each. `needed` is by
    GROUPS."""
    found: Floats = np.where(foreign(passages), np.take(needed, passages[:, FOREIGN + 1 :].argmax(axis=1)), 0.0)
    return found


def foreign(passages: Counts) -> npt.NDArray[np.bool_]:
    """Whether passages are in another language than English, by a row of counts for each."""
    words, told, others = passages[:, WORDS], passages[:, ENGLISH], passages[:, FOREIGN]
    enough = np.maximum(LEAST_FOREIGN * words, FEWEST_FOREIGN)
    calm = (told <= MOST_ENGLISH * words) & (passages[:, RUNS] == 0)
    found: npt.NDArray[np.bool_] = calm & (others >= enough)
    return found


def mostly_foreign(passages: Counts) -> bool:
    """Whether half of the words stand in passages in another language, or all passages together are in one."""
    inside = passages[foreign(passages), WORDS].sum()
    return bool(2 * inside >= passages[:, WORDS].sum() or foreign(passages.sum(axis=0, keepdims=True))[0])


_EDGE, _CLEARLY_ENGLISH = 120, 0.2
"""Characters of a text's beginning and of its end, and the share of English words that is enough there."""


def reads_english(text: str) -> bool:
    """Whether a text begins and ends in English, by a look of some microseconds; False where that does not tell."""
    return _has_english(text[:_EDGE]) and (len(text) <= _EDGE or _has_english(text[-_EDGE:]))


def _has_english(text: str) -> bool:
    words = text.lower().split()
    return sum(map(english().__contains__, words)) >= _CLEARLY_ENGLISH * len(words)
