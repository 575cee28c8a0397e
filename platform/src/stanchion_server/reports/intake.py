"""Is a project's data arriving? The ledger of requests by key and client, with the names keys have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Max, Q, Sum

from stanchion_server.ingest.models import IngestBatch
from stanchion_server.tenants.models import ApiKey

MAX_CLIENTS = 200
MAX_REFUSALS = 30
MAX_REASON_ROWS = 5_000
COUNTS = ("sent", "stored", "duplicate", "rejected", "altered")


@dataclass(frozen=True, slots=True)
class Source:
    """What one key and client sent of one signal; `refused_requests` were turned away as a whole."""

    key_name: str
    client: str
    signal: str
    requests: int
    refused_requests: int
    sent: int
    stored: int
    duplicate: int
    rejected: int
    altered: int
    last_seen_at: datetime


@dataclass(frozen=True, slots=True)
class Refusal:
    received_at: datetime
    key_name: str
    client: str
    signal: str
    rejected: int
    sent: int
    is_whole: bool
    reasons: tuple[str, ...]
    detail: str


@dataclass(frozen=True, slots=True)
class Intake:
    """`sent` = `stored` + `duplicate` + `rejected`. Reasons and alterations count items, the most frequent first."""

    requests: int
    refused_requests: int
    sent: int
    stored: int
    duplicate: int
    rejected: int
    altered: int
    last_seen_at: datetime | None
    sources: tuple[Source, ...]
    reasons: tuple[tuple[str, int], ...]
    alterations: tuple[tuple[str, int], ...]
    refusals: tuple[Refusal, ...]


def intake(project_id: int, since: datetime) -> Intake:
    rows = IngestBatch.objects.filter(project_id=project_id, received_at__gte=since)
    totals = rows.aggregate(last=Max("received_at"), **_sums())
    names = dict(ApiKey.objects.filter(project_id=project_id).values_list("pk", "name"))
    found = (
        rows.values("api_key_id", "client", "signal")
        .annotate(last=Max("received_at"), **_sums())
        .order_by("-last")[:MAX_CLIENTS]
    )
    bad = rows.filter(Q(rejected__gt=0) | Q(state="refused")).order_by("-received_at")
    odd = rows.filter(Q(rejected__gt=0) | Q(altered__gt=0) | Q(state="refused")).order_by("-received_at")
    counted = list(odd.values_list("reasons", "alterations")[:MAX_REASON_ROWS])
    return Intake(
        requests=totals["requests"],
        refused_requests=totals["refused"],
        **{name: totals[f"{name}_sum"] or 0 for name in COUNTS},
        last_seen_at=totals["last"],
        sources=tuple(_source(row, names) for row in found),
        reasons=_counted(reasons for reasons, _ in counted),
        alterations=_counted(alterations for _, alterations in counted),
        refusals=tuple(_refusal(batch, names) for batch in bad[:MAX_REFUSALS]),
    )


def _sums() -> dict[str, Any]:
    return {
        "requests": Count("id"),
        "refused": Count("id", filter=Q(state="refused")),
        **{f"{name}_sum": Sum(name) for name in COUNTS},
    }


def _source(row: Mapping[str, Any], names: Mapping[int, str]) -> Source:
    return Source(
        key_name=names.get(row["api_key_id"], "deleted key"),
        client=row["client"],
        signal=row["signal"],
        requests=row["requests"],
        refused_requests=row["refused"],
        **{name: row[f"{name}_sum"] for name in COUNTS},
        last_seen_at=row["last"],
    )


def _refusal(batch: IngestBatch, names: Mapping[int, str]) -> Refusal:
    return Refusal(
        received_at=batch.received_at,
        key_name=names.get(batch.api_key_id, "deleted key"),
        client=batch.client,
        signal=batch.signal,
        rejected=batch.rejected,
        sent=batch.sent,
        is_whole=batch.state == "refused",
        reasons=tuple(batch.reasons),
        detail=batch.detail,
    )


def _counted(parts: Iterable[Mapping[str, int]]) -> tuple[tuple[str, int], ...]:
    total: Counter[str] = Counter()
    for part in parts:
        total.update(part)
    return tuple(total.most_common())
