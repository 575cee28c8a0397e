"""OpenTelemetry GenAI semantic conventions in their three generations: 0 (up to 1.36), 1 (1.37 to 1.41),
2 (genai v0.1.0)."""

from __future__ import annotations

from typing import Any

from stanchion_server.ingest.dialects.chat import read_input, read_output
from stanchion_server.ingest.dialects.flattened import choices, messages
from stanchion_server.ingest.dialects.kinds import OPERATIONS
from stanchion_server.ingest.dialects.loose import structure
from stanchion_server.ingest.dialects.parts import read_parts
from stanchion_server.ingest.dialects.readers import (
    count,
    finish_reasons,
    flag,
    integer,
    number,
    parameter,
    provider,
    seconds,
    text,
)
from stanchion_server.ingest.dialects.shape import Dialect, Family, Key, Rank, Text


def as_is(value: Any) -> Any:
    return structure(value)


def plain_text(value: Any) -> Any:
    return value if isinstance(value, str) else None


def system_parts(value: Any) -> Any:
    found = structure(value)
    if isinstance(found, dict) and isinstance(found.get("parts"), list):
        found = found["parts"]
    return read_parts(found)


def tool_list(value: Any) -> Any:
    found = structure(value)
    return found if isinstance(found, list) else [found]


def documents(value: Any) -> Any:
    """Retrieved documents as a list of objects; texts become their content."""
    found = structure(value)
    if isinstance(found, dict):
        found = next((found[key] for key in ("documents", "results", "output") if found.get(key)), [found])
    if not isinstance(found, list):
        return [{"content": found}] if found else None
    return [_document(item) for item in found[:1000]]


def _document(item: Any) -> dict[str, Any]:
    if not isinstance(item, dict):
        return {"content": item}
    content = next((item[k] for k in ("content", "page_content", "pageContent", "text", "document") if k in item), None)
    kept = {key: item[key] for key in ("id", "score", "metadata") if item.get(key) is not None}
    return {**kept, "content": content} if content is not None else item


_SCOPES = (
    "opentelemetry.instrumentation.genai",
    "opentelemetry.instrumentation.openai_v2",
    "opentelemetry.instrumentation.google_genai",
    "opentelemetry.util.genai",
)

GEN2 = Dialect(
    name="otel-genai-2",
    rank=Rank.GEN2,
    markers=("gen_ai.usage.cache_write.input_tokens", "gen_ai.usage.text.", "gen_ai.request.reasoning.level"),
    keys=(
        Key("cache_write_tokens", "gen_ai.usage.cache_write.input_tokens", count),
        Key("audio_input_tokens", "gen_ai.usage.audio.input_tokens", count),
        Key("audio_output_tokens", "gen_ai.usage.audio.output_tokens", count),
        Key("param:reasoning_level", "gen_ai.request.reasoning.level", text),
        Key("param:previous_response_id", "gen_ai.request.previous_response.id", text),
    ),
    known=(
        "gen_ai.usage.text.", "gen_ai.usage.image.", "gen_ai.usage.audio.", "gen_ai.response.status",
        "gen_ai.security.",
        "gen_ai.conversation.compacted",
    ),
)  # fmt: skip

