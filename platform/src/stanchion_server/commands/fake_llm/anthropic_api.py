"""Anthropic's shapes: messages, whole and as the full event sequence. From the public API reference, November 2026."""

from __future__ import annotations

from collections.abc import Iterator

from stanchion_server.commands.fake_llm.answers import Answer, Json, Usage, choose, plain_text, response_model


def answer_for(request: Json) -> Answer:
    messages = request.get("messages") or []
    content = messages[-1].get("content") if messages else ""
    results = [part for part in content if part.get("type") == "tool_result"] if isinstance(content, list) else []
    if results:
        return Answer(text=f"It is {plain_text(results[0].get('content'))}.")
    tools = [{"name": tool["name"], "schema": tool["input_schema"]} for tool in request.get("tools") or []
             if "input_schema" in tool]  # fmt: skip
    return choose(plain_text(content), tools)


def message(request: Json, answer: Answer, usage: Usage, identity: str, arguments: Json) -> Json:
    """A whole message; `arguments` is the tool's input as an object."""
    block: Json = {"type": "text", "text": answer.text, "citations": None}
    if answer.is_tool_call:
        block = {"type": "tool_use", "id": f"toolu_{identity}", "name": answer.tool_name, "input": arguments}
    end = {"content": [block], "stop_reason": _stop_reason(answer), "usage": _usage(usage, usage.output_tokens)}
    return _begun(request, usage, identity) | end


def events(request: Json, answer: Answer, usage: Usage, identity: str) -> Iterator[Json]:
    """message_start, one content block, message_delta with the final usage, message_stop."""
    yield {"type": "message_start", "message": _begun(request, usage, identity)}
    block: Json = {"type": "text", "text": ""}
    if answer.is_tool_call:
        block = {"type": "tool_use", "id": f"toolu_{identity}", "name": answer.tool_name, "input": {}}
    yield {"type": "content_block_start", "index": 0, "content_block": block}
    yield {"type": "ping"}
    for piece in answer.pieces():
        delta = {"type": "text_delta", "text": piece}
        if answer.is_tool_call:
            delta = {"type": "input_json_delta", "partial_json": piece}
        yield {"type": "content_block_delta", "index": 0, "delta": delta}
    yield {"type": "content_block_stop", "index": 0}
    stop = {"stop_reason": _stop_reason(answer), "stop_sequence": None}
    yield {"type": "message_delta", "delta": stop, "usage": {"output_tokens": usage.output_tokens}}
    yield {"type": "message_stop"}


def _stop_reason(answer: Answer) -> str:
    return "tool_use" if answer.is_tool_call else "end_turn"


def _begun(request: Json, usage: Usage, identity: str) -> Json:
    return {
        "id": f"msg_{identity}",
        "type": "message",
        "role": "assistant",
        "model": response_model(request.get("model", "")),
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": _usage(usage, 1),
    }


def _usage(usage: Usage, output_tokens: int) -> Json:
    return {
        "input_tokens": usage.fresh_tokens,
        "cache_creation_input_tokens": usage.written_tokens,
        "cache_read_input_tokens": usage.cached_tokens,
        "cache_creation": {"ephemeral_5m_input_tokens": usage.written_tokens, "ephemeral_1h_input_tokens": 0},
        "output_tokens": output_tokens,
        "service_tier": "standard",
    }
