"""Recorded content as the subject it was when it happened. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from stanchion_guard.records import Part, Stage, Subject

MAX_PARTS = 200


def subject_of(content: Mapping[str, Any]) -> tuple[Subject, tuple[int, ...]]:
    """The exchange, and the indexes of what was new in it.

    Messages up to the model's last answer in the history were judged in the calls before this one; like the system text
    they stay as what the rest is measured against.
    """
    rows = [*_system(content), *_history(content), *_documents(content), *_answers(content)][:MAX_PARTS]
    parts = tuple(part for part, _is_new in rows)
    return Subject(parts), tuple(index for index, (_part, is_new) in enumerate(rows) if is_new)


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
