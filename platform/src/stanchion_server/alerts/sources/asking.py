"""How a source answers many questions with few statements: questions that one statement can answer share it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from stanchion_server.alerts.records import Ask, Labels, Readings, Sample
from stanchion_server.kernel.errors import SenderError

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Failed:
    """Why a question has no answer."""

    reason: str


Answer = Readings | Failed
Reader = Callable[[int, Sequence[Ask], datetime], Mapping[Ask, Answer]]
"""Project, questions of one source, and the time by the clock."""


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
