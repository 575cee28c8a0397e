"""Readings of cards and serving engines, from sums over five minutes: those that end within the asked window."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from stanchion_server.alerts.records import Ask, Labels, Readings, Sample, Window
from stanchion_server.alerts.sources.asking import Answer, Reader, dimensions_of, picked, shared
from stanchion_server.gpu import health

_Key = tuple[Window, tuple[str, ...]]
_Read = Callable[[int, datetime, datetime, Sequence[str]], tuple[health.Health, ...]]


def _reader(read_rows: _Read) -> Reader:
    def read(project_id: int, asks: Sequence[Ask], now: datetime) -> Mapping[Ask, Answer]:
        def fetch(key: _Key, members: Sequence[Ask]) -> Mapping[Ask, Answer]:
            window, dimensions = key
            rows = read_rows(project_id, window.start, window.end, dimensions)
            return {ask: _readings(rows, dimensions, ask) for ask in members}

        return shared(asks, lambda ask: (ask.window, dimensions_of(ask)), fetch)

    return read


def _readings(rows: Sequence[health.Health], dimensions: Sequence[str], ask: Ask) -> Readings:
    """The worst of the rows that share a question's labels; what nobody told is no reading."""
    found: dict[Labels, Sample] = {}
    for row in rows:
        labels, value = picked(dimensions, row.group, ask), row.values[ask.measure]
        if labels is None or value is None:
            continue
        before = found.get(labels, Sample(None, 0))
        worse = _worse(ask.measure)
        worst = value if before.value is None else worse(value, before.value)
        found[labels] = Sample(worst, before.samples + row.windows)
    return found


def _worse(measure: str) -> Callable[[float, float], float]:
    return min if measure in health.WORST_IS_LEAST else max


CARDS = _reader(health.card_health)
ENGINES = _reader(health.engine_health)
