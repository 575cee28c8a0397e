"""What a project, a feature, a service, an environment or the bearer of an attribute spent, step by step: API calls
from the rollups and, for projects and features, self-hosted models from their allocation. The project comes first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from stanchion_server.costs import selectors_allocation
from stanchion_server.costs.budgeted import BudgetHour, Scope
from stanchion_server.costs.periods import HOUR, step_start
from stanchion_server.costs.spent import Spend
from stanchion_server.traces.filters import CallFilter
from stanchion_server.traces.selectors import measures, reading

MOST_ROWS = 50_000
MINUTE = timedelta(minutes=1)
ALLOCATED = (Scope.PROJECT, Scope.FEATURE)
"""Scopes that self-hosted hours are told apart by."""
_NOTHING = Spend()
Steps = Sequence[tuple[datetime, Spend]]


@dataclass(frozen=True, slots=True)
class Account:
    """Whose spend: `budget_id` finds the remembered hours of an attribute."""

    scope: str
    value: str = ""
    budget_id: int = 0


def steps(
    project_id: int, wanted: Iterable[Account], start: datetime, now: datetime, step: timedelta
) -> Mapping[Account, Steps]:
    """Per account every step from `start`, which is a step's beginning, up to the one that holds `now`; steps without
    a call are zeros. SenderError when the answer takes too long."""
    found: dict[Account, Mapping[datetime, Spend]] = {}
    by_scope: dict[str, list[Account]] = defaultdict(list)
    for account in wanted:
        by_scope[account.scope].append(account)
    for scope, accounts in by_scope.items():
        if scope == Scope.ATTRIBUTE:
            found.update({one: _remembered(one.budget_id, start, now, step) for one in accounts})
        else:
            spent = _spent(project_id, scope, start, now, step)
            found.update({one: spent.get(one.value, {}) for one in accounts})
    moments = [start + place * step for place in range((step_start(now, step) - start) // step + 1)]
    return {one: tuple((at, spent.get(at, _NOTHING)) for at in moments) for one, spent in found.items()}


def _spent(
    project_id: int, scope: str, start: datetime, now: datetime, step: timedelta
) -> Mapping[str, Mapping[datetime, Spend]]:
    """By value of the scope and step; the whole project's value is empty."""
    group_by = () if scope == Scope.PROJECT else (scope,)
    plan = measures.plan(
        project_id, start, now.replace(second=0, microsecond=0) + MINUTE, step, group_by, CallFilter(), histograms=()
    )
    with reading.bounded():
        rows = reading.rows(f"{plan.sql} LIMIT {MOST_ROWS}", plan.params)
    found: dict[str, dict[datetime, Spend]] = defaultdict(dict)
    for row in rows:
        named: dict[str, Any] = dict(zip(measures.ROW_COLUMNS, row, strict=True))
        left_out = 0 if scope in ALLOCATED else named["hosted_calls"]
        spend = Spend(named["cost_usd"] or Decimal(0), named["calls"], named["unpriced_calls"], left_out)
        found[named["g1"]][named["step"].astimezone(UTC)] = spend
    if scope in ALLOCATED:
        _add_allocated(found, project_id, group_by, start, now, step)
    return found


def _add_allocated(
    found: dict[str, dict[datetime, Spend]], project_id: int, group_by: tuple[str, ...], start: datetime,
    now: datetime, step: timedelta,
) -> None:  # fmt: skip
    """Idling and use by no known call belong to the project, and to no feature."""
    unit = "hour" if step == HOUR else "day"
    for row in selectors_allocation.grouped(project_id, start, now, group_by, unit):
        if row.bucket is None or (group_by and row.kind != "use"):
            continue
        spends = found[row.group.get("feature", "")]
        spends[row.bucket] = spends.get(row.bucket, _NOTHING).plus(Spend(row.usd))


def _remembered(budget_id: int, start: datetime, now: datetime, step: timedelta) -> Mapping[datetime, Spend]:
    found: dict[datetime, Spend] = {}
    rows = BudgetHour.objects.filter(budget_id=budget_id, hour__gte=start, hour__lte=now)
    columns = rows.values_list("hour", "usd", "calls", "unpriced_calls", "hosted_calls")
    for hour, usd, calls, unpriced, hosted in columns:
        at = step_start(hour, step)
        found[at] = found.get(at, _NOTHING).plus(Spend(usd, calls, unpriced, hosted))
    return found
