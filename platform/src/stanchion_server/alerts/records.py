"""What the parts of the engine hand to each other. Pure: no clock, no database.

A group is one combination of values of the dimensions that a rule splits its reading by; without any there is one
group, with no labels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Literal, NamedTuple

Labels = tuple[tuple[str, str], ...]
"""Dimension and value, in the order of the rule's `by`."""

Outcome = Literal["bad", "good", "between", "too_few", "no_data"]
"""`between` is better than the threshold and not yet as good as the recovery threshold."""

State = Literal["ok", "pending", "firing", "no_data"]
ChangeKind = Literal["fire", "resolve", "flap", "calm"]


@dataclass(frozen=True, slots=True)
class Window:
    """`start` inclusive, `end` exclusive."""

    start: datetime
    end: datetime

    @property
    def length_s(self) -> float:
        return (self.end - self.start).total_seconds()

    def overlaps(self, other: Window) -> bool:
        return self.start < other.end and other.start < self.end


@dataclass(frozen=True, slots=True)
class Sample:
    """A measure over a window. `value` is None where it cannot be known (no sample has it); `samples` is how many
    things it was made from; `bad` how many of them were bad, None where the measure is no share."""

    value: float | None
    samples: int
    bad: int | None = None


Readings = Mapping[Labels, Sample]


@dataclass(frozen=True, slots=True)
class Ask:
    """One question to a source. `by` are the dimensions to split by, `where` values that must be equal, `params` what
    the measure itself needs (a percentile's limit, a scorer's name)."""

    source: str
    measure: str
    window: Window
    by: tuple[str, ...] = ()
    where: Labels = ()
    params: Labels = ()


Number = int | float | Decimal | Fraction


class Part(NamedTuple):
    """What one minute adds to the sums of one group: `values` in the order of the source's columns, exact so that a
    window can slide over them, and the counts of a histogram by bucket."""

    at: datetime
    labels: Labels
    values: tuple[Number, ...]
    buckets: Sequence[int] = ()
    counts: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Judged:
    """One group at one moment. `threshold` is what the value was held against, in the same unit; `reason` a sentence's
    end for people."""

    outcome: Outcome
    value: float | None = None
    threshold: float | None = None
    samples: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """What a rule remembers of one group. `bad_since` is when an unbroken row of bad evaluations began, `last_bad_at`
    the last one that was not good. `turns` are the times at which it fired or became good again, of the last hour.
    `peak` is the worst value since it fired."""

    labels: Labels
    state: State
    since: datetime
    judged_at: datetime
    bad_since: datetime | None = None
    last_bad_at: datetime | None = None
    data_at: datetime | None = None
    value: float | None = None
    threshold: float | None = None
    samples: int | None = None
    peak: float | None = None
    reason: str = ""
    turns: tuple[datetime, ...] = ()
    was_bad: bool = False
    is_flapping: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """What the incidents have to know: the group after it. `is_no_data` says that it fires for want of data."""

    kind: ChangeKind
    at: datetime
    group: Group
    is_no_data: bool = False


@lru_cache(maxsize=8_192)
def key_of(labels: Labels) -> str:
    """Short, stable, the same whatever the order of the labels; empty for the one group without labels."""
    if not labels:
        return ""
    text = "\x1f".join(f"{name}\x1e{value}" for name, value in sorted(labels))
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


def told(labels: Labels) -> str:
    """For people: `feature refunds, model gpt-4o`; empty values are told as such."""
    return ", ".join(f"{name} {value or '(none)'}" for name, value in labels)
