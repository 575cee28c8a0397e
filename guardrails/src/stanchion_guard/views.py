"""Readings of one text: as it stands, and with its disguises taken off, each with a map back to the original.

The views, every one made only when a detector asks for it, and then kept for the other detectors of the same check:

- `raw`: the text itself.
- `folded`: NFKC; zero-width, bidi, format and tag characters dropped; confusables to their Latin letter; case folded.
  The view for words, patterns and classifiers.
- `squeezed`: `folded` with spaced-out letters joined and leet digits inside words read as letters.
- `unescaped` (of `reading`, not of `Reading`): what stands around escapes of JSON, of addresses and of HTML, with these
  undone, and once more for escapes within.
- `decoded`: not one text but `payloads`: what base64, hex and URL encoding and tag characters in the text stand for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

T = TypeVar("T")


class View(Protocol):
    """A text and where each of its characters came from."""

    @property
    def name(self) -> str: ...

    @property
    def text(self) -> str: ...

    def original(self, start: int, end: int) -> tuple[int, int]:
        """The smallest range of the original text that covers [start, end) of this view."""
        ...


@dataclass(frozen=True, slots=True)
class Disguise:
    """One trick found while a view was made: its name, and where it stands in the original text."""

    trick: str
    start: int
    end: int


class Reading(Protocol):
    """What a detector gets for one part."""

    @property
    def raw(self) -> str: ...

    @property
    def folded(self) -> View: ...

    @property
    def squeezed(self) -> View: ...

    @property
    def payloads(self) -> tuple[View, ...]: ...

    @property
    def disguises(self) -> tuple[Disguise, ...]: ...

    def keep(self, key: str, make: Callable[[], T]) -> T:
        """`make()` the first time, the same value afterwards: what several detectors derive from one text."""
        ...
