"""Who is told. Pure.

A rule that names channels tells these. Else the owners of its topic for the feature at hand, else those of the whole
project, else the project's default channels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Owned:
    """`feature` is empty for the whole project; `channel` None for a person without one."""

    feature: str
    topic: str
    person: str
    channel: int | None


@dataclass(frozen=True, slots=True)
class Places:
    """The channels of a project by name, the default ones, and its owners."""

    by_name: Mapping[str, int]
    defaults: tuple[int, ...]
    owners: tuple[Owned, ...]


def channels(named: Sequence[int], places: Places, features: Sequence[str], topic: str) -> tuple[int, ...]:
    if named:
        return tuple(named)
    owned = [owner.channel for owner in owners(places, features, topic) if owner.channel is not None]
    return tuple(dict.fromkeys(owned)) or places.defaults


def owners(places: Places, features: Sequence[str], topic: str) -> tuple[Owned, ...]:
    """The nearest: of the feature before the project, of the topic before any."""
    for scope in (set(features) - {""}, {""}):
        for wanted in dict.fromkeys((topic, "any")):
            found = [owner for owner in places.owners if owner.feature in scope and owner.topic == wanted]
            if found:
                return tuple(found)
    return ()
