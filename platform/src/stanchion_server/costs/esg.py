"""Energy by month for a sustainability report: what was served, what stood idle, and what trained. Project first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from stanchion_server.costs.allocation import IDLE
from stanchion_server.traces.selectors import reading

SERVING, IDLING, TRAINING, OTHER = "serving", "idle", "training", "other"
MOST_ROWS = 2_000


@dataclass(frozen=True, slots=True)
class MonthRow:
    """Energy in kWh: of deployments by what it was for, and of cards outside of them by their label. CO2e is None where
    no grid factor is known: cards outside of a deployment have none. `certified_kg` is what certificates took off."""

    month: datetime
    deployment: str
    purpose: str
    energy_kwh: Decimal
    pue: Decimal | None
    grid_g_per_kwh: Decimal | None
    gross_co2e_kg: Decimal | None
    certified_kg: Decimal | None
    co2e_kg: Decimal | None


def by_month(project_id: int, start: datetime, end: datetime) -> tuple[MonthRow, ...]:
    """One row per month, deployment, purpose and factors in force; a change of factor within a month is two rows."""
    with reading.bounded():
        hosted = reading.rows(_HOSTED, [IDLE, IDLING, SERVING, project_id, start, end, MOST_ROWS])
        outside = reading.rows(_OUTSIDE, [TRAINING, OTHER, project_id, start, end, MOST_ROWS])
    rows = [_hosted(*row) for row in hosted]
    rows += [
        MonthRow(month.astimezone(UTC), "", purpose, _kwh(Decimal(repr(joules)) / 3_600_000), *[None] * 5)
        for month, purpose, joules in outside
    ]
    return tuple(sorted(rows, key=lambda row: (row.month, row.deployment, row.purpose)))


def _hosted(
    month: datetime, name: str, purpose: str, watt_hours: Decimal, pue: Decimal, grid: Decimal | None, rec: Decimal
) -> MonthRow:
    kwh = watt_hours / 1000
    gross = None if grid is None else kwh * pue * grid / 1000
    certified = None if gross is None else gross * rec
    net = None if gross is None or certified is None else gross - certified
    return MonthRow(
        month.astimezone(UTC), name, purpose, _kwh(kwh), pue, grid, *(_known(one) for one in (gross, certified, net))
    )


def _known(amount: Decimal | None) -> Decimal | None:
    return None if amount is None else _kwh(amount)


def _kwh(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal("0.000001"))


_HOSTED = """
SELECT date_trunc('month', l.hour, 'UTC'), d.name, CASE WHEN l.kind = %s THEN %s ELSE %s END, sum(l.energy_wh),
    d.pue, d.grid_g_per_kwh, d.rec_ratio
FROM costs_allocationline l
JOIN costs_allocation a ON a.id = l.allocation_id JOIN costs_deployment d ON d.id = a.deployment_id
WHERE l.project_id = %s AND l.hour >= %s AND l.hour < %s AND l.energy_wh IS NOT NULL
GROUP BY 1, 2, 3, 5, 6, 7 ORDER BY 1, 2, 3 LIMIT %s
"""
_OUTSIDE = """
SELECT date_trunc('month', w.start, 'UTC'), CASE w.job_kind WHEN 'train' THEN %s ELSE %s END, sum(w.energy_j)
FROM gpu_gpuwindow w JOIN gpu_gpudevice g ON g.id = w.device_id
WHERE w.project_id = %s AND w.start >= %s AND w.start < %s AND w.energy_j IS NOT NULL
    AND NOT EXISTS (
        SELECT 1 FROM costs_deployment d WHERE d.project_id = w.project_id AND d.effective_from <= w.start
            AND (g.hw_id = ANY (d.gpus) OR w.deployment = d.name OR g.host = ANY (d.hosts)))
GROUP BY 1, 2 ORDER BY 1, 2 LIMIT %s
"""
