"""Requests and tokens of the last hour by minute: what rate limits are measured against. The project comes first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from stanchion_server.traces import selectors as traces
from stanchion_server.traces.selectors import MetricRow

MINUTES = 60
MOST_MODELS = 20


@dataclass(frozen=True, slots=True)
class Traffic:
    """One value per whole minute, the newest last; a minute without calls is 0. `rpm` counts calls that began in the
    minute, `tpm` their tokens in and out, `at_a_time` is their number under way on average (Little's law).
    `untokened_calls` told no tokens and are missing in `tpm`."""

    provider: str
    model: str
    rpm: tuple[int, ...]
    tpm: tuple[int, ...]
    at_a_time: tuple[Decimal, ...]
    untokened_calls: int


def last_hour(project_id: int, now: datetime) -> tuple[Traffic, ...]:
    """Of the MOST_MODELS most called models; the minute that has not ended is left out."""
    end = now.replace(second=0, microsecond=0)
    start = end - timedelta(minutes=MINUTES)
    query = traces.MetricQuery(
        start, end, step=timedelta(minutes=1), group_by=("provider", "model"), percentiles=(), limit=MOST_MODELS
    )
    by_model: dict[tuple[str, str], list[MetricRow]] = {}
    for row in traces.metrics(project_id, query).rows:
        by_model.setdefault((row.group["provider"], row.group["model"]), []).append(row)
    found = [_traffic(provider, model, rows, start) for (provider, model), rows in by_model.items()]
    return tuple(sorted(found, key=lambda one: (-sum(one.rpm), one.provider, one.model)))


def _traffic(provider: str, model: str, rows: Sequence[MetricRow], start: datetime) -> Traffic:
    calls, tokens, busy = [0] * MINUTES, [0] * MINUTES, [Decimal(0)] * MINUTES
    for row in rows:
        if row.bucket is None:
            continue
        place = int((row.bucket - start).total_seconds() // 60)
        if 0 <= place < MINUTES:
            calls[place] = row.calls
            tokens[place] = (row.input_tokens or 0) + (row.output_tokens or 0)
            busy[place] = _at_a_time(row)
    return Traffic(provider, model, tuple(calls), tuple(tokens), tuple(busy), sum(row.untokened_calls for row in rows))


def _at_a_time(row: MetricRow) -> Decimal:
    seconds = Decimal(repr(row.duration_mean_ms or 0.0)) / 1000
    return round(row.calls * seconds / 60, 3)
