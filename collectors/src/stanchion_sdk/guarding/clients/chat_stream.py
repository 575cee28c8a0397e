"""Chunks of chat completions and of legacy completions."""

from __future__ import annotations

from typing import Any

from .openai_texts import Json, _chat_calls, rows
from .texts import Texts
from .valve import Valve


class ChatFlow:
    """Texts of a choice go out as they are judged, its tool calls whole with its end. Log probabilities, which name
    each token of the original, and fields that hold no plain text are left out."""

    def __init__(self, valve: Valve) -> None:
        self.valve = valve
        self._calls: dict[int, Json] = {}
        self._envelope: Json = {}

    def feed(self, chunk: Json) -> list[Json]:
        choices = list(rows(chunk.get("choices")))
        if not choices:
            return [chunk]
        self._envelope = {**chunk, "usage": None}
        out: list[Json] = []
        for choice in choices:
            out += self._choice(choice)
            if self.valve.stopped is not None:
                return out
        if out and chunk.get("usage") is not None:
            out[-1] = {**out[-1], "usage": chunk["usage"]}
        return out

    def finish(self) -> list[Json]:
        open_ones = {channel[0] for channel in self.valve.channels()} | set(self._calls)
        return [chunk for index in sorted(open_ones) for chunk in self._rest(index)]

    def farewell(self, message: str) -> list[Json]:
        choice = {"index": 0, "delta": {"content": message}, "finish_reason": "content_filter", "logprobs": None}
        return [{**self._envelope, "choices": [choice]}]

    def _choice(self, choice: Json) -> list[Json]:
        index = int(choice.get("index") or 0)
        delta: Json = choice.get("delta") or {}
        shown = self._texts(index, delta)
        self._hold(index, delta)
        out = [self._chunk(index, shown)] if shown else []
        reason = choice.get("finish_reason")
        if reason is not None:
            out += self._rest(index)
            out += [self._chunk(index, {}, reason)] if self.valve.stopped is None else []
        return out

    def _texts(self, index: int, delta: Json) -> Json:
        """The part of a delta that may go out. An empty text stays: with it the first delta begins the content."""
        shown: Json = {}
        for key, value in delta.items():
            if key == "role" or value == "":
                shown[key] = value
            elif isinstance(value, str):
                text = self.valve.feed((index, key), value)
                shown |= {key: text} if text else {}
        return shown

    def _rest(self, index: int) -> list[Json]:
        rest = {key: self.valve.finish((at, key)) for at, key in self.valve.channels() if at == index}
        out = [self._chunk(index, {key: text}) for key, text in rest.items() if text]
        calls = self._calls.pop(index, None)
        if calls is not None:
            calls = _joined(calls)
            texts = Texts()
            _chat_calls(texts, calls)
            if self.valve.judge(texts):
                out.append(self._chunk(index, calls))
        return out

    def _chunk(self, index: int, delta: Json, reason: object = None) -> Json:
        choice = {"index": index, "delta": delta, "finish_reason": reason, "logprobs": None}
        return {**self._envelope, "choices": [choice]}

    def _hold(self, index: int, delta: Json) -> None:
        for piece in rows(delta.get("tool_calls")):
            calls = self._calls.setdefault(index, {}).setdefault("tool_calls", [])
            number = piece.get("index", 0)
            whole = next((call for call in calls if call["index"] == number), None)
            if whole is None:
                calls.append(whole := {"index": number})
            self._merge(whole, piece)
        if isinstance(delta.get("function_call"), dict):
            self._merge(self._calls.setdefault(index, {}).setdefault("function_call", {}), delta["function_call"])

    def _merge(self, whole: Json, piece: Json) -> None:
        """Arguments grow by each piece; names and ids are said once."""
        for key, value in piece.items():
            if isinstance(value, dict):
                self._merge(whole.setdefault(key, {}), value)
            elif key in ("arguments", "input") and isinstance(value, str):
                whole.setdefault(key, []).append(value)
                self.valve.hold(value)
            elif value is not None:
                whole[key] = value


def _joined(calls: Any) -> Any:
    """The calls with each argument's pieces as one text."""
    if isinstance(calls, list):
        is_text = all(isinstance(each, str) for each in calls)
        return "".join(calls) if is_text else [_joined(each) for each in calls]
    return {key: _joined(value) for key, value in calls.items()} if isinstance(calls, dict) else calls


class TextFlow:
    """Legacy completions: a text a choice."""

    def __init__(self, valve: Valve) -> None:
        self.valve = valve
        self._envelope: Json = {}

    def feed(self, chunk: Json) -> list[Json]:
        self._envelope = {**chunk, "usage": None}
        out: list[Json] = []
        for choice in rows(chunk.get("choices")):
            index, reason = int(choice.get("index") or 0), choice.get("finish_reason")
            text = self.valve.feed(index, str(choice.get("text") or ""))
            text += self.valve.finish(index) if reason is not None else ""
            out += [self._chunk(index, text, reason)] if text or reason is not None else []
            if self.valve.stopped is not None:
                return [each for each in out if each["choices"][0]["text"]]
        return out or [chunk] if not chunk.get("choices") else out

    def finish(self) -> list[Json]:
        rest = [(index, self.valve.finish(index)) for index in self.valve.channels()]
        return [self._chunk(index, text, None) for index, text in rest if text]

    def farewell(self, message: str) -> list[Json]:
        return [self._chunk(0, message, "content_filter")]

    def _chunk(self, index: int, text: str, reason: Any) -> Json:
        choice = {"index": index, "text": text, "finish_reason": reason, "logprobs": None}
        return {**self._envelope, "choices": [choice]}
