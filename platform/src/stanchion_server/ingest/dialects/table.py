"""All dialects, and every key of theirs in one index."""

from __future__ import annotations

from typing import Any, NamedTuple

from stanchion_server.ingest.dialects import (
    anthropic_sdk,
    generic,
    google_adk,
    langfuse,
    langsmith,
    litellm,
    logfire,
    mlflow,
    openinference,
    openlit,
    openllmetry,
    otel_genai,
    stanchion,
    vercel,
)
from stanchion_server.ingest.dialects.shape import Blob, Dialect, Family, Key, Rank, Text

# The order decides between vendors, and whose markers are looked for first.
DIALECTS: tuple[Dialect, ...] = (
    openinference.DIALECT,
    langfuse.DIALECT,
    vercel.DIALECT,
    litellm.DIALECT,
    logfire.PYDANTIC_AI,
    logfire.LOGFIRE,
    langsmith.DIALECT,
    mlflow.DIALECT,
    openlit.DIALECT,
    google_adk.DIALECT,
    anthropic_sdk.DIALECT,
    openllmetry.DIALECT,
    otel_genai.GEN2,
    otel_genai.GEN1,
    otel_genai.GEN0,
    generic.DIALECT,
    stanchion.DIALECT,
)

# The feature is the application's word for what the call is for; the more deliberate the key, the earlier.
FEATURE_ORDER = (
    "stanchion.feature", "traceloop.association.properties.feature", "metadata", "langfuse.trace.metadata.feature",
    "langfuse.observation.metadata.feature", "ai.telemetry.metadata.feature", "langsmith.metadata.feature",
    "app.feature",
    "feature", "ai.telemetry.functionId", "traceloop.workflow.name", "gen_ai.agent.name", "agent_name",
    "gen_ai.application_name", "metadata.user_api_key_alias",
)  # fmt: skip


class Slot(NamedTuple):
    """One way to tell one field, and its place in the order."""

    field: str
    key: str
    read: Any
    rank: int
    place: int
    dialect: str
    is_blob: bool


class Holder(NamedTuple):
    """One way to tell one content section. `prefix` is empty for a single attribute."""

    section: str
    key: str
    read: Any
    rank: int
    place: int
    dialect: str
    prefix: str


def _slots() -> dict[str, list[Slot]]:
    index: dict[str, list[Slot]] = {}
    place = 0
    for dialect in DIALECTS:
        entries: list[Key | Blob] = [*dialect.keys, *dialect.blobs]
        for entry in entries:
            rank = dialect.rank if entry.rank is None else entry.rank
            fields = (entry.field,) if isinstance(entry, Key) else entry.fields
            for field in fields:
                place += 1
                is_blob = isinstance(entry, Blob)
                order = FEATURE_ORDER.index(entry.key) if field == "feature" else int(rank)
                index.setdefault(entry.key, []).append(
                    Slot(field, entry.key, entry.read, order, place, dialect.name, is_blob)
                )
    return index


def _holders() -> tuple[dict[str, list[Holder]], list[Holder]]:
    exact: dict[str, list[Holder]] = {}
    families: list[Holder] = []
    place = 0
    for dialect in DIALECTS:
        entries: list[Text | Family] = [*dialect.texts, *dialect.families]
        for entry in entries:
            place += 1
            rank = int(dialect.rank if entry.rank is None else entry.rank)
            if isinstance(entry, Text):
                holder = Holder(entry.section, entry.key, entry.read, rank, place, dialect.name, "")
                exact.setdefault(entry.key, []).append(holder)
            else:
                key = f"{entry.prefix}*"
                families.append(Holder(entry.section, key, entry.read, rank, place, dialect.name, entry.prefix))
    return exact, families


SLOTS = _slots()
TEXTS, FAMILIES = _holders()
KINDS = tuple((key, words) for dialect in DIALECTS for key, words in dialect.kinds)
KIND_KEYS = frozenset(key for key, _ in KINDS)
KNOWN = tuple({prefix for dialect in DIALECTS for prefix in dialect.known})
BY_NAME = {dialect.name: dialect for dialect in DIALECTS}
_VENDORS = frozenset(dialect.name for dialect in DIALECTS if dialect.rank == Rank.VENDOR)


def rank_of(rank: int, dialect: str, detected: str) -> int:
    """The rank of an entry on a span of the detected dialect: its own vendor's keys come before other vendors'."""
    return int(Rank.DETECTED) if rank == Rank.VENDOR and dialect == detected else rank


def detect(scope_name: str, keys: frozenset[str]) -> str:
    """The dialect's name: by the scope's name first, then by marker keys; "" where nothing speaks of models."""
    for dialect in DIALECTS:
        for scope in dialect.scopes:
            if scope_name == scope or scope_name.startswith(f"{scope}."):
                return _generation(keys) if dialect.name.startswith("otel-genai") else dialect.name
    for dialect in DIALECTS:
        for marker in dialect.markers:
            if marker in keys or (marker[-1] in ".:" and any(key.startswith(marker) for key in keys)):
                return dialect.name
    return ""


def _generation(keys: frozenset[str]) -> str:
    for dialect in (otel_genai.GEN2, otel_genai.GEN1):
        for marker in dialect.markers:
            if marker in keys or (marker.endswith(".") and any(key.startswith(marker) for key in keys)):
                return dialect.name
    return otel_genai.GEN0.name if "gen_ai.system" in keys else otel_genai.GEN1.name
