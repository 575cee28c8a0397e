"""Readings of budgets: how much is spent, how fast, what it will come to, and which thresholds were reached."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType

from stanchion_server.alerts.records import Ask, Labels, Readings, Sample
from stanchion_server.alerts.sources.asking import Answer, Failed
from stanchion_server.costs import selectors_budgets
from stanchion_server.costs.selectors_budgets import BudgetReading
from stanchion_server.kernel.errors import SenderError

_VALUES: Mapping[str, Callable[[BudgetReading], float | None]] = MappingProxyType(
    {
        "spent_ratio": lambda one: one.spent_ratio,
        "burn_ratio": lambda one: one.burn_ratio,
        "recent_burn_ratio": lambda one: one.recent_burn_ratio,
        "forecast_ratio": lambda one: one.forecast_ratio,
        "spent_usd": lambda one: float(one.spent_usd),
        "forecast_usd": lambda one: None if one.forecast_usd is None else float(one.forecast_usd),
    }
)


def read(project_id: int, asks: Sequence[Ask], now: datetime) -> Mapping[Ask, Answer]:
    """Of now, whatever the window: a budget has a period of its own."""
    try:
        known = selectors_budgets.readings(project_id, now)
    except SenderError as error:
        return dict.fromkeys(asks, Failed(error.message))
    return {ask: _readings(known, ask) for ask in asks}


def _readings(known: Sequence[BudgetReading], ask: Ask) -> Readings:
    """The worst of the budgets that share a question's labels; one that knows nothing is no reading."""
    found: dict[Labels, Sample] = {}
    for told, value in _values(known, ask.measure):
        if any(told[name] != wanted for name, wanted in ask.where):
            continue
        labels = tuple((name, told[name]) for name in ask.by)
        before = found.get(labels, Sample(None, 0))
        values = [one for one in (value, before.value) if one is not None]
        found[labels] = Sample(max(values) if values else None, before.samples + 1)
    if not ask.by:
        found.setdefault((), Sample(None, 0))
    return found


def _values(known: Sequence[BudgetReading], measure: str) -> Iterator[tuple[Mapping[str, str], float | None]]:
    """Thresholds are readings of their own, so that each is told when it is reached: 1 is reached."""
    for one in known:
        labels = {"budget": one.name, "owner": one.owner, "feature": one.scope_value if one.scope == "feature" else ""}
        if measure == "threshold_ratio":
            for percent in one.notify_percents:
                yield {**labels, "threshold": f"{percent} %"}, one.spent_ratio * 100 / percent
        else:
            yield {**labels, "threshold": ""}, _VALUES[measure](one)
