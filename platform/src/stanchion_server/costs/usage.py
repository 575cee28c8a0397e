"""Which calls of an hour ran on which deployment, and the five-minute slots in which one ran.

Users are no dimension of the rollups, so the hour's calls themselves are read, in groups of those that `serving` cannot
tell apart.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from stanchion_server.costs import serving
from stanchion_server.costs.allocation import Usage
from stanchion_server.costs.models import Deployment
from stanchion_server.costs.serving import Ran, Version
from stanchion_server.kernel import db

SLOT = timedelta(minutes=5)
_LONGEST_CALL = timedelta(hours=1)


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
    sql, values = seen(deployments)
    values |= {"project": project_id, "hour": hour, "end": hour + timedelta(hours=1), "before": hour - _LONGEST_CALL}
    cursor.execute(_USAGES.format(seen=sql).encode(), values)
    found = _usages(cursor.fetchall(), deployments)
    untokened = {number: sum(rest[-1] for rest in rows) for number, rows in found.items()}
    usages = {number: _merged(rows) for number, rows in found.items()}
    cursor.execute(_SLOTS.format(seen=sql).encode(), values)
    slots = _slots(cursor.fetchall(), deployments)
    return {one.pk: Used(usages[one.pk], frozenset(slots[one.pk]), untokened[one.pk]) for one in deployments}


def seen(deployments: Iterable[Version]) -> tuple[str, dict[str, Any]]:
    """An expression over a call `c`, JSON as text: those attributes of its span that a deployment asks for, where they
    have a value that one asks for; and its parameters."""
    wanted = serving.wanted(deployments)
    if not wanted:
        return "'{}'", {}
    return _SEEN, {"seen_keys": [key for key, _value in wanted], "seen_values": [value for _key, value in wanted]}


def _usages(rows: Sequence[Row], deployments: Sequence[Deployment]) -> dict[int, list[Row]]:
    """What follows where a call ran, by the deployment it ran on."""
    found: dict[int, list[Row]] = {one.pk: [] for one in deployments}
    servers: dict[Row, Deployment | None] = {}
    for row in rows:
        ran, rest = row[:_RAN], row[_RAN:]
        if ran not in servers:
            servers[ran] = serving.served_by(deployments, _ran(*ran))
        server = servers[ran]
        if server is not None:
            found[server.pk].append(rest)
    return found


def _ran(provider: str, model: str, request_model: str, response_model: str, service: str, attributes: str) -> Ran:
    return Ran(provider, (model, request_model, response_model), service, json.loads(attributes))


def _merged(rows: Sequence[Row]) -> tuple[Usage, ...]:
    sums: dict[tuple[str, str, str], list[int]] = {}
    for feature, model, user, *counts, _without in rows:
        before = sums.setdefault((feature, model, user), [0] * len(counts))
        sums[feature, model, user] = [one + int(other) for one, other in zip(before, counts, strict=True)]
    return tuple(Usage(*who, *counts) for who, counts in sums.items())


def _slots(rows: Sequence[Row], deployments: Sequence[Deployment]) -> dict[int, set[int]]:
    return {number: {int(slot) for (slot,) in rest} for number, rest in _usages(rows, deployments).items()}


Row = tuple[Any, ...]
_RAN = 6
_COLUMNS = "c.provider, c.model, c.request_model, c.response_model, c.service, {seen} AS seen"
_SEEN = """coalesce((SELECT jsonb_object_agg(w.key, s.attributes -> w.key)
    FROM spans s, unnest(%(seen_keys)s::text[], %(seen_values)s::text[]) AS w(key, value)
    WHERE s.project_id = c.project_id AND s.trace_id = c.trace_id AND s.span_id = c.span_id
        AND s.start_time = c.start_time AND s.attributes ->> w.key = w.value)::text, '{}')"""

_MOST_TOKENS = 1_000_000_000
"""No call has more: a larger count is a client's mistake and must not take the whole hour."""


def _bounded(column: str) -> str:
    return f"greatest(0, least(coalesce(c.{column}, 0), {_MOST_TOKENS})) AS {column}"


_USAGES = f"""
SELECT provider, model, request_model, response_model, service, seen, feature, model, user_id, count(*),
    sum(input_tokens), sum(cached_input_tokens), sum(output_tokens), count(*) FILTER (WHERE is_untokened)
FROM (
    SELECT {_COLUMNS}, c.feature, c.user_id, {_bounded("input_tokens")}, {_bounded("cached_input_tokens")},
        {_bounded("output_tokens")}, c.input_tokens IS NULL AND c.output_tokens IS NULL AS is_untokened
    FROM llm_calls c
    WHERE c.project_id = %(project)s AND c.start_time >= %(hour)s AND c.start_time < %(end)s AND c.charge = 0
) x GROUP BY 1, 2, 3, 4, 5, 6, 7, 9
"""  # noqa: S608 - names of our own
_SLOTS = f"""
SELECT DISTINCT provider, model, request_model, response_model, service, seen, slot FROM (
    SELECT {_COLUMNS}, c.start_time AS began,
        least(c.start_time + c.duration_ns / 1000 * interval '1 microsecond', %(end)s) AS ended
    FROM llm_calls c
    WHERE c.project_id = %(project)s AND c.start_time >= %(before)s AND c.start_time < %(end)s AND c.charge = 0
) x, LATERAL generate_series(
    greatest(0, floor(extract(epoch FROM began - %(hour)s) / 300))::int,
    least(11, floor(extract(epoch FROM ended - %(hour)s) / 300))::int) AS slot
WHERE ended >= %(hour)s
"""  # noqa: S608 - names of our own