GEN1 = Dialect(
    name="otel-genai-1",
    rank=Rank.GEN1,
    scopes=_SCOPES,
    markers=("gen_ai.provider.name", "gen_ai.input.messages", "gen_ai.output.messages",
    "gen_ai.usage.cache_read.input_tokens"),
    keys=(
        Key("operation", "gen_ai.operation.name", text),
        Key("provider", "gen_ai.provider.name", provider),
        Key("request_model", "gen_ai.request.model", text),
        Key("response_model", "gen_ai.response.model", text),
        Key("response_id", "gen_ai.response.id", text),
        Key("service_tier", "openai.response.service_tier", text),
        Key("service_tier", "openai.request.service_tier", text),
        Key("input_tokens", "gen_ai.usage.input_tokens", count),
        Key("output_tokens", "gen_ai.usage.output_tokens", count),
        Key("cached_input_tokens", "gen_ai.usage.cache_read.input_tokens", count),
        Key("cache_write_tokens", "gen_ai.usage.cache_creation.input_tokens", count),
        Key("reasoning_tokens", "gen_ai.usage.reasoning.output_tokens", count),
        Key("total_tokens", "gen_ai.usage.total_tokens", count),
        Key("finish_reasons", "gen_ai.response.finish_reasons", finish_reasons),
        Key("time_to_first_token_ms", "gen_ai.response.time_to_first_chunk", seconds),
        Key("time_to_first_token_ms", "gen_ai.client.operation.time_to_first_chunk", seconds),
        Key("time_to_first_token_ms", "gen_ai.server.time_to_first_token", seconds, Rank.GENERIC),
        Key("time_to_first_token_ms", "gen_ai.response.time_to_first_token", seconds, Rank.GENERIC),
        Key("is_streamed", "gen_ai.request.stream", flag),
        Key("session_id", "gen_ai.conversation.id", text),
        Key("session_id", "session.id", text),
        Key("user_id", "user.id", text),
        Key("user_id", "enduser.id", text),
        Key("feature", "gen_ai.agent.name", text),
        Key("prompt_name", "gen_ai.prompt.name", text),
        Key("prompt_version", "gen_ai.prompt.version", text),
        Key("error_type", "error.type", text),
        Key("temperature", "gen_ai.request.temperature", number),
        Key("top_p", "gen_ai.request.top_p", number),
        Key("top_k", "gen_ai.request.top_k", number),
        Key("max_tokens", "gen_ai.request.max_tokens", count),
        Key("seed", "gen_ai.request.seed", integer),
        Key("param:stop_sequences", "gen_ai.request.stop_sequences", parameter),
        Key("param:frequency_penalty", "gen_ai.request.frequency_penalty", number),
        Key("param:presence_penalty", "gen_ai.request.presence_penalty", number),
        Key("param:choice_count", "gen_ai.request.choice.count", count),
        Key("param:encoding_formats", "gen_ai.request.encoding_formats", parameter),
        Key("param:output_type", "gen_ai.output.type", text),
        Key("param:dimensions", "gen_ai.embeddings.dimension.count", count),
        Key("param:system_fingerprint", "openai.response.system_fingerprint", text),
    ),
    texts=(
        Text("input", "gen_ai.input.messages", read_input),
        Text("output", "gen_ai.output.messages", read_output),
        Text("system", "gen_ai.system_instructions", system_parts),
        Text("tools", "gen_ai.tool.definitions", tool_list),
        Text("documents", "gen_ai.retrieval.documents", documents),
        Text("query", "gen_ai.retrieval.query.text", plain_text),
        Text("arguments", "gen_ai.tool.call.arguments", as_is),
        Text("result", "gen_ai.tool.call.result", as_is),
    ),
    kinds=(("gen_ai.operation.name", OPERATIONS),),
    known=(
        "gen_ai.agent.", "gen_ai.workflow.", "gen_ai.tool.", "gen_ai.data_source.", "gen_ai.retrieval.",
        "gen_ai.evaluation.",
        "gen_ai.prompt.variable", "openai.api.type", "gen_ai.usage.details.", "gen_ai.event.",
    ),
)  # fmt: skip

GEN0 = Dialect(
    name="otel-genai-0",
    rank=Rank.GEN0,
    markers=("gen_ai.",),
    keys=(
        Key("provider", "gen_ai.system", provider),
        Key("input_tokens", "gen_ai.usage.prompt_tokens", count),
        Key("output_tokens", "gen_ai.usage.completion_tokens", count),
        Key("service_tier", "gen_ai.openai.response.service_tier", text),
        Key("service_tier", "gen_ai.response.service_tier", text),
        Key("param:system_fingerprint", "gen_ai.response.system_fingerprint", text),
        Key("service_tier", "gen_ai.openai.request.service_tier", text),
        Key("seed", "gen_ai.openai.request.seed", integer),
        Key("param:response_format", "gen_ai.openai.request.response_format", parameter),
        Key("param:system_fingerprint", "gen_ai.openai.response.system_fingerprint", text),
    ),
    texts=(
        Text("any_input", "gen_ai.prompt", read_input),
        Text("any_output", "gen_ai.completion", read_output),
    ),
    families=(
        Family("input", "gen_ai.prompt.", messages),
        Family("output", "gen_ai.completion.", choices),
    ),
    known=("gen_ai.openai.",),
)
