"""Hours of self-hosted deployments: marked when something in them changed, split anew, stored whole.

Marks are taken and lines written in one transaction, under one lock per project: a worker that dies loses no mark, and
an hour split twice is replaced, never added to.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from django.db import connection, transaction
from django.db.models import F

from stanchion_server.costs import allocation, fleet, serving, usage
from stanchion_server.costs.allocation import Slot, Split, Weights
from stanchion_server.costs.fleet import Measured
from stanchion_server.costs.models import AllocatedHour, Allocation, AllocationLine, Deployment, DirtyHour
from stanchion_server.costs.usage import Used
from stanchion_server.kernel import db
from stanchion_server.traces import partitions

HOUR = timedelta(hours=1)
GRACE = timedelta(minutes=2)
"""How long an hour waits for its last slots and calls."""
LOOK_BACK = timedelta(days=90)
MONTH_HOURS = Decimal(730)
KEEP = timedelta(days=800)
_LOCK = 0x5354_4E12
_WH_PER_KWH = Decimal(1000)


@dataclass(frozen=True, slots=True)
class _Outcome:
    deployment: Deployment
    measured: Measured
    used: Used
    split: Split


def mark(cursor: db.CursorType, project_id: int, times: Iterable[datetime]) -> None:
    """Hours in which calls or samples changed, for projects that host something."""
    hours = sorted({floor(time) for time in times})
    if hours:
        cursor.execute(
            "INSERT INTO costs_dirtyhour (project_id, hour) SELECT %s, unnest(%s::timestamptz[])"
            " WHERE EXISTS (SELECT 1 FROM costs_deployment WHERE project_id = %s)",
            (project_id, hours, project_id),
        )


def mark_since(project_id: int, start: datetime, now: datetime) -> None:
    """Every hour from a deployment's beginning on, as far as calls are kept."""
    first = max(floor(start), floor(now - LOOK_BACK))
    count = max(0, (floor(now) - first) // HOUR)
    DirtyHour.objects.bulk_create(
        [DirtyHour(project_id=project_id, hour=first + place * HOUR) for place in range(count)], batch_size=2_000
    )


def plan(now: datetime) -> int:
    """Marks closed hours that were never split, also those without a call or a sample: an idle card costs, too. It
    looks back two days from the newest that was; what lies before was marked when its deployment was made."""
    with connection.cursor() as cursor:
        cursor.execute(_PLAN, {"now": now, "closed": floor(now - GRACE) - HOUR, "earliest": floor(now - LOOK_BACK)})
        return int(cursor.rowcount)


def floor(time: datetime) -> datetime:
    return time.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def step(now: datetime) -> int | None:
    """Splits the newest closed marked hour of one project and returns the project; None when none is due."""
    for project_id in _projects(now):
        with transaction.atomic(), db.raw_cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", (_LOCK, project_id & 0x7FFF_FFFF))
            if not (cursor.fetchone() or (False,))[0]:
                continue
            hour = _claim(cursor, project_id, now)
            if hour is not None and not _is_settled(project_id, hour):
                _split(cursor, project_id, hour, now)
            return project_id
    return None


def expire(now: datetime) -> None:
    AllocatedHour.objects.filter(hour__lt=now - KEEP).delete()
    Allocation.objects.filter(hour__lt=now - KEEP).delete()


def _projects(now: datetime) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT project_id FROM costs_dirtyhour WHERE hour <= %s GROUP BY 1 ORDER BY random()",
            [now - HOUR - GRACE],
        )
        return [row[0] for row in cursor.fetchall()]


def _claim(cursor: db.CursorType, project_id: int, now: datetime) -> datetime | None:
    cursor.execute(
        "DELETE FROM costs_dirtyhour WHERE project_id = %(project)s AND hour = (SELECT max(hour) FROM costs_dirtyhour"
        " WHERE project_id = %(project)s AND hour <= %(due)s) RETURNING hour",
        {"project": project_id, "due": now - HOUR - GRACE},
    )
    row = cursor.fetchone()
    return None if row is None else row[0].astimezone(UTC)


def _is_settled(project_id: int, hour: datetime) -> bool:
    """An hour whose calls were dropped for their age keeps the split that it has."""
    days = partitions.days_of("llm_calls")
    is_kept = bool(days) and hour.date() >= days[0]
    return not is_kept and AllocatedHour.objects.filter(project_id=project_id, hour=hour).exists()


def _split(cursor: db.CursorType, project_id: int, hour: datetime, now: datetime) -> None:
    deployments = in_force(project_id, hour)
    used = usage.read(cursor, project_id, hour, deployments)
    measured = fleet.read(project_id, hour, deployments)
    outcomes = [_outcome(one, measured[one.pk], used[one.pk]) for one in deployments]
    _save(project_id, hour, now, outcomes)


def in_force(project_id: int, at: datetime) -> list[Deployment]:
    return serving.in_force(Deployment.objects.filter(project_id=project_id, effective_from__lte=at), at)


