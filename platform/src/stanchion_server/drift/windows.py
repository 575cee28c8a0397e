"""Which times a run compares. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from stanchion_server.drift.records import Window

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = timedelta(days=1)
SETTLING = timedelta(minutes=10)
"""A run starts this long after its window's end, so that late spans and scores are there."""


def slot(now: datetime, every_hours: int) -> datetime:
    """The last moment at which a run was due: multiples of `every_hours` since 1970, in UTC."""
    every = timedelta(hours=every_hours)
    return _EPOCH + (now - SETTLING - _EPOCH) // every * every


def current(at: datetime, hours: int) -> Window:
    return Window(at - timedelta(hours=hours), at)


def trailing(now: Window, hours: int) -> Window:
    return Window(now.start - timedelta(hours=hours), now.start)


def holds_whole_days(window: Window) -> bool:
    """Only then do two windows hold each hour of the day equally often."""
    return (window.end - window.start) % _DAY == timedelta(0)


def overlap(one: Window, other: Window) -> bool:
    return one.start < other.end and other.start < one.end
