"""Provider clients with a provider inside the process, which keeps what it was sent and answers in given pieces."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import anthropic
import httpx2
import openai

Json = dict[str, Any]
POLICY: Json = {
    "policy": "shop",
    "version": "1",
    "defaults": {"when_late": "flag", "when_failed": "flag"},
    "message": "This cannot be said here.",
    "rules": [
        {"id": "pii", "stages": ["input", "output", "tool_call", "tool_result", "retrieved"], "detector": "pii",
         "action": "redact"},
        {"id": "words", "stages": ["input", "output", "tool_call", "tool_result", "retrieved"], "detector": "words",
         "parameters": {"words": ["open sesame"]}, "action": "block"},
        {"id": "rivals", "stages": ["input", "output"], "detector": "words",
         "parameters": {"words": ["other shop"]}, "action": "fallback", "message": "Let us talk about our shop."},
        {"id": "manners", "stages": ["output"], "detector": "words",
         "parameters": {"words": ["no idea"]}, "action": "reask", "message": "Please try to answer."},
    ],
}  # fmt: skip


class Provider:
    """Answers each request with the next of `answers`: a JSON object, or the events of a stream. `sent` are the bodies
    of the requests, as they left the client."""

    def __init__(self, *answers: Json | Sequence[Json]) -> None:
        self._answers = list(answers)
        self.sent: list[Json] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.sent.append(json.loads(request.content))
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, dict):
            return httpx2.Response(200, json=answer, headers={"x-request-id": "req_1", "request-id": "req_1"})
        lines = [f"event: {each.get('type', 'message')}\ndata: {json.dumps(each)}\n\n" for each in answer]
        return httpx2.Response(200, text="".join(lines), headers={"content-type": "text/event-stream"})

    def openai(self) -> openai.OpenAI:
        client = httpx2.Client(transport=httpx2.MockTransport(self))
        return openai.OpenAI(api_key="x", base_url="http://provider/v1", http_client=client, max_retries=0)

    def async_openai(self) -> openai.AsyncOpenAI:
        client = httpx2.AsyncClient(transport=httpx2.MockTransport(self))
        return openai.AsyncOpenAI(api_key="x", base_url="http://provider/v1", http_client=client, max_retries=0)

    def anthropic(self) -> anthropic.Anthropic:
        client = httpx2.Client(transport=httpx2.MockTransport(self))
        return anthropic.Anthropic(api_key="x", base_url="http://provider", http_client=client, max_retries=0)

    def async_anthropic(self) -> anthropic.AsyncAnthropic:
        client = httpx2.AsyncClient(transport=httpx2.MockTransport(self))
        return anthropic.AsyncAnthropic(api_key="x", base_url="http://provider", http_client=client, max_retries=0)


def chat(content: str | None = None, **message: Any) -> Json:
    said = {"role": "assistant", "content": content, **message}
    choice = {"index": 0, "message": said, "finish_reason": "stop", "logprobs": {"content": [{"token": content}]}}
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    return {"id": "c1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}


def chat_chunks(*deltas: Json) -> list[Json]:
    head = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    rows = [({"role": "assistant", "content": ""}, None), *((delta, None) for delta in deltas), ({}, "stop")]
    logprobs = {"content": [{"token": "secret", "logprob": 0, "top_logprobs": []}]}
    return [
        {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": reason, "logprobs": logprobs}]}
        for delta, reason in rows
    ]


def said(pieces: Sequence[str]) -> list[Json]:
    return chat_chunks(*({"content": piece} for piece in pieces))


def message(*content: Json) -> Json:
    usage = {"input_tokens": 3, "output_tokens": 2}
    return {"id": "m1", "type": "message", "role": "assistant", "model": "m", "content": list(content),
            "stop_reason": "end_turn", "stop_sequence": None, "usage": usage}  # fmt: skip


def message_events(*blocks: tuple[Json, Sequence[Json]]) -> list[Json]:
    """Blocks, each with its deltas."""
    middle: list[Json] = []
    for index, (block, deltas) in enumerate(blocks):
        middle.append({"type": "content_block_start", "index": index, "content_block": block})
        middle += ({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas)
        middle.append({"type": "content_block_stop", "index": index})
    end = {"stop_reason": "end_turn", "stop_sequence": None}
    return [
        {"type": "message_start", "message": {**message(), "stop_reason": None}},
        *middle,
        {"type": "message_delta", "delta": end, "usage": {"output_tokens": 2}},
        {"type": "message_stop"},
    ]
