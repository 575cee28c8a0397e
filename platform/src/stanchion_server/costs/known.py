"""What a project's own traffic and prices say, as values for calculators. The project comes first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal

from stanchion_server.costs import deployments, price_list, selectors
from stanchion_server.ingest.records import SpanKind
from stanchion_server.traces import selectors as traces
from stanchion_server.traces.selectors import MetricRow

LOOK_BACK = timedelta(days=7)
MODELS_LOOKED_AT = 10
HOURS = 168
MONTH_HOURS = 720
_MILLION = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class Known:
    """`values` by the names of calculators' fields, as texts; `model` is the one most called that costs per token, if
    any does."""

    model: str
    calls: int
    values: Mapping[str, str]


def known(project_id: int, now: datetime) -> Known | None:
    """Of the language model that was called most in LOOK_BACK, those first that cost per token: beside a price of 0
    most calculators have nothing to say. None where none was called."""
    query = traces.MetricQuery(
        now - LOOK_BACK, now, group_by=("provider", "model"), filters=traces.CallFilter(kind=SpanKind.LLM),
        percentiles=(), limit=MODELS_LOOKED_AT,
    )  # fmt: skip
    rows = [row for row in traces.metrics(project_id, query).rows if row.calls and row.group["model"]]
    if not rows:
        return None
    prices = [_of_prices(project_id, row, now) for row in rows]
    row, price = next(
        ((row, price) for row, price in zip(rows, prices, strict=True) if any(price.values())), (rows[0], prices[0])
    )
    values = {**_of_traffic(row), **price, **_of_hosting(project_id, now)}
    return Known(row.group["model"], row.calls, {name: f"{value:f}" for name, value in values.items()})


def _of_traffic(row: MetricRow) -> dict[str, Decimal]:
    told, priced = row.calls - row.untokened_calls, row.calls - row.unpriced_calls
    per_hour = Decimal(row.calls) / HOURS
    found = {"requests_per_hour": _tidy(per_hour), "calls_per_month": _whole(per_hour * MONTH_HOURS)}
    if told and row.input_tokens is not None and row.output_tokens is not None:
        found["input_tokens"] = _whole(Decimal(row.input_tokens) / told)
        found["output_tokens"] = max(Decimal(1), _whole(Decimal(row.output_tokens) / told))
    if priced and row.cost_usd is not None:
        found["usd_per_call"] = _tidy(row.cost_usd / priced)
    if row.output_tokens_per_s:
        found["tokens_per_s"] = max(Decimal("0.001"), round(Decimal(repr(row.output_tokens_per_s)), 3))
    return found


def _of_prices(project_id: int, row: MetricRow, now: datetime) -> dict[str, Decimal]:
    """The project's own price, else the public list's, in US dollars per million tokens."""
    provider, model = row.group["provider"], row.group["model"]
    own = selectors.book(project_id).override_for(provider, model, now)
    if own is not None:
        return {
            "input_usd_per_mtok": _tidy(own.input_usd_per_mtok),
            "output_usd_per_mtok": _tidy(own.output_usd_per_mtok),
        }
    listed = price_list.look_up(provider, model, now, "")
    if listed is None or listed.rates.input is None or listed.rates.output is None:
        return {}
    return {
        "input_usd_per_mtok": _tidy(listed.rates.input * _MILLION),
        "output_usd_per_mtok": _tidy(listed.rates.output * _MILLION),
    }


def _of_hosting(project_id: int, now: datetime) -> dict[str, Decimal]:
    """The rate of the first deployment that is in force."""
    seen: set[str] = set()
    for row in deployments.versions(project_id):
        if row.effective_from > now or row.name in seen:
            continue
        seen.add(row.name)
        if not row.is_retired:
            return {"usd_per_instance_hour": _tidy(row.usd_per_hour), "instances": Decimal(max(1, row.count))}
    return {}


def _whole(value: Decimal) -> Decimal:
    return value.quantize(Decimal(1), ROUND_HALF_EVEN)


def _tidy(value: Decimal) -> Decimal:
    return value.quantize(Decimal("0.000001"), ROUND_HALF_EVEN).normalize()
