"""Token usage objects as providers and frameworks write them, made inclusive.

Inclusive: input contains cache reads and writes, output contains reasoning. OpenAI and most frameworks report that;
Anthropic's and Bedrock's own objects and Langfuse's flattened buckets report exclusive buckets, which are added up.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stanchion_server.ingest.dialects.loose import structure
from stanchion_server.ingest.dialects.readers import count, first

FIELDS = (
    "input_tokens", "output_tokens", "cached_input_tokens", "cache_write_tokens", "cache_write_1h_tokens",
    "reasoning_tokens", "audio_input_tokens", "audio_output_tokens", "total_tokens",
)  # fmt: skip
_INPUT = (
    "prompt_tokens", "input_tokens", "promptTokens", "inputTokens", "promptTokenCount", "prompt_token_count",
    "input", "prompt",
    "inputTokenCount", "request_tokens",
)  # fmt: skip
_OUTPUT = (
    "completion_tokens", "output_tokens", "completionTokens", "outputTokens", "candidatesTokenCount",
    "candidates_token_count",
    "output", "completion", "outputTokenCount", "response_tokens",
)  # fmt: skip
_READ = (
    "cached_tokens", "cache_read", "cache_read_tokens", "cacheReadTokens", "cache_read_input_tokens",
    "input_cached_tokens",
    "input_cache_read", "cachedInputTokens", "cachedContentTokenCount", "cached_content_token_count",
    "cacheReadInputTokens", "cachedContentTokens", "prompt_cached_tokens",
    "input_cached", "cached_input_tokens",
)  # fmt: skip
_WRITE = (
    "cache_write_tokens", "cache_creation_tokens", "cache_creation_input_tokens", "input_cache_creation",
    "cacheWriteTokens",
    "cache_write", "cacheWriteInputTokens", "input_cache_write", "cache_write_input_tokens", "cache_creation",
)  # fmt: skip
_WRITE_1H = ("ephemeral_1h_input_tokens", "input_cache_creation_1h", "cache_creation_1h", "ephemeral_1h")
_WRITE_5M = ("ephemeral_5m_input_tokens", "input_cache_creation_5m", "cache_creation_5m", "ephemeral_5m")
_REASONING = (
    "reasoning_tokens", "reasoning", "output_reasoning_tokens", "reasoningTokens", "thoughtsTokenCount",
    "thoughtsTokens", "thoughts_token_count",
    "output_reasoning",
)  # fmt: skip
_TOTAL = ("total_tokens", "totalTokens", "total", "totalTokenCount", "total_token_count")
_INPUT_DETAILS = (
    "prompt_tokens_details",
    "input_tokens_details",
    "input_token_details",
    "inputTokenDetails",
    "prompt_details",
)
_OUTPUT_DETAILS = (
    "completion_tokens_details", "output_tokens_details", "output_token_details", "outputTokenDetails",
    "completion_details",
)  # fmt: skip
_WRITE_DETAILS = ("cache_creation", "cache_creation_token_details", "cacheCreation")
# With these beside `input_tokens` and without details, the object is Anthropic's or Bedrock's own, or Langfuse's
# buckets.
_EXCLUSIVE = (
    "cache_read_input_tokens", "cache_creation_input_tokens", "cacheReadInputTokens", "cacheWriteInputTokens",
    "input_cached_tokens", "input_cache_read", "input_cache_creation", "input_cache_creation_5m",
    "input_cache_creation_1h",
)  # fmt: skip


def read_usage(value: Any) -> dict[str, int]:
    """The inclusive counts of a usage object; keys are those of `FIELDS` that it tells."""
    found = structure(value)
    if not isinstance(found, dict):
        return {}
    inputs, outputs = _details(found, _INPUT_DETAILS), _details(found, _OUTPUT_DETAILS)
    writes = _details(found, _WRITE_DETAILS) or _details(inputs, _WRITE_DETAILS)
    short, long = _first(_WRITE_5M, found, writes), _first(_WRITE_1H, found, writes)
    written = _first(_WRITE, inputs, found)
    if written is None and (short is not None or long is not None):
        written = (short or 0) + (long or 0)
    counts = {
        "input_tokens": _first(_INPUT, found),
        "output_tokens": _first(_OUTPUT, found),
        "cached_input_tokens": _first(_READ, inputs, found),
        "cache_write_tokens": written,
        "cache_write_1h_tokens": long,
        "reasoning_tokens": _first(_REASONING, outputs, found),
        "audio_input_tokens": _first(("audio_tokens", "audio"), inputs) or _first(("input_audio_tokens",), found),
        "audio_output_tokens": _first(("audio_tokens", "audio"), outputs) or _first(("output_audio_tokens",), found),
        "total_tokens": _first(_TOTAL, found),
    }
    kept = {key: number for key, number in counts.items() if number is not None}
    return _inclusive(kept, found)


# Reasoning under these names stands beside the output count, not inside it.
_APART = ("output_reasoning_tokens", "thoughtsTokenCount", "thoughts_token_count", "thoughtsTokens")


def _inclusive(counts: dict[str, int], found: Mapping[str, Any]) -> dict[str, int]:
    if "input_tokens" in counts and _is_exclusive(counts, found):
        counts["input_tokens"] += counts.get("cached_input_tokens", 0) + counts.get("cache_write_tokens", 0)
    has_apart = any(key in found for key in _APART)
    if "output_tokens" in counts and has_apart and "output_tokens" not in found:
        counts["output_tokens"] += counts.get("reasoning_tokens", 0)
    return counts


def _is_exclusive(counts: dict[str, int], found: Mapping[str, Any]) -> bool:
    cache = counts.get("cached_input_tokens", 0) + counts.get("cache_write_tokens", 0)
    if not cache:
        return False
    if cache > counts["input_tokens"]:
        return True
    total, plain = counts.get("total_tokens"), counts["input_tokens"] + counts.get("output_tokens", 0)
    if total in (plain, plain + cache):
        return total == plain + cache
    return "prompt_tokens" not in found and any(key in found for key in _EXCLUSIVE)


def _details(found: Mapping[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    for key in keys:
        if isinstance(inner := structure(found.get(key)), dict):
            return inner
    return {}


def _first(keys: tuple[str, ...], *objects: dict[str, Any]) -> int | None:
    for item in objects:
        if item and (got := first(item, keys, count)) is not None:
            return int(got)
    return None
