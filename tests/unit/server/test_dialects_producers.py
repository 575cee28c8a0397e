"""Producers of conventions of their own, read as the reference calls: the keys are those their code writes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kit import otlp
from stanchion_server.ingest import decode, messages
from stanchion_server.ingest.dialects.reprs import read_repr
from stanchion_server.ingest.normalise import normalise_spans
from stanchion_server.ingest.records import SpanKind

QUESTION = [{"role": "user", "parts": [{"type": "text", "text": "Capital of France?"}]}]
CLAUDE_CODE = {
    "model": "claude-sonnet-4-5", "input_tokens": 50, "output_tokens": 60, "cache_read_tokens": 1000,
    "cache_creation_tokens": 200, "ttft_ms": 120, "request_id": "req_1", "stop_reason": "end_turn",
}  # fmt: skip
SENTRY = {
    "sentry.op": "gen_ai.chat", "gen_ai.operation.name": "chat", "gen_ai.system": "openai",
    "gen_ai.request.model": "gpt-4o-mini", "gen_ai.usage.input_tokens": 1100,
    "gen_ai.usage.input_tokens.cached": 1000, "gen_ai.usage.output_tokens": 60,
    "gen_ai.usage.output_tokens.reasoning": 40, "gen_ai.response.streaming": True,
    "gen_ai.response.time_to_first_token": 0.12, "gen_ai.response.text": '["Paris."]',
    "gen_ai.request.messages": json.dumps([{"role": "user", "content": "Capital of France?"}]),
    "gen_ai.pipeline.name": "answer", "gen_ai.cost.total_tokens": 0.000126,
}  # fmt: skip
GENKIT_USAGE = {"inputTokens": 1100, "outputTokens": 20, "thoughtsTokens": 40, "cachedContentTokens": 1000}
GENKIT = {
    "genkit:type": "action", "genkit:metadata:subtype": "model", "genkit:name": "googleai/gemini-2.5-flash",
    "genkit:input": json.dumps({"messages": [{"role": "user", "content": [{"text": "Capital of France?"}]}]}),
    "genkit:output": json.dumps({
        "message": {"role": "model", "content": [{"text": "Paris."}]}, "finishReason": "stop",
        "usage": {**GENKIT_USAGE, "totalTokens": 1160},
    }),
}  # fmt: skip
LIVEKIT = {
    "gen_ai.request.model": "gpt-4o-mini", "gen_ai.usage.input_tokens": 1100, "gen_ai.usage.output_tokens": 60,
    "lk.response.ttft": 0.12, "lk.response.text": "Paris.",
    "lk.chat_ctx": json.dumps({"items": [{"type": "message", "role": "user", "content": ["Capital of France?"]}]}),
    "lk.llm_metrics": json.dumps({"prompt_tokens": 1100, "prompt_cached_tokens": 1000, "completion_tokens": 60}),
}  # fmt: skip
BEDROCK = {
    "gen_ai.system": "AWS", "llm.request.type": "chat",
    "gen_ai.request.model": "anthropic.claude-sonnet-4-5-20250929-v1:0",
    "gen_ai.usage.prompt_tokens": 50, "gen_ai.usage.completion_tokens": 60,
    "gen_ai.usage.cache_read_input_tokens": 1000, "gen_ai.usage.cache_creation_input_tokens": 200,
    "gen_ai.prompt.0.role": "user", "gen_ai.prompt.0.content": '[{"text": "Capital of France?"}]',
    "gen_ai.completion.0.content": "Paris.", "gen_ai.completion.0.finish_reason": "end_turn",
}  # fmt: skip


def read(attributes: dict[str, Any], scope: str = "some.scope", **span: Any) -> Any:
    request = otlp.traces([otlp.span(attributes=attributes, **span)], scope=scope)
    return normalise_spans(decode.decode_traces(otlp.as_json(request), "json", 0, decode.Limits()).spans, 0)


@pytest.mark.parametrize(
    ("attributes", "provider", "usage"),
    [
        (CLAUDE_CODE, "anthropic", (1250, 1000, 200, 60, None)),
        (BEDROCK, "aws.bedrock", (1250, 1000, 200, 60, None)),
        (SENTRY, "openai", (1100, 1000, None, 60, 40)),
        (GENKIT, "gcp.gemini", (1100, 1000, None, 60, 40)),
        (LIVEKIT, "openai", (1100, 1000, None, 60, None)),
    ],
    ids=["Claude Code", "Bedrock", "Sentry", "Genkit", "LiveKit"],
)
def test_a_producer_of_its_own_words_tells_the_reference_call(
    attributes: dict[str, Any], provider: str, usage: tuple[int | None, ...]
) -> None:
    found = read(attributes)
    (call,) = found.calls
    told = (call.input_tokens, call.cached_input_tokens, call.cache_write_tokens, call.output_tokens)
    assert (call.kind, call.provider, *told, call.reasoning_tokens) == (SpanKind.LLM, provider, *usage)
    assert not call.mapping.unmapped
    for record in found.contents:
        assert messages.load(record.body)["input"] == QUESTION


@pytest.mark.parametrize("attributes", [CLAUDE_CODE, SENTRY, LIVEKIT], ids=["Claude Code", "Sentry", "LiveKit"])
def test_a_time_to_first_token_is_read_in_its_producers_unit(attributes: dict[str, Any]) -> None:
    assert read(attributes).calls[0].time_to_first_token_ms == 120


def test_a_framework_that_names_itself_is_not_the_provider() -> None:
    told = {
        "gen_ai.system": "strands-agents",
        "gen_ai.request.model": "claude-sonnet-4-5",
        "gen_ai.usage.input_tokens": 1,
    }
    assert read({**told, "gen_ai.operation.name": "chat"}).calls[0].provider == "anthropic"


def test_adk_output_counts_the_thoughts_also_when_they_are_few() -> None:
    usage = {
        "prompt_token_count": 10,
        "candidates_token_count": 100,
        "thoughts_token_count": 7,
        "total_token_count": 117,
    }
    told = {
        "gen_ai.system": "gcp.vertex.agent", "gen_ai.request.model": "gemini-2.5-flash",
        "gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 100,
        "gcp.vertex.agent.llm_response": json.dumps({"usage_metadata": usage}),
    }  # fmt: skip
    assert read(told, scope="gcp.vertex.agent").calls[0].output_tokens == 107


def test_the_repr_of_a_response_tells_id_and_usage_and_is_never_run() -> None:
    usage = "CompletionUsage(prompt_tokens=5, prompt_tokens_details=Details(cached_tokens=3, audio_tokens=None))"
    told = read_repr(f"ChatCompletion(id='chatcmpl-1', choices=[Choice(finish_reason='stop')], usage={usage})")
    assert told == {
        "id": "chatcmpl-1",
        "stop_reason": "stop",
        "usage": {"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": 3, "audio_tokens": None}},
    }


@pytest.mark.parametrize(
    "text",
    ["", "usage=", "usage=A(", "usage=A(b=__import__('os').system('id'))", "usage=A(" * 2000, "usage={1: 2}" * 99],
)
def test_a_repr_that_is_none_tells_nothing(text: str) -> None:
    assert read_repr(text) in ({}, {"usage": {"b": {}}})
