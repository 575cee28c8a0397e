"""Google's Agent Development Kit. Whole request and response objects; its output count leaves the thoughts out, which
only the response's own usage tells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stanchion_server.ingest.dialects.loose import structure
from stanchion_server.ingest.dialects.otel_genai import as_is
from stanchion_server.ingest.dialects.readers import text
from stanchion_server.ingest.dialects.shape import Blob, Dialect, Key, Rank, Text
from stanchion_server.ingest.dialects.usage import FIELDS, read_usage
from stanchion_server.ingest.records import SpanKind

_AGENT = "gcp.vertex.agent."


def kind_of(name: str, attributes: Mapping[str, Any]) -> SpanKind | None:
    """Only tools name an operation."""
    if "gen_ai.operation.name" in attributes:
        return None
    if name.startswith("agent_run"):
        return SpanKind.AGENT
    return SpanKind.CHAIN if name == "invocation" else None


def _usage(value: Any) -> dict[str, int]:
    found = structure(value)
    return read_usage(found.get("usage_metadata")) if isinstance(found, dict) else {}


def _tools(value: Any) -> Any:
    found = structure(value)
    config = found.get("config") if isinstance(found, dict) else None
    offered = config.get("tools") if isinstance(config, dict) else None
    return offered if isinstance(offered, list) else None


DIALECT = Dialect(
    name="google-adk",
    scopes=("gcp.vertex.agent",),
    markers=(_AGENT,),
    keys=(Key("session_id", f"{_AGENT}session_id", text),),
    blobs=(Blob(f"{_AGENT}llm_response", FIELDS, _usage, Rank.OWN),),
    texts=(
        Text("any_input", f"{_AGENT}llm_request", as_is),
        Text("any_output", f"{_AGENT}llm_response", as_is),
        Text("tools", f"{_AGENT}llm_request", _tools),
        Text("arguments", f"{_AGENT}tool_call_args", as_is),
        Text("result", f"{_AGENT}tool_response", as_is),
    ),
    known=("gcp.vertex.",),
    kind_of=kind_of,
)
