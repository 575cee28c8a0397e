"""Texts hidden in a text by an encoding that anybody can undo."""

from __future__ import annotations

import base64
import html
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any
from urllib.parse import unquote_to_bytes

import re2

from stanchion_guard.edits import Edit, Same, Within, replace_ranges
from stanchion_guard.hidden import tag_runs
from stanchion_guard.scanning import CODED, Bytes, Hit, pattern, ranges
from stanchion_guard.views import Disguise, View

DEPTH = 2
"""An encoding within an encoding is undone, a third is not."""
LARGEST_RUN = 65_536
"""Characters of one encoded run that are decoded; what lies beyond is not looked at."""
MOST_RUNS = 64
"""Payloads kept of one text."""
_SHORTEST = 6
_SAMPLE = 64
_MESSAGE = 4
"""Tag characters in a row that are a message, or a line of one, and not a piece of a scattered one."""
SPELT = {0xE0000 + code: chr(code) for code in range(32, 127)}
"""Tag characters to what they spell, for `str.translate`."""

_BASE64 = pattern(r"[A-Za-z0-9+/_-]{16,}(?:\r?\n[A-Za-z0-9+/_-]{40,})*(?:\r?\n[A-Za-z0-9+/_-]{4,})?={0,2}")
_BASE32 = pattern(r"\b[A-Z2-7]{24,}={0,6}")
_HEX = pattern(r"\b(?:0x)?((?:[0-9A-Fa-f]{2}[ :,]?){7,}[0-9A-Fa-f]{2})\b")
_ESCAPES = pattern(r"(?:(?:\\x[0-9A-Fa-f]{2}|\\u00[0-9A-Fa-f]{2}|\\u\{[0-9A-Fa-f]{2}\})[ ,]?){4,}")
_PERCENT = pattern(r"[^\s<>\"'`]*%[0-9A-Fa-f]{2}[^\s<>\"'`]*")
_PERCENT_LETTER = pattern(r"%(?:[46][1-9A-Fa-f]|[57][0-9Aa])")
_ENTITIES = pattern(r"[^\s<>]*(?:&(?:#[0-9]{2,6}|#[xX][0-9A-Fa-f]{2,5});[^\s<>&]{0,2}){3,}[^\s<>]*")
_BINARY = pattern(r"\b(?:[01]{8}[ ,]?){4,}")
_SELECTORS = pattern(r"[\x{FE00}-\x{FE0F}\x{E0100}-\x{E01EF}]{4,}")

_RUN = pattern(r"[A-Za-z0-9+/_-]{16}|(?:[0-9A-Fa-f]{2}[ :,]?){7}[0-9A-Fa-f]{2}|(?:[01]{8}[ ,]?){4}")
"""What every run has that is spelt in letters and digits alone."""

Decoder = Callable[[str], bytes | None]


def payloads(data: Bytes) -> tuple[tuple[View, ...], tuple[Disguise, ...]]:
    """What the encoded runs stand for, each for its whole run, and the encodings as disguises."""
    views: list[View] = [*tagged(data)]
    disguises: list[Disguise] = []
    for trick, hit, text in _decoded(data):
        if len(views) >= MOST_RUNS:
            break
        views.append(Within(f"decoded:{trick}", text, hit.start, hit.end))
        if trick != "percent" or _needless(hit.text):
            disguises.append(Disguise(trick, hit.start, hit.end))
        views += [Within(f"decoded:{trick}:{inner}", deeper, hit.start, hit.end) for inner, deeper in _inside(text)]
    return tuple(views[:MOST_RUNS]), tuple(disguises)


def tagged(data: Bytes) -> tuple[View, ...]:
    """What the tag characters of a text spell, as one text with a way back. Runs of a few are pieces of one message."""
    runs = tag_runs(data)
    edits: list[Edit] = []
    at, parted = 0, ""
    for start, end in runs:
        edits.append((at, start, parted))
        at, parted = end, "\n" if end - start >= _MESSAGE else ""
    if not runs:
        return ()
    spelt = data.text.translate(SPELT)
    return (replace_ranges(Same("decoded:tag_characters", spelt), [*edits, (at, len(spelt), "")]),)


def _inside(text: str) -> Iterator[tuple[str, str]]:
    for _, (trick, _, deeper) in zip(range(4), _decoded(Bytes(text)), strict=False):
        yield trick, deeper


def _decoded(data: Bytes) -> Iterator[tuple[str, Hit, str]]:
    if not data.may_hold(CODED):
        return
    runs = data.hex_runs()
    for number in _present(data) if runs is None else (_HEX_NUMBER, _BINARY_NUMBER):
        trick, found, decode = _ENCODINGS[number]
        for hit in data.hits(found) if runs is None else _hits_within(data, found, runs):
            text = _readable(decode, hit.text[:LARGEST_RUN])
            if text is not None:
                yield trick, hit, text


