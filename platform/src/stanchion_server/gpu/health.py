"""How cards and serving engines are over a range of five-minute sums, for whoever judges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from stanchion_server.gpu.windows import SLOT
from stanchion_server.traces.selectors import reading


@dataclass(frozen=True, slots=True)
class Health:
    """One group of cards or engines over a range; None is not reported. `windows` is how many sums it is made of."""

    group: tuple[str, ...]
    windows: int
    values: Mapping[str, float | None]


CARD_LABELS = MappingProxyType(
    {
        "host": "d.host",
        "card": "coalesce(nullif(d.name, ''), d.hw_id)",
        "model": "d.model",
        "deployment": "w.deployment",
    }
)
ENGINE_LABELS = MappingProxyType(
    {"host": "host", "engine": "engine", "endpoint": "endpoint", "model": "model", "deployment": "deployment"}
)
CARD_MEASURES = MappingProxyType(
    {
        "temperature_c": "max(temperature_c)",
        "utilization_ratio": "avg(utilization_ratio)",
        "memory_ratio": "max(w.memory_bytes::float8 / nullif(w.memory_limit_bytes, 0))",
        "throttled_ratio": """max((SELECT max(value::float8) FROM jsonb_each_text(throttled_s) WHERE key <> 'power_cap')
            / nullif(covered_s, 0))""",
        "errors": "sum((SELECT sum(value::float8) FROM jsonb_each_text(errors) WHERE key <> 'corrected'))",
        "unhealthy": "count(DISTINCT w.device_id) FILTER (WHERE state IN ('degraded', 'failed'))",
    }
)
"""`throttled_ratio` is of the reason that slowed a card longest in its worst five minutes; a power cap is usual on a
busy card and left out. Corrected memory errors are no errors."""
ENGINE_MEASURES = MappingProxyType(
    {
        "up_ratio": "min(up_ratio)",
        "waiting": "max(waiting_max)",
        "kv_cache_ratio": "max(kv_cache_max_ratio)",
        "preemptions": "sum(preemptions)",
    }
)
WORST_IS_LEAST = frozenset({"up_ratio", "utilization_ratio"})
MOST_GROUPS = 1_000


def card_health(project_id: int, start: datetime, end: datetime, labels: Sequence[str]) -> tuple[Health, ...]:
    """Of the five minutes that end after `start` and by `end`, by CARD_LABELS."""
    table = "gpu_gpuwindow w JOIN gpu_gpudevice d ON d.id = w.device_id"
    return _health(table, "w.", project_id, (start, end), [CARD_LABELS[name] for name in labels], CARD_MEASURES)


def engine_health(project_id: int, start: datetime, end: datetime, labels: Sequence[str]) -> tuple[Health, ...]:
    """Of the five minutes that end after `start` and by `end`, by ENGINE_LABELS."""
    columns = [ENGINE_LABELS[name] for name in labels]
    return _health("gpu_enginewindow", "", project_id, (start, end), columns, ENGINE_MEASURES)


def _health(
    table: str,
    prefix: str,
    project_id: int,
    window: tuple[datetime, datetime],
    keys: Sequence[str],
    measures: Mapping[str, str],
) -> tuple[Health, ...]:
    grouped = f"GROUP BY {', '.join(keys)}" if keys else "HAVING count(*) > 0"
    sql = f"""SELECT count(*), {", ".join(measures.values())}{"".join(f", {key}" for key in keys)} FROM {table}
        WHERE {prefix}project_id = %s AND {prefix}start > %s AND {prefix}start <= %s {grouped} LIMIT {MOST_GROUPS}"""  # noqa: S608 - names of our own
    with reading.bounded():
        found = reading.rows(sql, [project_id, window[0] - SLOT, window[1] - SLOT])
    place = 1 + len(measures)
    return tuple(Health(tuple(row[place:]), row[0], dict(zip(measures, row[1:place], strict=True))) for row in found)
