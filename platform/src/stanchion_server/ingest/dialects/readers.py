"""Readers of single attribute values: each gives a clean value, or None where the attribute says nothing."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from stanchion_server.ingest.dialects.chat import FINISH_REASONS
from stanchion_server.ingest.dialects.loose import structure, unquoted
from stanchion_server.ingest.messages import clean, clean_text
from stanchion_server.ingest.records import Status

MAX_NAME = 256
_MAX_COUNT = 1 << 53
_MAX_LIST = 64
_MAX_COST = Decimal(10) ** 11
_EMPTY = {"", "none", "null", "undefined", "nan"}


def text(value: Any) -> str | None:
    """A short text: JSON quotes stripped, at most 256 characters."""
    if type(value) is not str:
        return None if value is None or isinstance(value, list | dict | bool) else str(value)[:MAX_NAME]
    if not value:
        return None
    if value[0] == '"':
        value = unquoted(value)
        if not isinstance(value, str):
            return None
    if "\0" in value:
        value = clean_text(value)
    return None if value.lower() in _EMPTY else value[:MAX_NAME].strip() or None


def count(value: Any) -> int | None:
    """A non-negative whole number, also as digits in a text."""
    if type(value) is int:
        return value if 0 <= value < _MAX_COUNT else None
    found = number(value)
    return int(found) if found is not None and 0 <= found < _MAX_COUNT and found == int(found) else None


def integer(value: Any) -> int | None:
    found = number(value)
    return int(found) if found is not None and abs(found) < _MAX_COUNT and found == int(found) else None


def number(value: Any) -> float | int | None:
    if isinstance(value, str):
        value = unquoted(value)
        try:
            value = float(value) if len(value) < 64 else None
        except (ValueError, TypeError):
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if math.isfinite(value) and abs(value) < 1e15 else None


def flag(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False, "1": True, "0": False}.get(str(value).strip('"').lower())


def milliseconds(value: Any) -> float | None:
    found = number(value)
    return float(found) if found is not None and found > 0 else None


def seconds(value: Any) -> float | None:
    found = milliseconds(value)
    return None if found is None else found * 1000


def moment_ns(value: Any) -> int | None:
    """An absolute time, ISO 8601, as Unix nanoseconds."""
    found = unquoted(value)
    if not isinstance(found, str):
        return None
    try:
        moment = datetime.fromisoformat(found)
    except ValueError:
        return None
    return int(moment.timestamp() * 1_000_000) * 1000 if moment.tzinfo else None


def texts(value: Any) -> tuple[str, ...] | None:
    """A list of short texts: an array, a JSON array in a text, or words between commas."""
    found = structure(value)
    if isinstance(found, str):
        found = found.split(",")
    if not isinstance(found, list):
        return None
    return tuple(item for entry in found[:_MAX_LIST] if (item := text(entry))) or None


def finish_reasons(value: Any) -> tuple[str, ...] | None:
    found = texts(value)
    if not found:
        return None
    words = [item.lower().removeprefix("finishreason.") for item in found]  # the name of an enum's member
    return tuple(FINISH_REASONS.get(word, word) for word in words)


def cost(value: Any) -> Decimal | None:
    """A claimed cost in US dollars; 0 is a client that does not know."""
    if isinstance(value, bool) or value is None:
        return None
    try:
        found = Decimal(str(unquoted(value)).strip()[:64])
    except InvalidOperation:
        return None
    if not found.is_finite() or not 0 < found < _MAX_COST:
        return None
    return found.quantize(Decimal("1e-12"))


def parameter(value: Any) -> Any:
    """A request parameter as a JSON value of bounded size."""
    found = structure(value)
    if found in (None, "", [], {}):
        return None
    if isinstance(found, str):
        return found[:1024]
    found = clean(found)
    return found if not isinstance(found, list | dict) or len(str(found)) <= 8192 else None


# OTel GenAI provider names (semantic conventions for generative AI, 2026) by what clients write.
_PROVIDERS = {
    "azure": "azure.ai.openai", "azure_openai": "azure.ai.openai", "azureopenai": "azure.ai.openai",
    "az.ai.openai": "azure.ai.openai", "azure-openai": "azure.ai.openai", "azure.openai": "azure.ai.openai",
    "az.ai.inference": "azure.ai.inference", "azure_ai": "azure.ai.inference",
    "xai": "x_ai", "x-ai": "x_ai", "grok": "x_ai",
    "vertex_ai": "gcp.vertex_ai", "google_vertexai": "gcp.vertex_ai", "vertexai": "gcp.vertex_ai",
    "vertex": "gcp.vertex_ai",
    "google.vertex": "gcp.vertex_ai", "vertex_ai_beta": "gcp.vertex_ai", "google-vertex": "gcp.vertex_ai",
    "google_genai": "gcp.gemini", "gemini": "gcp.gemini", "google": "gcp.gemini", "google-gla": "gcp.gemini",
    "google-generative-ai": "gcp.gemini", "google.generative-ai": "gcp.gemini", "gcp.gen_ai": "gcp.gemini",
    "google-vertex-ai": "gcp.vertex_ai", "google_generativeai": "gcp.gemini", "googleai": "gcp.gemini",
    "bedrock": "aws.bedrock", "aws_bedrock": "aws.bedrock", "amazon-bedrock": "aws.bedrock",
    "amazon_bedrock": "aws.bedrock",
    "aws": "aws.bedrock", "mistralai": "mistral_ai", "mistral": "mistral_ai", "mistral-ai": "mistral_ai",
    "togetherai": "together_ai", "together": "together_ai", "fireworks": "fireworks_ai", "watsonx": "ibm.watsonx.ai",
}  # fmt: skip


# Frameworks that name themselves where the provider belongs; the model then tells more.
_FRAMEWORKS = frozenset((
    "strands-agents", "strands", "langchain", "langgraph", "llamaindex", "llama_index", "haystack", "crewai", "autogen",
    "semantic_kernel", "dspy", "smolagents", "agno", "openai_agents", "openai-agents", "microsoft.agent_framework",
    "pydantic_ai", "pydantic-ai", "mcp", "unknown", "custom", "gcp.vertex.agent",
))  # fmt: skip


def provider(value: Any) -> str | None:
    """The provider's standard name. Vercel appends the API after a dot (`openai.chat`)."""
    found = text(value)
    if found is None or found.lower() in _FRAMEWORKS:
        return None
    found = found.lower()
    if known := _PROVIDERS.get(found):
        return known
    head = found.split(".")[0]
    if head in ("aws", "gcp", "azure", "ibm", "az"):
        return found
    if ".vertex" in found:
        return "gcp.vertex_ai"
    return _PROVIDERS.get(head, head)


def langfuse_level(value: Any) -> Status | None:
    return Status.ERROR if text(value) == "ERROR" else None


def member(key: str, read: Any = text) -> Any:
    """A reader of one member of a JSON object."""

    def read_member(value: Any) -> Any:
        found = structure(value)
        return read(found.get(key)) if isinstance(found, dict) else None

    return read_member


def first(found: dict[str, Any], keys: Iterable[str], read: Any = text) -> Any:
    """What the first of the keys tells that tells anything."""
    return next((got for key in keys if (got := read(found.get(key))) is not None), None)
