"""Writes to the price book's consequences: prices of stored calls."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.db import transaction

from stanchion_server.costs import selectors, stored
from stanchion_server.costs.stored import StoredCall
from stanchion_server.ingest.records import CallCost
from stanchion_server.kernel import db

CALLS_AT_ONCE = 2_000

Position = tuple[datetime, int, UUID]


@dataclass(frozen=True, slots=True)
class RepriceReport:
    """Dollars are those of charged calls, before and after; `unpriced` calls have no price now."""

    calls: int
    changed: int
    unpriced: int
    before_usd: Decimal
    after_usd: Decimal


def reprice(project_id: int, since: datetime, until: datetime) -> RepriceReport:
    """Prices the stored calls of a stretch of time with the book as it is now, a few thousand per transaction, and
    marks their minutes, so that the next settling brings the sums up to date. May be repeated and stopped anywhere."""
    selectors.forget()
    report = RepriceReport(0, 0, 0, Decimal(0), Decimal(0))
    position: Position = (since, -(2**63), UUID(int=0))
    while True:
        calls, report = _reprice_some(project_id, position, until, report)
        if len(calls) < CALLS_AT_ONCE:
            return report
        last = calls[-1].facts
        position = (last.start_time, last.span_id, last.trace_id)


def _reprice_some(
    project_id: int, position: Position, until: datetime, report: RepriceReport
) -> tuple[list[StoredCall], RepriceReport]:
    book = selectors.book(project_id)
    with transaction.atomic(), db.raw_cursor() as cursor:
        calls = stored.load(
            cursor,
            project_id,
            "AND c.start_time >= %(start)s AND (c.start_time, c.span_id, c.trace_id) > (%(start)s, %(span)s, %(trace)s)"
            " AND c.start_time < %(until)s ORDER BY c.start_time, c.span_id, c.trace_id LIMIT %(limit)s",
            {"start": position[0], "span": position[1], "trace": position[2], "until": until, "limit": CALLS_AT_ONCE},
            book,
        )
        priced = [(call, stored.price_of(call, call.effective, call.charge, book)) for call in calls]
        changes = [(call, stored.cost_changes(call, cost)) for call, cost in priced]
        changes = [(call, changed) for call, changed in changes if changed]
        stored.write(cursor, project_id, changes)
        cursor.execute(
            "INSERT INTO dirty_minutes (project_id, minute) SELECT %s, unnest(%s::timestamptz[])",
            (project_id, sorted({stored.minute_of(call.facts.key) for call, _changed in changes})),
        )
    return calls, _add(report, priced, len(changes))


def _add(report: RepriceReport, priced: list[tuple[StoredCall, CallCost]], changed: int) -> RepriceReport:
    charged = [(call, cost) for call, cost in priced if call.is_charged]
    return replace(
        report,
        calls=report.calls + len(priced),
        changed=report.changed + changed,
        unpriced=report.unpriced + sum(cost.usd is None for _call, cost in charged),
        before_usd=report.before_usd + sum((call.cost.usd or Decimal(0) for call, _cost in charged), Decimal(0)),
        after_usd=report.after_usd + sum((cost.usd or Decimal(0) for _call, cost in charged), Decimal(0)),
    )
