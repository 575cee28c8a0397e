"""Reads of agents, cards and engines: the project first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q

from stanchion_server.gpu.models import EngineWindow, GpuAgent, GpuDevice, GpuWindow

STALE_AFTER_S = 60.0
"""Six exports of our agent; collectors usually send every minute or more often."""
MOST_LISTED = 1_000


@dataclass(frozen=True, slots=True)
class AgentReading:
    """`silent_s` counts from the newest point's time; a retired agent is never stale."""

    number: int
    host: str
    service: str
    version: str
    last_heard_at: datetime
    silent_s: float
    is_stale: bool
    is_retired: bool


@dataclass(frozen=True, slots=True)
class Card:
    """A card as registered. `memory_bytes` is its size."""

    number: int
    hw_id: str
    host: str
    name: str
    model: str
    vendor: str
    parent: str
    driver_version: str
    memory_bytes: int | None
    deployment: str
    job_kind: str
    run_id: str
    first_seen_at: datetime
    last_seen_at: datetime


def agents(project_id: int, now: datetime, stale_after_s: float = STALE_AFTER_S) -> tuple[AgentReading, ...]:
    """Those silent for longest first: what a rule on dead GPU agents reads. An agent is stale when no point of it is
    younger than `stale_after_s`; one that never sent anything is not known here."""
    rows = GpuAgent.objects.filter(project_id=project_id).order_by("last_heard_at", "host", "service")
    return tuple(_agent(row, now, stale_after_s) for row in rows[:MOST_LISTED])


def _agent(row: GpuAgent, now: datetime, stale_after_s: float) -> AgentReading:
    silent_s = max(0.0, (now - row.last_heard_at).total_seconds())
    is_retired = row.retired_at is not None
    return AgentReading(
        row.pk, row.host, row.service, row.version, row.last_heard_at, silent_s,
        silent_s > stale_after_s and not is_retired, is_retired,
    )  # fmt: skip


def cards(project_id: int) -> tuple[Card, ...]:
    """By host and name."""
    rows = GpuDevice.objects.filter(project_id=project_id).order_by("host", "name", "hw_id")
    return tuple(_card(row) for row in rows[:MOST_LISTED])


def cards_at(project_id: int, start: datetime, end: datetime) -> tuple[Card, ...]:
    """Those registered by `end` that were seen at `start` or within the day before it, or later: a card whose agent
    has just died is still there. Labels are those of the newest window up to `end`, where there is one."""
    rows = list(
        GpuDevice.objects.filter(
            project_id=project_id, first_seen_at__lt=end, last_seen_at__gte=start - timedelta(days=1)
        ).order_by("pk")[:MOST_LISTED]
    )
    told = GpuWindow.objects.filter(
        project_id=project_id,
        start__lt=end,
        start__gte=start - timedelta(days=1),
        device_id__in=[row.pk for row in rows],
    )
    newest = dict(
        told.order_by("device_id", "-start").distinct("device_id").values_list("device_id", "deployment")
    )  # fmt: skip
    for row in rows:
        row.deployment = newest.get(row.pk, row.deployment)
    return tuple(_card(row) for row in rows)


def card(project_id: int, number: int) -> Card | None:
    if number >= 2**63:
        return None
    row = GpuDevice.objects.filter(project_id=project_id, pk=number).first()
    return None if row is None else _card(row)


def _card(row: GpuDevice) -> Card:
    return Card(
        row.pk, row.hw_id, row.host, row.name, row.model, row.vendor, row.parent, row.driver_version, row.memory_bytes,
        row.deployment, row.job_kind, row.run_id, row.first_seen_at, row.last_seen_at,
    )  # fmt: skip


def windows(project_id: int, numbers: Sequence[int], start: datetime, end: datetime) -> list[GpuWindow]:
    """Five-minute sums of these cards, oldest first."""
    rows = GpuWindow.objects.filter(
        project_id=project_id, device_id__in=list(numbers), start__gte=start, start__lt=end
    )  # fmt: skip
    return list(rows.order_by("start", "device_id"))


def newest(project_id: int, since: datetime) -> dict[int, GpuWindow]:
    """The newest five minutes of each card that has any since then."""
    rows = GpuWindow.objects.filter(project_id=project_id, start__gte=since)
    return {row.device_id: row for row in rows.order_by("device_id", "-start").distinct("device_id")}


def engines(
    project_id: int, start: datetime, end: datetime, host: str = "", deployment: str = ""
) -> list[EngineWindow]:
    rows = EngineWindow.objects.filter(project_id=project_id, start__gte=start, start__lt=end)
    if host:
        rows = rows.filter(Q(host=host))
    if deployment:
        rows = rows.filter(deployment=deployment)
    return list(rows.order_by("start", "host", "engine", "endpoint"))
