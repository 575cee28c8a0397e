"""A measure and its band as people read them, with a small line of what came before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stanchion_server.drift.anomalies import Reading
from stanchion_server.drift.readings import Told
from stanchion_server.web.pages import formats

SPARK_WIDTH, SPARK_HEIGHT = 120, 28
SORTS = {
    "sudden": "newest quarter of an hour",
    "slow": "slow change, last six hours",
    "seasonal": "same hour of the week",
    "level": "new level, last seven days",
}


@dataclass(frozen=True, slots=True)
class Band:
    told: Told
    sort: str
    value: str
    band: str
    why: str
    line: str


def band_of(told: Told) -> Band:
    return Band(
        told=told,
        sort=SORTS[told.reading.sort],
        value=shown(told.reading.value, told.unit),
        band=_band(told),
        why=_why(told),
        line=_line(told.series),
    )


def shown(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    if unit == "ms":
        return formats.duration(max(value, 0.0))
    if unit == "ratio":
        return formats.percent(max(value, 0.0))
    if unit == "usd":
        return f"${value:.3g}"
    return f"{value:.3f}" if unit == "score" else formats.compact(value)


def _band(told: Told) -> str:
    reading = told.reading
    if reading.low is None or reading.high is None:
        return "" if reading.expected is None else f"was {shown(reading.expected, told.unit)}"
    return f"{shown(max(reading.low, 0.0), told.unit)} to {shown(reading.high, told.unit)}"


def _why(told: Told) -> str:
    reading = told.reading
    if reading.verdict == "not_enough_data":
        return f"{reading.points} values: too few to know a band"
    if reading.sort == "level":
        return _why_level(reading, told.unit)
    usual = shown(reading.expected, told.unit)
    if reading.size is None:
        return f"always {usual} before"
    return f"{abs(reading.size):.1f} deviations {'above' if reading.size > 0 else 'below'} the usual {usual}"


def _why_level(reading: Reading, unit: str) -> str:
    if reading.verdict == "normal" or reading.since is None:
        return "no lasting change of level"
    return (
        f"{shown(reading.expected, unit)} until {reading.since:%Y-%m-%d %H:%M} UTC, {shown(reading.value, unit)} since"
    )


def _line(series: Sequence[float]) -> str:
    """The points of a polyline; empty for fewer than two values."""
    if len(series) < 2:
        return ""
    low, high = min(series), max(series)
    height = (high - low) or 1.0
    step = SPARK_WIDTH / (len(series) - 1)
    return " ".join(
        f"{place * step:.1f},{SPARK_HEIGHT - 2 - (value - low) / height * (SPARK_HEIGHT - 4):.1f}"
        for place, value in enumerate(series)
    )
