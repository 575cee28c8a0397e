"""Readings of calls, from the rollups: one statement per window and set of dimensions, whatever the measures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from stanchion_server.alerts.records import Ask, Labels, Part, Readings, Sample, Window
from stanchion_server.alerts.sources.asking import Answer, Recorded, dimensions_of, parts_of, picked, share, shared
from stanchion_server.kernel.errors import SenderError
from stanchion_server.traces import histogram
from stanchion_server.traces.filters import CallFilter
from stanchion_server.traces.selectors import sums
from stanchion_server.traces.selectors.sums import Sums

MOST_DIMENSIONS = 2
TOTALS = {"calls": "calls", "errors": "errors", "cost_usd": "cost_usd", "input_tokens": "input_tokens",
          "output_tokens": "output_tokens"}  # fmt: skip
SHARES = {"error_ratio": "errors", "unpriced_ratio": "unpriced_calls"}
_Key = tuple[Window, tuple[str, ...], Labels, tuple[str, ...]]


def read(project_id: int, asks: Sequence[Ask], now: datetime) -> Mapping[Ask, Answer]:
    histograms = {(ask.window, *_place(ask)): set[str]() for ask in asks}
    for ask in asks:
        histograms[ask.window, *_place(ask)].update(histogram_of(ask.measure))

    def key_of(ask: Ask) -> _Key:
        dimensions, filters = _place(ask)
        return ask.window, dimensions, filters, tuple(sorted(histograms[ask.window, dimensions, filters]))

    return shared(asks, key_of, lambda key, members: _fetch(project_id, key, members))


def _place(ask: Ask) -> tuple[tuple[str, ...], Labels]:
    """What to split by and what to filter by: filters are split by too where that goes, so that rules share."""
    wanted = dimensions_of(ask)
    return (wanted, ()) if len(wanted) <= MOST_DIMENSIONS else (ask.by, ask.where)


def _fetch(project_id: int, key: _Key, asks: Sequence[Ask]) -> Mapping[Ask, Answer]:
    window, dimensions, filters, histograms = key
    if len(dimensions) > MOST_DIMENSIONS:
        raise SenderError("too_many_groups", f"Calls can be split by at most {MOST_DIMENSIONS} dimensions.")
    wanted: dict[str, Any] = dict(filters)
    rows = sums.sums(project_id, window.start, window.end, None, dimensions, CallFilter(**wanted), histograms)
    return {ask: readings(rows, dimensions, ask, is_filtered=bool(filters)) for ask in asks}


def readings(rows: Sequence[Sums], dimensions: Sequence[str], ask: Ask, *, is_filtered: bool = False) -> Readings:
    """The question's groups, each merged from the rows that belong to it."""
    merged: dict[Labels, list[Sums]] = {}
    for row in rows:
        if is_filtered:
            values = dict(zip(dimensions, row.group, strict=True))
            labels: Labels | None = tuple((name, values[name]) for name in ask.by)
        else:
            labels = picked(dimensions, row.group, ask)
        if labels is not None:
            merged.setdefault(labels, []).append(row)
    if not ask.by:
        merged.setdefault((), [])
    return {labels: sample_of(ask, members) for labels, members in merged.items()}


def sample_of(ask: Ask, rows: Sequence[Sums]) -> Sample:
    """One value over all these rows. Means leave out calls that have no such number: they are not known, not zero."""
    calls = _total(rows, "calls")
    measure = ask.measure
    if measure in TOTALS:
        if measure == "cost_usd" and calls and _total(rows, "unpriced_calls") == calls:
            return Sample(None, int(calls))
        return Sample(_total(rows, TOTALS[measure]), int(calls))
    if measure in SHARES:
        return share(_total(rows, SHARES[measure]), calls)
    if measure == "cost_per_call_usd":
        return _mean(rows, ("cost_usd",), calls - _total(rows, "unpriced_calls"))
    if measure == "tokens_per_call":
        return _mean(rows, ("input_tokens", "output_tokens"), calls - _total(rows, "untokened_calls"))
    if measure == "latency_mean_ms":
        return _mean(rows, ("duration_ms_sum",), calls)
    return _of_histogram(ask, rows)


def histogram_of(measure: str) -> tuple[str, ...]:
    if measure.startswith("ttft_") or measure == "late_first_token_ratio":
        return ("ttft",)
    is_timed = measure == "slow_ratio" or (measure.startswith("latency_p"))
    return ("duration",) if is_timed else ()


def _of_histogram(ask: Ask, rows: Sequence[Sums]) -> Sample:
    name = histogram_of(ask.measure)[0]
    counts: dict[int, int] = {}
    for row in rows:
        for bucket, count in row.histograms[name].items():
            counts[bucket] = counts.get(bucket, 0) + count
    total = sum(counts.values())
    if ask.measure in ("slow_ratio", "late_first_token_ratio"):
        edge = histogram.bucket_of(float(dict(ask.params)["over_ms"]))
        return share(sum(count for bucket, count in counts.items() if bucket > edge), total)
    fraction = int(ask.measure.split("_p")[1].split("_")[0]) / 100
    return Sample(histogram.percentile(counts, fraction), total)


def _total(rows: Sequence[Sums], name: str) -> float:
    return sum(row.values[name] for row in rows)


def _mean(rows: Sequence[Sums], names: Sequence[str], count: float) -> Sample:
    total = sum(_total(rows, name) for name in names)
    return Sample(total / count if count > 0 else None, int(max(count, 0)))


def columns_of(measure: str) -> tuple[str, ...]:
    """The sums that `sample_of` reads for a measure."""
    means = {
        "cost_usd": ("unpriced_calls", "cost_usd"), "cost_per_call_usd": ("unpriced_calls", "cost_usd"),
        "tokens_per_call": ("untokened_calls", "input_tokens", "output_tokens"),
        "latency_mean_ms": ("duration_ms_sum",),
    }  # fmt: skip
    plain = TOTALS.get(measure) or SHARES.get(measure)
    return tuple(dict.fromkeys(("calls", *means.get(measure, (plain,) if plain else ()))))


def _parts(project_id: int, ask: Ask, most: int) -> list[Part]:
    if len(ask.by) > MOST_DIMENSIONS:
        raise SenderError("too_many_groups", f"Calls can be split by at most {MOST_DIMENSIONS} dimensions.")
    wanted: dict[str, Any] = dict(ask.where)
    rows = sums.newest_minutes(
        project_id, ask.window.start, ask.window.end, ask.by, CallFilter(**wanted), columns_of(ask.measure),
        histogram_of(ask.measure), most,
    )  # fmt: skip
    return parts_of(rows, ask.by, replace(ask, where=()))


def _sample_of_sums(ask: Ask, values: Sequence[float], counts: Mapping[int, int]) -> Sample:
    named = dict(zip(columns_of(ask.measure), values, strict=True))
    return sample_of(ask, (Sums(None, (), named, dict.fromkeys(histogram_of(ask.measure), counts)),))


RECORDED = Recorded(lambda ask: columns_of(ask.measure), _parts, _sample_of_sums)