def hourly_usd(deployment: Deployment) -> Decimal:
    """Hosting of one hour: instances or GPUs, and an hour's part of storage and data."""
    storage = deployment.storage_gib * deployment.storage_usd_per_gib_month
    data = deployment.data_gib_per_month * deployment.data_usd_per_gib
    return deployment.usd_per_hour * deployment.count + (storage + data) / MONTH_HOURS


def _outcome(deployment: Deployment, measured: Measured, used: Used) -> _Outcome:
    slots = [
        Slot(ratio, energy, place in used.busy_slots)
        for place, (ratio, energy) in enumerate(zip(measured.utilization, measured.energy_wh, strict=True))
    ]
    weights = Weights(deployment.prefill_weight, deployment.cached_weight, deployment.decode_weight)
    usd_per_wh = (deployment.usd_per_kwh or Decimal(0)) * deployment.pue / _WH_PER_KWH
    split = allocation.allocate(hourly_usd(deployment), usd_per_wh, slots, used.usages, weights)
    return _Outcome(deployment, measured, used, split)


def _save(project_id: int, hour: datetime, now: datetime, outcomes: Sequence[_Outcome]) -> None:
    before = _told(project_id, hour)
    Allocation.objects.filter(project_id=project_id, hour=hour).delete()
    done, is_new = AllocatedHour.objects.get_or_create(
        project_id=project_id, hour=hour, defaults={"computed_at": now}
    )  # fmt: skip
    AllocationLine.objects.bulk_create(
        [line for outcome in outcomes for line in _rows(_header(outcome, hour, done.revision), outcome.split)],
        batch_size=1_000,
    )
    if not is_new:
        changed = _told(project_id, hour) != before
        AllocatedHour.objects.filter(pk=done.pk).update(revision=F("revision") + int(changed), computed_at=now)
        Allocation.objects.filter(project_id=project_id, hour=hour).update(revision=done.revision + int(changed))


def _told(project_id: int, hour: datetime) -> list[tuple[object, ...]]:
    """What a split says, to see whether another one says the same."""
    rows = AllocationLine.objects.filter(project_id=project_id, hour=hour).order_by(
        "allocation__deployment_id", "kind", "feature", "model", "user_id"
    )
    return list(
        rows.values_list(
            "allocation__deployment_id", "allocation__method", "kind", "feature", "model", "user_id", "calls",
            "input_tokens", "output_tokens", "cost_usd", "energy_usd", "energy_wh",
        )
    )  # fmt: skip


def _header(outcome: _Outcome, hour: datetime, revision: int) -> Allocation:
    deployment, measured, used, split = outcome.deployment, outcome.measured, outcome.used, outcome.split
    per_gpu = deployment.basis == "gpu_hour"
    return Allocation.objects.create(
        project_id=deployment.project_id,
        deployment=deployment,
        hour=hour,
        revision=revision,
        method="estimated" if split.is_estimated else "measured",
        cost_usd=sum((line.cost_usd for line in split.lines), Decimal(0)),
        energy_usd=sum((line.energy_usd for line in split.lines), Decimal(0)),
        energy_wh=split.energy_wh,
        energy_method=measured.energy_method,
        gpu_hours=Decimal(deployment.count) if per_gpu else Decimal(measured.cards) if measured.cards else None,
        gpus_seen=measured.cards,
        busy_ratio=split.busy_ratio,
        covered_ratio=measured.covered_ratio,
        calls=sum(one.calls for one in used.usages),
        untokened_calls=used.untokened_calls,
        input_tokens=sum(one.input_tokens for one in used.usages),
        output_tokens=sum(one.output_tokens for one in used.usages),
    )


def _rows(header: Allocation, split: Split) -> list[AllocationLine]:
    shared: Mapping[str, object] = {"project_id": header.project_id, "allocation": header, "hour": header.hour}
    return [AllocationLine(**shared, **asdict(line)) for line in split.lines]


_PLAN = """
INSERT INTO costs_dirtyhour (project_id, hour)
SELECT d.project_id, h.hour
FROM (SELECT project_id, min(effective_from) AS first FROM costs_deployment GROUP BY project_id) d
CROSS JOIN LATERAL (
    SELECT max(a.hour) - interval '2 days' AS hour FROM costs_allocatedhour a WHERE a.project_id = d.project_id) done
CROSS JOIN LATERAL generate_series(
    greatest(d.first, done.hour, %(earliest)s::timestamptz), %(closed)s::timestamptz, interval '1 hour') AS h(hour)
WHERE NOT EXISTS (SELECT 1 FROM costs_allocatedhour a WHERE a.project_id = d.project_id AND a.hour = h.hour)
    AND NOT EXISTS (SELECT 1 FROM costs_dirtyhour m WHERE m.project_id = d.project_id AND m.hour = h.hour)
"""
