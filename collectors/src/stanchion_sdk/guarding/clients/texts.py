"""The texts in a request or an answer, each with the place it came from."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..shapes import Part, Stage, Verdict


@dataclass
class Slot:
    """A text and its place: `holder[key]`, which is a JSON value rather than a text where `is_value`."""

    part: Part
    holder: Any
    key: Any
    is_value: bool = False

    def put(self, text: str) -> None:
        """Raises ValueError where a JSON value was masked into something that is none."""
        self.holder[self.key] = json.loads(text) if self.is_value else text


@dataclass
class Texts:
    """`unread` names what no check reads, and so lies outside every coverage."""

    slots: list[Slot] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)

    def add(self, stage: Stage, holder: Any, key: Any, role: str | None = None, name: str | None = None) -> None:
        """Empty texts and what is no text are left out."""
        text = holder.get(key) if isinstance(holder, Mapping) else holder[key]
        if isinstance(text, str) and text:
            self.slots.append(Slot(Part(stage, text, role, name if isinstance(name, str) else None), holder, key))

    def add_value(self, holder: Any, key: Any, name: object) -> None:
        """A tool call's arguments as an object: judged as JSON text."""
        if holder.get(key):
            text = json.dumps(holder[key], ensure_ascii=False)
            part = Part("tool_call", text, "assistant", name if isinstance(name, str) else None)
            self.slots.append(Slot(part, holder, key, is_value=True))

    def miss(self, kind: object) -> None:
        if str(kind) not in self.unread:
            self.unread.append(str(kind)[:60])

    def miss_where(self, body: Mapping[str, Any], kind: str, *keys: str) -> None:
        if any(body.get(key) for key in keys):
            self.miss(kind)

    @property
    def parts(self) -> tuple[Part, ...]:
        return tuple(slot.part for slot in self.slots)

    @property
    def gaps(self) -> tuple[tuple[str, str], ...]:
        return tuple(("client", f"{kind}: no check reads it") for kind in self.unread)

    def put(self, verdict: Verdict, numbers: Iterable[int]) -> bool:
        """Puts the masked texts back, `numbers` being those of the slots' parts in the verdict; whether any differs.
        Raises ValueError where a tool call's arguments cannot be masked and stay JSON."""
        changed = False
        for slot, number in zip(self.slots, numbers, strict=True):
            text = verdict.texts[number]
            if text != slot.part.text:
                changed = True
                is_json = slot.is_value or (slot.part.stage == "tool_call" and _is_json(slot.part.text))
                slot.put(still_json(slot.part.text, text, verdict, number) if is_json else text)
        return changed


def still_json(original: str, masked: str, verdict: Verdict, number: int) -> str:
    """The masked text as JSON: a mask in place of a number is quoted. Raises ValueError where that is not enough."""
    if _is_json(masked):
        return masked
    pieces: list[str] = []
    at = 0
    for each in (redaction for redaction in verdict.redactions if redaction.part == number):
        before = original[: each.start].replace("\\\\", "").replace('\\"', "")
        pieces += (original[at : each.start], each.text if before.count('"') % 2 else json.dumps(each.text))
        at = each.end
    text = "".join((*pieces, original[at:]))
    json.loads(text)
    return text


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
