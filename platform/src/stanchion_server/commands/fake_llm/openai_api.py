"""OpenAI's shapes: chat completions, responses, embeddings, moderations. From the public reference, November 2026."""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator
from typing import Any

from stanchion_server.commands.fake_llm.answers import Answer, Json, Usage, choose, plain_text, response_model

CREATED = 1760000000


def chat_answer(request: Json) -> Answer:
    messages = request.get("messages") or []
    last = messages[-1] if messages else {}
    if last.get("role") == "tool":
        return Answer(text=f"It is {plain_text(last.get('content'))}.")
    functions = [tool.get("function") or {} for tool in request.get("tools") or []]
    return choose(plain_text(last.get("content")), [_tool(function) for function in functions])


def responses_answer(request: Json) -> Answer:
    asked = request.get("input")
    last = asked[-1] if isinstance(asked, list) and asked else {}
    if last.get("type") == "function_call_output":
        return Answer(text=f"It is {plain_text(last.get('output'))}.")
    question = asked if isinstance(asked, str) else plain_text(last.get("content"))
    return choose(question, [_tool(tool) for tool in request.get("tools") or [] if tool.get("type") == "function"])


def _tool(function: Json) -> Json:
    return {"name": function.get("name", "tool"), "schema": function.get("parameters") or {}}


def chat_usage(usage: Usage) -> Json:
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def chat(request: Json, answer: Answer, usage: Usage, identity: str) -> Json:
    message: Json = {"role": "assistant", "content": answer.text or None, "refusal": None, "annotations": []}
    if answer.is_tool_call:
        function = {"name": answer.tool_name, "arguments": answer.tool_arguments}
        message["tool_calls"] = [{"id": f"call_{identity}", "type": "function", "function": function}]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish(answer)}
    return _chat_envelope(request, identity, "chat.completion") | {"choices": [choice], "usage": chat_usage(usage)}


