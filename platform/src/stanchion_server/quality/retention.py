"""What is old goes: scores with the day of their call (`traces.retention` drops both), a minute's sums with its scores,
an hour's and the counts of what was not scored after 400 days, and jobs whose calls are gone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import connection, transaction

from stanchion_server.traces import partitions
from stanchion_server.traces.retention import KEEP_HOURS_DAYS


@dataclass(frozen=True, slots=True)
class RetentionReport:
    deleted_rollups: int
    deleted_counts: int
    deleted_jobs: int


def run(now: datetime) -> RetentionReport:
    days = partitions.days_of("llm_calls")
    oldest = datetime(days[0].year, days[0].month, days[0].day, tzinfo=UTC) if days else now
    hours = now - timedelta(days=KEEP_HOURS_DAYS)
    rollups = _delete("score_rollups WHERE grain_minutes = 1 AND bucket < %s", oldest)
    rollups += _delete("score_rollups WHERE grain_minutes = 60 AND bucket < %s", hours)
    counts = _delete("score_counts WHERE bucket < %s", hours)
    return RetentionReport(rollups, counts, _delete("score_jobs WHERE start_time < %s", oldest))


def _delete(what: str, before: datetime) -> int:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {what}", [before])  # noqa: S608 - texts of our own
        return int(cursor.rowcount)
