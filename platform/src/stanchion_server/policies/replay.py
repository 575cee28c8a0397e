"""Recorded content as the subject it was when it happened. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from stanchion_guard.records import Part, Stage, Subject

MAX_OLD_PARTS = 200
MAX_NEW_PARTS = 1_000


@dataclass(frozen=True, slots=True)
class Replayed:
    """An exchange, the indexes of what was new in it, and whether all of that is there."""

    subject: Subject
    judged: tuple[int, ...]
    is_whole: bool


def replayed(content: Mapping[str, Any]) -> Replayed:
    """What a guard would have been asked.

    Messages up to the model's last answer in the history were judged in the calls before this one; like the system text
    they stay as what the rest is measured against, the latest MAX_OLD_PARTS of them.
    """
    rows = [*_system(content), *_history(content), *_documents(content), *_answers(content)]
    old = [part for part, is_new in rows if not is_new][-MAX_OLD_PARTS:]
    new = [part for part, is_new in rows if is_new]
    parts = (*old, *new[:MAX_NEW_PARTS])
    return Replayed(Subject(parts), tuple(range(len(old), len(parts))), len(new) <= MAX_NEW_PARTS)


Row = tuple[Part, bool]


def _system(content: Mapping[str, Any]) -> Iterator[Row]:
    for part in content.get("system") or ():
        if text := part.get("text"):
            yield Part("input", text, role="system"), False


def _history(content: Mapping[str, Any]) -> Iterator[Row]:
    messages = content.get("input") or ()
    answered = max((i for i, message in enumerate(messages) if message.get("role") == "assistant"), default=-1)
    for index, message in enumerate(messages):
        for part in _of_message(message, "output" if message.get("role") == "assistant" else "input"):
            yield part, index > answered


def _documents(content: Mapping[str, Any]) -> Iterator[Row]:
    for index, document in enumerate(content.get("documents") or ()):
        if text := _plain(document.get("content")):
            yield Part("retrieved", text, name=str(document.get("id") or f"document {index}")), True


def _answers(content: Mapping[str, Any]) -> Iterator[Row]:
    for message in content.get("output") or ():
        for part in _of_message(message, "output"):
            yield part, True


def _of_message(message: Mapping[str, Any], stage: Stage) -> Iterator[Part]:
    role = message.get("role")
    for part in message.get("parts") or ():
        kind = part.get("type")
        if kind == "text" and part.get("text"):
            yield Part("tool_result" if role == "tool" else stage, part["text"], role=role)
        elif kind == "tool_call":
            yield Part("tool_call", _plain(part.get("arguments")), role=role, name=part.get("name"))
        elif kind == "tool_result":
            yield Part("tool_result", _plain(part.get("result")), role="tool", name=part.get("name"))


def _plain(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
