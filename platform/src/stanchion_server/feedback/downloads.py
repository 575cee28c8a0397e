"""Who took files of reviewed calls: written before the first line is sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from stanchion_server.feedback.models import TuningDownload
from stanchion_server.kernel import clock

MOST_LISTED = 100


@dataclass(frozen=True, slots=True)
class Download:
    """`asked` are shape, review, source, limit, start and end. `lines` have been sent; null where the server ended
    before the file did."""

    at: datetime
    actor: str
    asked: Mapping[str, str]
    lines: int | None


def begin(project_id: int, actor: str, asked: Mapping[str, str]) -> int:
    """Its number."""
    row = TuningDownload.objects.create(project_id=project_id, at=clock.now(), actor=actor[:150], asked=dict(asked))
    return row.pk


def end(number: int, lines: int) -> None:
    TuningDownload.objects.filter(pk=number).update(lines=lines)


def newest(project_id: int) -> list[Download]:
    """At most MOST_LISTED."""
    rows = TuningDownload.objects.filter(project_id=project_id).order_by("-at", "-pk")[:MOST_LISTED]
    return [Download(row.at, row.actor, row.asked, row.lines) for row in rows]
