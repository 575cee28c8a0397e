"""Hours of the day (UTC) in which something regularly stands still, and how they read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime

WORKDAYS, WEEKENDS, EVERY_DAY = "Monday to Friday", "Saturday and Sunday", "every day"
QUIET_RATIO = 0.05
"""An hour counts as idle when its cards had work for at most this share of it."""
REGULARLY = 0.8
"""So many of an hour's days must be idle: more, and two odd days of ten hide a night; less, and people wait."""
FEWEST_DAYS, APART_FROM_DAYS = 3, 14
SATURDAY = 5

Slot = tuple[str, int]
"""A kind of day and an hour of it."""


def slot(moment: datetime, *, apart: bool) -> Slot:
    """`apart`: weekends are days of another kind."""
    if not apart:
        return EVERY_DAY, moment.hour
    return WEEKENDS if moment.weekday() >= SATURDAY else WORKDAYS, moment.hour


def are_apart(starts: Sequence[datetime]) -> bool:
    """Below two weeks, weekends are too few to be told from other days."""
    return len({start.date() for start in starts}) >= APART_FROM_DAYS


def regular(hours: Sequence[tuple[datetime, float]]) -> set[Slot]:
    """Slots that were idle on REGULARLY of at least FEWEST_DAYS days. `hours` are UTC begins and busy ratios."""
    apart = are_apart([start for start, _busy in hours])
    seen: dict[Slot, list[bool]] = defaultdict(list)
    for start, busy in hours:
        seen[slot(start, apart=apart)].append(busy <= QUIET_RATIO)
    return {one for one, days in seen.items() if len(days) >= FEWEST_DAYS and sum(days) >= REGULARLY * len(days)}


def words(slots: Collection[Slot]) -> str:
    """As “22:00-05:00 every day”; empty for none."""
    by_kind: dict[str, frozenset[int]] = {}
    for kind in (WORKDAYS, WEEKENDS, EVERY_DAY):
        hours = frozenset(hour for name, hour in slots if name == kind)
        if hours:
            by_kind[kind] = hours
    if by_kind.get(WORKDAYS) == by_kind.get(WEEKENDS) and WORKDAYS in by_kind:
        by_kind = {EVERY_DAY: by_kind[WORKDAYS]}
    return "; ".join(f"{_spans(hours)} {kind}" for kind, hours in by_kind.items())


def _spans(hours: frozenset[int]) -> str:
    """Around midnight in one piece."""
    if len(hours) == 24:
        return "00:00-24:00"
    found = []
    for first in sorted(hour for hour in hours if (hour - 1) % 24 not in hours):
        last = first
        while (last + 1) % 24 in hours:
            last = (last + 1) % 24
        found.append(f"{first:02}:00-{(last + 1) % 24:02}:00")
    return ", ".join(found)
