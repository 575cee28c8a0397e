"""How budgets stand. `readings` is for whoever judges: alert rules, the guard's stop, the page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from stanchion_server.costs import spending, spent
from stanchion_server.costs.models import Budget
from stanchion_server.costs.periods import Period, period_at, step_start
from stanchion_server.costs.spending import Account
from stanchion_server.kernel.errors import SenderError

MOST_BUDGETS = 100
HISTORY = {"day": timedelta(days=14), "week": timedelta(days=42), "month": timedelta(days=42)}
"""How far back the forecast looks."""


@dataclass(frozen=True, slots=True)
class BudgetReading:
    """How one budget stands now.

    `burn_ratio` is the share of the limit that went over the share of the period that did: at 1 the limit lasts
    exactly. `recent_burn_ratio` is the same of the last 24 hours (of the last hour for a budget by the day).
    `forecast_usd` is what the period will have cost at its end, in eight of ten cases between `forecast_low_usd` and
    `forecast_high_usd`; None while too little is known. `overruns_at` is when the limit was or will be crossed, None
    when it is expected to hold. `reached_percent` is the largest of the budget's thresholds that was reached, 0 for
    none. `unpriced_calls` cost something that nobody knows, and are in no number here. Nor are the dollars of
    `hosted_calls_left_out`: own deployments served them, whose hours are told apart by feature and not by this scope.
    """

    budget_id: int
    name: str
    owner: str
    scope: str
    scope_key: str
    scope_value: str
    period: str
    period_start: datetime
    period_end: datetime
    limit_usd: Decimal
    spent_usd: Decimal
    spent_ratio: float
    burn_ratio: float | None
    recent_burn_ratio: float | None
    forecast_usd: Decimal | None
    forecast_low_usd: Decimal | None
    forecast_high_usd: Decimal | None
    forecast_ratio: float | None
    forecast_method: str
    overruns_at: datetime | None
    reached_percent: int
    unpriced_calls: int
    hosted_calls_left_out: int
    notify_percents: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """A budget with everything that is known of its period."""

    budget: Budget
    period: Period
    statement: spent.Statement
    reading: BudgetReading


def readings(project_id: int, now: datetime) -> list[BudgetReading]:
    """One per budget in force, by name. Raises SenderError when the sums take too long."""
    return [one.reading for one in standings(project_id, now)]


def standings(project_id: int, now: datetime) -> list[Standing]:
    budgets = Budget.objects.filter(project_id=project_id, archived_at=None).order_by("name")[:MOST_BUDGETS]
    return standings_of(project_id, budgets, now)


def standing(project_id: int, number: int, now: datetime) -> Standing:
    return standings_of(project_id, [budget(project_id, number)], now)[0]


def budget(project_id: int, number: int) -> Budget:
    row = Budget.objects.filter(project_id=project_id, pk=number, archived_at=None).first()
    if row is None:
        raise SenderError("budget_not_found", f"Your project has no budget {number}.", 404)
    return row


def standings_of(project_id: int, budgets: Iterable[Budget], now: datetime) -> list[Standing]:
    rows = list(budgets)
    spends: dict[int, spending.Steps] = {}
    for name in {row.period for row in rows}:
        spends.update(_spends(project_id, [row for row in rows if row.period == name], now))
    return [_standing(row, spends[row.pk], now) for row in rows]


def _spends(project_id: int, budgets: list[Budget], now: datetime) -> Mapping[int, spending.Steps]:
    """Of budgets with one period, by their numbers."""
    period = period_of(budgets[0], now)
    start = min(period.start, step_start(now, period.step) - HISTORY[period.name])
    accounts = {row.pk: account_of(row) for row in budgets}
    found = spending.steps(project_id, set(accounts.values()), start, now, period.step)
    return {number: found[account] for number, account in accounts.items()}


def account_of(row: Budget) -> Account:
    return Account(row.scope, row.scope_value, row.pk if row.scope == "attribute" else 0)


def period_of(row: Budget, now: datetime) -> Period:
    name = row.period
    assert name in ("day", "week", "month")
    return period_at(name, now)  # type: ignore[arg-type]


def _standing(row: Budget, steps: spending.Steps, now: datetime) -> Standing:
    period = period_of(row, now)
    statement = spent.statement(row.limit_usd, period, steps, now)
    outlook, used = statement.outlook, float(statement.spent_usd / row.limit_usd)
    reading = BudgetReading(
        row.pk, row.name, row.owner, row.scope, row.scope_key, row.scope_value, row.period, period.start, period.end,
        row.limit_usd, statement.spent_usd, used, statement.burn_ratio, statement.recent_burn_ratio,
        forecast_usd=outlook.usd if outlook else None,
        forecast_low_usd=outlook.low_usd if outlook else None,
        forecast_high_usd=outlook.high_usd if outlook else None,
        forecast_ratio=float(outlook.usd / row.limit_usd) if outlook else None,
        forecast_method=outlook.method if outlook else "",
        overruns_at=statement.overruns_at,
        reached_percent=max((one for one in row.notify_percents if used * 100 >= one), default=0),
        unpriced_calls=statement.unpriced_calls,
        hosted_calls_left_out=statement.hosted_calls_left_out,
        notify_percents=tuple(row.notify_percents),
    )  # fmt: skip
    return Standing(row, period, statement, reading)
