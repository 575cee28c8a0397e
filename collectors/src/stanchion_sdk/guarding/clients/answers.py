"""Answers in the providers' own shapes that hold a policy's message, whole and as the events of a stream."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]
Event = tuple[str | None, Json]


def chat(request: Json, answer: Json, message: str, *, as_refusal: bool) -> Json:
    """`finish_reason` content_filter, as of the provider's own filter; for `.parse()`, which would raise there, a
    refusal."""
    said = {"content": None, "refusal": message} if as_refusal else {"content": message, "refusal": None}
    choice = {
        "index": 0,
        "message": {"role": "assistant", **said},
        "finish_reason": "stop" if as_refusal else "content_filter",
        "logprobs": None,
    }
    return {**_openai(request, answer, "chat.completion"), "choices": [choice]}


def text(request: Json, answer: Json, message: str, *, as_refusal: bool) -> Json:
    choice = {"index": 0, "text": message, "finish_reason": "content_filter", "logprobs": None}
    return {**_openai(request, answer, "text_completion"), "choices": [choice]}


def _openai(request: Json, answer: Json, kind: str) -> Json:
    made = {"id": "guarded", "object": kind, "created": int(time.time()), "model": request.get("model") or ""}
    return {**made, **{key: answer[key] for key in ("id", "created", "model", "usage") if answer.get(key) is not None}}


def chat_events(answer: Json) -> Iterator[Event]:
    [choice] = answer["choices"]
    envelope = {**answer, "object": "chat.completion.chunk"}
    delta = {"role": "assistant", **{key: value for key, value in choice["message"].items() if value is not None}}
    first = {"index": 0, "delta": delta, "finish_reason": None, "logprobs": None}
    last = {"index": 0, "delta": {}, "finish_reason": choice["finish_reason"], "logprobs": None}
    yield None, {**envelope, "choices": [first]}
    yield None, {**envelope, "choices": [last]}


def text_events(answer: Json) -> Iterator[Event]:
    yield None, answer


def message(request: Json, answer: Json, message: str, *, as_refusal: bool) -> Json:
    """`stop_reason` refusal, as where the provider's own classifiers stop an answer."""
    none = {"input_tokens": 0, "output_tokens": 0}
    return {
        "id": answer.get("id") or "guarded",
        "type": "message",
        "role": "assistant",
        "model": answer.get("model") or request.get("model") or "",
        "content": [{"type": "text", "text": message}],
        "stop_reason": "refusal",
        "stop_sequence": None,
        "usage": answer.get("usage") or none,
    }


def message_events(answer: Json) -> Iterator[Event]:
    [block] = answer["content"]
    stop = {"stop_reason": answer["stop_reason"], "stop_sequence": None}
    events: list[Json] = [
        {"type": "message_start", "message": {**answer, "content": [], "stop_reason": None}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": block["text"]}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": stop, "usage": {"output_tokens": answer["usage"]["output_tokens"]}},
        {"type": "message_stop"},
    ]
    yield from ((event["type"], event) for event in events)


def response(request: Json, answer: Json, message: str, *, as_refusal: bool) -> Json:
    """Incomplete for the reason content_filter, as of the provider's own filter."""
    made: Json = {
        "id": "guarded", "object": "response", "created_at": int(time.time()), "error": None, "metadata": {},
        "model": request.get("model") or "", "instructions": None, "parallel_tool_calls": True, "tool_choice": "auto",
        "tools": [], "temperature": None, "top_p": None, "usage": None,
    }  # fmt: skip
    kind = "refusal" if as_refusal else "output_text"
    ended = {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}
    return {**made, **answer, **ended, "output": [_said(message, kind)]}


def _said(message: str, kind: str = "output_text") -> Json:
    part = {"type": "refusal", "refusal": message}
    if kind == "output_text":
        part = {"type": "output_text", "text": message, "annotations": []}  # type: ignore[dict-item]
    return {"id": "msg_guarded", "type": "message", "role": "assistant", "status": "incomplete", "content": [part]}


def response_events(answer: Json) -> Iterator[Event]:
    begun = {**answer, "status": "in_progress", "incomplete_details": None, "output": []}
    yield "response.created", {"type": "response.created", "response": begun, "sequence_number": 0}
    for number, event in enumerate(_ending(answer, answer["output"][0], 0), 1):
        yield event["type"], {**event, "sequence_number": number}


def response_farewell(started: Json, shown: list[Json], message: str) -> list[Json]:
    """The end of a stream of which `shown` has gone out."""
    item = _said(message)
    ended = response({}, started, message, as_refusal=False)
    return [{**event, "sequence_number": 0} for event in _ending({**ended, "output": [*shown, item]}, item, len(shown))]


def _ending(answer: Json, item: Json, index: int) -> Iterator[Json]:
    [part] = item["content"]
    place = {"item_id": item["id"], "output_index": index, "content_index": 0}
    empty = {**part, **{key: "" for key in ("text", "refusal") if key in part}}
    base = "response.output_text" if "text" in part else "response.refusal"
    said = {key: part[key] for key in ("text", "refusal") if key in part}
    opened = {**item, "status": "in_progress", "content": []}
    yield {"type": "response.output_item.added", "output_index": index, "item": opened}
    yield {"type": "response.content_part.added", **place, "part": empty}
    yield {"type": f"{base}.delta", **place, "delta": next(iter(said.values())), "logprobs": []}
    yield {"type": f"{base}.done", **place, **said, "logprobs": []}
    yield {"type": "response.content_part.done", **place, "part": part}
    yield {"type": "response.output_item.done", "output_index": index, "item": item}
    yield {"type": "response.incomplete", "response": answer}
