"""LiteLLM's OpenTelemetry callback. `litellm_request` is the call; its child `raw_gen_ai_request` shows the same
exchange in the
provider's words and is no second call. Cached tokens are only in `metadata.usage_object`, a Python repr. The parts
under
`gen_ai.cost` contain each other, so only the total is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stanchion_server.ingest.dialects.readers import cost, flag, member, text, texts
from stanchion_server.ingest.dialects.shape import Blob, Dialect, Key
from stanchion_server.ingest.dialects.usage import FIELDS, read_usage
from stanchion_server.ingest.records import SpanKind


def kind_of(name: str, attributes: Mapping[str, Any]) -> SpanKind | None:
    if name == "raw_gen_ai_request":
        return SpanKind.OTHER
    if name == "litellm_request" and "gen_ai.operation.name" not in attributes:
        return SpanKind.EMBEDDING if attributes.get("llm.request.type") == "embedding" else SpanKind.LLM
    return None


_METADATA = "metadata."

DIALECT = Dialect(
    name="litellm",
    scopes=("litellm",),
    markers=("litellm.", "gen_ai.cost.total_cost"),
    keys=(
        Key("client_cost_usd", "gen_ai.cost.total_cost", cost),
        Key("client_cost_usd", "hidden_params", member("response_cost", cost)),
        Key("user_id", f"{_METADATA}user_api_key_end_user_id", text),
        Key("user_id", f"{_METADATA}user_api_key_user_id", text),
        Key("is_streamed", "llm.is_streaming", flag),
        Key("feature", f"{_METADATA}user_api_key_alias", text),
        Key("tags", f"{_METADATA}tags", texts),
        Key("tags", "request_tags", texts),
    ),
    blobs=(Blob(f"{_METADATA}usage_object", FIELDS, read_usage),),
    known=(_METADATA, "hidden_params", "litellm.", "gen_ai.cost.", "llm.openai.", "llm.anthropic."),
    kind_of=kind_of,
)
