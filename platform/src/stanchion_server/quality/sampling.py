"""Which scorers look at which call, and what is left out under load. Pure.

A share is drawn by a hash of project, trace and scorer: the same call gets the same answer in every process and at
every repetition, and all calls of a trace are in or out together.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import IntEnum
from typing import Any
from uuid import UUID

from stanchion_server.quality.records import Lane

_RANGE = float(1 << 64)
SHED_RATIO = 0.1


class Shed(IntEnum):
    """How much is left out, each step on top of the one before. Calls that are always scored are never left out."""

    NOTHING = 0
    SLOW = 1
    SAMPLED = 2
    MOST = 3


SHED_AFTER: Mapping[Shed, timedelta] = {
    Shed.SLOW: timedelta(seconds=60),
    Shed.SAMPLED: timedelta(seconds=180),
    Shed.MOST: timedelta(seconds=600),
}
"""How long a project's oldest due job has waited when a step begins. Our own choice: a minute is what the pages call
"now", ten are the shortest window of an alert worth having."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A scorer that can be chosen. `usual_ratio` is the share of calls it sees where the project says nothing."""

    id: str
    lane: Lane
    usual_ratio: float


@dataclass(frozen=True, slots=True)
class Rule:
    """What a project wants of a scorer; None is the scorer's usual."""

    is_on: bool = True
    sample_ratio: float | None = None
    threshold: float | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)


_USUAL = Rule()


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one project by (scorer, feature); those with an empty feature hold where a feature has none."""

    by_place: Mapping[tuple[str, str], Rule] = field(default_factory=dict)

    def of(self, scorer: str, feature: str) -> Rule:
        if not self.by_place:
            return _USUAL
        return self.by_place.get((scorer, feature)) or self.by_place.get((scorer, "")) or _USUAL

    def parameters(self, feature: str) -> dict[str, Mapping[str, Any]]:
        """Of the scorers that have some, by scorer."""
        scorers = sorted({scorer for scorer, _feature in self.by_place})
        found = {scorer: self.of(scorer, feature).parameters for scorer in scorers}
        return {scorer: parameters for scorer, parameters in found.items() if parameters}


@dataclass(frozen=True, slots=True)
class Choice:
    """`now` and `later` are scorers of the job's lane and of the other; `shed` were sampled and left out for load."""

    now: tuple[str, ...]
    later: tuple[str, ...]
    shed: tuple[str, ...]


_NOTHING = Choice((), (), ())


def shed_of(waiting: timedelta | None) -> Shed:
    """`waiting` is how long the oldest due job has been due; None without one."""
    steps = [shed for shed, after in SHED_AFTER.items() if waiting is not None and waiting >= after]
    return max(steps, default=Shed.NOTHING)


def is_sampled(project_id: int, trace_id: UUID, scorer: str, ratio: float) -> bool:
    if ratio >= 1:
        return True
    if ratio <= 0:
        return False
    data = b"%d/%s/%s" % (project_id, trace_id.bytes, scorer.encode())
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big") < ratio * _RANGE


@dataclass(frozen=True, slots=True)
class Place:
    """What a choice depends on. `is_kept` is true for calls with an error, a block or a bad rating."""

    project_id: int
    trace_id: UUID
    is_kept: bool


@dataclass(frozen=True, slots=True)
class Wanted:
    """A scorer that is on, and the share of calls that it is to see."""

    offer: Offer
    ratio: float


def wanted(offers: Iterable[Offer], rules: Rules, feature: str) -> tuple[Wanted, ...]:
    """What the rules want of the calls of one feature."""
    found = ((offer, rules.of(offer.id, feature)) for offer in offers)
    return tuple(
        Wanted(offer, offer.usual_ratio if rule.sample_ratio is None else rule.sample_ratio)
        for offer, rule in found
        if rule.is_on
    )


def choose(wanted: Iterable[Wanted], place: Place, lane: Lane, shed: Shed) -> Choice:
    """What to run on one call in this lane; scorers of the slow lane are chosen while the fast job runs."""
    now: list[str] = []
    later: list[str] = []
    left: list[str] = []
    for one in wanted:
        offer, ratio = one.offer, one.ratio
        if not (place.is_kept or is_sampled(place.project_id, place.trace_id, offer.id, ratio)):
            continue
        if shed and not place.is_kept and _is_shed(offer, place, ratio, shed):
            left.append(offer.id)
        else:
            (now if offer.lane == lane else later).append(offer.id)
    return Choice(tuple(now), tuple(later), tuple(left))


def _is_shed(offer: Offer, place: Place, ratio: float, shed: Shed) -> bool:
    if offer.lane == "slow":
        return shed >= Shed.SLOW
    if ratio < 1:
        return shed >= Shed.SAMPLED
    return shed >= Shed.MOST and not is_sampled(place.project_id, place.trace_id, offer.id, SHED_RATIO)


def asked_for(offers: Iterable[Offer], wanted: Sequence[str], lane: Lane) -> Choice:
    """The scorers of this lane that somebody named, whatever the rules choose."""
    if not wanted:
        return _NOTHING
    return Choice(tuple(offer.id for offer in offers if offer.id in wanted and offer.lane == lane), (), ())


def joined(choice: Choice, asked: Choice) -> Choice:
    """The choice, and what was asked for beside it."""
    now = choice.now + tuple(name for name in asked.now if name not in choice.now)
    return Choice(now, choice.later, tuple(name for name in choice.shed if name not in now))
