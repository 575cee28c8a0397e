"""Characters that nobody sees, and whether the writing around them has an honest use for them."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from stanchion_guard.scanning import CONTROLS, Bytes, pattern

HIDDEN = pattern(
    r"[\x00-\x08\x0B\x0E-\x1F\x7F\x{AD}\x{34F}\x{61C}\x{115F}\x{1160}\x{17B4}\x{17B5}\x{180B}-\x{180F}\x{200B}-\x{200F}"
    r"\x{202A}-\x{202E}\x{2060}-\x{206F}\x{3164}\x{FE00}-\x{FE0F}\x{FEFF}\x{FFA0}\x{FFF0}-\x{FFFB}"
    r"\x{1BCA0}-\x{1BCA3}\x{1D173}-\x{1D17A}\x{E0000}-\x{E0FFF}]+"
)
"""Controls but tab and line ends, interlinear marks, and Default_Ignorable_Code_Point of Unicode 16.0.0
(DerivedCoreProperties.txt)."""
_DROPPED = pattern(
    HIDDEN.pattern.removesuffix("]+")
    + r"\x{80}-\x{84}\x{86}-\x{9F}\x{13430}-\x{1343F}\x{16FE4}\x{FDD0}-\x{FDEF}"
    + "".join(rf"\x{{{plane:X}FFFE}}\x{{{plane:X}FFFF}}" for plane in range(17))
    + "]"
)
"""Those, and what has no shape either but stands in honest texts often, or says nothing of who wrote it: the upper
controls that are a sign of a wrong encoding, joiners of hieroglyphs, a filler of Khitan writing, noncharacters."""
_TAGS = pattern(r"[\x{E0020}-\x{E007E}]+")
_FLAG_TAGS = 8
_EDGES = 64
"""How many characters to either side are looked at for right-to-left writing."""
_ZWNJ, _ZWJ, _ZWSP, _BLACK_FLAG, _CANCEL_TAG, _SHY = "\u200c", "\u200d", "\u200b", "\U0001f3f4", "\U000e007f", "\xad"
_OVERRIDES = frozenset("\u202d\u202e")
_BIDI = frozenset("\u200e\u200f\u061c\u202a\u202b\u202c\u2066\u2067\u2068\u2069")


@dataclass(frozen=True, slots=True)
class Hidden:
    """A run of unseen characters. `honest`: the script or emoji beside it calls for them."""

    kind: str
    start: int
    end: int
    honest: bool


def is_tag(letter: str) -> bool:
    return "\U000e0020" <= letter <= "\U000e007e"


def tag_runs(data: Bytes) -> list[tuple[int, int]]:
    """Runs of tag characters that spell something, but for those of flags."""
    if data.ascii or not data.has(_TAGS):
        return []
    return [(hit.start, hit.end) for hit in data.hits(_TAGS) if not _flag(data.text, hit.start, hit.end)]


def _flag(text: str, start: int, end: int) -> bool:
    return text[start - 1 : start] == _BLACK_FLAG and text[end : end + 1] == _CANCEL_TAG and end - start < _FLAG_TAGS


def is_selector(letter: str) -> bool:
    return "\ufe00" <= letter <= "\ufe0f" or "\U000e0100" <= letter <= "\U000e01ef"


@lru_cache(4096)
def is_dropped(letter: str) -> bool:
    """Whether `letter` has no shape of its own, so that a view leaves it out."""
    return Bytes(letter).has(_DROPPED)


def hidden_runs(data: Bytes) -> tuple[Hidden, ...]:
    """Every run of unseen characters, in order."""
    if data.ascii and not (data.may_hold(CONTROLS) and data.has(HIDDEN)):
        return ()
    return tuple(_judge(data.text, hit.start, hit.end) for hit in data.hits(HIDDEN))


def _judge(text: str, start: int, end: int) -> Hidden:
    run = text[start:end]
    kind = _kind(run)
    left, right = text[start - 1 : start], text[end : end + 1]
    return Hidden(kind, start, end, _honest(kind, text, start, end, left, right))


def _kind(run: str) -> str:
    if any(is_tag(letter) for letter in run):
        return "tag_characters"
    if not _OVERRIDES.isdisjoint(run):
        return "direction_override"
    if all(is_selector(letter) for letter in run):
        return "variation_selectors"
    if all(letter in _BIDI for letter in run):
        return "direction_marks"
    if run < "\x80":
        return "control_characters"
    return "soft_hyphens" if set(run) == {_SHY} else "zero_width"


def _honest(kind: str, text: str, start: int, end: int, left: str, right: str) -> bool:
    if kind == "tag_characters":
        return left == _BLACK_FLAG and text[end - 1] == _CANCEL_TAG and end - start <= _FLAG_TAGS
    if kind == "direction_marks":
        return _right_to_left(text[max(0, start - _EDGES) : end + _EDGES])
    if kind == "variation_selectors":
        return end - start == 1 and bool(left) and (not left.isascii() or left in "0123456789#*")
    if kind == "soft_hyphens":
        return end - start == 1 and not _close_by(text, start, _SHY)
    return kind == "zero_width" and _honest_joiner(text[start:end], left, right, at_start=start == 0)


def _honest_joiner(run: str, left: str, right: str, *, at_start: bool) -> bool:
    if run == "\ufeff" and at_start:
        return True
    if len(run) > 2:
        return False
    if _pictorial(left) or _pictorial(right):
        return True
    if run in (_ZWNJ, _ZWJ, _ZWNJ + _ZWJ, _ZWSP, "\u2060", "\u034f", "\u180e", "\u3164"):
        return _joins(left) or _joins(right) or not (left.isalnum() and right.isalnum())
    return _joins(left)


def _close_by(text: str, at: int, letter: str) -> bool:
    return letter in text[max(0, at - 3) : at] or letter in text[at + 1 : at + 4]


def _pictorial(letter: str) -> bool:
    return bool(letter) and (unicodedata.category(letter) in ("So", "Sk", "Me") or letter == "\ufe0f")


def _joins(letter: str) -> bool:
    """A letter or mark of a script that is neither Latin, Greek, Cyrillic nor Armenian: those join and break words."""
    return letter > "\u058f" and unicodedata.category(letter)[0] in "LM" and not "\u1c80" <= letter <= "\u20ff"


def _right_to_left(text: str) -> bool:
    return any("\u0590" <= letter <= "\u08ff" or "\ufb1d" <= letter <= "\ufefc" for letter in text if letter > "\u0590")
