"""Ratings go as their traces do: wholly with the telemetry of their day, their texts when a project's texts go."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction

from stanchion_server.tenants.models import Project
from stanchion_server.traces.retention import KEEP_DAYS

ROWS_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class RetentionReport:
    deleted_ratings: int
    emptied_ratings: int


def run(now: datetime, keep_days: int = KEEP_DAYS) -> RetentionReport:
    """Deletes ratings given more than `keep_days` ago, for every project alike, and empties comments and corrections
    older than `content_retention_days` of their project. A bounded number of rows per transaction."""
    deleted = emptied = 0
    for project_id, content_days in Project.objects.values_list("pk", "content_retention_days"):
        deleted += _all_of(
            """DELETE FROM ratings WHERE project_id = %(project)s AND rating_id IN (
                SELECT rating_id FROM ratings WHERE project_id = %(project)s AND rated_at < %(before)s
                LIMIT %(rows)s)""",
            project_id,
            now - timedelta(days=keep_days),
        )
        emptied += _all_of(
            """UPDATE ratings SET comment = '', correction = '' WHERE project_id = %(project)s AND rating_id IN (
                SELECT rating_id FROM ratings WHERE project_id = %(project)s AND rated_at < %(before)s
                AND (comment <> '' OR correction <> '') LIMIT %(rows)s)""",
            project_id,
            now - timedelta(days=content_days),
        )
    return RetentionReport(deleted, emptied)


def _all_of(sql: str, project_id: int, before: datetime) -> int:
    total = 0
    while True:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(sql, {"project": project_id, "before": before, "rows": ROWS_AT_ONCE})
            count = int(cursor.rowcount)
        total += count
        if count < ROWS_AT_ONCE:
            return total
