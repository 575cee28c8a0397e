"""Reads of agents, cards and engines: the project first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from stanchion_server.gpu.models import GpuAgent, GpuDevice, GpuWindow
from stanchion_server.traces.selectors import reading

STALE_AFTER_S = 60.0
"""Six exports of our agent; collectors usually send every minute or more often."""
MOST_LISTED = 1_000
SENT_TOGETHER = timedelta(minutes=5)


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


def has_cards(project_id: int) -> bool:
    return GpuDevice.objects.filter(project_id=project_id).exists()


def cards(project_id: int) -> tuple[Card, ...]:
    """By host and name."""
    rows = GpuDevice.objects.filter(project_id=project_id).order_by("host", "name", "hw_id")
    return tuple(_card(row) for row in rows[:MOST_LISTED])


def shared_hosts(found: Iterable[Card]) -> tuple[str, ...]:
    """Host names under which several machines seem to send: cards of one name there that were seen last within minutes
    of the host's newest, as every machine numbers its own from gpu0 on. A card that took another's place is not one."""
    by_host: dict[str, list[Card]] = defaultdict(list)
    for one in found:
        if one.name and not one.parent:
            by_host[one.host].append(one)
    return tuple(sorted(host for host, some in by_host.items() if _is_shared(some)))


def _is_shared(some: Sequence[Card]) -> bool:
    since = max(one.last_seen_at for one in some) - SENT_TOGETHER
    names = [one.name for one in some if one.last_seen_at >= since]
    return len(set(names)) < len(names)


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


def newest_of(project_id: int, number: int, start: datetime, end: datetime) -> GpuWindow | None:
    """The newest five minutes of one card in the range."""
    rows = GpuWindow.objects.filter(project_id=project_id, device_id=number, start__gte=start, start__lt=end)
    return rows.order_by("-start").first()


def newest(project_id: int, since: datetime) -> dict[int, GpuWindow]:
    """The newest five minutes of each card that has any since then."""
    rows = GpuWindow.objects.filter(project_id=project_id, start__gte=since)
    return {row.device_id: row for row in rows.order_by("device_id", "-start").distinct("device_id")}


@dataclass(frozen=True, slots=True)
class EngineState:
    """A serving engine: its newest five minutes, and what it did over a range."""

    host: str
    engine: str
    endpoint: str
    model: str
    last_at: datetime
    up_ratio: float | None
    running: float | None
    waiting: float | None
    waiting_max: float | None
    kv_cache_ratio: float | None
    kv_cache_max_ratio: float | None
    preemptions: float | None
    generated_tokens: float | None


def engines(project_id: int, start: datetime, end: datetime) -> tuple[EngineState, ...]:
    """Those that reported in the range; `*_max`, preemptions and tokens are over it, the rest of the newest window."""
    with reading.bounded():
        found = reading.rows(_ENGINES, [project_id, start, end, MOST_LISTED])
    return tuple(EngineState(*row) for row in found)


_NEWEST = "(array_agg({} ORDER BY start DESC))[1]"
_ENGINES = f"""
SELECT host, engine, endpoint, {_NEWEST.format("model")}, max(start), {_NEWEST.format("up_ratio")},
    {_NEWEST.format("running")}, {_NEWEST.format("waiting")}, max(waiting_max), {_NEWEST.format("kv_cache_ratio")},
    max(kv_cache_max_ratio), sum(preemptions), sum(generated_tokens)
FROM gpu_enginewindow WHERE project_id = %s AND start >= %s AND start < %s
GROUP BY host, engine, endpoint ORDER BY 1, 2, 3 LIMIT %s
"""  # noqa: S608 - names of our own


@dataclass(frozen=True, slots=True)
class Bucket:
    """One card in one step of a chart; sums of its five minutes."""

    device: int
    start: datetime
    utilization_ratio: float | None
    memory_ratio: float | None
    power_w: float | None
    temperature_c: float | None
    energy_j: float | None
    covered_s: float


def buckets(
    project_id: int, start: datetime, end: datetime, step: timedelta, number: int | None = None
) -> tuple[Bucket, ...]:
    """By time, then card: means of utilisation and power, the largest memory share and temperature."""
    with reading.bounded():
        found = reading.rows(_BUCKETS, [step, project_id, start, end, number, number, MOST_BUCKETS])
    return tuple(Bucket(row[0], row[1].astimezone(UTC), *row[2:]) for row in found)


MOST_BUCKETS = 200_000
_BUCKETS = """
SELECT device_id, date_bin(%s, start, '2001-01-01 00:00+00') AS bucket, avg(utilization_ratio),
    max(memory_bytes::float8 / nullif(memory_limit_bytes, 0)), avg(power_w), max(temperature_c), sum(energy_j),
    sum(covered_s)
FROM gpu_gpuwindow WHERE project_id = %s AND start >= %s AND start < %s AND (%s::bigint IS NULL OR device_id = %s)
GROUP BY 1, 2 ORDER BY 2, 1 LIMIT %s
"""


def throttling(project_id: int, start: datetime, end: datetime) -> dict[int, dict[str, float]]:
    """Seconds slowed down by reason, of each card that was."""
    return _summed("throttled_s", project_id, start, end)


def errors(project_id: int, start: datetime, end: datetime) -> dict[int, dict[str, float]]:
    """Errors by kind, of each card that had some."""
    return _summed("errors", project_id, start, end)


def _summed(
    column: Literal["throttled_s", "errors"], project_id: int, start: datetime, end: datetime
) -> dict[int, dict[str, float]]:
    found = reading.rows(
        f"SELECT device_id, key, sum(value::float8) FROM gpu_gpuwindow, jsonb_each_text({column})"  # noqa: S608 (ours)
        f" WHERE project_id = %s AND start >= %s AND start < %s AND {column} <> '{{}}'"
        " GROUP BY 1, 2 HAVING sum(value::float8) > 0 ORDER BY 1, 3 DESC",
        [project_id, start, end],
    )
    told: dict[int, dict[str, float]] = {}
    for number, key, total in found:
        told.setdefault(number, {})[key] = total
    return told
