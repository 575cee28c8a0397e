"""What must not leave the process in masked mode: personal data and secrets, in every text of every span.

Texts that hold JSON are masked leaf by leaf, so that escapes cannot hide an address and the result is still JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from .patterns import is_card, mask_text

MAX_DEPTH = 6

# Texts that identify a call. Masking them would break de-duplication and prices; the provider wrote them, not a person.
KEPT_KEYS = frozenset(
    [
        "gen_ai.response.id",
        "gen_ai.response.model",
        "gen_ai.request.model",
        "gen_ai.operation.name",
        "gen_ai.provider.name",
        "gen_ai.system",
        "stanchion.user",
        "stanchion.release",
        "telemetry.sdk.name",
        "telemetry.sdk.version",
        "telemetry.sdk.language",
        "error.type",
        "service.name",
        "service.version",
        "service.instance.id",
        "exception.type",
    ]
)
SECRET_KEYS = frozenset(
    [
        "authorization",
        "proxy-authorization",
        "cookie",
        "set-cookie",
        "x-api-key",
        "api-key",
        "apikey",
        "api_key",
        "x-goog-api-key",
        "x-auth-token",
        "password",
        "passwd",
        "secret",
        "client_secret",
        "client-secret",
        "access_token",
        "refresh_token",
        "id_token",
        "private_key",
        "secret_key",
        "access_key",
        "token",
    ]
)
_CONTENT_KEYS = (
    "gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions", "gen_ai.tool.definitions",
    "gen_ai.tool.call.arguments", "gen_ai.tool.call.result", "gen_ai.prompt", "gen_ai.completion", "gen_ai.content",
    "gen_ai.retrieval.documents", "gen_ai.retrieval.query", "input.value", "output.value", "llm.input_messages",
    "llm.output_messages", "llm.prompts", "llm.completions", "llm.invocation_parameters", "llm.tools",
    "retrieval.documents", "embedding.text", "embedding.embeddings",
    "traceloop.entity.input", "traceloop.entity.output", "tool.parameters",
    "request_data", "response_data",
    "langfuse.observation.input", "langfuse.observation.output", "langfuse.trace.input", "langfuse.trace.output",
    "exception.message", "exception.stacktrace", "all_messages_events", "pydantic_ai.all_messages", "final_result",
    "mlflow.spanInputs", "mlflow.spanOutputs", "anthropic.tool_result.content",
)  # fmt: skip


def is_content(key: str) -> bool:
    """Whether an attribute of any known dialect carries what people or models wrote."""
    return key.startswith(_CONTENT_KEYS)


def mask(value: Any, key: str = "", depth: int = 0) -> Any:
    """A value of the same shape without what must not leave; what is too deep to look at is replaced as a whole."""
    if isinstance(value, str):
        return _mask_string(value, key, depth)
    if isinstance(value, bool) or value is None or isinstance(value, float):
        return value
    if isinstance(value, int):
        return "[CARD]" if value > 10**12 and is_card(str(value)) else value
    if depth > MAX_DEPTH:
        return "[MASKED]"
    if _last_word(key) in SECRET_KEYS:
        return "[SECRET]"
    if isinstance(value, bytes):
        return mask_text(value.decode("utf-8", "replace")).encode()
    if isinstance(value, Mapping):
        return {mask_text(str(name)): mask(item, str(name), depth + 1) for name, item in value.items()}
    if isinstance(value, Sequence):
        return [mask(item, key, depth + 1) for item in value]
    return mask_text(str(value))


def _last_word(key: str) -> str:
    return key.rpartition(".")[2].lower()


def _mask_string(value: str, key: str, depth: int) -> str:
    if key in KEPT_KEYS:
        return value
    if _last_word(key) in SECRET_KEYS:
        return "[SECRET]" if value else value
    if value[:1] in ("{", "[", '"') and len(value) > 1 and depth <= MAX_DEPTH:
        try:
            parsed = json.loads(value)
        except (ValueError, RecursionError):
            return mask_text(value)
        return json.dumps(mask(parsed, "", depth + 1), ensure_ascii=False, separators=(",", ":"))
    return mask_text(value)


def mask_attributes(values: Mapping[str, Any] | None) -> dict[str, Any]:
    return {mask_text(key): mask(value, key) for key, value in (values or {}).items()}


def without_content(values: Mapping[str, Any] | None) -> dict[str, Any]:
    """Content mode "off": no attribute that carries content, and the rest masked."""
    return mask_attributes({key: value for key, value in (values or {}).items() if not is_content(key)})
