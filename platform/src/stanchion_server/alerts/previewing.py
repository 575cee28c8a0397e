"""What a rule would have done over the last days, from what is recorded, before anybody is told anything: nothing is
written. One statement per preview, bounded in rows, moments and time.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from stanchion_server.alerts import moments, replaying, timing
from stanchion_server.alerts.conditions.watching import shown
from stanchion_server.alerts.definitions import Definition
from stanchion_server.alerts.measures import SOURCES
from stanchion_server.alerts.records import Ask, Part, Readings, Window
from stanchion_server.alerts.replaying import Replayed
from stanchion_server.alerts.sliding import Slide
from stanchion_server.alerts.sources import RECORDED
from stanchion_server.alerts.sources.asking import Recorded
from stanchion_server.kernel.errors import SenderError
from stanchion_server.tenants.models import Project

DAYS = 14
MOST_DAYS = 30
MOST_ROWS = 150_000
MOST_MOMENTS = 45_000
MOST_JUDGED = 150_000
"""Moments times groups: each is judged anew."""
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Preview:
    """From `start`, the first moment that was replayed, to `end`, the last; both None and `replayed` too when nothing
    could be replayed, which `notes` give the reason for. `notes` are sentences about what was left out or could not be
    taken into account."""

    start: datetime | None
    end: datetime | None
    moments: int
    replayed: Replayed | None
    notes: tuple[str, ...]


def preview(project: Project, definition: Definition, days: int, now: datetime) -> Preview:
    """Over the last `days` by `now`, at most once a minute: no finer is what is recorded. SenderError says what cannot
    be read, and what to ask instead."""
    if not 1 <= days <= MOST_DAYS:
        raise SenderError("bad_days", f"A preview is of 1 to {MOST_DAYS} days, not of {days}.")
    return between(project, by_the_minute(definition), now - timedelta(days=days), now)


def by_the_minute(definition: Definition) -> Definition:
    """The rule, judged once a minute at most."""
    every = max(MINUTE, definition.patience.every)
    return replace(definition, patience=replace(definition.patience, every=every))


def between(project: Project, definition: Definition, start: datetime, end: datetime) -> Preview:
    """Over the moments of the rule's grid in a stretch of time, both ends included."""
    if reason := why_not(definition):
        return Preview(None, None, 0, None, (reason,))
    wanted = _slots(start, end, definition.patience.every)
    if not wanted:
        return Preview(None, None, 0, None, ("The rule is judged less often than that: no moment is in this time.",))
    source = RECORDED[definition.watch.source]
    ask = _whole(definition, wanted)
    parts, since = _recorded(source, project, ask)
    slots, notes = _bounded(definition, wanted, parts, since, project)
    if not slots:
        return Preview(None, None, 0, None, notes)
    replayed = replaying.replay(definition, slots, _reader(source, ask, parts))
    return Preview(slots[0], slots[-1], len(slots), replayed, (*notes, *_told(definition, replayed)))


def why_not(definition: Definition) -> str:
    """Why the rule cannot be replayed; empty when it can."""
    source = SOURCES[definition.watch.source]
    measure = source.measures[definition.watch.measure]
    if measure.has_history and definition.watch.source in RECORDED:
        return ""
    return (
        f"“{measure.label}” ({definition.watch.source}) is only known as of now, or in steps longer than a minute, so"
        " that nobody can say how often this rule would have fired."
    )


def _slots(start: datetime, end: datetime, every: timedelta) -> list[datetime]:
    """The newest MOST_MOMENTS and one more, which tells that there are more; in order."""
    newest = timing.floor(end, every)
    count = min(MOST_MOMENTS + 1, (newest - start) // every + 1)
    return [newest - place * every for place in range(count - 1, -1, -1)]


def _whole(definition: Definition, slots: Sequence[datetime]) -> Ask:
    """One question that covers the windows of all moments."""
    first, last = (list(moments.asks_of(definition, slot).values()) for slot in (slots[0], slots[-1]))
    window = Window(min(ask.window.start for ask in first), max(ask.window.end for ask in last))
    return replace(first[0], window=window)


def _recorded(source: Recorded, project: Project, ask: Ask) -> tuple[list[Part], datetime]:
    """The parts in order, and since when they are complete."""
    parts = source.parts(project.pk, ask, MOST_ROWS + 1)
    since = ask.window.start
    if len(parts) > MOST_ROWS:
        since = parts[-1].at + MINUTE
        parts = [part for part in parts if part.at >= since]
    parts.reverse()
    return parts, since


def _bounded(
    definition: Definition, slots: Sequence[datetime], parts: Sequence[Part], since: datetime, project: Project
) -> tuple[Sequence[datetime], tuple[str, ...]]:
    """The moments that are replayed: those after the project's beginning whose windows are complete, as many as there
    is time for; and what is to be said of it."""
    notes = []
    is_cut = since > min(ask.window.start for ask in moments.asks_of(definition, slots[0]).values())
    began = min(project.created_at, parts[0].at) if parts else project.created_at
    if slots[0] < began and not is_cut:
        slots = slots[bisect.bisect_left(slots, began) :]
        notes.append(f"Nothing is recorded before {began:%Y-%m-%d %H:%M} UTC: the replay begins there.")

    def reach(slot: datetime) -> datetime:
        return min(ask.window.start for ask in moments.asks_of(definition, slot).values())

    whole = slots[bisect.bisect_left(slots, since, key=reach) :]
    most = min(MOST_MOMENTS, max(1, MOST_JUDGED // max(1, len({part.labels for part in parts}))))
    kept = whole[-most:]
    if slots and not kept:
        notes.append("There is too much to replay any of it. Filter or split less, or compare with a shorter time.")
    elif len(kept) < len(slots):
        notes.append(
            f"There is too much for the whole time: the newest {_length(len(kept) * definition.patience.every)} are"
            " replayed. Filter or split less, or judge less often, to see more."
        )
    return kept, tuple(notes)


def _reader(source: Recorded, ask: Ask, parts: Sequence[Part]) -> replaying.Read:
    width = len(source.columns(ask))
    slides: dict[str, Slide] = {}

    def read(name: str, one: Ask) -> Readings:
        if name not in slides:
            slides[name] = Slide(
                parts, width, lambda values, counts: source.sample(ask, values, counts), is_whole=not ask.by
            )
        return slides[name].readings(one.window)

    return read


def _told(definition: Definition, replayed: Replayed) -> tuple[str, ...]:
    notes = []
    judged, few = sum(replayed.outcomes.values()), replayed.outcomes.get("too_few", 0)
    if few:
        notes.append(
            f"{shown(few / judged, 'ratio')} of the readings were of too few samples to be judged (min_samples is"
            f" {definition.watch.min_samples}) or had nothing to be compared with."
        )
    if replayed.left_out:
        notes.append(
            f"At most {replayed.left_out} groups more were there than the rule looks at (max_groups"
            f" {definition.patience.max_groups})."
        )
    if definition.inhibited_by:
        notes.append("inhibited_by is not replayed: it keeps incidents quiet, it does not prevent them.")
    return tuple(notes)


def _length(time: timedelta) -> str:
    hours = time.total_seconds() / 3600
    return f"{hours / 24:.1f} days" if hours >= 48 else f"{hours:.1f} hours"
