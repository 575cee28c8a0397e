"""Which features may not spend any more: a worker looks, a guard check reads.

A stop is only obeyed while it is fresh. A worker that is away, a period that is over, a budget that was raised, or a
database that does not answer: in each case checks go on. Spending too much is told by alerts; a stop by mistake would
take a service down.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from typing import Literal

from stanchion_server.costs import selectors_budgets
from stanchion_server.costs.budgeted import Budget, Scope
from stanchion_server.kernel import clock, db
from stanchion_server.kernel.errors import SenderError, Unavailable

FRESH_S = 5.0
TRUSTED = timedelta(minutes=5)
"""How old what the worker saw may be."""
MOST_PROJECTS = 1_000

State = Literal["off", "armed", "stopping", "unconfirmed"]

_lock = Lock()
_known: OrderedDict[int, tuple[float, tuple[Stop, ...]]] = OrderedDict()


@dataclass(frozen=True, slots=True)
class Stop:
    budget: str
    owner: str
    scope: str
    value: str
    limit_usd: str
    until: datetime
    looked_at: datetime

    def holds(self, now: datetime) -> bool:
        return now < self.until and now - self.looked_at < TRUSTED

    def covers(self, feature: str, environment: str) -> bool:
        if self.scope == Scope.PROJECT:
            return True
        return bool(self.value) and self.value == (feature if self.scope == Scope.FEATURE else environment)

    @property
    def reason(self) -> str:
        return (
            f"The budget “{self.budget}” of ${self.limit_usd} is spent; {self.owner} can raise it. It begins anew at"
            f" {self.until:%Y-%m-%d %H:%M} UTC."
        )


def state_of(budget: Budget, now: datetime) -> State:
    """What the budget's stop does: unconfirmed where no worker looked in five minutes, and nothing is stopped."""
    if not budget.is_hard_stop:
        return "off"
    if budget.looked_at is None or now - budget.looked_at >= TRUSTED:
        return "unconfirmed"
    return "stopping" if budget.stopped_until is not None and now < budget.stopped_until else "armed"


def look(now: datetime) -> int:
    """Sets and takes back the stops of all budgets that have one, and says how many are set."""
    rows = Budget.objects.filter(is_hard_stop=True, archived_at=None)
    return sum(_look(project_id, now) for project_id in rows.values_list("project_id", flat=True).distinct())


def _look(project_id: int, now: datetime) -> int:
    rows = Budget.objects.filter(project_id=project_id, is_hard_stop=True, archived_at=None)
    try:
        standings = selectors_budgets.standings_of(project_id, rows, now)
    except SenderError:
        return 0
    return sum(_write(one, now) for one in standings)


def _write(standing: selectors_budgets.Standing, now: datetime) -> bool:
    """Only where the budget is still the one that was judged."""
    reading = standing.reading
    is_spent = reading.spent_usd >= reading.limit_usd
    changed = Budget.objects.filter(
        pk=standing.budget.pk, is_hard_stop=True, archived_at=None, changed_at=standing.budget.changed_at
    ).update(stopped_until=reading.period_end if is_spent else None, looked_at=now)
    return bool(changed) and is_spent


def stop_of(project_id: int, feature: str, environment: str, now: datetime) -> Stop | None:
    """The stop that a check of this feature and environment meets; at most five seconds old. Where the database does
    not answer, what was read last counts as long as it is fresh."""
    return next((one for one in _stops(project_id) if one.covers(feature, environment) and one.holds(now)), None)


def forget() -> None:
    """In this process; others take up to five seconds."""
    with _lock:
        _known.clear()


def _stops(project_id: int) -> tuple[Stop, ...]:
    now_s = clock.monotonic_s()
    with _lock:
        known = _known.get(project_id)
    if known and now_s - known[0] < FRESH_S:
        return known[1]
    try:
        with db.away_is_unavailable():
            found = tuple(_stop(row) for row in _rows(project_id))
    except Unavailable:
        found = known[1] if known else ()
    with _lock:
        _known[project_id] = (now_s, found)
        if len(_known) > MOST_PROJECTS:
            _known.popitem(last=False)
    return found


def _rows(project_id: int) -> list[Budget]:
    rows = Budget.objects.filter(project_id=project_id, is_hard_stop=True, archived_at=None)
    return list(rows.exclude(stopped_until=None).exclude(looked_at=None).order_by("pk"))


def _stop(row: Budget) -> Stop:
    assert row.stopped_until is not None and row.looked_at is not None
    return Stop(
        row.name, row.owner, row.scope, row.scope_value, f"{row.limit_usd:,.2f}", row.stopped_until, row.looked_at
    )
