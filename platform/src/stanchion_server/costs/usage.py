"""Which calls of an hour ran on which deployment, and the five-minute slots in which one ran.

Users are no dimension of the rollups, so the hour's calls themselves are read. A call belongs to one deployment: to the
one that names most of it, the first by name among equals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from stanchion_server.costs.allocation import Usage
from stanchion_server.costs.models import Deployment
from stanchion_server.kernel import db

SLOT = timedelta(minutes=5)
_LONGEST_CALL = timedelta(hours=1)
_MATCHES = ("match_provider", "match_model", "match_service", "match_server", "match_attribute")


@dataclass(frozen=True, slots=True)
class Used:
    """`busy_slots` counts from the hour's start. `untokened_calls` told no tokens: they take no part in the split."""

    usages: tuple[Usage, ...]
    busy_slots: frozenset[int]
    untokened_calls: int


NOTHING = Used((), frozenset(), 0)


def read(
    cursor: db.CursorType, project_id: int, hour: datetime, deployments: Sequence[Deployment]
) -> Mapping[int, Used]:
    """By the deployment's number; every one has an entry. A call counts in the hour in which it starts."""
    if not deployments:
        return {}
    chosen, values = _chosen(deployments)
    values |= {"project": project_id, "hour": hour, "end": hour + timedelta(hours=1), "before": hour - _LONGEST_CALL}
    cursor.execute(_USAGES.format(chosen=chosen).encode(), values)
    usages: dict[int, list[Usage]] = {one.pk: [] for one in deployments}
    untokened: dict[int, int] = dict.fromkeys(usages, 0)
    for number, feature, model, user, calls, inputs, cached, outputs, without in cursor.fetchall():
        usages[number].append(Usage(feature, model, user, calls, int(inputs), int(cached), int(outputs)))
        untokened[number] += without
    cursor.execute(_SLOTS.format(chosen=chosen).encode(), values)
    slots: dict[int, set[int]] = {one.pk: set() for one in deployments}
    for number, slot in cursor.fetchall():
        slots[number].add(int(slot))
    return {one: Used(tuple(usages[one]), frozenset(slots[one]), untokened[one]) for one in usages}


def _chosen(deployments: Sequence[Deployment]) -> tuple[str, dict[str, Any]]:
    """An expression over a call `c` that gives its deployment's number, or NULL."""
    ranked = sorted(deployments, key=lambda one: (-sum(bool(getattr(one, name)) for name in _MATCHES), one.name))
    cases: list[str] = []
    values: dict[str, Any] = {}
    for place, one in enumerate(ranked):
        condition, given = _condition(one, f"d{place}")
        cases.append(f"WHEN {condition} THEN {one.pk:d}")
        values |= given
    return f"CASE {' '.join(cases)} END", values


def _condition(one: Deployment, prefix: str) -> tuple[str, dict[str, str]]:
    parts: list[str] = []
    values: dict[str, str] = {}
    for name, condition in _CONDITIONS.items():
        if wanted := getattr(one, name):
            parts.append(condition.format(value=f"%({prefix}_{name})s", key=f"%({prefix}_key)s"))
            values[f"{prefix}_{name}"] = wanted
    if "match_value" in "".join(values):
        values[f"{prefix}_key"] = one.match_attribute
    return " AND ".join(parts) or "false", values


_SPAN = (
    "EXISTS (SELECT 1 FROM spans s WHERE s.project_id = c.project_id AND s.trace_id = c.trace_id"
    " AND s.span_id = c.span_id AND s.start_time = c.start_time AND {})"
)
_CONDITIONS = {
    "match_provider": "lower(c.provider) = lower({value})",
    "match_model": "lower({value}) IN (lower(c.model), lower(c.request_model), lower(c.response_model))",
    "match_service": "c.service = {value}",
    "match_server": _SPAN.format(
        "(s.attributes ->> 'server.address' = {value}"
        " OR concat_ws(':', s.attributes ->> 'server.address', s.attributes ->> 'server.port') = {value})"
    ),
    "match_value": _SPAN.format("s.attributes ->> {key} = {value}"),
}

_MOST_TOKENS = 1_000_000_000
"""No call has more: a larger count is a client's mistake and must not take the whole hour."""


def _bounded(column: str) -> str:
    return f"greatest(0, least(coalesce(c.{column}, 0), {_MOST_TOKENS})) AS {column}"


_USAGES = f"""
SELECT number, feature, model, user_id, count(*), sum(input_tokens), sum(cached_input_tokens), sum(output_tokens),
    count(*) FILTER (WHERE is_untokened)
FROM (
    SELECT {{chosen}} AS number, c.feature, c.model, c.user_id, {_bounded("input_tokens")},
        {_bounded("cached_input_tokens")}, {_bounded("output_tokens")},
        c.input_tokens IS NULL AND c.output_tokens IS NULL AS is_untokened
    FROM llm_calls c
    WHERE c.project_id = %(project)s AND c.start_time >= %(hour)s AND c.start_time < %(end)s AND c.charge = 0
) x WHERE number IS NOT NULL GROUP BY 1, 2, 3, 4
"""  # noqa: S608 - names of our own
_SLOTS = """
SELECT DISTINCT number, slot FROM (
    SELECT {chosen} AS number, c.start_time AS began,
        least(c.start_time + c.duration_ns / 1000 * interval '1 microsecond', %(end)s) AS ended
    FROM llm_calls c
    WHERE c.project_id = %(project)s AND c.start_time >= %(before)s AND c.start_time < %(end)s AND c.charge = 0
) x, LATERAL generate_series(
    greatest(0, floor(extract(epoch FROM began - %(hour)s) / 300))::int,
    least(11, floor(extract(epoch FROM ended - %(hour)s) / 300))::int) AS slot
WHERE number IS NOT NULL AND ended >= %(hour)s
"""
