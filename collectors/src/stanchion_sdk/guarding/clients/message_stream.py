"""Events of Anthropic's messages."""

from __future__ import annotations

import json
from typing import Any

from .openai_texts import Json
from .texts import Texts
from .valve import Valve

_TEXTS = {"text_delta": "text", "thinking_delta": "thinking"}
_PASSED = ("signature_delta", "citations_delta")


class MessageFlow:
    """A text block goes out as it is judged; a tool's block, its beginning too, once its arguments are whole. Deltas of
    a kind that nobody here can read are left out."""

    def __init__(self, valve: Valve) -> None:
        self.valve = valve
        self._tools: dict[int, Json] = {}
        self._arguments: dict[int, list[str]] = {}
        self._open: int | None = None
        self._next = 0
        self._output_tokens = 0

    def feed(self, event: Json) -> list[Json]:
        match event.get("type"):
            case "message_start":
                self._output_tokens = ((event.get("message") or {}).get("usage") or {}).get("output_tokens") or 0
            case "content_block_start":
                return self._begin(event)
            case "content_block_delta":
                return self._delta(event)
            case "content_block_stop":
                return self._end(event)
        return [event]

    def finish(self) -> list[Json]:
        rest = [(index, key, self.valve.finish((index, key))) for index, key in self.valve.channels()]
        return [_text(index, key, text) for index, key, text in rest if text]

    def farewell(self, message: str) -> list[Json]:
        begun = [] if self._open is None else [{"type": "content_block_stop", "index": self._open}]
        stop = {"stop_reason": "refusal", "stop_sequence": None}
        return [
            *begun,
            {"type": "content_block_start", "index": self._next, "content_block": {"type": "text", "text": ""}},
            _text(self._next, "text", message),
            {"type": "content_block_stop", "index": self._next},
            {"type": "message_delta", "delta": stop, "usage": {"output_tokens": self._output_tokens}},
            {"type": "message_stop"},
        ]

    def _begin(self, event: Json) -> list[Json]:
        index, block = int(event.get("index") or 0), dict(event.get("content_block") or {})
        if "input" in block:
            self._tools[index], self._arguments[index] = {**event, "content_block": block}, []
            return []
        self._open, self._next = index, index + 1
        for key in _TEXTS.values():
            if block.get(key):
                block[key] = self.valve.feed((index, key), block[key])
        return [] if self.valve.stopped is not None else [{**event, "content_block": block}]

    def _delta(self, event: Json) -> list[Json]:
        index, delta = int(event.get("index") or 0), event.get("delta") or {}
        kind = delta.get("type")
        if kind == "input_json_delta" and index in self._arguments:
            self._arguments[index].append(delta.get("partial_json") or "")
            self.valve.hold(self._arguments[index][-1])
        elif kind in _TEXTS:
            text = self.valve.feed((index, _TEXTS[kind]), delta.get(_TEXTS[kind]) or "")
            return [{**event, "delta": {**delta, _TEXTS[kind]: text}}] if text else []
        return [event] if kind in _PASSED else []

    def _end(self, event: Json) -> list[Json]:
        index = int(event.get("index") or 0)
        if index in self._tools:
            return self._tool(index, event)
        rest = [(key, self.valve.finish((at, key))) for at, key in self.valve.channels() if at == index]
        if self.valve.stopped is not None:
            return []
        self._open = None
        return [*(_text(index, key, text) for key, text in rest if text), event]

    def _tool(self, index: int, event: Json) -> list[Json]:
        start, pieces = self._tools.pop(index), self._arguments.pop(index)
        block: Json = start["content_block"]
        told: dict[str, Any] = {"arguments": "".join(pieces) or json.dumps(block["input"], ensure_ascii=False)}
        texts = Texts()
        texts.add("tool_call", told, "arguments", "assistant", block.get("name"))
        if not self.valve.judge(texts):
            return []
        self._next = index + 1
        delta = {"type": "input_json_delta", "partial_json": told["arguments"]}
        begun = {**start, "content_block": {**block, "input": {}}}
        return [begun, {"type": "content_block_delta", "index": index, "delta": delta}, event]


def _text(index: int, key: str, text: str) -> Json:
    return {"type": "content_block_delta", "index": index, "delta": {"type": f"{key}_delta", key: text}}
