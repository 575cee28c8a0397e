"""OpenLLMetry and traceloop-sdk: OTel names with their own flattening, association properties and workflow names."""

from __future__ import annotations

from stanchion_server.ingest.dialects import flattened
from stanchion_server.ingest.dialects.kinds import NAMES, OPERATIONS
from stanchion_server.ingest.dialects.readers import count, flag, number, provider, text, texts
from stanchion_server.ingest.dialects.shape import Dialect, Family, Key, Rank, Text
from stanchion_server.ingest.records import SpanKind

_INSTRUMENTED = (
    "openai", "anthropic", "bedrock", "cohere", "langchain", "llamaindex", "mistralai", "ollama",
    "google_generativeai", "groq",
    "together", "replicate", "watsonx", "sagemaker", "alephalpha", "crewai", "haystack", "chromadb", "pinecone",
    "qdrant",
    "weaviate", "milvus", "lancedb", "marqo", "transformers", "mcp", "writer", "agno", "openai_agents", "voyageai",
)  # fmt: skip
_ASSOCIATION = "traceloop.association.properties."
_TOOLS = {"execute_tool": SpanKind.TOOL}

DIALECT = Dialect(
    name="openllmetry",
    scopes=("traceloop", *(f"opentelemetry.instrumentation.{name}" for name in _INSTRUMENTED)),
    markers=("traceloop.", "llm.request.type", "gen_ai.is_streaming"),
    keys=(
        Key("user_id", f"{_ASSOCIATION}user_id", text),
        Key("user_id", f"{_ASSOCIATION}userId", text),
        Key("user_id", "gen_ai.user", text),
        Key("user_id", "llm.user", text),
        Key("session_id", f"{_ASSOCIATION}session_id", text),
        Key("session_id", f"{_ASSOCIATION}sessionId", text),
        Key("session_id", f"{_ASSOCIATION}chat_id", text),
        Key("session_id", f"{_ASSOCIATION}conversation_id", text),
        Key("feature", f"{_ASSOCIATION}feature", text),
        Key("feature", "traceloop.workflow.name", text),
        Key("environment", f"{_ASSOCIATION}environment", text),
        Key("tags", f"{_ASSOCIATION}tags", texts),
        Key("prompt_name", "traceloop.prompt.key", text),
        Key("prompt_version", "traceloop.prompt.version", text),
        Key("provider", "gen_ai.system", provider, Rank.GEN0),
        Key("request_model", "llm.request.model", text),
        Key("response_model", "llm.response.model", text),
        Key("response_id", "llm.response.id", text),
        Key("input_tokens", "llm.usage.prompt_tokens", count),
        Key("output_tokens", "llm.usage.completion_tokens", count),
        Key("total_tokens", "llm.usage.total_tokens", count),
        Key("cached_input_tokens", "gen_ai.usage.cache_read_input_tokens", count),
        Key("cache_write_tokens", "gen_ai.usage.cache_creation_input_tokens", count),
        Key("reasoning_tokens", "gen_ai.usage.reasoning_tokens", count),
        Key("reasoning_tokens", "llm.usage.reasoning_tokens", count),
        Key("is_streamed", "gen_ai.is_streaming", flag),
        Key("is_streamed", "llm.is_streaming", flag),
        Key("temperature", "llm.temperature", number),
        Key("top_p", "llm.top_p", number),
        Key("top_k", "llm.top_k", number),
        Key("max_tokens", "llm.request.max_tokens", count),
        Key("param:frequency_penalty", "llm.frequency_penalty", number),
        Key("param:presence_penalty", "llm.presence_penalty", number),
        Key("param:reasoning_level", "gen_ai.request.reasoning_effort", text),
    ),
    texts=(
        Text("any_input", "traceloop.entity.input", lambda value: value),
        Text("any_output", "traceloop.entity.output", lambda value: value),
        Text("arguments", "mcp.request.argument", lambda value: value),
        Text("result", "mcp.response.value", lambda value: value),
    ),
    families=(
        Family("tools", "llm.request.functions.", flattened.tools),
        Family("output", "llm.completions.", flattened.choices),
        Family("input", "llm.prompts.", flattened.messages, Rank.GENERIC),
    ),
    kinds=(("gen_ai.operation.name", _TOOLS), ("traceloop.span.kind", NAMES), ("llm.request.type", OPERATIONS)),
    known=("traceloop.", "llm.headers", "llm.watsonx.", "db.", "mcp.", "gen_ai.usage.total_tokens", "llm.response."),
)
