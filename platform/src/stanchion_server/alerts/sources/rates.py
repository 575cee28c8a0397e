"""Readings of rate limits: how much of a limit a window's fullest minute used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from stanchion_server.alerts.records import Ask, Labels, Readings, Sample
from stanchion_server.alerts.sources.asking import Answer, Failed
from stanchion_server.costs import selectors_headroom
from stanchion_server.costs.selectors_headroom import MinuteUse
from stanchion_server.kernel.errors import SenderError


def read(project_id: int, asks: Sequence[Ask], now: datetime) -> Mapping[Ask, Answer]:
    """Of the asked window, for limits by the minute: seconds are in no rollup."""
    return {ask: _read(project_id, ask) for ask in asks}


def _read(project_id: int, ask: Ask) -> Answer:
    try:
        known = selectors_headroom.minutes_used(project_id, ask.window.start, ask.window.end)
    except SenderError as error:
        return Failed(error.message)
    return _readings(_labelled(known), ask)


def _labelled(known: Sequence[MinuteUse]) -> Iterator[tuple[Mapping[str, str], float]]:
    for one in known:
        yield {"provider": one.provider, "model": one.model, "limit": one.dimension}, one.used_ratio


def _readings(known: Iterator[tuple[Mapping[str, str], float]], ask: Ask) -> Readings:
    """The fullest of the limits that share a question's labels."""
    found: dict[Labels, Sample] = {}
    for told, value in known:
        if any(told[name] != wanted for name, wanted in ask.where):
            continue
        labels = tuple((name, told[name]) for name in ask.by)
        before = found.get(labels)
        found[labels] = Sample(
            max(value, before.value or 0.0) if before else value, (before.samples if before else 0) + 1
        )
    if not ask.by:
        found.setdefault((), Sample(None, 0))
    return found
