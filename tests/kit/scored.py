"""Calls on their way to scores: delivered as the door does it, settled, and scored when their time has come."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from kit.calls import call, span_of
from kit.stored import settled
from stanchion_server.ingest import messages
from stanchion_server.ingest.ledger import LedgerEntry
from stanchion_server.ingest.records import Batch, CallRecord, ContentRecord
from stanchion_server.kernel import clock
from stanchion_server.quality import jobs, scoring
from stanchion_server.quality.models import Score, ScoreJob
from stanchion_server.quality.records import Lane
from stanchion_server.quality.sampling import Shed
from stanchion_server.quality.scoring import PanelOf
from stanchion_server.traces import store

LATER = timedelta(seconds=30)
"""Long enough for every job that has just been opened, shorter than any lease."""


def asked(answer: str = "It left today.", question: str = "Where is my order?", **values: Any) -> CallRecord:
    """A call in a trace of its own, now."""
    values.setdefault("trace_id", uuid4())
    values.setdefault("start_time", clock.now() - timedelta(seconds=1))
    return replace(call(**values), input_preview=question, output_preview=answer)


def content(record: CallRecord, *, source: int = 0, **sections: Any) -> ContentRecord:
    """Texts of a span; without any, those that its previews tell."""
    told = sections or {
        "input": [messages.message("user", [messages.text_part(record.input_preview)])],
        "output": [messages.message("assistant", [messages.text_part(record.output_preview)])],
    }
    packed = messages.pack(told)
    return ContentRecord(
        record.trace_id, record.span_id, record.start_time, packed.digest, source, packed.body,
        packed.original_bytes, packed.is_truncated,
    )  # fmt: skip


def deliver(project_id: int, *calls: CallRecord, **more: Any) -> None:
    """With their texts, unless `contents` says otherwise, and settled."""
    contents = more.pop("contents", tuple(content(one) for one in calls))
    spans = (*(span_of(one) for one in calls), *more.pop("spans", ()))
    entry = LedgerEntry(api_key_id=1, signal="traces", client="kit", body_bytes=1, sent=len(spans))
    batch = Batch(spans=spans, calls=calls, contents=contents, **more)
    store.store(project_id, batch, entry, (jobs.of_written,))
    settled(project_id)


def score(
    panel_of: PanelOf, project_id: int, lane: Lane = "fast", *, shed: Shed = Shed.NOTHING, at: datetime | None = None
) -> int:
    """Steps until nothing is due at `at`, which is when every job that has just been opened is; how many were taken."""
    taken = 0
    while more := scoring.step(panel_of, lane, project_id, shed, at or clock.now() + LATER):
        taken += more
    return taken


def kept(project_id: int) -> list[tuple[str, str, float]]:
    """Scorer, version and score of what is stored, in the order of calls."""
    rows = Score.objects.filter(project_id=project_id).order_by("start_time", "span_id", "scorer", "scorer_version")
    return [(row.scorer, row.scorer_version, row.score) for row in rows]


def open_jobs(project_id: int, lane: int = 0) -> list[ScoreJob]:
    """Those in quarantine too."""
    return list(ScoreJob.objects.filter(project_id=project_id, lane=lane).order_by("start_time"))
