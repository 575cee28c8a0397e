"""The overview's numbers beside the period before, and the data of its charts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from stanchion_server.traces.selectors import MetricRow
from stanchion_server.web.pages import formats

Number = int | float | Decimal


@dataclass(frozen=True, slots=True)
class Tile:
    """`trend` is better, worse or empty where more is neither. `link` is a query for the calls list, or empty."""

    label: str
    value: str
    note: str = ""
    delta: str = ""
    trend: str = ""
    link: str = ""
    title: str = ""


def tiles(
    now: MetricRow, before: MetricRow, own_usd: Decimal | None = None, past_own_usd: Decimal | None = None
) -> tuple[Tile, ...]:
    """`own_usd` is what hours of own deployments cost, None where there were none."""
    return (
        _tile("Calls", now.calls, before.calls, formats.count, _rate(now)),
        _tile("Errors", now.errors, before.errors, formats.count, _error_note(now), costly=True, link="status=error"),
        _cost(now, before) if own_usd is None else _cost_with_hours(now, before, own_usd, past_own_usd),
        _tile("Latency p50", _p(now, "p50"), _p(before, "p50"), formats.duration, "", costly=True),
        _tile("Latency p95", _p(now, "p95"), _p(before, "p95"), formats.duration, _p99(now), costly=True),
        _first_token(now, before),
        _tokens(now, before),
    )


def charts(rows: Sequence[MetricRow], step_s: int, cost: str = "Cost") -> tuple[dict[str, Any], ...]:
    """Chart definitions as `charts.js` reads them; the same rows make the table twins."""
    times = [int(row.bucket.timestamp()) for row in rows if row.bucket is not None]
    shared = {"times": times, "step_s": step_s}
    return (
        {**shared, "id": "chart-calls", "title": "Calls and errors", "unit": "count", "series": [
            _series("Calls", "--s1", [row.calls for row in rows], bars=True),
            _series("Errors", "--s2", [row.errors for row in rows], bars=True)]},
        {**shared, "id": "chart-cost", "title": cost, "unit": "usd", "series": [
            _series(cost, "--s3", [_float(row.cost_usd, empty=row.calls == 0) for row in rows], bars=True)]},
        {**shared, "id": "chart-latency", "title": "Latency", "unit": "ms", "series": [
            _series("p50", "--s1", [_p(row, "p50") for row in rows]),
            _series("p95", "--s2", [_p(row, "p95") for row in rows], dash=True)]},
        {**shared, "id": "chart-tokens", "title": "Tokens", "unit": "count", "series": [
            _series("Input", "--s1", [_float(row.input_tokens, empty=row.calls == 0) for row in rows]),
            _series("Output", "--s4", [_float(row.output_tokens, empty=row.calls == 0) for row in rows], dash=True)]},
    )  # fmt: skip


def twin(chart: dict[str, Any]) -> dict[str, Any]:
    """The chart's numbers as a table: headings and rows of texts."""
    shows: dict[str, Callable[[Any], str]] = {
        "usd": _usd,
        "ms": formats.duration,
        "percent": formats.percent,
        "ratio": _ratio,
        "watt": lambda value: _with_unit(value, "W"),
        "celsius": lambda value: _with_unit(value, "°C"),
        "watthour": lambda value: _with_unit(value, "Wh"),
    }
    show = shows.get(chart["unit"], formats.count)
    columns = [series["values"] for series in chart["series"]]
    lines = [
        (datetime.fromtimestamp(time, UTC), [show(column[place]) for column in columns])
        for place, time in enumerate(chart["times"])
        if any(column[place] for column in columns)
    ]
    return {"head": [series["label"] for series in chart["series"]], "lines": lines}


def _with_unit(value: float | None, unit: str) -> str:
    return formats.UNKNOWN if value is None else f"{value:,.1f} {unit}"


def _ratio(value: float | None) -> str:
    return formats.UNKNOWN if value is None else f"{value:.3f}"


def _usd(value: float | None) -> str:
    return formats.usd(None if value is None else Decimal(repr(value)))


def _series(label: str, colour: str, values: list[Any], *, bars: bool = False, dash: bool = False) -> dict[str, Any]:
    return {"label": label, "colour": colour, "values": values, "bars": bars, "dash": dash}


