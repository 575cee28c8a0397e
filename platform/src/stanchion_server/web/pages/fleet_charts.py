"""Charts of cards: steps of at most a few hundred, gaps where nothing was measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from stanchion_server.gpu.selectors import Bucket, Card
from stanchion_server.web.pages.bands import SPARK_HEIGHT, SPARK_WIDTH

STEPS = (5, 15, 30, 60, 180, 360, 1_440, 10_080, 43_200)
MOST_STEPS, FEWEST_STEPS, MOST_PLACES = 300, 24, 60_000
MOST_LINES = 4
COLOURS = ("--s1", "--s2", "--s3", "--s4")
_EPOCH = datetime.fromisoformat("2001-01-01T00:00:00+00:00")


def step_for(start: datetime, end: datetime, cards: int) -> timedelta:
    """Fewer steps for many cards, so that a page stays readable in a moment."""
    most = max(FEWEST_STEPS, min(MOST_STEPS, MOST_PLACES // max(1, cards)))
    for minutes in STEPS:
        if (end - start) / timedelta(minutes=minutes) <= most:
            return timedelta(minutes=minutes)
    return timedelta(minutes=STEPS[-1])


def times(start: datetime, end: datetime, step: timedelta) -> list[datetime]:
    """Steps that touch the range, as `buckets` counts them."""
    first = start - (start - _EPOCH) % step
    return [first + place * step for place in range(-(-(end - first) // step))]


Read = Callable[[Bucket], float | None]
_CHARTS: tuple[tuple[str, str, str, Read], ...] = (
    ("gpu-busy", "Utilisation", "percent", lambda one: one.utilization_ratio),
    ("gpu-memory", "Memory in use", "percent", lambda one: one.memory_ratio),
    ("gpu-power", "Power", "watt", lambda one: one.power_w),
    ("gpu-heat", "Temperature", "celsius", lambda one: one.temperature_c),
)


def charts(cards: Sequence[Card], found: Sequence[Bucket], grid: Sequence[datetime], step: timedelta) -> list[Any]:
    """One line per card; beyond MOST_LINES cards, their mean and the largest."""
    by_place = {(one.device, one.start): one for one in found}
    shared = {"times": [int(time.timestamp()) for time in grid], "step_s": int(step.total_seconds())}
    return [
        {**shared, "id": name, "title": title, "unit": unit, "series": _series(cards, by_place, grid, read)}
        for name, title, unit, read in _CHARTS
    ]


def _series(
    cards: Sequence[Card], by_place: Mapping[tuple[int, datetime], Bucket], grid: Sequence[datetime], read: Read
) -> list[dict[str, Any]]:
    lines = {card.number: [_read(by_place.get((card.number, time)), read) for time in grid] for card in cards}
    if len(cards) <= MOST_LINES:
        return [
            _line(label_of(card), lines[card.number], place, dash=place % 2 == 1) for place, card in enumerate(cards)
        ]
    columns = [[value for value in column if value is not None] for column in zip(*lines.values(), strict=True)]
    means = [sum(column) / len(column) if column else None for column in columns]
    return [
        _line(f"Mean of {len(cards)} cards", means, 0, dash=False),
        _line("Largest", [max(column, default=None) for column in columns], 1, dash=True),
    ]


def _read(bucket: Bucket | None, read: Read) -> float | None:
    return None if bucket is None else read(bucket)


def _line(label: str, values: list[Any], place: int, *, dash: bool) -> dict[str, Any]:
    return {"label": label, "colour": COLOURS[place], "values": values, "bars": False, "dash": dash}


def label_of(card: Card) -> str:
    return f"{card.host} {card.name or card.hw_id[:12]}".strip()


def gap_ratio(found: Sequence[Bucket], card: Card, start: datetime, end: datetime) -> float | None:
    """The share of the time that no sample of this card covers, from its first sample on; None for no time."""
    length_s = (end - max(start, card.first_seen_at)).total_seconds()
    if length_s <= 0:
        return None
    covered_s = sum(one.covered_s for one in found if one.device == card.number)
    return min(1.0, max(0.0, 1 - covered_s / length_s))


def spark(found: Sequence[Bucket], number: int, grid: Sequence[datetime]) -> str:
    """Utilisation as the `d` of an SVG path, broken where nothing was measured."""
    known = {one.start: one.utilization_ratio for one in found if one.device == number}
    parts, is_open = [], False
    for place, time in enumerate(grid):
        value = known.get(time)
        if value is None:
            is_open = False
            continue
        x = place / max(1, len(grid) - 1) * SPARK_WIDTH
        y = SPARK_HEIGHT - 1 - min(1.0, value) * (SPARK_HEIGHT - 2)
        parts.append(f"{'L' if is_open else 'M'}{x:.1f} {y:.1f}")
        is_open = True
    return "".join(parts)
