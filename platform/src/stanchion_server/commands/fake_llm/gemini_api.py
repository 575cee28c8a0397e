"""Gemini's shapes: generateContent and its stream. From the public API reference, November 2026."""

from __future__ import annotations

import json
from collections.abc import Iterator

from stanchion_server.commands.fake_llm.answers import Answer, Json, Usage, choose, plain_text


def answer_for(request: Json) -> Answer:
    turns = request.get("contents") or []
    parts = turns[-1].get("parts") or [] if turns else []
    results = [part["functionResponse"] for part in parts if "functionResponse" in part]
    if results:
        return Answer(text=f"It is {json.dumps(results[0].get('response'))}.")
    declared = [d for tool in request.get("tools") or [] for d in tool.get("functionDeclarations") or []]
    return choose(plain_text(parts), [_tool(declaration) for declaration in declared])


def _tool(declaration: Json) -> Json:
    given = (declaration.get(key) for key in ("parametersJsonSchema", "parameters_json_schema", "parameters"))
    schema: Json = next(filter(None, given), {})
    properties = {
        name: spec | {"type": str(spec.get("type", "")).lower()}
        for name, spec in (schema.get("properties") or {}).items()
    }
    return {"name": declaration.get("name", "tool"), "schema": {"properties": properties}}


def content(model: str, answer: Answer, usage: Usage, identity: str) -> Json:
    part: Json = {"text": answer.text}
    if answer.is_tool_call:
        part = {"functionCall": {"name": answer.tool_name, "args": json.loads(answer.tool_arguments)}}
    return _chunk(model, part, identity, "STOP") | {"usageMetadata": _usage(usage)}


def chunks(model: str, answer: Answer, usage: Usage, identity: str) -> Iterator[Json]:
    if not answer.is_tool_call:
        for piece in answer.pieces()[:-1]:
            yield _chunk(model, {"text": piece}, identity, None)
        answer = Answer(text=answer.pieces()[-1])
    yield content(model, answer, usage, identity)


def embeddings(request: Json) -> Json:
    """One vector for each of a batch's requests; as the real one, without usage."""
    vector = {"values": [0.1, 0.2, 0.3]}
    asked = request.get("requests")
    return {"embedding": vector} if asked is None else {"embeddings": [vector] * len(asked)}


def _chunk(model: str, part: Json, identity: str, finish: str | None) -> Json:
    candidate: Json = {"content": {"role": "model", "parts": [part]}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
    return {"candidates": [candidate], "modelVersion": model, "responseId": identity}


def _usage(usage: Usage) -> Json:
    """Gemini counts thoughts beside the candidates' tokens, not inside them."""
    return {
        "promptTokenCount": usage.input_tokens,
        "cachedContentTokenCount": usage.cached_tokens,
        "candidatesTokenCount": usage.output_tokens - usage.reasoning_tokens,
        "thoughtsTokenCount": usage.reasoning_tokens,
        "totalTokenCount": usage.input_tokens + usage.output_tokens,
    }
