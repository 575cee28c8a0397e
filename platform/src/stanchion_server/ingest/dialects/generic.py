"""Keys of clients nobody listed: bare names (Claude Code among them), Sentry, Genkit, LiveKit."""

from __future__ import annotations

from typing import Any

from stanchion_server.ingest.dialects.chat import read_input, read_output
from stanchion_server.ingest.dialects.kinds import NAMES, OPERATIONS
from stanchion_server.ingest.dialects.loose import structure
from stanchion_server.ingest.dialects.otel_genai import as_is
from stanchion_server.ingest.dialects.readers import (
    cost,
    count,
    finish_reasons,
    first,
    flag,
    milliseconds,
    number,
    provider,
    seconds,
    text,
    texts,
)
from stanchion_server.ingest.dialects.reprs import read_repr
from stanchion_server.ingest.dialects.shape import Blob, Dialect, Key, Rank, Text
from stanchion_server.ingest.dialects.usage import FIELDS, read_usage
from stanchion_server.ingest.records import SpanKind


def _each(field: str, read: Any, *keys: str) -> tuple[Key, ...]:
    return tuple(Key(field, key, read) for key in keys)


ANSWER_FIELDS = (*FIELDS, "response_id", "response_model", "service_tier", "finish_reasons")


def read_answer(value: Any) -> dict[str, Any]:
    """What a provider's whole response object tells beside its texts."""
    found = structure(value)
    if isinstance(found, dict) and not any(key in found for key in _ANSWER_MARKS):
        found = _inside(found)
    if not isinstance(found, dict):
        return {}
    told: dict[str, Any] = dict(read_usage(first(found, _USAGE_KEYS, structure)))
    told["response_id"] = first(found, ("id", "response_id", "responseId"))
    told["response_model"] = first(found, ("model", "model_version", "modelVersion"))
    told["service_tier"] = text(found.get("service_tier"))
    choices = [item for item in found.get("choices") or found.get("candidates") or () if isinstance(item, dict)]
    reasons = [item.get("finish_reason") or item.get("finishReason") for item in choices]
    told["finish_reasons"] = finish_reasons(reasons or [found.get("stop_reason")])
    return {field: value for field, value in told.items() if value is not None}


_ANSWER_MARKS = ("choices", "usage", "object", "candidates", "usage_metadata", "usageMetadata")
_USAGE_KEYS = ("usage", "usage_metadata", "usageMetadata")


def _inside(found: dict[str, Any]) -> dict[str, Any] | None:
    """The provider's object that a framework's answer carries: smolagents under `raw`, Haystack as its one reply."""
    replies = found.get("replies")
    inner = replies[0] if isinstance(replies, list) and len(replies) == 1 else found.get("raw")
    if isinstance(inner, str):
        return read_repr(inner)
    return inner if isinstance(inner, dict) and any(key in inner for key in _ANSWER_MARKS) else None


_GENKIT = {
    "model": SpanKind.LLM, "background-model": SpanKind.LLM, "embedder": SpanKind.EMBEDDING, "tool": SpanKind.TOOL,
    "retriever": SpanKind.RETRIEVER, "reranker": SpanKind.RERANKER, "evaluator": SpanKind.EVALUATOR,
    "flow": SpanKind.CHAIN, "prompt": SpanKind.TASK,
}  # fmt: skip


def _model_path(value: Any) -> dict[str, Any]:
    """Genkit's `googleai/gemini-2.5-flash`."""
    head, _, rest = (text(value) or "").partition("/")
    return {"provider": provider(head), "request_model": rest} if rest else {}


