"""Calls of a model with the texts that a test writes: who asked what under which instructions, and what came back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from kit import drifting
from kit.calls import content_of
from kit.drifting import Traffic
from kit.stored import deliver
from stanchion_server.ingest import messages
from stanchion_server.ingest.records import CallRecord


@dataclass(frozen=True)
class Exchange:
    """`before` are earlier turns, by turns of the user and the model."""

    asked: str
    answered: str = ""
    system: str = ""
    before: tuple[str, ...] = ()


def store(
    project_id: int,
    exchanges: Sequence[Exchange],
    start: datetime,
    every: timedelta = timedelta(minutes=1),
    **values: Any,
) -> list[CallRecord]:
    """One after the other; `values` replace fields of the records, of which nobody knows a user."""  # fmt: skip
    given = {"user_id": "", "feature": "support", **values}
    drawn = drifting.calls(
        start, start + timedelta(days=1), len(exchanges), 3, Traffic(("x",), ("gpt-4o",), error_ratio=0)
    )
    records = [
        replace(
            record, start_time=start + place * every,
            start_ns=(start + place * every - drifting.EPOCH) // timedelta(microseconds=1) * 1000, **given,
        )
        for place, record in enumerate(drawn)
    ]  # fmt: skip
    contents = [content_of(one, body=_body(told)) for one, told in zip(records, exchanges, strict=True)]
    deliver(project_id, *records, contents=tuple(contents))
    return records


def _body(told: Exchange) -> bytes:
    said = [*told.before, told.asked]
    content: dict[str, Any] = {
        "input": [_message("assistant" if place % 2 else "user", text) for place, text in enumerate(said)],
    }
    if told.system:
        content["system"] = [messages.text_part(told.system)]
    if told.answered:
        content["output"] = [_message("assistant", told.answered)]
    return messages.pack(content).body


def _message(role: str, text: str) -> messages.Message:
    return messages.message(role, [messages.text_part(text)])
