"""Sums, rates and percentiles per group and step: from rollups where they hold the dimensions, else from the calls.

Minutes whose rollup is not settled yet are read from the calls themselves, in the same statement, so that a call shows
up at once and is never counted twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from stanchion_server.ingest.records import Charge
from stanchion_server.kernel.errors import SenderError
from stanchion_server.traces import rollups
from stanchion_server.traces.filters import CallFilter
from stanchion_server.traces.selectors import grains, measures, reading
from stanchion_server.traces.selectors.shapes import MetricRow, Metrics

GROUPS = (*rollups.DIMENSIONS, *measures.CALL_DIMENSIONS)
ORDERS = ("calls", "errors", "cost_usd", "input_tokens", "output_tokens")

MAX_RAW_DAYS = 31
MAX_STEPS = 2_000
MAX_GROUPS = 1_000
MAX_ROWS = 20_000
MAX_RANGE_DAYS = 3_660


@dataclass(frozen=True, slots=True)
class MetricQuery:
    """What to sum. `start` inclusive, `end` exclusive, both rounded outwards to whole minutes. `step` is whole minutes.

    `group_by` takes at most two of GROUPS or `attribute:<key>`. The `limit` groups that are largest by `order` come
    back, largest first. `percentiles` may leave out `duration` or `ttft`: they take most of the time. `filters` hold no
    time range of their own and always mean charged calls.
    """

    start: datetime
    end: datetime
    step: timedelta | None = None
    group_by: tuple[str, ...] = ()
    filters: CallFilter = field(default_factory=CallFilter)
    order: str = "calls"
    percentiles: tuple[str, ...] = rollups.HISTOGRAMS
    limit: int = 100


def metrics(project_id: int, query: MetricQuery) -> Metrics:
    """Rows in order of step, then size of the group. SenderError says what of the query cannot be answered."""
    query = checked(query)
    plan = measures.plan(
        project_id, query.start, query.end, query.step, query.group_by, query.filters, histograms=query.percentiles
    )
    with reading.bounded():
        unsettled = 0 if plan.is_raw else measures.unread_minutes(project_id, query.start, query.end)
        found = reading.rows(plan.sql + f" LIMIT {MAX_ROWS + 1}", plan.params)
    if len(found) > MAX_ROWS:
        raise SenderError(
            "too_many_rows",
            f"The answer has more than {MAX_ROWS} rows. Ask for a longer step, a shorter range or fewer groups.",
            422,
        )
    measured = [measures.row_of(row, query.start, query.end, query.step, query.group_by) for row in found]
    kept, is_cut = _largest(measured, query)
    step_s = None if query.step is None else int(query.step.total_seconds())
    return Metrics(query.start, query.end, step_s, kept, "calls" if plan.is_raw else "rollups", is_cut, unsettled)


def checked(query: MetricQuery) -> MetricQuery:
    """The query with whole minutes, or a SenderError that names the part that cannot be."""
    start, end = grains.floor_minute(query.start.astimezone(UTC)), grains.ceil_minute(query.end.astimezone(UTC))
    if end <= start:
        raise SenderError("empty_range", f"The range ends ({end:%FT%TZ}) before it starts ({start:%FT%TZ}).")
    if end - start > timedelta(days=MAX_RANGE_DAYS):
        raise SenderError("range_too_long", f"The range is longer than {MAX_RANGE_DAYS} days. Ask for less.")
    _check_groups(query.group_by)
    _check_step(query.step, end - start)
    if query.order not in ORDERS:
        raise SenderError("unknown_order", f"{query.order!r} is not an order. Known: {', '.join(ORDERS)}.")
    if measures.needs_calls(query.group_by, query.filters) and end - start > timedelta(days=MAX_RAW_DAYS, hours=1):
        raise SenderError(
            "range_too_long",
            f"This grouping or filter reads single calls, at most {MAX_RAW_DAYS} days at once. Shorten the range.",
        )
    filters = replace(query.filters, start=None, end=None, charge=Charge.CHARGED)
    return replace(query, start=start, end=end, filters=filters, limit=min(max(query.limit, 1), MAX_GROUPS))


def _check_groups(group_by: Sequence[str]) -> None:
    if len(group_by) > 2 or len(set(group_by)) != len(group_by):
        raise SenderError("too_many_groups", "Group by at most two different dimensions.")
    for name in group_by:
        if name.startswith(measures.ATTRIBUTE_PREFIX):
            measures.attribute_key(name)
        elif name not in GROUPS:
            known = ", ".join([*GROUPS, "attribute:<key>"])
            raise SenderError("unknown_group", f"{name[:80]!r} is not a dimension. Known: {known}.")


def _check_step(step: timedelta | None, length: timedelta) -> None:
    if step is None:
        return
    if step < timedelta(minutes=1) or step % timedelta(minutes=1):
        raise SenderError(
            "bad_step", f"The step must be whole minutes, at least one; it is {step.total_seconds():g} s."
        )
    if length / step > MAX_STEPS:
        raise SenderError(
            "too_many_steps",
            f"The range holds more than {MAX_STEPS} steps. Use a step of {length / MAX_STEPS} or more.",
        )


def _largest(rows: list[MetricRow], query: MetricQuery) -> tuple[tuple[MetricRow, ...], bool]:
    """The rows of the `limit` largest groups, by the sum of `order` over all steps."""
    sizes: dict[tuple[str, ...], float] = {}
    for row in rows:
        key = tuple(row.group.values())
        sizes[key] = sizes.get(key, 0.0) + float(getattr(row, query.order) or 0)
    ranked = sorted(sizes, key=lambda key: (-sizes[key], key))
    place = {key: rank for rank, key in enumerate(ranked[: query.limit])}
    kept = [row for row in rows if tuple(row.group.values()) in place]
    epoch = datetime.min.replace(tzinfo=UTC)
    kept.sort(key=lambda row: (row.bucket or epoch, place[tuple(row.group.values())]))
    return tuple(kept), len(ranked) > query.limit
