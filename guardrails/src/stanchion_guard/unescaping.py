"""A text with undone what programs escape: JSON's escapes, percent signs of addresses, and HTML's named signs."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

from stanchion_guard.edits import Edit, Same, replace_ranges
from stanchion_guard.scanning import ESCAPED, Bytes, pattern
from stanchion_guard.views import View

ROUNDS = 2
"""JSON within a string of JSON is undone, a third level is not."""
MARGIN = 1_024
"""Characters to either side of an escape that are kept: what lies further away reads as it does in the text itself."""
_HEX = "[0-9A-Fa-f]"
_ESCAPE = (
    rf"((?:\\u{_HEX}{{4}})+)|((?:\\x{_HEX}{{2}})+)|\\u\{{({_HEX}{{1,6}})\}}|\\([\"\\/bfnrt])"
    rf"|((?:%{_HEX}{{2}})+)|(&(?:#[0-9]{{1,7}}|#[xX]{_HEX}{{1,6}}|[A-Za-z]{{2,8}});)"
)
_PRESENT, _ONE = pattern(_ESCAPE), re.compile(_ESCAPE)
_UTF16, _BYTES, _BRACED, _SIGN, _PERCENT = range(1, 6)
_SIGNS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


def unescaped(data: Bytes) -> Iterator[View]:
    """What the surroundings of escapes read without them, once for each round; nothing where there are none."""
    view: View = Same("unescaped", data.text)
    for _ in range(ROUNDS):
        if (data.ascii and not data.may_hold(ESCAPED)) or not data.has(_PRESENT):
            return
        edits = list(_edits(data.text))
        if not edits:
            return
        view = replace_ranges(view, list(_near(edits, len(data.text))))
        yield view
        data = Bytes(view.text)


def _near(edits: list[Edit], length: int) -> Iterator[Edit]:
    """The edits, and a line's end for whatever is far from all of them."""
    at = -2 * MARGIN
    for edit in edits:
        first, last = max(0, at + MARGIN), edit[0] - MARGIN
        if first < last:
            yield first, last, "\n"
        yield edit
        at = edit[1]
    if at + MARGIN < length:
        yield at + MARGIN, length, "\n"


def _edits(text: str) -> Iterator[Edit]:
    for match in _ONE.finditer(text):
        kind, start, run = match.lastindex, match.start(), match[0]
        if kind == _UTF16:
            yield from _code_units(run, start)
            continue
        new = run
        if kind == _SIGN:
            new = _SIGNS.get(match[_SIGN], match[_SIGN])
        elif kind == _BRACED:
            new = _letter(int(match[_BRACED], 16))
        elif kind in (_BYTES, _PERCENT):
            new = _decoded(unquote_to_bytes(run.replace("\\x", "%")))
        else:
            new = html.unescape(run)
        if new != run:
            yield start, match.end(), new


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _letter(code: int) -> str:
    """Half of a pair, or a number beyond all letters, as the sign for what is broken: patterns cannot read them."""
    return "\ufffd" if 0xD800 <= code < 0xE000 or code > 0x10FFFF else chr(code)


def _code_units(run: str, start: int) -> Iterator[Edit]:
    codes = [int(run[at + 2 : at + 6], 16) for at in range(0, len(run), 6)]
    at = 0
    while at < len(codes):
        code, size = codes[at], 1
        if 0xD800 <= code < 0xDC00 and at + 1 < len(codes) and 0xDC00 <= codes[at + 1] < 0xE000:
            code, size = 0x10000 + ((code - 0xD800) << 10) + codes[at + 1] - 0xDC00, 2
        yield start + 6 * at, start + 6 * (at + size), _letter(code)
        at += size
