"""Events of OpenAI's responses."""

from __future__ import annotations

from typing import Any

from .answers import response_farewell
from .openai_texts import Json, _item, responses_answered, rows
from .texts import Texts
from .valve import Valve

_TEXTS = {
    "response.output_text": "text",
    "response.refusal": "refusal",
    "response.reasoning_summary_text": "text",
    "response.reasoning_text": "text",
}
_ARGUMENTS = {
    "response.function_call_arguments": "arguments",
    "response.mcp_call_arguments": "arguments",
    "response.custom_tool_call_input": "input",
    "response.code_interpreter_call_code": "code",
}
_CALLS = ("function_call", "mcp_call", "custom_tool_call", "code_interpreter_call")
_KINDS = {"output_text": "response.output_text", "refusal": "response.refusal",
          "summary_text": "response.reasoning_summary_text", "reasoning_text": "response.reasoning_text"}  # fmt: skip


class ResponseFlow:
    """Texts go out as they are judged; every event that repeats one says what was shown of it. The events of a tool
    call wait until it is whole. Other deltas (audio, images in parts) are left out."""

    def __init__(self, valve: Valve) -> None:
        self.valve = valve
        valve.remembers = True
        self._held: dict[int, list[Json]] = {}
        self._items: dict[int, Json] = {}
        self._started: Json = {}

    def feed(self, event: Json) -> list[Json]:
        kind = str(event.get("type"))
        if kind == "response.created":
            self._started = event.get("response") or {}
        base, _, verb = kind.rpartition(".")
        index = int(event.get("output_index") or 0)
        if isinstance(event.get("response"), dict):
            return self._whole(event)
        if kind == "response.output_item.done":
            return self._item_done(index, event)
        item = event.get("item")
        if index in self._held or (isinstance(item, dict) and item.get("type") in _CALLS):
            self._held.setdefault(index, []).append(event)
            self.valve.hold(str(event.get("delta") or ""))
            return []
        if base in _TEXTS:
            return self._text(event, base, verb)
        if isinstance(event.get("part"), dict):
            return self._part(event)
        return [] if verb == "delta" else [event]

    def finish(self) -> list[Json]:
        return []

    def farewell(self, message: str) -> list[Json]:
        return response_farewell(self._started, [self._items[index] for index in sorted(self._items)], message)

    def _channel(self, event: Json, base: str) -> tuple[Any, ...]:
        return event.get("output_index") or 0, base, event.get("content_index", event.get("summary_index")) or 0

    def _text(self, event: Json, base: str, verb: str) -> list[Json]:
        channel = self._channel(event, base)
        bare = {**event, "logprobs": []} if "logprobs" in event else event
        if verb == "delta":
            text = self.valve.feed(channel, str(event.get("delta") or ""))
            return [{**bare, "delta": text}] if text else []
        out = self._rest(event, base, channel)
        return [] if self.valve.stopped is not None else [*out, {**bare, _TEXTS[base]: self.valve.shown(channel) or ""}]

    def _rest(self, event: Json, base: str, channel: tuple[Any, ...]) -> list[Json]:
        """The end of a text as one more delta; of a text without deltas, all of it."""
        whole = event.get(_TEXTS[base])
        text = self.valve.feed(channel, whole) if self.valve.shown(channel) is None and whole else ""
        text += self.valve.finish(channel)
        places = ("item_id", "output_index", "content_index", "summary_index", "sequence_number")
        delta = {"type": f"{base}.delta", **{key: event[key] for key in places if key in event}, "delta": text}
        return [{**delta, "logprobs": []}] if text else []

    def _part(self, event: Json) -> list[Json]:
        part = dict(event["part"])
        base = _KINDS.get(str(part.get("type")))
        if base is not None:
            part[_TEXTS[base]] = self.valve.shown(self._channel(event, base)) or ""
            part |= {"logprobs": []} if "logprobs" in part else {}
        return [{**event, "part": part}]

    def _item_done(self, index: int, event: Json) -> list[Json]:
        item = self._shown_item(index, event.get("item") or {})
        if item is None:
            return []
        self._items[index] = item
        return [*self._released(index, item), {**event, "item": item}]

    def _shown_item(self, index: int, item: Json) -> Json | None:
        """The item as it may be shown: texts as they were let through, else judged now; None where the stream ends."""
        texts = Texts()
        for key in ("content", "summary"):
            for place, part in enumerate(rows(item.get(key))):
                base = _KINDS.get(str(part.get("type")))
                shown = self.valve.shown((index, base, place)) if base is not None else None
                if base is not None and shown is not None:
                    part[_TEXTS[base]] = shown
                elif base is not None:
                    texts.add("output", part, _TEXTS[base], "assistant")
                part |= {"logprobs": []} if "logprobs" in part else {}
        if item.get("type") in _CALLS:
            _item(texts, item, "output", {})
        return item if self.valve.judge(texts) else None

    def _released(self, index: int, item: Json) -> list[Json]:
        """The events of a tool call that waited, with the arguments in one delta as they may be shown."""
        out: list[Json] = []
        for event in self._held.pop(index, []):
            base, _, verb = str(event.get("type")).rpartition(".")
            if base not in _ARGUMENTS:
                out.append(event)
            elif verb == "done":
                text = item.get(_ARGUMENTS[base]) or ""
                bare = {key: value for key, value in event.items() if key not in (_ARGUMENTS[base], "name")}
                out += [{**bare, "type": f"{base}.delta", "delta": text}, {**event, _ARGUMENTS[base]: text}]
        return out

    def _whole(self, event: Json) -> list[Json]:
        """An event that carries the response so far: its items are those that were shown."""
        response = dict(event["response"])
        output = list(rows(response.get("output")))
        unseen = Texts()
        for index, item in enumerate(output):
            if index not in self._items:
                unseen.slots += responses_answered({"output": [item]}).slots
        if not self.valve.judge(unseen):
            return []
        response["output"] = [self._items.get(index, item) for index, item in enumerate(output)]
        return [{**event, "response": response}]
