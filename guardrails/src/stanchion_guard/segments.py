"""Where a text that arrives in pieces may be cut. Every answer depends on the text alone, never on how it was cut up on
its way here, so any chunking gives the same segments.
"""

from __future__ import annotations

import re

SHORTEST = 40
LONGEST = 400
LONGEST_RUN = 4_096
"""Characters of one segment: at least, at most where a space allows a cut, and at most where none does."""

LONGEST_END_LINE = 80

AHEAD = 8
"""Characters that must follow a place before it can be told whether a sentence ends there."""

_END = re.compile(r"[.!?…][\"'”’)\]]{0,3}(?=\s)|[。！？]|\n")
_SPACE_OR_WIDE = re.compile(r"\s|[^\x00-\x7f]")


def boundary(text: str, start: int, scanned: int, ended: bool) -> tuple[int | None, int]:
    """Where the segment that begins at `start` ends, None while that cannot be told; and up to where nothing ends,
    which the next call takes as `scanned`. `ended` says that the text is all there."""
    known = len(text) if ended else len(text) - AHEAD
    limit = start + LONGEST
    found = _END.search(text, max(start + SHORTEST - 1, scanned))
    if found is not None and found.end() <= min(limit, known):
        return found.end(), 0
    if known < limit:
        return (len(text), 0) if ended else (None, max(scanned, known - AHEAD))
    return _without_sentence(text, start, known, ended)


def _without_sentence(text: str, start: int, known: int, ended: bool) -> tuple[int | None, int]:
    limit = start + LONGEST
    for at in range(limit, start + SHORTEST, -1):
        if text[at - 1].isspace():
            return at, 0
    found = _SPACE_OR_WIDE.search(text, limit, min(known, start + LONGEST_RUN))
    if found is not None:
        return found.start(), 0
    if known >= start + LONGEST_RUN:
        return start + LONGEST_RUN, 0
    return (len(text), 0) if ended else (None, 0)


def armour_end(text: str, start: int, end: int, most: int) -> int:
    """How far to look ahead for the end of a key block (-----BEGIN ... -----END) that begins in the segment; `end` if
    none does. A key's body looks like nothing in particular, so it must be seen with both its lines, up to `most`."""
    begun = text.find("-----BEGIN", start, end)
    if begun < 0:
        return end
    closed = text.find("-----END", begun, most)
    return most if closed < 0 else max(end, min(most, closed + LONGEST_END_LINE))


class Joiner:
    """Puts the halves of characters that a source cut apart together again; a lone half becomes U+FFFD."""

    def __init__(self) -> None:
        self._half = ""

    def take(self, chunk: str) -> str:
        if not self._half and chunk.isascii():
            return chunk
        chunk = self._half + chunk
        self._half = chunk[-1:] if "\ud800" <= chunk[-1:] <= "\udbff" else ""
        return _joined(chunk[: len(chunk) - len(self._half)])

    def rest(self) -> str:
        half, self._half = self._half, ""
        return _joined(half)


def _joined(text: str) -> str:
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