def chat_chunks(request: Json, answer: Answer, usage: Usage, identity: str) -> Iterator[Json]:
    """The chunks in order; the usage comes last and only when `stream_options.include_usage` asks for it."""
    envelope = _chat_envelope(request, identity, "chat.completion.chunk")
    for delta in _chat_deltas(answer, identity):
        yield envelope | {"choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}]}
    yield envelope | {"choices": [{"index": 0, "delta": {}, "logprobs": None, "finish_reason": _finish(answer)}]}
    if (request.get("stream_options") or {}).get("include_usage"):
        yield envelope | {"choices": [], "usage": chat_usage(usage)}


def _chat_deltas(answer: Answer, identity: str) -> Iterator[Json]:
    yield {"role": "assistant", "content": None if answer.is_tool_call else "", "refusal": None}
    if answer.is_tool_call:
        start = {"name": answer.tool_name, "arguments": ""}
        yield {"tool_calls": [{"index": 0, "id": f"call_{identity}", "type": "function", "function": start}]}
    for piece in answer.pieces():
        if answer.is_tool_call:
            yield {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}
        else:
            yield {"content": piece}


def _finish(answer: Answer) -> str:
    return "tool_calls" if answer.is_tool_call else "stop"


def _chat_envelope(request: Json, identity: str, kind: str) -> Json:
    return {
        "id": f"chatcmpl-{identity}",
        "object": kind,
        "created": CREATED,
        "model": response_model(request.get("model", "")),
        "service_tier": "default",
        "system_fingerprint": "fp_fake",
    }


def responses(request: Json, answer: Answer, usage: Usage, identity: str) -> Json:
    body = _responses_envelope(request, identity, "completed")
    return body | {"output": [_output_item(answer, identity, "completed")], "usage": _responses_usage(usage)}


def responses_events(request: Json, answer: Answer, usage: Usage, identity: str) -> Iterator[Json]:
    """The typed events of a streamed response; `sequence_number` counts from 0."""
    for number, event in enumerate(_responses_sequence(request, answer, usage, identity)):
        yield event | {"sequence_number": number}


def _responses_sequence(request: Json, answer: Answer, usage: Usage, identity: str) -> Iterator[Json]:
    begun = _responses_envelope(request, identity, "in_progress")
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    item = _output_item(answer, identity, "in_progress")
    yield {"type": "response.output_item.added", "output_index": 0, "item": item}
    yield from _function_events(answer, identity) if answer.is_tool_call else _text_events(answer, identity)
    done = _output_item(answer, identity, "completed")
    yield {"type": "response.output_item.done", "output_index": 0, "item": done}
    yield {"type": "response.completed", "response": responses(request, answer, usage, identity)}


def _text_events(answer: Answer, identity: str) -> Iterator[Json]:
    place = {"item_id": f"msg_{identity}", "output_index": 0, "content_index": 0}
    yield place | {"type": "response.content_part.added", "part": _text_part("")}
    for piece in answer.pieces():
        yield place | {"type": "response.output_text.delta", "delta": piece, "logprobs": []}
    yield place | {"type": "response.output_text.done", "text": answer.text, "logprobs": []}
    yield place | {"type": "response.content_part.done", "part": _text_part(answer.text)}


def _function_events(answer: Answer, identity: str) -> Iterator[Json]:
    place = {"item_id": f"fc_{identity}", "output_index": 0}
    for piece in answer.pieces():
        yield place | {"type": "response.function_call_arguments.delta", "delta": piece}
    done = {"type": "response.function_call_arguments.done", "arguments": answer.tool_arguments}
    yield place | done | {"name": answer.tool_name}


def _text_part(text: str) -> Json:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _output_item(answer: Answer, identity: str, status: str) -> Json:
    is_done = status == "completed"
    if answer.is_tool_call:
        item = {"id": f"fc_{identity}", "type": "function_call", "status": status, "name": answer.tool_name}
        return item | {"call_id": f"call_{identity}", "arguments": answer.tool_arguments if is_done else ""}
    content = [_text_part(answer.text)] if is_done else []
    return {"id": f"msg_{identity}", "type": "message", "status": status, "role": "assistant", "content": content}


def _responses_envelope(request: Json, identity: str, status: str) -> Json:
    return {
        "id": f"resp_{identity}",
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": request.get("instructions"),
        "max_output_tokens": request.get("max_output_tokens"),
        "model": response_model(request.get("model", "")),
        "output": [],
        "parallel_tool_calls": True,
        "previous_response_id": request.get("previous_response_id"),
        "reasoning": {"effort": None, "summary": None},
        "service_tier": "default",
        "store": True,
        "temperature": request.get("temperature", 1.0),
        "text": {"format": {"type": "text"}},
        "tool_choice": request.get("tool_choice", "auto"),
        "tools": request.get("tools") or [],
        "top_p": request.get("top_p", 1.0),
        "truncation": "disabled",
        "usage": None,
        "user": None,
        "metadata": {},
    }


def _responses_usage(usage: Usage) -> Json:
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens},
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }


def embeddings(request: Json) -> Json:
    """Eight-dimensional vectors (or `dimensions` of them), as floats or base64; four characters count as a token."""
    asked = request.get("input", "")
    texts = asked if isinstance(asked, list) and not all(isinstance(item, int) for item in asked) else [asked]
    tokens = sum(max(1, len(str(text)) // 4) for text in texts)
    return {
        "object": "list",
        "model": request.get("model", ""),
        "data": [{"object": "embedding", "index": i, "embedding": _vector(t, request)} for i, t in enumerate(texts)],
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def _vector(text: Any, request: Json) -> list[float] | str:
    size = request.get("dimensions") or 8
    values = [((len(str(text)) * 31 + i * 17) % 97) / 97 for i in range(size)]
    if request.get("encoding_format") == "base64":
        return base64.b64encode(struct.pack(f"<{size}f", *values)).decode()
    return values


CATEGORIES = ("harassment", "hate", "self-harm", "sexual", "violence", "illicit")


def moderations(request: Json, identity: str) -> Json:
    """Flags a text as violence when it holds the word "kill"; enough to exercise a client."""
    asked = request.get("input", "")
    results = []
    for item in asked if isinstance(asked, list) else [asked]:
        is_violent = "kill" in (item if isinstance(item, str) else plain_text([item])).lower()
        scores = {name: 0.97 if is_violent and name == "violence" else 0.01 for name in CATEGORIES}
        flags = {name: score > 0.5 for name, score in scores.items()}
        results.append({"flagged": is_violent, "categories": flags, "category_scores": scores})
    return {"id": f"modr-{identity}", "model": request.get("model", "omni-moderation-latest"), "results": results}
