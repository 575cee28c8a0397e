"""LangSmith's SDK in OpenTelemetry mode: generation 0 names, whole provider objects as prompt and completion,
details as Python
repr, tags between commas."""

from __future__ import annotations

from typing import Any

from stanchion_server.ingest.dialects.kinds import NAMES
from stanchion_server.ingest.dialects.loose import structure
from stanchion_server.ingest.dialects.readers import count, provider, text, texts
from stanchion_server.ingest.dialects.shape import Blob, Dialect, Key
from stanchion_server.ingest.dialects.usage import FIELDS, read_usage

_META = "langsmith.metadata."


def _input_details(value: Any) -> dict[str, int]:
    return read_usage({"input_token_details": structure(value)})


def _output_details(value: Any) -> dict[str, int]:
    return read_usage({"output_token_details": structure(value)})


DIALECT = Dialect(
    name="langsmith",
    scopes=("langsmith",),
    markers=("langsmith.",),
    keys=(
        Key("provider", f"{_META}ls_provider", provider),
        Key("request_model", f"{_META}ls_model_name", text),
        Key("total_tokens", "gen_ai.usage.total_tokens", count),
        Key("session_id", f"{_META}session_id", text),
        Key("session_id", f"{_META}thread_id", text),
        Key("session_id", f"{_META}conversation_id", text),
        Key("user_id", f"{_META}user_id", text),
        Key("feature", f"{_META}feature", text),
        Key("environment", f"{_META}environment", text),
        Key("release", f"{_META}revision_id", text),
        Key("tags", "langsmith.span.tags", texts),
    ),
    blobs=(
        Blob(f"{_META}usage_metadata", FIELDS, read_usage),
        Blob("gen_ai.usage.input_token_details", FIELDS, _input_details),
        Blob("gen_ai.usage.output_token_details", FIELDS, _output_details),
    ),
    kinds=(("langsmith.span.kind", NAMES),),
    known=("langsmith.", "gen_ai.serialized."),
)
