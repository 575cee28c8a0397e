"""Which messages an incident owes to which channels. Pure.

What was told is read from the outbox itself, and what is owed is the difference: a lost tick, a restart or a silence
changes when a message is written, never whether.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from stanchion_server.alerts.facts import Kind

GROUP_WAIT = timedelta(seconds=30)
GROUP_INTERVAL = timedelta(minutes=5)

State = Literal["waiting", "delivered", "failed", "superseded"]


@dataclass(frozen=True, slots=True)
class Row:
    """A message in the outbox. `is_untried` ones may still be taken back."""

    id: int
    channel: int
    kind: Kind
    is_untried: bool
    is_superseded: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Subject:
    """The incident as far as messages go. `changed_at` is when its groups, or whether it flaps or lacks data, last
    changed. `escalations` are the channels of each step with the time after which it is due."""

    fired_at: datetime
    changed_at: datetime
    resolved_at: datetime | None
    acknowledged_at: datetime | None
    snoozed_until: datetime | None
    is_flapping: bool
    is_muted: bool
    repeat: timedelta | None
    channels: tuple[int, ...]
    escalations: tuple[tuple[timedelta, tuple[int, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class Owed:
    channel: int
    kind: Kind
    not_before: datetime
    note: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """`superseded` are rows to take back. `is_settled`: it is over, and nobody is owed anything."""

    owed: tuple[Owed, ...]
    superseded: tuple[int, ...]
    is_settled: bool


def plan(subject: Subject, rows: Sequence[Row], now: datetime) -> Plan:
    live: dict[int, list[Row]] = {}
    for row in sorted(rows, key=lambda row: row.id):
        if not row.is_superseded:
            live.setdefault(row.channel, []).append(row)
    if subject.is_muted:
        return _quiet(subject, live)
    if subject.resolved_at is not None:
        return _ended(live, now)
    return _going_on(subject, live, now)


def _quiet(subject: Subject, live: Mapping[int, Sequence[Row]]) -> Plan:
    """Nothing is written, and what nobody has tried to send yet is taken back. It comes again when the quiet is over,
    if it is then still true."""
    taken = {row.id for rows in live.values() for row in rows if row.is_untried}
    left = {channel: [row for row in rows if row.id not in taken] for channel, rows in live.items()}
    owes = any(rows and rows[-1].kind != "resolve" for rows in left.values())
    return Plan((), tuple(sorted(taken)), subject.resolved_at is not None and not owes)


def _ended(live: Mapping[int, Sequence[Row]], now: datetime) -> Plan:
    """A channel that heard of it, or may have, hears of its end. One that was to hear after the wait never does."""
    owed, taken = [], []
    for channel, rows in live.items():
        if rows[-1].kind == "resolve":
            continue
        untried = [row.id for row in rows if row.is_untried]
        taken += untried
        if len(untried) < len(rows):
            owed.append(Owed(channel, "resolve", now))
    return Plan(tuple(owed), tuple(taken), is_settled=True)


def _going_on(subject: Subject, live: Mapping[int, Sequence[Row]], now: datetime) -> Plan:
    owed = []
    reached = _escalated(subject, now)
    for channel in dict.fromkeys((*subject.channels, *reached, *live)):
        rows = live.get(channel, ())
        if not rows:
            if channel not in subject.channels or not _is_snoozed(subject, now):
                wait = timedelta(0) if channel not in subject.channels else GROUP_WAIT
                note = "" if channel in subject.channels else "escalated: nobody has acknowledged"
                owed.append(Owed(channel, "trigger", max(subject.fired_at + wait, now), note))
        elif one := _news(subject, channel, rows, now):
            owed.append(one)
    return Plan(tuple(owed), (), is_settled=False)


def _news(subject: Subject, channel: int, rows: Sequence[Row], now: datetime) -> Owed | None:
    """What there is to say to a channel that has heard of it."""
    last = rows[-1]
    was_told = any(row.kind == "acknowledge" and row.created_at >= (subject.acknowledged_at or now) for row in rows)
    if subject.acknowledged_at is not None:
        return None if was_told else Owed(channel, "acknowledge", now)
    if _is_snoozed(subject, now) or last.is_untried:
        return None
    age = now - last.created_at
    if subject.changed_at > last.created_at and age >= GROUP_INTERVAL:
        return Owed(channel, "update", now, "flapping" if subject.is_flapping else "changed")
    if subject.repeat is not None and age >= subject.repeat and not subject.is_flapping:
        return Owed(channel, "update", now, "still firing")
    return None


def _escalated(subject: Subject, now: datetime) -> tuple[int, ...]:
    if subject.acknowledged_at is not None or _is_snoozed(subject, now):
        return ()
    return tuple(
        channel for after, channels in subject.escalations if now - subject.fired_at >= after for channel in channels
    )


def _is_snoozed(subject: Subject, now: datetime) -> bool:
    return subject.snoozed_until is not None and now < subject.snoozed_until
