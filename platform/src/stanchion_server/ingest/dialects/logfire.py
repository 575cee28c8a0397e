"""Logfire's own LLM integrations and pydantic-ai. A streamed Logfire call is two spans: the request, which ends
with the headers,
and a zero-length "streaming response from …" that carries usage and answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stanchion_server.ingest.dialects.chat import read_input, read_output
from stanchion_server.ingest.dialects.loose import structure
from stanchion_server.ingest.dialects.openinference import PARAMETER_FIELDS, read_parameters
from stanchion_server.ingest.dialects.otel_genai import as_is
from stanchion_server.ingest.dialects.readers import cost, count, text, texts
from stanchion_server.ingest.dialects.shape import Blob, Dialect, Key, Text
from stanchion_server.ingest.dialects.usage import FIELDS, read_usage
from stanchion_server.ingest.records import SpanKind

STREAM_NAME = "streaming response from"


def is_stream_end(name: str, attributes: Mapping[str, Any]) -> bool:
    return attributes.get("logfire.span_type") == "log" and name.startswith(STREAM_NAME)


def is_stream_start(attributes: Mapping[str, Any]) -> bool:
    """A request span that ended before any answer."""
    return (
        attributes.get("logfire.span_type") == "span"
        and "request_data" in attributes
        and not any(key in attributes for key in ("gen_ai.response.id", "gen_ai.usage.input_tokens", "response_data"))
        and not any(key in attributes for key in ("gen_ai.output.messages", "gen_ai.usage.output_tokens"))
    )


def kind_of(name: str, attributes: Mapping[str, Any]) -> SpanKind | None:
    if "gen_ai.operation.name" in attributes:
        return None
    if name.startswith("agent run") or "final_result" in attributes or "pydantic_ai.all_messages" in attributes:
        return SpanKind.AGENT
    if name.startswith("running tool") and "gen_ai.tool.name" not in attributes:
        return SpanKind.CHAIN
    if "request_data" in attributes and "response_data" in attributes:
        return SpanKind.EMBEDDING if name.startswith("Embedding") else SpanKind.LLM
    return None


def _tags(value: Any) -> tuple[str, ...] | None:
    """Logfire tags its own LLM spans "LLM"; that says nothing about the application."""
    found = texts(value)
    return tuple(tag for tag in found if tag != "LLM") or None if found else None


def _split(value: Any) -> tuple[list[Any], list[Any]]:
    """The v1 `events` list: inputs and choices."""
    found = structure(value)
    items = [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []
    outputs = [item for item in items if item.get("event.name") == "gen_ai.choice"]
    return [item for item in items if item not in outputs], outputs


def _events_input(value: Any) -> Any:
    return [message for item in _split(value)[0] for message in read_input(item)]


def _events_output(value: Any) -> Any:
    return [message for item in _split(value)[1] for message in read_output(item)]


def _response_data(value: Any) -> Any:
    found = structure(value)
    if not isinstance(found, dict):
        return None
    content = found.get("message") or found.get("combined_chunk_content") or found.get("content") or found.get("text")
    return read_output(content) if content else None


LOGFIRE = Dialect(
    name="logfire",
    scopes=("logfire",),
    markers=("logfire.",),
    keys=(
        Key("client_cost_usd", "operation.cost", cost),
        Key("tags", "logfire.tags", _tags),
        Key("input_tokens", "gen_ai.aggregated_usage.input_tokens", count),
        Key("output_tokens", "gen_ai.aggregated_usage.output_tokens", count),
        Key("cached_input_tokens", "gen_ai.aggregated_usage.cache_read.input_tokens", count),
        Key("cached_input_tokens", "gen_ai.aggregated_usage.details.cache_read_tokens", count),
    ),
    blobs=(
        Blob("gen_ai.usage.raw", FIELDS, read_usage),
        Blob("request_data", PARAMETER_FIELDS, read_parameters),
        Blob("response_data", FIELDS, lambda value: read_usage((structure(value) or {}).get("usage")
             if isinstance(structure(value), dict) else None)),
    ),
    texts=(
        Text("input", "request_data", lambda value: _request_messages(value)),
        Text("output", "response_data", _response_data),
        Text("input", "events", _events_input),
        Text("output", "events", _events_output),
    ),
    known=("logfire.", "gen_ai.aggregated_usage.", "async", "duration", "gen_ai.usage.raw"),
    kind_of=kind_of,
)  # fmt: skip


def _request_messages(value: Any) -> Any:
    """Logfire's request object; newer versions keep only the model in it."""
    found = structure(value)
    if not isinstance(found, dict) or not any(key in found for key in ("messages", "input", "prompt")):
        return None
    return read_input(found)


PYDANTIC_AI = Dialect(
    name="pydantic-ai",
    scopes=("pydantic-ai",),
    markers=("pydantic_ai.", "model_request_parameters"),
    keys=(
        Key("request_model", "model_name", text),
        Key("cached_input_tokens", "gen_ai.usage.details.cache_read_tokens", count),
        Key("cached_input_tokens", "gen_ai.usage.details.cached_tokens", count),
        Key("cached_input_tokens", "gen_ai.usage.details.cache_read_input_tokens", count),
        Key("cache_write_tokens", "gen_ai.usage.details.cache_write_tokens", count),
        Key("cache_write_tokens", "gen_ai.usage.details.cache_creation_input_tokens", count),
        Key("reasoning_tokens", "gen_ai.usage.details.reasoning_tokens", count),
        Key("audio_input_tokens", "gen_ai.usage.details.input_audio_tokens", count),
        Key("audio_output_tokens", "gen_ai.usage.details.output_audio_tokens", count),
        Key("feature", "agent_name", text),
    ),
    texts=(
        Text("input", "pydantic_ai.all_messages", read_input),
        Text("input", "all_messages_events", read_input),
        Text("output", "final_result", read_output),
        Text("arguments", "tool_arguments", as_is),
        Text("result", "tool_response", as_is),
    ),
    known=("pydantic_ai.", "model_request_parameters", "gen_ai.usage.details.", "gen_ai.aggregated_usage."),
    kind_of=kind_of,
)
