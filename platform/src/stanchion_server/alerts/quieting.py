"""What keeps an incident quiet: silences, maintenance windows, incidents that explain it. Pure."""

from __future__ import annotations

import fnmatch
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

OPS = ("=", "!=", "~")


@dataclass(frozen=True, slots=True)
class Matcher:
    """`~` takes a pattern with * and ?, in which case counts. A label that is not there is empty."""

    label: str
    op: str
    value: str

    def __str__(self) -> str:
        return f"{self.label} {self.op} {self.value or '(none)'}"


@dataclass(frozen=True, slots=True)
class Silence:
    id: int
    matchers: tuple[Matcher, ...]
    starts_at: datetime
    ends_at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Maintenance:
    """Weekdays from Monday (0), in the time of `zone`; `starts` is a wall-clock time there. An occurrence that began no
    later than `ended_at` is over: a person ended it."""

    name: str
    matchers: tuple[Matcher, ...]
    zone: str
    weekdays: frozenset[int]
    starts: time
    length: timedelta
    ended_at: datetime | None = None


def matches(matchers: Sequence[Matcher], labels: Mapping[str, str]) -> bool:
    """All of them; no matcher matches everything."""
    return all(_matches(matcher, labels.get(matcher.label, "")) for matcher in matchers)


def _matches(matcher: Matcher, value: str) -> bool:
    if matcher.op == "~":
        return fnmatch.fnmatchcase(value, matcher.value.replace("[", "[[]"))
    return (value == matcher.value) == (matcher.op == "=")


def is_on(maintenance: Maintenance, now: datetime) -> bool:
    return running(maintenance, now) is not None


def running(maintenance: Maintenance, now: datetime) -> tuple[datetime, datetime] | None:
    """The occurrence that `now` lies in, in UTC."""
    first = next(_occurrences(maintenance, now), None)
    return first if first is not None and first[0] <= now else None


def upcoming(maintenance: Maintenance, now: datetime, count: int) -> tuple[tuple[datetime, datetime], ...]:
    """The next so many occurrences in UTC, in order; the first may be running."""
    return tuple(itertools.islice(_occurrences(maintenance, now), count))


def _occurrences(maintenance: Maintenance, now: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Those that are not over at `now`. A day long, and begun late before a day of 23 hours, one reaches into the day
    after the next by the local calendar: hence two days back."""
    today = now.astimezone(ZoneInfo(maintenance.zone)).date()
    for number in itertools.count(-2):
        day = today + timedelta(days=number)
        if day.weekday() in maintenance.weekdays:
            start, end = occurrence(maintenance, day)
            is_ended = maintenance.ended_at is not None and start <= maintenance.ended_at
            if now < end and not is_ended:
                yield start, end
        elif not maintenance.weekdays:
            return


def occurrence(maintenance: Maintenance, day: date) -> tuple[datetime, datetime]:
    """In UTC. The length is real time: an hour stays one when clocks change inside it. A start that a clock change
    skips is as long after midnight as it would have been; one that comes twice is its first time."""
    local = datetime.combine(day, maintenance.starts, ZoneInfo(maintenance.zone))
    start = local.astimezone(ZoneInfo("UTC"))
    return start, start + maintenance.length


def muted_by(
    members: Sequence[Mapping[str, str]],
    silences: Sequence[Silence],
    maintenance: Sequence[Maintenance],
    explained_by: str,
    now: datetime,
) -> str:
    """Why nothing is sent, for people; empty when messages go out. One message may be about several groups: all of them
    must be quiet. `explained_by` names an open incident that explains this one."""
    if explained_by:
        return f"inhibited by {explained_by}"
    for silence in silences:
        if silence.starts_at <= now < silence.ends_at and all(matches(silence.matchers, one) for one in members):
            return f"silence {silence.id}: {silence.reason}"[:200]
    for window in maintenance:
        if is_on(window, now) and all(matches(window.matchers, one) for one in members):
            return f"maintenance window {window.name}"[:200]
    return ""


def explains(cause: Mapping[str, str], effect: Mapping[str, str]) -> bool:
    """Whether labels that both have are the same."""
    return all(effect.get(name, value) == value for name, value in cause.items())
