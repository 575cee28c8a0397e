"""Reads of the ledger that the door itself needs; `reports.intake` has those for people."""

from __future__ import annotations

import threading
from datetime import datetime

from django.db.models import Sum

from stanchion_server.ingest.models import IngestBatch
from stanchion_server.kernel import clock

QUOTA_CACHE_SECONDS = 5.0
MAX_CACHED_PROJECTS = 10_000

_spans_today: dict[int, tuple[float, int]] = {}
_lock = threading.Lock()


def spans_today(project_id: int, now: datetime) -> int:
    """Distinct spans stored since midnight UTC, at most 5 s old."""
    with _lock:
        found = _spans_today.get(project_id)
    if found is not None and clock.monotonic_s() - found[0] < QUOTA_CACHE_SECONDS:
        return found[1]
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    rows = IngestBatch.objects.filter(project_id=project_id, received_at__gte=midnight, signal="traces")
    total = rows.aggregate(total=Sum("stored"))["total"] or 0
    with _lock:
        if len(_spans_today) >= MAX_CACHED_PROJECTS:
            _spans_today.clear()
        _spans_today[project_id] = (clock.monotonic_s(), total)
    return total


def forget() -> None:
    """Empties the cache."""
    with _lock:
        _spans_today.clear()


def has_received_anything(project_id: int) -> bool:
    """Whether any request of the project was ever stored or refused, within the ledger's retention."""
    return IngestBatch.objects.filter(project_id=project_id).exists()
