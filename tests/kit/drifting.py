"""Calls of a window with texts, users and scores, drawn from a seed: windows of two seeds differ by chance alone."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection

from kit.calls import call, content_of
from kit.stored import deliver
from stanchion_server.ingest import messages
from stanchion_server.ingest.records import CallRecord, Status
from stanchion_server.traces import partitions

EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
PARCELS = ("where is my parcel", "the courier did not come", "change the delivery address", "when does it arrive")
REFUNDS = ("i want my money back", "the refund is not on my card", "cancel the invoice", "i was charged twice")
POEMS = ("write a poem about the sea", "a short story of a dragon", "rhyme a song for my friend", "compose a verse")
GERMAN = ("wo ist mein Paket und wann kommt es an", "ich möchte das Geld zurück haben", "der Bote war nicht da")
_trace_numbers = itertools.count(90_000_000)


@dataclass(frozen=True)
class Traffic:
    """What calls are like; `replace` one field to make a shift."""

    topics: Sequence[str] = (*PARCELS, *REFUNDS)
    models: Sequence[str] = ("gpt-4o-mini", "gpt-4o-mini", "gpt-4o")
    users: Sequence[str] = tuple(f"u{number}" for number in range(400))
    latency_ratio: float = 1.0
    token_ratio: float = 1.0
    error_ratio: float = 0.02
    feature: str = "support"


def calls(start: datetime, end: datetime, count: int, seed: int, like: Traffic | None = None) -> list[CallRecord]:
    like = like or Traffic()
    draw = random.Random(seed)
    return [_call(start + (end - start) * draw.random(), draw, like) for _number in range(count)]


def _call(at: datetime, draw: random.Random, like: Traffic) -> CallRecord:
    failed = draw.random() < like.error_ratio
    model = draw.choice(like.models)
    return replace(
        call(
            provider="openai",
            model=model,
            request_model=model,
            duration_ns=int(draw.lognormvariate(0, 0.5) * like.latency_ratio * 1e9),
            input_tokens=int(draw.lognormvariate(5, 0.4) * like.token_ratio) + 1,
            output_tokens=int(draw.lognormvariate(4, 0.6)) + 1,
            status=Status.ERROR if failed else Status.OK,
            error_type="timeout" if failed else "",
            finish_reasons=("stop",),
            feature=like.feature,
            user_id=draw.choice(like.users),
        ),
        trace_id=_trace(),
        start_time=at,
        start_ns=(at - EPOCH) // timedelta(microseconds=1) * 1000,
        input_preview=draw.choice(like.topics),
    )


def _trace() -> UUID:
    return UUID(int=next(_trace_numbers))


def store(project_id: int, records: Sequence[CallRecord]) -> None:
    """With texts: the preview is the prompt, and the answer takes it up."""
    partitions.forget()
    contents = [content_of(record, body=_body(record)) for record in records]
    deliver(project_id, *records, contents=tuple(contents))


def _body(record: CallRecord) -> bytes:
    asked, answered = record.input_preview, f"I have looked into it: {record.input_preview}, that is {record.span_id}."
    return messages.pack(
        {
            "input": [messages.message("user", [messages.text_part(f"{asked} {record.span_id}")])],
            "output": [messages.message("assistant", [messages.text_part(answered)])],
        }
    ).body


def score(project_id: int, records: Sequence[CallRecord], values: Sequence[float], version: str = "1") -> None:
    """As `toxicity`."""
    rows = [
        (
            project_id,
            one.trace_id,
            one.span_id,
            one.start_time,
            one.start_time,
            value,
            "toxicity",
            version,
            one.feature,
            one.model,
        )
        for one, value in zip(records, values, strict=True)
    ]
    with connection.cursor() as cursor:
        cursor.executemany(
            """INSERT INTO scores (project_id, trace_id, span_id, start_time, scored_at, score, elapsed_us, scorer,
            scorer_version, source, label, reason, feature, provider, model, environment, release, service, prompt_name,
            prompt_version) VALUES (%s, %s, %s, %s, %s, %s, 1, %s, %s, 'worker', '', '', %s, 'openai', %s, '', '', '',
            '', '')""",
            rows,
        )
