"""OpenInference (Arize Phoenix). Token counts are inclusive; the request and response objects ride in input.value and
output.value; the first token is a span event."""

from __future__ import annotations

from typing import Any

from stanchion_server.ingest.dialects import flattened
from stanchion_server.ingest.dialects.chat import read_input, read_output
from stanchion_server.ingest.dialects.kinds import NAMES
from stanchion_server.ingest.dialects.loose import structure
from stanchion_server.ingest.dialects.otel_genai import plain_text
from stanchion_server.ingest.dialects.readers import (
    cost,
    count,
    finish_reasons,
    flag,
    integer,
    member,
    number,
    parameter,
    provider,
    text,
    texts,
)
from stanchion_server.ingest.dialects.shape import Blob, Dialect, Family, Key, Rank, Text

PARAMETER_FIELDS = (
    "request_model", "temperature", "top_p", "top_k", "max_tokens", "seed", "is_streamed", "service_tier",
    "param:frequency_penalty", "param:presence_penalty", "param:stop_sequences", "param:response_format",
    "param:tool_choice",
    "param:reasoning_level",
)  # fmt: skip


def read_parameters(value: Any) -> dict[str, Any]:
    """The request parameters of an invocation object, as any provider names them."""
    found = structure(value)
    if not isinstance(found, dict):
        return {}
    told = {
        "request_model": text(found.get("model") or found.get("model_name") or found.get("model_id")),
        "temperature": number(found.get("temperature")),
        "top_p": number(found.get("top_p", found.get("topP"))),
        "top_k": number(found.get("top_k", found.get("topK"))),
        "max_tokens": count(
            found.get("max_tokens") or found.get("max_completion_tokens") or found.get("max_output_tokens")
        ),
        "seed": integer(found.get("seed")),
        "is_streamed": flag(found["stream"]) if "stream" in found else None,
        "service_tier": text(found.get("service_tier")),
        "param:frequency_penalty": number(found.get("frequency_penalty")),
        "param:presence_penalty": number(found.get("presence_penalty")),
        "param:stop_sequences": parameter(found.get("stop") or found.get("stop_sequences")),
        "param:response_format": parameter(found.get("response_format")),
        "param:tool_choice": parameter(found.get("tool_choice")),
        "param:reasoning_level": text(found.get("reasoning_effort")),
    }
    return {field: value for field, value in told.items() if value is not None}


DIALECT = Dialect(
    name="openinference",
    scopes=("openinference.instrumentation", "openinference"),
    markers=("openinference.span.kind", "llm.token_count.", "llm.input_messages.", "llm.output_messages."),
    keys=(
        Key("provider", "llm.provider", provider),
        Key("provider", "llm.system", provider),
        Key("request_model", "llm.request.model_name", text),
        Key("request_model", "llm.model_name", text, Rank.GEN0),
        Key("request_model", "embedding.model_name", text),
        Key("request_model", "reranker.model_name", text),
        Key("response_model", "llm.response.model_name", text),
        Key("response_model", "llm.model_name", text, Rank.GEN0),
        Key("response_model", "embedding.model_name", text, Rank.GEN0),
        Key("input_tokens", "llm.token_count.prompt", count),
        Key("output_tokens", "llm.token_count.completion", count),
        Key("total_tokens", "llm.token_count.total", count),
        Key("cached_input_tokens", "llm.token_count.prompt_details.cache_read", count),
        Key("cached_input_tokens", "llm.token_count.prompt_details.cache_input", count),
        Key("cache_write_tokens", "llm.token_count.prompt_details.cache_write", count),
        Key("reasoning_tokens", "llm.token_count.completion_details.reasoning", count),
        Key("audio_input_tokens", "llm.token_count.prompt_details.audio", count),
        Key("audio_output_tokens", "llm.token_count.completion_details.audio", count),
        Key("client_cost_usd", "llm.cost.total", cost),
        Key("finish_reasons", "llm.finish_reason", finish_reasons),
        Key("feature", "metadata", member("feature")),
        Key("environment", "metadata", member("environment")),
        Key("tags", "tag.tags", texts),
        Key("prompt_version", "llm.prompt_template.version", text),
        Key("prompt_name", "prompt.id", text),
    ),
    blobs=(
        Blob("llm.invocation_parameters", PARAMETER_FIELDS, read_parameters),
        Blob("embedding.invocation_parameters", PARAMETER_FIELDS, read_parameters),
    ),
    texts=(
        Text("any_input", "input.value", lambda value: value, Rank.GENERIC),
        Text("any_output", "output.value", lambda value: value, Rank.GENERIC),
        Text("query", "reranker.query", plain_text),
        Text("arguments", "tool.parameters", structure, Rank.GENERIC),
        Text("input", "llm.prompts", read_input),
        Text("output", "llm.choices", read_output),
    ),
    families=(
        Family("input", "llm.input_messages.", flattened.openinference_input),
        Family("output", "llm.output_messages.", flattened.openinference_output),
        Family("input", "llm.prompts.", flattened.completions),
        Family("output", "llm.choices.", flattened.completions),
        Family("input", "embedding.embeddings.", flattened.embeddings),
        Family("tools", "llm.tools.", flattened.tools),
        Family("documents", "retrieval.documents.", flattened.documents),
        Family("documents", "reranker.output_documents.", flattened.documents),
        Family("raw", "reranker.input_documents.", flattened.documents),
    ),
    kinds=(("openinference.span.kind", NAMES),),
    known=(
        "input.mime_type", "output.mime_type", "llm.cost.", "llm.token_count.", "tool.", "tool_call.",
        "llm.prompt_template.",
        "prompt.", "reranker.", "session.", "graph.", "openinference.", "tag.", "annotations.", "evaluations.",
        "agent.name",
    ),
)  # fmt: skip
