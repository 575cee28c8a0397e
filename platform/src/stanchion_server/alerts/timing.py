"""When rules are due. Pure.

An evaluation belongs to a moment on a grid (multiples of its interval since 1970), not to the time at which somebody
got round to it: a late one reads the window that it was meant for.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
OLDEST_INTERVALS = 3
"""Evaluations older than so many intervals are not made any more, and counted."""


@dataclass(frozen=True, slots=True)
class Due:
    """`slots` are to be judged, the oldest first; `skipped` were too old; `late` of the slots are over an interval."""

    slots: tuple[datetime, ...]
    skipped: int
    late: int


def floor(moment: datetime, step: timedelta) -> datetime:
    return EPOCH + (moment - EPOCH) // step * step


def window_end(slot: datetime, delay: timedelta, *, is_up: bool | None) -> datetime:
    """Where a rule's windows end, in whole minutes. A delay below a minute asks for what is fresh: where more is worse,
    the minute that is still running counts too, as what is missing of it cannot raise an alarm."""
    last = slot - delay
    end = floor(last, MINUTE)
    return end + MINUTE if is_up and delay < MINUTE and end < last else end


def due(judged_for: datetime | None, now: datetime, every: timedelta) -> Due:
    """A rule that was never judged begins now. A last evaluation in the future was made by a clock that ran ahead: the
    rule begins anew."""
    newest = floor(now, every)
    if judged_for is None or judged_for > now + OLDEST_INTERVALS * every:
        return Due((newest,), 0, 0)
    if newest <= judged_for:
        return Due((), 0, 0)
    first = floor(judged_for, every) + every
    count = (newest - first) // every + 1
    kept = [
        slot
        for slot in (newest - place * every for place in range(min(count, OLDEST_INTERVALS + 1)))
        if now - slot <= OLDEST_INTERVALS * every
    ]
    late = sum(now - slot > every for slot in kept)
    return Due(tuple(reversed(kept)), count - len(kept), late)
