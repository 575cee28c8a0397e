"""What self-hosted models cost, for whom: sums of stored allocations. The project comes first.

`by_feature(project_id, start, end)` stands beside the API cost of the call rollups: the two never hold the same dollar,
as a call that a deployment served costs no tokens.
"""

# ruff: noqa: S608 - every name in these statements is our own

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from stanchion_server.costs.allocation import IDLE, OTHERS, UNATTRIBUTED, USE
from stanchion_server.costs.breakdown import per
from stanchion_server.kernel.errors import SenderError
from stanchion_server.traces.selectors import reading

DIMENSIONS = {
    "feature": "l.feature", "model": "l.model", "user": "l.user_id", "deployment": "d.name",
    "engine": "concat_ws(' ', d.engine, d.engine_version)", "batching": "d.batching",
}  # fmt: skip
KINDS = (USE, OTHERS, IDLE, UNATTRIBUTED)
_OF_CALLS = frozenset({"feature", "model", "user"})
STEPS = ("hour", "day", "week")
MOST_ROWS = 5_000
ALL: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class AllocatedRow:
    """`kind` is use (others included: users beyond an hour's 500 largest), idle or unattributed; for the latter two
    `group` names only what is known without calls. `energy_wh` and `co2e_g` are None where no energy was measured, or
    no grid factor given; `co2e_g` has the PUE in it and `rec_ratio` taken off, `gross_co2e_g` has not.
    `is_estimated`: in some hour, traffic stood in for utilisation or power was integrated.
    """

    bucket: datetime | None
    kind: str
    group: dict[str, str]
    calls: int
    input_tokens: int
    output_tokens: int
    gpu_usd: Decimal
    energy_usd: Decimal
    energy_wh: Decimal | None
    co2e_g: Decimal | None
    gross_co2e_g: Decimal | None
    is_estimated: bool

    @property
    def usd(self) -> Decimal:
        return self.gpu_usd + self.energy_usd

    @property
    def usd_per_call(self) -> Decimal | None:
        return per(self.usd, self.calls)

    @property
    def wh_per_1k_tokens(self) -> Decimal | None:
        return per(self.energy_wh, self.input_tokens + self.output_tokens, 1_000)

    @property
    def wh_per_call(self) -> Decimal | None:
        return per(self.energy_wh, self.calls)

    @property
    def co2e_g_per_call(self) -> Decimal | None:
        return per(self.co2e_g, self.calls)

    @property
    def usd_per_mtok(self) -> Decimal | None:
        return per(self.usd, self.input_tokens + self.output_tokens, 1_000_000)


def by_feature(project_id: int, start: datetime, end: datetime) -> tuple[AllocatedRow, ...]:
    """GPU and energy of every feature's calls, then of idling and of use by no known call; dearest first within each.

    Hours that begin in [start, end) count whole: ask for whole hours. The rows of one range add up to what was paid for
    its closed hours. `row.group["feature"]` is empty for calls without a feature, and for idle and unattributed lines.
    """
    return grouped(project_id, start, end, ("feature",))


def grouped(
    project_id: int, start: datetime, end: datetime, group_by: Sequence[str] = (), step: str = "",
    only: Mapping[str, str] = ALL,
) -> tuple[AllocatedRow, ...]:  # fmt: skip
    """By at most two of DIMENSIONS, in all or per `step` (hour, day or week). `only` gives dimensions a value: idle and
    unattributed hours have none of a call's. SenderError says what cannot be answered."""
    for name in group_by:
        if name not in DIMENSIONS:
            raise SenderError("unknown_group", f"{name[:80]!r} is not a dimension. Known: {', '.join(DIMENSIONS)}.")
    if len(group_by) > 2 or len(set(group_by)) != len(group_by):
        raise SenderError("too_many_groups", "Group by at most two different dimensions.")
    if step not in ("", *STEPS):
        raise SenderError("bad_step", f"The step is {step[:20]!r}; it can be hour, day or week.")
    with reading.bounded():
        found = reading.rows(_sql(group_by, step, only), [project_id, start, end, *only.values(), MOST_ROWS + 1])
    if len(found) > MOST_ROWS:
        raise SenderError("too_many_rows", f"That are more than {MOST_ROWS} rows. Ask for less at once.", 422)
    return tuple(_row(row, group_by) for row in found)


def paid_usd(project_id: int, start: datetime, end: datetime) -> Decimal | None:
    """Of closed hours that begin in [start, end), idling included; None where there are none."""
    sql = "SELECT sum(cost_usd + energy_usd) FROM costs_allocation WHERE project_id = %s AND hour >= %s AND hour < %s"
    found: Decimal | None = reading.rows(sql, [project_id, start, end])[0][0]
    return found