def _hits_within(data: Bytes, found: Any, runs: list[tuple[int, int]]) -> Iterator[Hit]:
    """`data.hits` of ASCII text, which are all in one of the runs."""
    for first, last in runs:
        for start, end in ranges(found, data.data, first, last):
            yield Hit(start, end, data.text[start:end])


def _present(data: Bytes) -> list[int]:
    """Which encodings have a run in the text, in one pass over it; none, by a cheaper look, in most texts."""
    raw = data.data
    if data.ascii and not (b"%" in raw or b"&" in raw or b"\\" in raw or data.has(_RUN)):
        return []
    return sorted(_any().Match(raw) or ())


def _readable(decode: Decoder, run: str) -> str | None:
    """The decoded run where it is text that somebody could have written, else None. Tries a sample first."""
    raw = decode(run)
    if raw is None or len(raw) < _SHORTEST or not _printable(raw[:_SAMPLE]):
        return None
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as broken:
        text = raw[: broken.start].decode("utf-8")
        if broken.start < 0.9 * len(raw):
            return None
    return text if _wordy(text) else None


def _printable(sample: bytes) -> bool:
    text = sample.decode("utf-8", "ignore")
    good = sum(letter.isprintable() or letter in "\t\r\n" for letter in text)
    return len(text.encode()) >= len(sample) - 3 and good >= 0.95 * len(text)


def _wordy(text: str) -> bool:
    """Mostly letters, digits and spaces: chance bytes that happen to be printable are full of signs."""
    sample = text[:400]
    return sum(letter.isalnum() or letter.isspace() for letter in sample) >= 0.7 * len(sample)


def _needless(run: str) -> bool:
    """Letters that no browser or library would ever have encoded."""
    return len([*_PERCENT_LETTER.finditer(run)]) >= 3


def _base64(run: str) -> bytes | None:
    if run.islower() or run.isupper():
        return None
    bare = "".join(run.split()).rstrip("=").replace("-", "+").replace("_", "/")
    sample = _base64_bytes(bare[:_SAMPLE])
    if _printable(sample):
        return _base64_bytes(bare)
    tail = max(bare.split("/"), key=len) if "/" in bare else ""
    return _base64_bytes(tail) if len(tail) >= 16 else None


def _base64_bytes(bare: str) -> bytes:
    whole = len(bare) - (len(bare) % 4 == 1)
    return base64.b64decode(bare[:whole] + "=" * (-whole % 4), validate=False)


def _base32(run: str) -> bytes | None:
    bare = run.rstrip("=")
    whole = len(bare) - len(bare) % 8 if len(bare) % 8 in (1, 3, 6) else len(bare)
    return base64.b32decode(bare[:whole] + "=" * (-whole % 8))


def _hex(run: str) -> bytes | None:
    digits = run.removeprefix("0x").translate({ord(sign): "" for sign in " :,"})
    return bytes.fromhex(digits) if len(digits) % 2 == 0 else None


def _escapes(run: str) -> bytes | None:
    pairs = (
        run.replace("\\u00", " ").replace("\\u{", " ").replace("\\x", " ").replace("}", " ").replace(",", " ").split()
    )
    return bytes(int(pair, 16) for pair in pairs).decode("latin-1").encode()


def _percent(run: str) -> bytes | None:
    return unquote_to_bytes(run.replace("+", " ")) if run.count("%") >= 3 else None


def _entities(run: str) -> bytes | None:
    return html.unescape(run).encode("utf-8", "ignore")


def _binary(run: str) -> bytes | None:
    digits = run.replace(" ", "").replace(",", "")
    return bytes(int(digits[at : at + 8], 2) for at in range(0, len(digits), 8))


def _selectors(run: str) -> bytes | None:
    """Variation selectors 1 to 256 used as bytes 0 to 255, behind one innocent character."""
    return bytes(ord(c) - 0xFE00 if c <= "\ufe0f" else ord(c) - 0xE0100 + 16 for c in run)


_ENCODINGS = (
    ("base64", _BASE64, _base64),
    ("base32", _BASE32, _base32),
    ("hex", _HEX, _hex),
    ("escapes", _ESCAPES, _escapes),
    ("percent", _PERCENT, _percent),
    ("entities", _ENTITIES, _entities),
    ("binary", _BINARY, _binary),
    ("variation_selectors", _SELECTORS, _selectors),
)
_HEX_NUMBER, _BINARY_NUMBER = 2, 6


@cache
def _any() -> Any:
    found = re2.Set.SearchSet()
    for _, one, _ in _ENCODINGS:
        found.Add(one.pattern)
    found.Compile()
    return found