def _float(value: Number | None, *, empty: bool) -> float | None:
    return 0.0 if empty else None if value is None else float(value)


def _p(row: MetricRow, name: str) -> float | None:
    found: float | None = None if row.duration_ms is None else getattr(row.duration_ms, name)
    return found


def _tile(
    label: str,
    now: Number | None,
    before: Number | None,
    show: Callable[[Any], str],
    note: str = "",
    *,
    costly: bool = False,
    link: str = "",
) -> Tile:
    delta, grew = _delta(now, before)
    trend = "" if not costly or grew is None else "worse" if grew else "better"
    return Tile(label, "–" if now is None else show(now), note, delta, trend, link)


def _delta(now: Number | None, before: Number | None) -> tuple[str, bool | None]:
    if now is None or before is None:
        return "", None
    if not before:
        return ("none before", None) if now else ("", None)
    change = float(now) / float(before) - 1
    if abs(change) < 0.005:
        return "no change", None
    sign = "▲" if change > 0 else "▼"
    size = f"{abs(change) + 1:.3g}×" if change > 10 else formats.percent(round(abs(change), 2))
    return f"{sign} {size}", change > 0


def _rate(now: MetricRow) -> str:
    per_minute = now.calls_per_s * 60
    if not now.calls:
        return ""
    return f"{per_minute:.3g} per minute" if per_minute >= 0.1 else f"{per_minute * 60:.2g} per hour"


def _error_note(now: MetricRow) -> str:
    return f"{formats.percent(now.error_ratio)} of {formats.count(now.calls)}" if now.calls else ""


def _cost(now: MetricRow, before: MetricRow) -> Tile:
    usd = Decimal(0) if not now.calls else now.cost_usd
    delta, grew = _delta(usd, before.cost_usd)
    note = (
        f"{formats.count(now.unpriced_calls)} of {formats.count(now.calls)} without a price"
        if now.unpriced_calls
        else ""
    )
    if not note and now.calls:
        note = "every call priced"
    trend = "" if grew is None else "worse" if grew else "better"
    link = "priced=no" if now.unpriced_calls else ""
    return Tile("Cost", formats.usd(usd), note, delta, trend, link, formats.usd_exact(usd))


def _cost_with_hours(now: MetricRow, before: MetricRow, own_usd: Decimal, past_own_usd: Decimal | None) -> Tile:
    usd = own_usd + (now.cost_usd or 0)
    past = before.cost_usd if past_own_usd is None else past_own_usd + (before.cost_usd or 0)
    delta, grew = _delta(usd, past)
    note = f"{formats.usd(now.cost_usd or Decimal(0))} API, {formats.usd(own_usd)} own hours"
    if now.unpriced_calls:
        note += f", {formats.count(now.unpriced_calls)} calls without a price"
    trend = "" if grew is None else "worse" if grew else "better"
    link = "priced=no" if now.unpriced_calls else ""
    return Tile("Cost", formats.usd(usd), note, delta, trend, link, formats.usd_exact(usd))


def _p99(now: MetricRow) -> str:
    return "" if now.duration_ms is None else f"p99 {formats.duration(now.duration_ms.p99)}"


def _first_token(now: MetricRow, before: MetricRow) -> Tile:
    ttft = None if now.ttft_ms is None else now.ttft_ms.p50
    past = None if before.ttft_ms is None else before.ttft_ms.p50
    note = "no streamed call reported it" if now.ttft_ms is None else f"p95 {formats.duration(now.ttft_ms.p95)}"
    return _tile("First token p50", ttft, past, formats.duration, note if now.calls else "", costly=True)


def _tokens(now: MetricRow, before: MetricRow) -> Tile:
    total, past = _total(now), _total(before)
    note = f"{formats.compact(now.input_tokens)} in, {formats.compact(now.output_tokens)} out" if now.calls else ""
    if now.untokened_calls:
        note += f", {formats.count(now.untokened_calls)} calls did not say"
    delta, _ = _delta(total, past)
    return Tile("Tokens", "–" if total is None else formats.compact(total), note, delta, title=formats.count(total))


def _total(row: MetricRow) -> int | None:
    if row.input_tokens is None and row.output_tokens is None:
        return None
    return (row.input_tokens or 0) + (row.output_tokens or 0)
