"""What calls, GPUs and electricity cost, grouped by anything that calls carry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from stanchion_server.reports import costs
from stanchion_server.reports.costs import CostQuery, CostReport, CostRow
from stanchion_server.tenants.models import Scope
from stanchion_server.traces.selectors import CallFilter
from stanchion_server.web.api import base, parameters, shapes, tables
from stanchion_server.web.api.calls import check_search
from stanchion_server.web.api.parameters import CALL_FILTERS, LIMIT, RANGE, Parameter

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class CostLine:
    """One group's calls and money; null is what is not known. `kind` is use, others (the smaller groups together), idle
    or unattributed. `usd` is API, GPU and energy dollars together, without calls that have no price. Grouped by
    deployment, a row whose calls are told apart by it may know of them only how many they were and their tokens in and
    out. `usd_per_call` divides by calls with a price, by all calls where GPU or energy dollars are in. `hosted_calls`
    ran on deployments of the project's own; where their dollars stand in another row, or in none, the four ratios are
    null and `untold` says why."""

    bucket: datetime | None
    kind: str
    group: Mapping[str, str | None]
    calls: int
    unpriced_calls: int | None
    untokened_calls: int | None
    hosted_calls: int | None
    input_tokens: int | None
    cached_input_tokens: int | None
    cache_write_tokens: int | None
    output_tokens: int | None
    reasoning_tokens: int | None
    api_usd: Decimal | None
    gpu_usd: Decimal | None
    energy_usd: Decimal | None
    usd: Decimal | None
    usd_per_call: Decimal | None
    usd_per_1k_tokens: Decimal | None
    sessions: int | None
    usd_per_session: Decimal | None
    rated_sessions: int | None
    resolved_sessions: int | None
    usd_per_resolved: Decimal | None
    energy_wh: Decimal | None
    co2e_g: Decimal | None
    is_estimated: bool | None
    prices: tuple[str, ...] | None
    untold: str


@dataclass(frozen=True, slots=True)
class CostTable:
    """The lines add up to `total`. `unattributed_usd` is the part that belongs to no value of the first dimension.
    `not_self_hosted_by` names filters that self-hosted hours do not know: their cost is then left out."""

    start: datetime
    end: datetime
    items: tuple[CostLine, ...]
    total: CostLine
    unattributed_usd: Decimal | None
    groups_left_out: int
    not_self_hosted_by: tuple[str, ...]
    waiting_hours: int
    unsettled_minutes: int


class Costs(base.Resource):
    """Whole hours: the range is rounded outwards."""

    known = (
        *RANGE,
        Parameter(
            "group_by",
            parameters.names,
            f"At most two, comma-separated, of {', '.join(costs.GROUPS)}, or attribute:<key> (needs `read:content`)."
            " Default: feature; empty: one line.",
        ),
        Parameter(
            "step", parameters.one_of({step: step for step in costs.STEPS}), "hour, day or week; none: one sum.",
            options=tuple(costs.STEPS),
        ),
        LIMIT,
        *CALL_FILTERS,
        tables.AS,
    )  # fmt: skip

    @base.described("read_costs", "Cost by group: API, GPU and energy", shapes.schema_of(CostTable), known, tag="costs")
    def get(self, request: Request) -> Response | HttpResponse:
        values = dict(self.values)
        start, end = parameters.time_range(values, DAY)
        wanted = parameters.call_filter_values(values)
        check_search(self, wanted, end - start)
        is_table = values.pop("as", "json") == "csv"
        query = CostQuery(start, end, filters=CallFilter(**wanted), **values)
        if any(name.startswith("attribute:") for name in query.group_by):
            self.asker.require(Scope.READ_CONTENT)
        found = costs.explore(self.asker.project_id, query)
        return _csv(found, query) if is_table else self.answer(_table(found))


def _table(found: CostReport) -> CostTable:
    return CostTable(
        found.start, found.end, tuple(_line(row) for row in found.rows), _line(found.total), found.nameless_usd,
        found.groups_left_out, found.not_self_hosted_by, found.waiting_hours, found.unsettled_minutes,
    )  # fmt: skip


def _line(row: CostRow) -> CostLine:
    told = {**asdict(row.amounts), **asdict(row.details), "usd": row.amounts.usd, "is_estimated": row.is_estimated}
    if not row.amounts.tells_tokens:
        told |= {name: None for name in told if name.endswith("_tokens")}
    names = [field.name for field in fields(CostLine)]
    return CostLine(**{name: told[name] if name in told else getattr(row, name) for name in names})


def _csv(found: CostReport, query: CostQuery) -> HttpResponse:
    """Dimensions are columns, one of which may be the calls' `kind`: the row's is `row_kind`. The last row is the
    total."""
    columns = [field.name for field in fields(CostLine) if field.name != "group"]
    lines = [shapes.plain(_line(row)) for row in (*found.rows, found.total)]
    lines[-1]["kind"] = "total"
    cells = [[_named(line, one) for one in query.group_by] + [_joined(line[one]) for one in columns] for line in lines]
    heads = ["row_kind" if name == "kind" else name for name in columns]
    return tables.table([*query.group_by, *heads], cells, "costs")


def _named(line: Mapping[str, Any], dimension: str) -> str | None:
    found: str | None = line["group"].get(dimension)
    return found


def _joined(value: Any) -> Any:
    return ", ".join(value) if isinstance(value, list) else value
