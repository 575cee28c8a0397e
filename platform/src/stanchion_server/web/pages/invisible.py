"""Makes visible what a reviewer cannot see: bidi controls, zero-width characters, control codes and Unicode tags.

They hide prompt injections from people while models read them.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

# Everything that draws nothing or changes the drawing of its neighbours, but tab, line feed and carriage return.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e0fff]+"
)
_TAGS = range(0xE0020, 0xE007F)
_JOINERS = {"\u200c", "\u200d"}
_EMOJI_STYLE = {"\ufe0e", "\ufe0f"}


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of text; `title` names the characters when the stretch was invisible, else it is empty."""

    text: str
    title: str = ""


def pieces(text: str) -> list[Piece]:
    """The text cut into plain and formerly invisible stretches; joined scripts and emoji keep their joiners."""
    found: list[Piece] = []
    plain_from = 0
    for match in _HIDDEN.finditer(text):
        if _belongs(text, match):
            continue
        if match.start() > plain_from:
            found.append(Piece(text[plain_from : match.start()]))
        found.append(Piece(_shown(match[0]), _named(match[0])))
        plain_from = match.end()
    if plain_from < len(text):
        found.append(Piece(text[plain_from:]))
    return found


def reveal(text: str) -> str:
    """One line of plain text in which nothing is hidden: for previews, titles and attribute values."""
    return "".join(f"⟦{piece.text}⟧" if piece.title else piece.text for piece in pieces(text))


def _belongs(text: str, match: re.Match[str]) -> bool:
    if len(match[0]) > 2 or match.start() == 0:
        return False
    before = unicodedata.category(text[match.start() - 1])
    if match[0] in _EMOJI_STYLE:
        return before in {"So", "Sm", "Sk", "Po", "Nd", "Sc"}
    if match.end() == len(text) or any(c not in _JOINERS | _EMOJI_STYLE for c in match[0]):
        return False
    after = unicodedata.category(text[match.end()])
    joined = {"So", "Sk", "Lo", "Mn", "Mc"}
    return before in joined and after in joined


def _shown(hidden: str) -> str:
    if any(ord(c) in _TAGS for c in hidden):
        return "hidden: " + "".join(chr(ord(c) - 0xE0000) if ord(c) in _TAGS else "·" for c in hidden)
    codes = [f"U+{ord(c):04X}" for c in hidden[:4]]
    return " ".join(codes) + (f" … {len(hidden)} characters" if len(hidden) > 4 else "")


def _named(hidden: str) -> str:
    names = [unicodedata.name(c, f"control character U+{ord(c):04X}") for c in hidden[:4]]
    return "Invisible: " + ", ".join(names) + (" and more" if len(hidden) > 4 else "")