def _sql(group_by: Sequence[str], step: str, only: Mapping[str, str]) -> str:
    bucket = f"date_trunc('{step}', l.hour, 'UTC')" if step else "NULL::timestamptz"
    columns = "".join(f", {DIMENSIONS[name]}" for name in group_by)
    keys = ", ".join(str(place) for place in range(1, 3 + len(group_by)))
    chosen = "".join(f" AND {DIMENSIONS[name]} = %s" for name in only)
    if only.keys() & _OF_CALLS:
        chosen += f" AND l.kind IN ('{USE}', '{OTHERS}')"
    return f"""
SELECT {bucket}, CASE WHEN l.kind = '{OTHERS}' THEN '{USE}' ELSE l.kind END AS kind{columns},
    sum(l.calls), sum(l.input_tokens), sum(l.output_tokens), sum(l.cost_usd), sum(l.energy_usd), sum(l.energy_wh),
    sum(l.energy_wh * d.pue / 1000 * d.grid_g_per_kwh * (1 - d.rec_ratio)),
    sum(l.energy_wh * d.pue / 1000 * d.grid_g_per_kwh), bool_or(a.method = 'estimated' OR a.energy_method = 'estimated')
FROM costs_allocationline l
JOIN costs_allocation a ON a.id = l.allocation_id JOIN costs_deployment d ON d.id = a.deployment_id
WHERE l.project_id = %s AND l.hour >= %s AND l.hour < %s{chosen}
GROUP BY {keys}
ORDER BY 1, min(CASE l.kind WHEN '{IDLE}' THEN 2 WHEN '{UNATTRIBUTED}' THEN 1 ELSE 0 END),
    sum(l.cost_usd) + sum(l.energy_usd) DESC, {keys} LIMIT %s
"""


def _row(row: tuple[Any, ...], group_by: Sequence[str]) -> AllocatedRow:
    bucket, kind = row[:2]
    named = dict(zip(group_by, row[2:], strict=False))
    calls, inputs, outputs, gpu_usd, energy_usd, wh, net, gross, is_estimated = row[2 + len(group_by) :]
    when = bucket.astimezone(UTC) if bucket else None
    return AllocatedRow(
        when, kind, named, int(calls), int(inputs), int(outputs), gpu_usd, energy_usd, wh, net, gross, is_estimated
    )


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the split of a range has come: closed hours done, and hours that wait to be split (again)."""

    hours: int
    waiting: int
    newest: datetime | None


def progress(project_id: int, start: datetime, end: datetime, now: datetime) -> Progress:
    """An hour that is not over at `now` does not wait: nothing of it is missing yet."""
    done = reading.rows(
        "SELECT count(*), max(hour) FROM costs_allocatedhour WHERE project_id = %s AND hour >= %s AND hour < %s",
        [project_id, start, end],
    )[0]
    waiting = reading.rows(
        "SELECT count(DISTINCT hour) FROM costs_dirtyhour WHERE project_id = %s AND hour >= %s AND hour < %s"
        " AND hour <= %s",
        [project_id, start, end, now - timedelta(hours=1)],
    )[0]
    return Progress(int(done[0]), int(waiting[0]), done[1].astimezone(UTC) if done[1] else None)


@dataclass(frozen=True, slots=True)
class VersionRow:
    """One version of a deployment over its hours in a range: what compares engines, batching modes and sizes.
    `tokens_per_s` is over all time, `busy_tokens_per_s` over the time with work."""

    deployment_id: int
    hours: int
    estimated_hours: int
    busy: tuple[float, ...]
    covered_ratio: float
    usd: Decimal
    idle_usd: Decimal
    energy_wh: Decimal | None
    calls: int
    untokened_calls: int
    input_tokens: int
    output_tokens: int

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    @property
    def busy_ratio(self) -> float:
        return sum(self.busy) / len(self.busy)

    @property
    def idle_ratio(self) -> float | None:
        return float(self.idle_usd / self.usd) if self.usd else None

    @property
    def usd_per_mtok(self) -> Decimal | None:
        return per(self.usd, self.tokens, 1_000_000)

    @property
    def wh_per_1k_tokens(self) -> Decimal | None:
        return per(self.energy_wh, self.tokens, 1_000)

    @property
    def tokens_per_s(self) -> float:
        return self.tokens / (self.hours * 3600)

    @property
    def busy_tokens_per_s(self) -> float | None:
        busy_s = sum(self.busy) * 3600
        return self.tokens / busy_s if busy_s else None


def by_version(project_id: int, start: datetime, end: datetime) -> tuple[VersionRow, ...]:
    """Versions with an hour in the range, the newest first."""
    with reading.bounded():
        found = reading.rows(_VERSIONS, [IDLE, project_id, start, end, MOST_ROWS])
    return tuple(
        VersionRow(row[0], int(row[1]), int(row[2]), tuple(row[3]), float(row[4]), row[5], row[6] or Decimal(0), row[7],
                   *(int(count) for count in row[8:]))
        for row in found
    )  # fmt: skip


_VERSIONS = """
SELECT a.deployment_id, count(*), count(*) FILTER (WHERE a.method = 'estimated'),
    array_agg(a.busy_ratio ORDER BY a.hour), avg(a.covered_ratio),
    sum(a.cost_usd + a.energy_usd), sum(i.usd), sum(a.energy_wh), sum(a.calls),
    sum(a.untokened_calls), sum(a.input_tokens), sum(a.output_tokens)
FROM costs_allocation a
LEFT JOIN LATERAL (SELECT sum(l.cost_usd + l.energy_usd) AS usd FROM costs_allocationline l
    WHERE l.allocation_id = a.id AND l.kind = %s) i ON true
WHERE a.project_id = %s AND a.hour >= %s AND a.hour < %s
GROUP BY 1 ORDER BY max(a.hour) DESC, 1 LIMIT %s
"""