DIALECT = Dialect(
    name="generic",
    rank=Rank.GENERIC,
    markers=("llm.", "genai.", "input_tokens", "prompt_tokens", "claude_code.", "lk.", "genkit:"),
    keys=(
        *_each("operation", text, "llm.operation", "operation.name"),
        *_each("provider", provider, "llm.vendor", "model_provider", "provider", "ai.provider", "lk.llm.provider"),
        *_each("request_model", text, "gen_ai.model", "llm.model", "llm.request.model_id", "model", "model_name",
        "model_id"),
        *_each("response_model", text, "response_model", "llm.response_model", "response.model"),
        *_each("response_id", text, "response_id", "llm.response_id", "request_id", "response.id"),
        *_each("input_tokens", count, "llm.usage.input_tokens", "input_tokens", "prompt_tokens", "llm.input_tokens",
               "llm.prompt_tokens", "gen_ai.usage.input", "usage.input_tokens", "usage.prompt_tokens", "inputTokens",
               "llm.tokens.input", "gen_ai.token.input"),
        *_each("output_tokens", count, "llm.usage.output_tokens", "output_tokens", "completion_tokens",
        "llm.output_tokens",
               "llm.completion_tokens", "gen_ai.usage.output", "usage.output_tokens", "usage.completion_tokens",
               "outputTokens",
               "llm.tokens.output", "gen_ai.token.output"),
        *_each("cached_input_tokens", count, "gen_ai.usage.input_tokens.cached", "cache_read_tokens", "cached_tokens",
               "cache_read_input_tokens", "llm.usage.cache_read_input_tokens", "usage.cached_tokens",
               "gen_ai.usage.cached_tokens", "gen_ai.usage.cached_input_tokens"),
        *_each("cache_write_tokens", count, "gen_ai.usage.input_tokens.cache_write", "cache_creation_tokens",
               "cache_creation_input_tokens", "llm.usage.cache_creation_input_tokens"),
        *_each("reasoning_tokens", count, "gen_ai.usage.output_tokens.reasoning", "reasoning_tokens",
               "usage.reasoning_tokens"),
        *_each("total_tokens", count, "total_tokens", "llm.total_tokens", "usage.total_tokens"),
        *_each("client_cost_usd", cost, "llm.cost", "cost_usd", "llm.usage.total_cost", "gen_ai.usage.total_cost",
               "gen_ai.cost.total_tokens"),
        *_each("time_to_first_token_ms", milliseconds, "ttft_ms", "llm.ttft_ms"),
        *_each("time_to_first_token_ms", seconds, "llm.latency.time_to_first_token", "lk.response.ttft", "ttft"),
        *_each("is_streamed", flag, "llm.stream", "stream", "gen_ai.response.streaming"),
        *_each("finish_reasons", finish_reasons, "gen_ai.response.finish_reason", "llm.response.finish_reason",
               "llm.response.stop_reason", "finish_reason", "stop_reason"),
        *_each("feature", text, "app.feature", "feature"),
        *_each("user_id", text, "user_id", "userId", "enduser.pseudo.id", "llm.user_id"),
        *_each("session_id", text, "session_id", "sessionId", "thread.id", "conversation.id", "conversation_id",
        "thread_id"),
        *_each("environment", text, "deployment.environment.name", "deployment.environment"),
        *_each("release", text, "service.version"),
        *_each("tags", texts, "tags"),
        *_each("temperature", number, "llm.request.temperature", "temperature"),
        *_each("top_p", number, "llm.request.top_p", "top_p"),
        *_each("max_tokens", count, "max_tokens", "llm.max_tokens"),
        Key("error_type", "exception.type", text),
    ),
    blobs=(
        Blob("usage", FIELDS, read_usage),
        Blob("lk.llm_metrics", FIELDS, read_usage),
        Blob("genkit:output", ANSWER_FIELDS, read_answer),
        Blob("genkit:name", ("provider", "request_model"), _model_path),
        Blob("llm.usage", FIELDS, read_usage),
        Blob("output.value", ANSWER_FIELDS, read_answer),
        Blob("gen_ai.completion", ANSWER_FIELDS, read_answer),
        Blob("mlflow.spanOutputs", ANSWER_FIELDS, read_answer),
        Blob("langfuse.observation.output", ANSWER_FIELDS, read_answer),
    ),
    texts=(
        Text("any_input", "genkit:input", lambda value: value),
        Text("any_output", "genkit:output", lambda value: value),
        Text("any_input", "lk.chat_ctx", lambda value: value),
        Text("any_input", "lk.input_text", lambda value: value),
        Text("any_output", "lk.response.text", lambda value: value),
        Text("input", "llm.prompt", read_input),
        Text("output", "llm.completion", read_output),
        Text("output", "llm.response", read_output),
        Text("input", "gen_ai.request.messages", read_input),
        Text("output", "gen_ai.response.text", read_output),
        Text("output", "gen_ai.response.tool_calls", lambda value: read_output([{"role": "assistant",
        "tool_calls": value}])),
        Text("tools", "gen_ai.request.available_tools", as_is),
        Text("arguments", "gen_ai.tool.input", as_is),
        Text("result", "gen_ai.tool.output", as_is),
        Text("any_input", "gen_ai.input", lambda value: value),
        Text("any_output", "gen_ai.output", lambda value: value),
        Text("any_input", "llm.input", lambda value: value),
        Text("any_output", "llm.output", lambda value: value),
    ),
    kinds=(("llm.request.type", OPERATIONS), ("span.kind", NAMES), ("span.type", NAMES),
           ("genkit:metadata:subtype", _GENKIT), ("genkit:type", NAMES)),
    known=("lk.", "genkit:", "claude_code.", "gen_ai.pipeline.", "gen_ai.cost."),
)  # fmt: skip
