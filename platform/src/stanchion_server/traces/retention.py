"""What is old goes: whole days of telemetry at once, texts earlier where a project wants that.

Sums outlive the calls they were made of. A minute's sums go with its calls, an hour's after 400 days, a day's never.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from django.db import connection, transaction

from stanchion_server.tenants.models import Project
from stanchion_server.traces import partitions

KEEP_DAYS = 90
KEEP_HOURS_DAYS = 400
ROWS_AT_ONCE = 20_000


@dataclass(frozen=True, slots=True)
class RetentionReport:
    dropped_partitions: list[str] = field(default_factory=list)
    deleted_contents: int = 0
    deleted_rollups: int = 0


def run(now: datetime, keep_days: int = KEEP_DAYS) -> RetentionReport:
    """Drops days older than `keep_days`, for every project alike, but never a day that a project still accepts late
    spans for. Raises OperationalError when a long query holds a table for more than two seconds: try again later."""
    today = now.astimezone(UTC).date()
    oldest = today - timedelta(days=max(keep_days, _longest_late_window()))
    dropped = [name for table in partitions.DAILY_TABLES for name in partitions.drop_before(table, oldest)]
    dropped += partitions.drop_before("contents", today - timedelta(days=_longest_content_retention(keep_days)))
    return RetentionReport(dropped, _delete_contents(today), _delete_rollups(oldest, today))


def _longest_late_window() -> int:
    return max(Project.objects.values_list("late_window_days", flat=True), default=0) + 1


def _longest_content_retention(keep_days: int) -> int:
    """Contents of late spans may still arrive for an old day, so a day is dropped one late window after its time."""
    kept = Project.objects.values_list("content_retention_days", flat=True)
    return max(max(kept, default=keep_days), _longest_late_window())


def _delete_contents(today: date) -> int:
    return sum(
        _delete_contents_before(project_id, today - timedelta(days=days))
        for project_id, days in Project.objects.values_list("pk", "content_retention_days")
    )


def _delete_contents_before(project_id: int, oldest: date) -> int:
    """Day by day, a bounded number of rows per transaction, so that ingest never waits for it."""
    deleted = 0
    for day in partitions.days_of("contents"):
        if day < oldest:
            name = partitions.name_of("contents", day)
            while count := _delete_some(name, project_id):
                deleted += count
    return deleted


def _delete_some(partition: str, project_id: int) -> int:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            f"DELETE FROM {partition} WHERE ctid = ANY (ARRAY("  # noqa: S608 - a name of our own
            f"SELECT ctid FROM {partition} WHERE project_id = %s LIMIT %s))",
            [project_id, ROWS_AT_ONCE],
        )
        return int(cursor.rowcount)


def _delete_rollups(oldest: date, today: date) -> int:
    deleted = 0
    for grain, before in ((1, oldest), (60, today - timedelta(days=KEEP_HOURS_DAYS))):
        with transaction.atomic(), connection.cursor() as cursor:
            for table in ("call_rollups", "call_totals"):
                cursor.execute(
                    f"DELETE FROM {table} WHERE grain_minutes = %s AND bucket < %s",  # noqa: S608 - a name of our own
                    [grain, before],
                )
                deleted += cursor.rowcount
    return deleted
