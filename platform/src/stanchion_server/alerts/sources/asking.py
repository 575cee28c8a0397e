"""How a source answers many questions with few statements: questions that one statement can answer share it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import TypeVar

from stanchion_server.alerts.records import Ask, Labels, Part, Readings, Sample
from stanchion_server.kernel.errors import SenderError

Key = TypeVar("Key", bound=Hashable)
Row = tuple[datetime, tuple[str, ...], tuple[int | float | Decimal, ...], Sequence[int], Sequence[int]]


@dataclass(frozen=True, slots=True)
class Failed:
    """Why a question has no answer."""

    reason: str


Answer = Readings | Failed
Reader = Callable[[int, Sequence[Ask], datetime], Mapping[Ask, Answer]]
"""Project, questions of one source, and the time by the clock."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A source whose readings are recorded over time, minute by minute. `columns` name what a question's parts hold;
    `parts` are the newest of them, the newest first, at most so many, from one statement over the question's whole
    window; `sample` is what sums of these columns and a histogram mean: the same code that answers one window."""

    columns: Callable[[Ask], Sequence[str]]
    parts: Callable[[int, Ask, int], list[Part]]
    sample: Callable[[Ask, Sequence[float], Mapping[int, int]], Sample]


def shared(
    asks: Sequence[Ask], key_of: Callable[[Ask], Key], fetch: Callable[[Key, Sequence[Ask]], Mapping[Ask, Answer]]
) -> dict[Ask, Answer]:
    """One `fetch` per key; what it raises as the sender's mistake (too many groups, too slow) fails its questions."""
    groups: defaultdict[Key, list[Ask]] = defaultdict(list)
    for ask in asks:
        groups[key_of(ask)].append(ask)
    found: dict[Ask, Answer] = {}
    for key, members in groups.items():
        try:
            found.update(fetch(key, members))
        except SenderError as error:
            found.update(dict.fromkeys(members, Failed(error.message)))
    return found


def dimensions_of(ask: Ask) -> tuple[str, ...]:
    """Those that an answer must be split by so that the question can be answered from it."""
    return tuple(sorted({*ask.by, *(name for name, _value in ask.where)}))


def picked(dimensions: Sequence[str], group: Sequence[str], ask: Ask) -> Labels | None:
    """The question's labels for a row of these dimensions; None when the row is not meant."""
    values = dict(zip(dimensions, group, strict=True))
    if any(values[name] != wanted for name, wanted in ask.where):
        return None
    return tuple((name, values[name]) for name in ask.by)


def share(bad: float, samples: float) -> Sample:
    return Sample(bad / samples if samples else None, int(samples), int(bad))


def parts_of(rows: Iterable[Row], dimensions: Sequence[str], ask: Ask) -> list[Part]:
    """Rows of minute, group, values, and a histogram, as parts of the question's groups; others are left out."""
    labels: dict[tuple[str, ...], Labels | None] = {}
    found = []
    for at, group, values, buckets, counts in rows:
        if group not in labels:
            labels[group] = picked(dimensions, group, ask)
        place = labels[group]
        if place is not None:
            exact = tuple(Fraction(value) if isinstance(value, float) else value for value in values)
            found.append(Part(at, place, exact, buckets, counts))
    return found
