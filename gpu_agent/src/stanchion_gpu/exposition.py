"""Prometheus text to values. Pure. A line that is none is left out and the others count."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

# vLLM's longest line, its cache's configuration, is about a thousand characters.
MOST_LINE_CHARACTERS = 16 * 1024
KEPT_CHARACTERS, MOST_KEPT = 256, 8192

_QUOTED = r'"(?:[^"\\]|\\.)*"'
_LINE = re.compile(
    r"([a-zA-Z_:][a-zA-Z0-9_:]*)"
    rf'(?:\{{((?:[^"}}]|{_QUOTED})*)\}})?'
    r"[ \t]+(\S+)(?:[ \t]+-?[0-9.]+)?(?:[ \t]+#.*)?[ \t]*"  # a time and an exemplar are passed over
)
_LABEL = re.compile(rf"[ \t]*([a-zA-Z_][a-zA-Z0-9_]*)[ \t]*=[ \t]*({_QUOTED})[ \t]*(?:,|$)")
_ESCAPED = re.compile(r"\\(.)")
_MEANT = {"n": "\n", "\\": "\\", '"': '"'}


@dataclass(frozen=True, slots=True)
class Series:
    """`labels` is shared among series that have the same: it is not to be changed."""

    name: str
    labels: dict[str, str]
    value: float


def parse(text: str, is_wanted: Callable[[str], bool], most: int) -> tuple[list[Series], int]:
    """The first `most` series whose line `is_wanted`, and how many such lines could not be read or came after them."""
    found: list[Series] = []
    unread = 0
    for line in text.split("\n"):
        if not line or line[0] == "#" or not is_wanted(line):
            continue
        is_short = len(line) <= MOST_LINE_CHARACTERS and len(found) < most
        series = _series(line.rstrip("\r")) if is_short else None
        if series is None:
            unread += 1
        else:
            found.append(series)
    return found, unread


def _series(line: str) -> Series | None:
    match = _LINE.fullmatch(line)
    if match is None:
        return None
    labels = _labels(match[2] or "")
    try:
        return None if labels is None else Series(match[1], labels, float(match[3]))
    except ValueError:
        return None


def _labels(body: str) -> dict[str, str] | None:
    return _kept(body) if len(body) <= KEPT_CHARACTERS else _read(body)


def _read(body: str) -> dict[str, str] | None:
    found: dict[str, str] = {}
    at = 0
    while at < len(body.rstrip()):
        match = _LABEL.match(body, at)
        if match is None:
            return None
        found[match[1]] = _ESCAPED.sub(lambda one: _MEANT.get(one[1], one[0]), match[2][1:-1])
        at = match.end()
    return found


# An engine writes the same labels at each reading: taking them apart is most of the work.
_kept = lru_cache(maxsize=MOST_KEPT)(_read)
