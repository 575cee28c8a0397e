"""The native span of Anthropic's Python SDK (2.12 and later): generation 2 names, inclusive input, no content."""

from __future__ import annotations

from stanchion_server.ingest.dialects.readers import count, finish_reasons, text
from stanchion_server.ingest.dialects.shape import Dialect, Key

DIALECT = Dialect(
    name="anthropic-sdk",
    scopes=("com.anthropic.sdk",),
    markers=("anthropic.message.stop_reason", "anthropic.usage."),
    keys=(
        Key("cache_write_1h_tokens", "anthropic.usage.cache_creation.ephemeral_1h_input_tokens", count),
        Key("finish_reasons", "anthropic.message.stop_reason", finish_reasons),
        Key("service_tier", "anthropic.response.service_tier", text),
        Key("service_tier", "anthropic.request.service_tier", text),
    ),
    known=("anthropic.",),
)
