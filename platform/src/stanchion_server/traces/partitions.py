"""One partition per table and day, made ahead of time and on demand, dropped whole when it is too old.

A partition is made beside its table and then attached: that does not stop readers and writers, `PARTITION OF` does.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

from django.db import connection, transaction

DAILY_TABLES = (
    "spans", "llm_calls", "contents", "log_records", "metric_points", "ingest_batches", "guard_decisions", "scores",
)  # fmt: skip
DAYS_AHEAD = 7

_LOCK = 0x5354_4E01
_known: set[date] = set()


def name_of(table: str, day: date) -> str:
    return f"{table}_{day:%Y%m%d}"


def ensure(days: Iterable[date]) -> None:
    """Makes the partitions of these days for every daily table; a transaction of its own unless one is open."""
    missing = set(days) - _known
    if not missing:
        return
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        present = _present(cursor)
        for day in sorted(missing):
            for table in DAILY_TABLES:
                if name_of(table, day) not in present:
                    _make(cursor, table, day)
    _known.update(missing)


def ensure_ahead(now: datetime, days: int = DAYS_AHEAD) -> None:
    """Yesterday, today and the coming days, so that no request has to wait for a partition at midnight."""
    ensure(now.astimezone(UTC).date() + timedelta(days=offset) for offset in range(-1, days + 1))


def forget() -> None:
    """Partitions may have been dropped by someone else: look again at the next `ensure`."""
    _known.clear()


def days_of(table: str) -> list[date]:
    """The days that have a partition, oldest first."""
    with connection.cursor() as cursor:
        names = _present(cursor, table)
    return sorted(datetime.strptime(name[-8:], "%Y%m%d").replace(tzinfo=UTC).date() for name in names)


def drop_before(table: str, oldest_kept: date) -> list[str]:
    """Drops whole days older than `oldest_kept`; waits at most two seconds for a lock per table, then raises."""
    dropped = []
    for day in days_of(table):
        if day < oldest_kept:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SET LOCAL lock_timeout = '2s'")
                cursor.execute(f"DROP TABLE {name_of(table, day)}")
            dropped.append(name_of(table, day))
            _known.discard(day)
    return dropped


def _present(cursor, table: str | None = None) -> set[str]:  # type: ignore[no-untyped-def]
    tables = [table] if table else list(DAILY_TABLES)
    cursor.execute(
        "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
        " WHERE i.inhparent = ANY (SELECT to_regclass(t) FROM unnest(%s::text[]) t)",
        [tables],
    )
    return {row[0] for row in cursor.fetchall()}


def _make(cursor, table: str, day: date) -> None:  # type: ignore[no-untyped-def]
    name = name_of(table, day)
    start, end = _midnight(day), _midnight(day + timedelta(days=1))
    cursor.execute(f"CREATE TABLE IF NOT EXISTS {name} (LIKE {table} INCLUDING ALL)")
    cursor.execute(f"ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ('{start}') TO ('{end}')")


def _midnight(day: date) -> str:
    return f"{day:%Y-%m-%d} 00:00:00+00"
