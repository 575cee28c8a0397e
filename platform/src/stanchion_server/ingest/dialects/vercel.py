"""Vercel AI SDK. Its legacy spans nest a wrapper (ai.generateText) over the provider call (….doGenerate); both
carry the usage.
The new `@ai-sdk/otel` speaks OTel GenAI under the scope `gen_ai`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stanchion_server.ingest.dialects.chat import read_input, read_output
from stanchion_server.ingest.dialects.loose import structure
from stanchion_server.ingest.dialects.otel_genai import as_is, tool_list
from stanchion_server.ingest.dialects.readers import (
    count,
    finish_reasons,
    integer,
    milliseconds,
    number,
    parameter,
    provider,
    text,
    texts,
)
from stanchion_server.ingest.dialects.shape import Dialect, Key, Rank, Text
from stanchion_server.ingest.records import SpanKind

_META = "ai.telemetry.metadata."


def kind_of(name: str, attributes: Mapping[str, Any]) -> SpanKind | None:
    operation = attributes.get("ai.operationId") or (name if name.startswith("ai.") else None)
    if not isinstance(operation, str):
        return None
    if operation.startswith("ai.toolCall"):
        return SpanKind.TOOL
    last = operation.split(" ")[0].rsplit(".", 1)[-1]
    if last == "doEmbed":
        return SpanKind.EMBEDDING
    if last == "doRerank":
        return SpanKind.RERANKER
    return SpanKind.LLM if last.startswith("do") else SpanKind.CHAIN


def _calls(value: Any) -> Any:
    found = structure(value)
    if not isinstance(found, list) or not found:
        return None
    return read_output([{"role": "assistant", "tool_calls": found}])


def _embedded(value: Any) -> Any:
    found = [structure(item) for item in value] if isinstance(value, list) else structure(value)
    return read_input(found)


def _tools(value: Any) -> Any:
    return [structure(item) for item in value] if isinstance(value, list) else tool_list(value)


def _streamed(value: Any) -> bool | None:
    operation = text(value)
    return None if operation is None else ".stream" in operation


DIALECT = Dialect(
    name="vercel-ai",
    scopes=("ai", "gen_ai"),
    markers=("ai.operationId", "ai.model.id", "ai.usage."),
    keys=(
        Key("operation", "ai.operationId", text, Rank.GENERIC),
        Key("provider", "ai.model.provider", provider),
        Key("request_model", "ai.model.id", text),
        Key("response_model", "ai.response.model", text),
        Key("response_id", "ai.response.id", text),
        Key("input_tokens", "ai.usage.inputTokens", count),
        Key("input_tokens", "ai.usage.promptTokens", count),
        Key("input_tokens", "ai.usage.tokens", count),
        Key("output_tokens", "ai.usage.outputTokens", count),
        Key("output_tokens", "ai.usage.completionTokens", count),
        Key("cached_input_tokens", "ai.usage.inputTokenDetails.cacheReadTokens", count),
        Key("cached_input_tokens", "ai.usage.cachedInputTokens", count),
        Key("cache_write_tokens", "ai.usage.inputTokenDetails.cacheWriteTokens", count),
        Key("reasoning_tokens", "ai.usage.outputTokenDetails.reasoningTokens", count),
        Key("reasoning_tokens", "ai.usage.reasoningTokens", count),
        Key("total_tokens", "ai.usage.totalTokens", count),
        Key("finish_reasons", "ai.response.finishReason", finish_reasons),
        Key("time_to_first_token_ms", "ai.response.msToFirstChunk", milliseconds),
        Key("time_to_first_token_ms", "ai.stream.msToFirstChunk", milliseconds),
        Key("is_streamed", "ai.operationId", _streamed),
        Key("feature", f"{_META}feature", text),
        Key("feature", "ai.telemetry.functionId", text),
        Key("user_id", f"{_META}userId", text),
        Key("user_id", f"{_META}user_id", text),
        Key("session_id", f"{_META}sessionId", text),
        Key("session_id", f"{_META}session_id", text),
        Key("environment", f"{_META}environment", text),
        Key("tags", f"{_META}tags", texts),
        Key("temperature", "ai.settings.temperature", number),
        Key("top_p", "ai.settings.topP", number),
        Key("top_k", "ai.settings.topK", number),
        Key("max_tokens", "ai.settings.maxOutputTokens", count),
        Key("max_tokens", "ai.settings.maxTokens", count),
        Key("seed", "ai.settings.seed", integer),
        Key("param:frequency_penalty", "ai.settings.frequencyPenalty", number),
        Key("param:presence_penalty", "ai.settings.presencePenalty", number),
        Key("param:stop_sequences", "ai.settings.stopSequences", parameter),
        Key("param:tool_choice", "ai.prompt.toolChoice", parameter),
    ),
    texts=(
        Text("input", "ai.prompt.messages", read_input),
        Text("input", "ai.prompt", read_input),
        Text("input", "ai.value", _embedded),
        Text("input", "ai.values", _embedded),
        Text("output", "ai.response.text", read_output),
        Text("output", "ai.response.object", read_output),
        Text("output", "ai.response.toolCalls", _calls),
        Text("output", "ai.result.text", read_output),
        Text("output", "ai.result.object", read_output),
        Text("output", "ai.result.toolCalls", _calls),
        Text("tools", "ai.prompt.tools", _tools),
        Text("arguments", "ai.toolCall.args", as_is),
        Text("result", "ai.toolCall.result", as_is),
    ),
    known=(
        "ai.settings.", _META, "ai.request.", "ai.usage.", "ai.response.", "ai.stream.", "ai.toolCall.", "ai.embedding",
        "ai.schema", "operation.name", "resource.name", "ai.finishReason",
    ),
    kind_of=kind_of,
)  # fmt: skip
