"""Closed hours of the deployments in force, as advice on savings reads them. The project comes first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from stanchion_server.costs import hours
from stanchion_server.costs.advice.hosted import Hosted, HostedHour, Use
from stanchion_server.costs.allocation import IDLE, OTHERS, UNATTRIBUTED, USE
from stanchion_server.costs.models import Allocation, Deployment
from stanchion_server.traces.selectors import reading

LOOKED_BACK = timedelta(days=30)
TIMEOUT_MS = 60_000
"""Nobody waits for a page: a worker reads a month of hours with up to 500 users each."""
MOST_DEPLOYMENTS = 50
"""The dearest ones are read; each has 720 hours at most."""


def read(project_id: int, now: datetime) -> list[Hosted]:
    """Versions in force with a closed hour of the last 30 days, dearest first. Hours of earlier versions are not in it:
    they may have run on other hardware."""
    found = hours.in_force(project_id, now)
    found.sort(key=lambda one: (-one.usd_per_hour * one.count, one.name))
    found = found[:MOST_DEPLOYMENTS]
    params = [project_id, hours.floor(now - LOOKED_BACK), hours.floor(now), [one.pk for one in found]]
    if not found:
        return []
    with reading.bounded(TIMEOUT_MS):
        lines, shares = reading.rows(_HOURS, [IDLE, *params]), _shares(reading.rows(_USE, [*params, _OF_WORK]))
    by_version: dict[int, list[HostedHour]] = defaultdict(list)
    for number, start, *rest in lines:
        by_version[number].append(HostedHour(start.astimezone(UTC), *rest))
    return [_hosted(one, by_version[one.pk], shares.get(one.pk, {})) for one in found if by_version[one.pk]]


def first_hour(project_id: int, start: datetime, end: datetime) -> datetime | None:
    """The first closed hour of any deployment in [start, end)."""
    rows = Allocation.objects.filter(project_id=project_id, hour__gte=start, hour__lt=end)
    return rows.order_by("hour").values_list("hour", flat=True).first()


def uses(project_id: int, start: datetime, end: datetime, now: datetime) -> list[Use]:
    """Of every deployment with a closed hour in [start, end) and every feature that used it, all versions together."""
    with reading.bounded(TIMEOUT_MS):
        rows = reading.rows(_USES, [project_id, start, end])
    alive = {one.name for one in hours.in_force(project_id, now)}
    return [Use(name, feature, usd, first.astimezone(UTC), name in alive) for name, feature, usd, first in rows]


def _hosted(one: Deployment, lines: Sequence[HostedHour], shares: Mapping[str, Decimal]) -> Hosted:
    grams = one.grid_g_per_kwh
    per_wh = None if grams is None else grams * one.pue * (1 - one.rec_ratio) / 1000
    return Hosted(one.name, one.count, one.usd_per_hour, per_wh, tuple(lines), shares)


def _shares(rows: Sequence[reading.Row]) -> dict[int, dict[str, Decimal]]:
    """Of all work, that for no known call included, which is in no feature's share."""
    total: dict[int, Decimal] = defaultdict(Decimal)
    for number, _kind, _feature, usd in rows:
        total[number] += usd
    found: dict[int, dict[str, Decimal]] = defaultdict(dict)
    for number, is_known, feature, usd in rows:
        if is_known and total[number]:
            found[number][feature] = usd / total[number]
    return found


_USES = f"""
WITH named AS (SELECT a.id, d.name, min(a.hour) OVER (PARTITION BY d.name) AS first
    FROM costs_allocation a JOIN costs_deployment d ON d.id = a.deployment_id
    WHERE a.project_id = %s AND a.hour >= %s AND a.hour < %s)
SELECT n.name, l.feature, sum(l.cost_usd + l.energy_usd), min(n.first)
FROM named n JOIN costs_allocationline l ON l.allocation_id = n.id
WHERE l.kind = '{USE}' GROUP BY 1, 2
"""  # noqa: S608 - names of our own
_OF_WORK = [USE, OTHERS, UNATTRIBUTED]
_HOURS = """
SELECT a.deployment_id, a.hour, a.busy_ratio, a.cost_usd + a.energy_usd, coalesce(i.usd, 0), a.energy_usd, a.energy_wh,
    a.calls, a.method = 'estimated'
FROM costs_allocation a
LEFT JOIN LATERAL (SELECT sum(l.cost_usd + l.energy_usd) AS usd FROM costs_allocationline l
    WHERE l.allocation_id = a.id AND l.kind = %s) i ON true
WHERE a.project_id = %s AND a.hour >= %s AND a.hour < %s AND a.deployment_id = ANY(%s)
ORDER BY 1, 2
"""
_USE = f"""
SELECT a.deployment_id, l.kind <> '{UNATTRIBUTED}', l.feature, sum(l.cost_usd + l.energy_usd)
FROM costs_allocation a JOIN costs_allocationline l ON l.allocation_id = a.id
WHERE a.project_id = %s AND a.hour >= %s AND a.hour < %s AND a.deployment_id = ANY(%s) AND l.kind = ANY(%s)
GROUP BY 1, 2, 3 ORDER BY 1, 4 DESC, 3
"""  # noqa: S608 - names of our own
