"""What calls, GPUs and electricity cost, by anything that calls carry. The project comes first.

Calls, tokens and API dollars are read from rollups, or from single calls for what rollups do not hold; GPU dollars,
energy and CO2e are those of closed self-hosted hours. Rows of one answer add up to what the window cost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from stanchion_server.costs import breakdown, selectors_allocation
from stanchion_server.costs.breakdown import Amounts, Key, Row, per
from stanchion_server.kernel import clock
from stanchion_server.kernel.errors import SenderError
from stanchion_server.reports import cost_calls, cost_details
from stanchion_server.reports.cost_calls import CallsQuery, Group
from stanchion_server.reports.cost_details import Details
from stanchion_server.traces.filters import CallFilter, Condition
from stanchion_server.traces.rollups import SUMS
from stanchion_server.traces.selectors import MetricQuery, grains, measures, reading
from stanchion_server.traces.selectors.metrics import GROUPS as CALL_GROUPS
from stanchion_server.traces.selectors.metrics import checked

DEPLOYMENT = "deployment"
GROUPS = (*CALL_GROUPS, DEPLOYMENT)
STEPS: Mapping[str, timedelta] = {"hour": grains.HOUR, "day": grains.DAY, "week": 7 * grains.DAY}
MOST_ROWS = 20_000
MOST_GROUPS = 1_000
_ALLOCATED = {"feature": "feature", "model": "model", "user": "user_id"}
"""Dimensions that calls and self-hosted hours share, with their fields in `CallFilter`."""


@dataclass(frozen=True, slots=True)
class CostQuery:
    """`start` and `end` are rounded outwards to whole hours. `group_by` takes at most two of GROUPS or
    `attribute:<key>`, `step` is empty or one of STEPS. The `limit` dearest groups have rows of their own, the rest
    is one row."""

    start: datetime
    end: datetime
    group_by: tuple[str, ...] = ("feature",)
    step: str = ""
    filters: CallFilter = field(default_factory=CallFilter)
    limit: int = 100


@dataclass(frozen=True, slots=True)
class CostRow:
    """`group` has a value per dimension: "" for calls that carry none, None for self-hosted hours that are not told
    apart by it; it is empty for the row of all others and where nothing is grouped by. `untold` says why ratios are not
    told, where calls of deployments are in it and the dollars of their hours are not."""

    bucket: datetime | None
    kind: str
    group: Mapping[str, str | None]
    amounts: Amounts
    details: Details
    untold: str = ""

    @property
    def usd_per_call(self) -> Decimal | None:
        return None if self.untold else self.amounts.usd_per_call

    @property
    def usd_per_1k_tokens(self) -> Decimal | None:
        return None if self.untold else self.amounts.usd_per_1k_tokens

    @property
    def usd_per_session(self) -> Decimal | None:
        return None if self.untold else per(self.amounts.usd, self.details.sessions)

    @property
    def usd_per_resolved(self) -> Decimal | None:
        return None if self.untold else per(self.amounts.usd, self.details.resolved_sessions)

    @property
    def is_estimated(self) -> bool | None:
        """Whether some of it rests on estimates; None where single calls were not read and no hour was estimated, and
        where the hours of its calls stand elsewhere."""
        if self.amounts.is_estimated or self.details.low_confidence_calls:
            return True
        return None if self.details.low_confidence_calls is None or self.untold else False


@dataclass(frozen=True, slots=True)
class CostReport:
    """`rows` add up to `total`. `nameless_usd` belongs to no value of the first dimension. `not_self_hosted_by` names
    filters that self-hosted hours do not know: with one, their cost is in no row. `waiting_hours` are still to be
    split, and `unsettled_minutes` not in the rollups yet: both will change the numbers."""

    start: datetime
    end: datetime
    rows: tuple[CostRow, ...]
    total: CostRow
    nameless_usd: Decimal | None
    groups_left_out: int
    not_self_hosted_by: tuple[str, ...]
    waiting_hours: int
    unsettled_minutes: int


def explore(project_id: int, query: CostQuery) -> CostReport:
    """SenderError says what of the query cannot be answered."""
    query = _checked(query)
    if not query.step and measures.needs_calls(_of_calls(query), query.filters):
        return _from_calls(project_id, query, None)[0]
    hosted = _hosted(project_id, query)
    return _report(project_id, query, hosted, _bought(project_id, query, hosted), _details(project_id, query))


def with_steps(project_id: int, query: CostQuery, step: str, limit: int) -> tuple[CostReport, CostReport | SenderError]:
    """The answer, and that to the same question by `step` with `limit` groups, or why there is none: steps may be too
    much to read where sums are not. Single calls are read once for both."""
    by_step = replace(query, step=step, limit=limit)
    if measures.needs_calls(_of_calls(query), query.filters):
        found, steps = _from_calls(project_id, _checked(query), _checked(by_step))
        if steps is not None:
            return found, steps
    found = explore(project_id, query)
    try:
        return found, explore(project_id, by_step)
    except SenderError as error:
        if error.code not in _TOO_MUCH:
            raise
        return found, error


_TOO_MUCH = ("too_many_rows", "query_too_slow")


@dataclass(frozen=True, slots=True)
class _Bought:
    """Rows of calls; `folded` groups, the cheaper ones, are one of them: without steps there may be a session for each
    call."""

    rows: list[Row]
    folded: int = 0


def _from_calls(
    project_id: int, query: CostQuery, by_step: CostQuery | None
) -> tuple[CostReport, CostReport | SenderError | None]:
    hosted = _hosted(project_id, query)
    length, limit = (STEPS[by_step.step], by_step.limit) if by_step else (None, 0)
    found = cost_calls.read(
        project_id,
        CallsQuery(
            query.start,
            query.end,
            _of_calls(query),
            query.filters,
            query.limit,
            _with_hours(query, hosted),
            length,
            limit,
        ),
    )
    bought = _Bought([_called_row(group, query) for group in found.groups], found.folded)
    report = _report(project_id, query, hosted, bought, found.details)
    if by_step is None:
        return report, None
    if isinstance(found.steps, SenderError):
        return report, found.steps
    steps = _Bought([_called_row(group, query) for group in found.steps], found.folded_steps)
    return report, _report(project_id, by_step, _hosted(project_id, by_step), steps, {})


def _called_row(group: Group, query: CostQuery) -> Row:
    """By deployment, calls that no deployment served stand under ""."""
    if group.key is None:
        return Row(group.bucket, breakdown.OTHERS, (), group.amounts)
    told = {**dict(zip(_of_calls(query), group.key, strict=True)), DEPLOYMENT: ""}
    return Row(group.bucket, breakdown.USE, tuple(told[name] for name in query.group_by), group.amounts)


def _report(
    project_id: int, query: CostQuery, hosted: Sequence[Row], bought: _Bought, details: Mapping[Key | None, Details]
) -> CostReport:
    all_rows = breakdown.merged([*_less_hosted(query, bought.rows, hosted), *hosted])
    rows = breakdown.largest(all_rows, query.limit)
    groups = {(row.kind, row.key) for row in all_rows if row.kind != breakdown.OTHERS}
    kept = {(row.kind, row.key) for row in rows if row.kind != breakdown.OTHERS}
    foreign = _foreign_filters(query.filters)
    whole = _whole(all_rows, bought.rows)
    told = details.get(None, cost_details.UNREAD)
    return CostReport(
        query.start,
        query.end,
        tuple(_row(row, query, details) for row in rows),
        CostRow(None, breakdown.USE, {}, whole, told, _untold(breakdown.USE, whole, query)),
        breakdown.nameless_usd(all_rows),
        len(groups) - len(kept) + bought.folded,
        foreign,
        0 if foreign else _waiting_hours(project_id, query),
        measures.unread_minutes(project_id, query.start, query.end),
    )


def _whole(all_rows: Sequence[Row], bought: Sequence[Row]) -> Amounts:
    """What rows by deployment do not know of their calls is known of all calls together."""
    known = breakdown.total(bought)
    detailed: dict[str, Any] = {name: getattr(known, name) for name in breakdown.DETAILED}
    return replace(breakdown.total(all_rows), **detailed)


def _waiting_hours(project_id: int, query: CostQuery) -> int:
    return selectors_allocation.progress(project_id, query.start, query.end, clock.now()).waiting


def _checked(query: CostQuery) -> CostQuery:
    """As `metrics.checked`, for whole hours; deployments are known to self-hosted hours only. The filters lose a time
    range of their own: with one, single calls would be read where rollups do."""
    query = replace(query, filters=replace(query.filters, start=None, end=None))
    for name in query.group_by:
        if name not in GROUPS and not name.startswith(measures.ATTRIBUTE_PREFIX):
            known = ", ".join([*GROUPS, "attribute:<key>"])
            raise SenderError("unknown_group", f"{name[:80]!r} is not a dimension. Known: {known}.")
    if query.step and query.step not in STEPS:
        raise SenderError("bad_step", f"The step is {query.step[:20]!r}; it can be {', '.join(STEPS)}.")
    if len(query.group_by) > 2 or len(set(query.group_by)) != len(query.group_by):
        raise SenderError("too_many_groups", "Group by at most two different dimensions.")
    by_deployment = DEPLOYMENT in query.group_by
    others = [name for name in query.group_by if name not in (DEPLOYMENT, *_ALLOCATED)]
    if by_deployment and (others or _foreign_filters(query.filters)):
        named = ", ".join([*others, *_foreign_filters(query.filters)])
        raise SenderError(
            "deployment_not_by", f"Deployments are told apart by {', '.join(_ALLOCATED)} only, not {named}."
        )
    end = grains.floor_to(query.end + grains.HOUR - timedelta(microseconds=1), grains.HOUR)
    step = STEPS[query.step] if query.step else None
    asked = checked(MetricQuery(grains.floor_to(query.start, grains.HOUR), end, step, _of_calls(query), query.filters))
    limit = min(max(query.limit, 1), MOST_GROUPS)
    return replace(query, start=asked.start, end=asked.end, filters=asked.filters, limit=limit)


def _of_calls(query: CostQuery) -> tuple[str, ...]:
    return tuple(name for name in query.group_by if name != DEPLOYMENT)


def _foreign_filters(wanted: CallFilter) -> tuple[str, ...]:
    """Names of filters in force that self-hosted hours cannot be asked for."""
    plain = CallFilter(**{name: getattr(wanted, name) for name in _ALLOCATED.values()})
    return tuple(one.name for one in fields(CallFilter) if getattr(wanted, one.name) != getattr(plain, one.name))


def _bought(project_id: int, query: CostQuery, hosted: Sequence[Row]) -> _Bought:
    step = STEPS[query.step] if query.step else None
    of_calls = _of_calls(query)
    plan = measures.plan(project_id, query.start, query.end, step, of_calls, query.filters, histograms=())
    if step is None:
        known = _with_hours(query, hosted)
        sql = _FOLDED_SQL.format(plan=plan.sql, known=known.sql)
        values = [*known.params, *plan.params, query.limit, query.limit]
    else:
        sql, values = _STEPS_SQL.format(plan=plan.sql), list(plan.params)
    with reading.bounded():
        found = reading.rows(sql, values)
    if len(found) > MOST_ROWS:
        raise SenderError("too_many_rows", f"That are more than {MOST_ROWS} rows. Ask for less at once.", 422)
    folded = sum(row[-1] for row in found if row[1] is None)
    return _Bought([_bought_row(row[:-1], query, step, of_calls) for row in found], folded)


def _with_hours(query: CostQuery, hosted: Sequence[Row]) -> Condition:
    """Which groups may have dollars of self-hosted hours: their own do not say how dear they are."""
    of_calls = _of_calls(query)
    if not of_calls or any(name not in _ALLOCATED for name in of_calls):
        return Condition("false", ())
    places = [query.group_by.index(name) for name in of_calls]
    values = [sorted({row.key[place] or "" for row in hosted if row.kind == breakdown.USE}) for place in places]
    return Condition(" AND ".join(f"g{number} = ANY (%s)" for number in range(1, len(values) + 1)), tuple(values))


_SUMMED = ", ".join(
    f"least(sum({name}), 9223372036854775807)::bigint" if name in SUMS else f"sum({name})" for name in measures.ADDED
)
_PLANNED = ", ".join((*measures.ROW_COLUMNS[:3], *measures.ADDED, "d_buckets", "d_counts", "t_buckets", "t_counts"))
_STEPS_SQL = f"SELECT *, 1 FROM ({{plan}}) AS q LIMIT {MOST_ROWS + 1}"  # noqa: S608 - names of our own
_FOLDED_SQL = f"""
WITH told AS MATERIALIZED (
    SELECT *, row_number() OVER (PARTITION BY is_known ORDER BY cost_usd DESC NULLS LAST, calls DESC) AS place
    FROM (SELECT *, (g1 = '' OR ({{known}})) AS is_known
        FROM ({{plan}}) AS q({_PLANNED})) each_group
)
SELECT step, g1, g2, {", ".join(measures.ADDED)}, NULL, NULL, NULL, NULL, 1 FROM told WHERE is_known OR place <= %s
UNION ALL
SELECT NULL, NULL, NULL, {_SUMMED}, NULL, NULL, NULL, NULL, count(*) FROM told
WHERE NOT is_known AND place > %s HAVING count(*) > 0"""  # noqa: S608 - names of our own


def _bought_row(row: reading.Row, query: CostQuery, step: timedelta | None, of_calls: tuple[str, ...]) -> Row:
    """By deployment, calls that no deployment served stand under "". A row without groups is what was put together."""
    is_folded = row[1] is None
    told = measures.row_of(row, query.start, query.end, step, () if is_folded else of_calls)
    group = {**told.group, DEPLOYMENT: ""}
    counts: dict[str, Any] = {name: getattr(told, name) or 0 for name in breakdown.COUNTS}
    amounts = Amounts(**counts, api_usd=told.cost_usd)
    if is_folded:
        return Row(None, breakdown.OTHERS, (), amounts)
    return Row(told.bucket, breakdown.USE, tuple(group[name] for name in query.group_by), amounts)


def _hosted(project_id: int, query: CostQuery) -> list[Row]:
    """Of self-hosted hours, none with filters that they do not know. Their calls and tokens are those of rollups
    already, except by deployment."""
    if _foreign_filters(query.filters):
        return []
    known = [name for name in query.group_by if name == DEPLOYMENT or name in _ALLOCATED]
    only = {name: getattr(query.filters, told) for name, told in _ALLOCATED.items()}
    chosen = {name: value for name, value in only.items() if value is not None}
    found = selectors_allocation.grouped(project_id, query.start, query.end, known, query.step, chosen)
    return [_hosted_row(row, query) for row in found]


def _hosted_row(row: selectors_allocation.AllocatedRow, query: CostQuery) -> Row:
    is_counted = DEPLOYMENT in query.group_by and row.kind == breakdown.USE
    counts: dict[str, Any] = {}
    if is_counted and row.calls:
        counts = {name: getattr(row, name, None) for name in breakdown.COUNTS} | {"hosted_calls": row.calls}
    amounts = Amounts(
        **counts, gpu_usd=row.gpu_usd, energy_usd=row.energy_usd, energy_wh=row.energy_wh, co2e_g=row.co2e_g,
        is_estimated=row.is_estimated,
    )  # fmt: skip
    return Row(row.bucket, row.kind, tuple(row.group.get(name) for name in query.group_by), amounts)


def _less_hosted(query: CostQuery, bought: Sequence[Row], hosted: Sequence[Row]) -> list[Row]:
    """By deployment, what a deployment served is taken from what is left to no deployment; then it is not known either
    how many of the calls left have no price, and the like."""
    if DEPLOYMENT not in query.group_by:
        return list(bought)
    place = query.group_by.index(DEPLOYMENT)
    nobody = [replace(row, key=(*row.key[:place], "", *row.key[place + 1 :])) for row in hosted]
    served = {(row.bucket, row.key): row.amounts for row in breakdown.merged(nobody) if row.kind == breakdown.USE}
    return [
        replace(row, amounts=row.amounts.without(served.get((row.bucket, row.key), breakdown.NOTHING)))
        for row in bought
    ]


def _details(project_id: int, query: CostQuery) -> Mapping[Key | None, Details]:
    """By key, and under None for the whole window; nothing where steps were asked for, or for too many calls: sums of
    rollups are worth having alone."""
    if query.step or query.end - query.start > cost_details.LONGEST:
        return {}
    try:
        found = cost_details.read(project_id, query.start, query.end, _of_calls(query), query.filters)
    except SenderError as error:
        if error.code != "query_too_slow":
            raise
        return {}
    return found if DEPLOYMENT not in query.group_by else {None: found[None]}


def _row(row: Row, query: CostQuery, details: Mapping[Key | None, Details]) -> CostRow:
    is_called = row.kind == breakdown.USE and None not in row.key
    told = details.get(row.key, cost_details.UNREAD) if is_called else cost_details.UNREAD
    group = dict(zip(query.group_by, row.key, strict=False))
    return CostRow(row.bucket, row.kind, group, row.amounts, told, _untold(row.kind, row.amounts, query))


def _untold(kind: str, amounts: Amounts, query: CostQuery) -> str:
    """Hours that are put together with smaller groups need not be those of their calls."""
    names = [name for name in query.group_by if name != DEPLOYMENT and name not in _ALLOCATED]
    apart = [name.removeprefix(measures.ATTRIBUTE_PREFIX) for name in names] + list(_foreign_filters(query.filters))
    if not amounts.hosted_calls or (amounts.has_hours and not (kind == breakdown.OTHERS and apart)):
        return ""
    why = f"not split by {', '.join(dict.fromkeys(apart))}" if apart else "of hours that are not split here, or not yet"
    return f"Own deployments served {amounts.hosted_calls} of these calls; their dollars are {why}."
