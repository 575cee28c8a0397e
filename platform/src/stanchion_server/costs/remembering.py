"""Keeps the hours of budgets by attribute: attributes are in no rollup, so each hour's calls are read once, and again
when the hour's totals changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from stanchion_server.costs import selectors_budgets
from stanchion_server.costs.budgeted import Budget, BudgetHour, Scope
from stanchion_server.costs.periods import HOUR, step_start
from stanchion_server.kernel.errors import SenderError
from stanchion_server.traces.filters import CallFilter
from stanchion_server.traces.models import CallTotal
from stanchion_server.traces.selectors import measures, reading

HOURS_AT_ONCE = 24
Totals = tuple[int, int, Decimal]
"""Calls, those of them that own deployments served, and dollars."""


def work(now: datetime) -> Iterator[int]:
    """A few hours of one budget per step, newest first, and its number; ends when all are up to date."""
    for row in Budget.objects.filter(scope=Scope.ATTRIBUTE, archived_at=None).order_by("looked_at", "pk"):
        while hours := _changed(row, now)[:HOURS_AT_ONCE]:
            if not _remember(row, hours):
                break
            yield row.pk


def expire(now: datetime) -> None:
    BudgetHour.objects.filter(hour__lt=now - timedelta(days=100)).delete()


def _changed(row: Budget, now: datetime) -> list[tuple[datetime, Totals]]:
    period = selectors_budgets.period_of(row, now)
    start = min(period.start, step_start(now, period.step) - selectors_budgets.HISTORY[period.name])
    totals: dict[datetime, Totals] = {
        hour.astimezone(UTC): (calls, hosted, usd)
        for hour, calls, hosted, usd in CallTotal.objects.filter(
            project_id=row.project_id, grain_minutes=60, bucket__gte=start, bucket__lte=now
        ).values_list("bucket", "calls", "hosted_calls", "cost_usd")
    }
    known = {
        hour.astimezone(UTC): (calls, hosted, usd)
        for hour, calls, hosted, usd in row.hours.filter(hour__gte=start).values_list(
            "hour", "all_calls", "all_hosted_calls", "all_usd"
        )
    }
    return sorted(((hour, total) for hour, total in totals.items() if known.get(hour) != total), reverse=True)


def _remember(row: Budget, hours: Sequence[tuple[datetime, Totals]]) -> bool:
    """False where the calls cannot be read in time: tried again at the next run."""
    try:
        spends = _read(row, hours[-1][0], hours[0][0] + HOUR)
    except SenderError:
        return False
    rows = [
        BudgetHour(budget=row, hour=hour, all_calls=calls, all_hosted_calls=hosted, all_usd=usd, **spends.get(hour, {}))
        for hour, (calls, hosted, usd) in hours
    ]
    BudgetHour.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["budget", "hour"],
        update_fields=["usd", "calls", "unpriced_calls", "hosted_calls", "all_calls", "all_hosted_calls", "all_usd"],
    )  # fmt: skip
    return True


def _read(row: Budget, start: datetime, end: datetime) -> Mapping[datetime, dict[str, Any]]:
    wanted = CallFilter(attributes={row.scope_key: row.scope_value})
    plan = measures.plan(row.project_id, start, end, HOUR, (), wanted, histograms=())
    with reading.bounded():
        rows = reading.rows(plan.sql, plan.params)
    found: dict[datetime, dict[str, Any]] = {}
    for values in rows:
        named = dict(zip(measures.ROW_COLUMNS, values, strict=True))
        found[named["step"].astimezone(UTC)] = {
            "usd": named["cost_usd"] or Decimal(0), "calls": named["calls"], "unpriced_calls": named["unpriced_calls"],
            "hosted_calls": named["hosted_calls"],
        }  # fmt: skip
    return found
