"""`read(text)`: one text as every detector of a check sees it. Views are made when first asked for, and kept.

Time and memory are linear in the text, whatever it holds. Blind to: reversed text, ROT13 and other ciphers, letters
drawn from punctuation, words misspelt on purpose, a third layer of encoding, and encoded runs beyond the first 64.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any, TypeVar

from stanchion_guard import folding, payloads, squeezing
from stanchion_guard import unescaping as escapes
from stanchion_guard.hidden import Hidden, hidden_runs
from stanchion_guard.scanning import SQUEEZED, Bytes, bytes_of, folded_bytes_of
from stanchion_guard.views import Disguise, Reading, View

T = TypeVar("T")

_ABSENT: Any = object()
MOST_DISGUISES = 256
"""Disguises told of one text; a text with more is disguised beyond doubt."""


class Text:
    """A `Reading`. For one check in one thread; two threads asking at once would only make a view twice."""

    __slots__ = ("_kept", "raw")

    def __init__(self, raw: str) -> None:
        self.raw = raw
        self._kept: dict[str, Any] = {}

    def keep(self, key: str, make: Callable[[], T]) -> T:
        found = self._kept.get(key, _ABSENT)
        if found is _ABSENT:
            found = self._kept[key] = make()
        return found  # type: ignore[no-any-return]

    @property
    def folded(self) -> View:
        return self.keep("view.folded", lambda: folding.folded(plain(self)))

    @property
    def squeezed(self) -> View:
        return _squeezed(self)[0]

    @property
    def payloads(self) -> tuple[View, ...]:
        return _payloads(self)[0]

    @property
    def disguises(self) -> tuple[Disguise, ...]:
        return self.keep("disguises", lambda: _disguises(self))


def read(text: str) -> Reading:
    """The views of `text`. Nothing is computed yet."""
    return Text(text)


def plain(reading: Reading) -> View:
    """The folded view before its case is taken: for checks in which capitals matter."""
    return reading.keep("view.plain", lambda: folding.plain(bytes_of(reading)))


def plain_bytes(reading: Reading) -> Bytes:
    """The plain view's bytes, encoded once per reading."""
    text = plain(reading).text
    return reading.keep(
        "scanning.plain", lambda: bytes_of(reading) if text is reading.raw or text == reading.raw else Bytes(text)
    )


def unescaped(reading: Reading) -> tuple[View, ...]:
    """As `plain`, around escapes of JSON, addresses and HTML, with these undone."""
    return reading.keep(
        "view.unescaped", lambda: tuple(_plain_of(view) for view in escapes.unescaped(bytes_of(reading)))
    )


def _plain_of(view: View) -> View:
    return folding.plain(Bytes(view.text), view)


def squeezed_of(plain_view: View) -> View:
    """As `Reading.squeezed`, of another plain view."""
    folded = folding.folded(plain_view)
    return squeezing.squeeze(folded, Bytes(folded.text))[0]


def also(reading: Reading) -> tuple[View, ...]:
    """What else the text says to whoever undoes its escapes and its encodings: beside the plain view."""
    return (*unescaped(reading), *reading.payloads)


def hidden(reading: Reading) -> tuple[Hidden, ...]:
    """Every run of unseen characters of the raw text."""
    return reading.keep("hidden", lambda: hidden_runs(bytes_of(reading)))


def _squeezed(reading: Reading) -> tuple[View, tuple[Disguise, ...]]:
    return reading.keep("view.squeezed", lambda: _squeeze(reading))


def _squeeze(reading: Reading) -> tuple[View, tuple[Disguise, ...]]:
    folded = reading.folded
    if plain(reading).text is reading.raw and not bytes_of(reading).may_hold(SQUEEZED):
        return squeezing.unsqueezed(folded), ()
    return squeezing.squeeze(folded, folded_bytes_of(reading))


def _payloads(reading: Reading) -> tuple[tuple[View, ...], tuple[Disguise, ...]]:
    return reading.keep("view.payloads", lambda: payloads.payloads(bytes_of(reading)))


def _disguises(reading: Reading) -> tuple[Disguise, ...]:
    unseen, squeezed, encoded = hidden(reading), _squeezed(reading)[1], _payloads(reading)[1]
    if not (unseen or squeezed or encoded) and bytes_of(reading).ascii:
        return ()
    runs = (Disguise(run.kind, run.start, run.end) for run in unseen if not run.honest)
    found = chain(runs, folding.disguises_of(bytes_of(reading)), squeezed, encoded)
    return tuple(disguise for disguise, _ in zip(found, range(MOST_DISGUISES), strict=False))
