"""Labelled rows of evaluation files: one JSON object a line, with `text`, `prompt`/`context`/`response`, or `messages`.

`label` is 1 for what a guardrail should catch, 0 for what it should let pass, null for not known, or a list of spans
{"type", "start", "end"}. `category`, `target`, `source` and `language` name slices; rows of one
`group` belong together.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stanchion_guard.records import Part, Stage, Subject

KINDS = ("email", "table", "code", "prose")
SLICES = ("category", "target", "source", "language")


class Malformed(ValueError):
    """A line that is no row; the text says which file and line, and what is missing."""


@dataclass(frozen=True, slots=True)
class Row:
    """One labelled exchange: `judged` are the parts whose worst score counts for the row."""

    subject: Subject
    judged: tuple[int, ...]
    label: int | None
    spans: tuple[Mapping[str, Any], ...] | None
    slices: Mapping[str, str]
    group: str | None = None


def read_rows(path: Path, field: str | None = None, label: str = "label") -> Iterator[Row]:
    """Rows of a file. `field` judges that field alone as user input; `label` is a dotted path ("categories.S").
    Raises Malformed."""
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
                yield _row(record, field, label)
            except (ValueError, KeyError, TypeError, IndexError, AttributeError) as problem:
                raise Malformed(f"{path}:{number}: {problem or type(problem).__name__}") from None


def _row(record: Mapping[str, Any], field: str | None, label: str) -> Row:
    parts, judged = _parts(record) if field is None else _one(record, field)
    value: Any = record
    for step in label.split("."):
        value = value.get(step) if value is not None else None
    spans = tuple(value) if isinstance(value, list) else None
    slices = {name: str(record[name]) for name in SLICES if isinstance(record.get(name), str)}
    known = None if value is None or spans is not None else int(value)
    group = record.get("group")
    return Row(Subject(parts), judged, known, spans, slices, None if group is None else str(group))


def _one(record: Mapping[str, Any], field: str) -> tuple[tuple[Part, ...], tuple[int, ...]]:
    if field == "first_turn":
        return (Part("input", str(record["messages"][0]["content"])),), (0,)
    return (Part("input", str(record[field])),), (0,)


def _parts(record: Mapping[str, Any]) -> tuple[tuple[Part, ...], tuple[int, ...]]:
    """Parts in the order of an exchange. Judged is what came last: the response, else the text, else the document."""
    if "messages" in record:
        stages: dict[str, Stage] = {"assistant": "output", "tool": "tool_result"}
        turns = record["messages"]
        parts = tuple(Part(stages.get(turn["role"], "input"), str(turn["content"]), turn["role"]) for turn in turns)
        return parts, tuple(range(len(parts)))
    if record.get("text") is not None:
        return (Part("input", str(record["text"])),), (0,)
    found: list[Part] = []
    if record.get("prompt") is not None:
        found.append(Part("input", str(record["prompt"])))
    if record.get("context") is not None:
        found.append(Part("retrieved", str(record["context"]), kind=_kind(record)))
    if record.get("response") is not None:
        found.append(Part("output", str(record["response"])))
    if not found:
        raise ValueError("no text, prompt, context, response or messages")
    return tuple(found), (len(found) - 1,)


def _kind(record: Mapping[str, Any]) -> str | None:
    kind = str(record.get("kind") or record.get("category") or "").partition(":")[0]
    return kind if kind in KINDS else None
