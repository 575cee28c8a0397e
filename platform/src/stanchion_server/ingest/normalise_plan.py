"""How the spans of one client with one set of keys are read: decided once, used for every such span.

Spans of one instrumentation carry few different sets of keys, so everything that depends on the keys alone
(dialect, which
attributes may tell which field in which order, which keys nothing understands) is computed once for each set.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from stanchion_server.ingest.decode_values import text_limit
from stanchion_server.ingest.dialects import table
from stanchion_server.ingest.dialects.chat import read_input, read_output
from stanchion_server.ingest.dialects.kinds import infer
from stanchion_server.ingest.dialects.loose import structure
from stanchion_server.ingest.dialects.otel_genai import documents
from stanchion_server.ingest.dialects.table import Holder, Slot
from stanchion_server.ingest.messages import to_json
from stanchion_server.ingest.records import KeyMapping, RawScope, SpanKind
from stanchion_server.kernel.ids import digest64

COMMON_FIELDS = ("feature", "session_id", "user_id", "prompt_name", "prompt_version", "environment", "release")
_LLM_WORLD = re.compile(
    r"(?:gen_?ai|llm|ai|langfuse|traceloop|openinference|langsmith|mlflow|litellm|logfire|pydantic_ai|openlit|anthropic|openai"
    r"|input|output|retrieval|embedding|reranker|tool|tag|prompt|completion|model|usage|lk|gcp\.vertex|claude_code|stanchion)"
    r"(?:[._:]|$)|genkit:"
)
_RAW = re.compile(r"llm\.[a-z_]+\.(?:messages|choices|content|system|input|output|tools|prompt|contents)")
_INDEX = re.compile(r"\.\d+\..*|\.\d+$")
_MAX_UNMAPPED = 64
_MAX_PLANS = 4096
_plans: dict[tuple[str, ...], Plan] = {}

Fields = tuple[tuple[str, tuple[Slot, ...]], ...]
Sections = tuple[tuple[str, tuple[Holder, ...]], ...]


def plan_for(scope: RawScope, attributes: Mapping[str, Any]) -> Plan:
    key = (scope.name, scope.version, *attributes)
    plan = _plans.get(key)
    if plan is None:
        if len(_plans) >= _MAX_PLANS:
            _plans.clear()
        plan = _plans[key] = Plan(scope, attributes)
    return plan


class Plan:
    """The reading of one set of keys under one scope."""

    def __init__(self, scope: RawScope, attributes: Iterable[str]) -> None:
        keys = list(attributes)
        present = frozenset(keys)
        self.scope = scope
        self.dialect = table.detect(scope.name, present)
        dialect = table.BY_NAME.get(self.dialect)
        self._kind_of = dialect.kind_of if dialect else None
        self._kinds = tuple((key, words) for key, words in table.KINDS if key in present)
        fields = _fields(keys, self.dialect)
        self.common = tuple((name, fields.pop(name)) for name in COMMON_FIELDS if name in fields)
        self.call = tuple(fields.items())
        self.has_tokens = "input_tokens" in fields or "output_tokens" in fields
        self.families = _families(keys)
        self._holders = _holders(present, self.families, self.dialect)
        self._sections: dict[str, Sections] = {}
        content_keys = {holder.key for holder in self._holders} | {k for keys in self.families.values() for k in keys}
        self.raw = tuple(key for key in keys if key not in content_keys and _RAW.fullmatch(key))
        self.long = tuple(key for key in keys if key not in content_keys and _may_be_long(key))
        self.unmapped = _unmapped(present - content_keys - set(self.raw))
        self.has_content = bool(self._holders or self.raw or self.long)
        self._mappings: dict[tuple[tuple[str, str], ...], KeyMapping] = {}

    def kind(self, name: str, attributes: Mapping[str, Any]) -> SpanKind:
        if not self.dialect:
            return SpanKind.OTHER
        if self._kind_of and (found := self._kind_of(name, attributes)) is not None:
            return found
        for key, words in self._kinds:
            word = attributes[key]
            if isinstance(word, str) and (found := words.get(word.strip('"').lower())) is not None:
                return found
        return infer(attributes)

    def sections(self, route: str) -> Sections:
        """Content sections and their holders in order, for a route of `route_of`."""
        found = self._sections.get(route)
        if found is None:
            found = self._sections[route] = _sections(self._holders, route)
        return found

    def mapping(self, winners: tuple[tuple[str, str], ...]) -> KeyMapping:
        found = self._mappings.get(winners)
        if found is None:
            found = self._mappings[winners] = _mapping(self, dict(sorted(winners)))
        return found


def route_of(kind: SpanKind) -> str:
    if kind == SpanKind.TOOL:
        return "tool"
    if kind == SpanKind.EMBEDDING:
        return "embedding"
    return "retriever" if kind in (SpanKind.RETRIEVER, SpanKind.RERANKER) else "chat"


def _mapping(plan: Plan, winners: dict[str, str]) -> KeyMapping:
    told = [plan.dialect, plan.scope.name, plan.scope.version, winners, plan.unmapped]
    return KeyMapping(
        mapping_id=digest64(orjson.dumps(told)),
        dialect=plan.dialect,
        scope_name=plan.scope.name,
        scope_version=plan.scope.version,
        winners=winners,
        unmapped=plan.unmapped,
    )


def _fields(keys: list[str], dialect: str) -> dict[str, tuple[Slot, ...]]:
    found: dict[str, list[Slot]] = {}
    for key in keys:
        for slot in table.SLOTS.get(key, ()):
            found.setdefault(slot.field, []).append(slot)
    return {
        field: tuple(sorted(slots, key=lambda slot: (table.rank_of(slot.rank, slot.dialect, dialect), slot.place)))
        for field, slots in found.items()
    }


def _families(keys: list[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for holder in table.FAMILIES:
        size = len(holder.prefix)
        members = tuple(key for key in keys if key.startswith(holder.prefix) and key[size : size + 1].isdigit())
        if members:
            found[holder.prefix] = members
    return found


def _holders(present: frozenset[str], families: Mapping[str, Any], dialect: str) -> list[Holder]:
    found = [holder for key in present for holder in table.TEXTS.get(key, ())]
    found += [holder for holder in table.FAMILIES if holder.prefix in families]
    return sorted(found, key=lambda item: (table.rank_of(item.rank, item.dialect, dialect), item.place))


_ROUTES: dict[str, dict[str, tuple[str, Any]]] = {
    "chat": {"any_input": ("input", read_input), "any_output": ("output", read_output)},
    "embedding": {"any_input": ("input", read_input), "any_output": ("raw", structure)},
    "tool": {"any_input": ("arguments", structure), "any_output": ("result", lambda value: _result(value))},
    "retriever": {"any_input": ("query", lambda value: _query(value)), "any_output": ("documents", documents)},
}


def _result(value: Any) -> Any:
    """LangSmith wraps whatever is no object."""
    found = structure(value)
    return found["output"] if isinstance(found, dict) and list(found) == ["output"] else found


_QUERIES = ("query", "query_bundle", "query_str", "question", "input", "text")


def _query(value: Any) -> str | None:
    found = structure(value)
    for _ in range(3):
        if isinstance(found, dict):
            found = next((found[key] for key in _QUERIES if found.get(key)), found)
    return found if isinstance(found, str) or found is None else to_json(found).decode()


def _sections(holders: list[Holder], route: str) -> Sections:
    found: dict[str, list[Holder]] = {}
    for holder in holders:
        section, read = _ROUTES[route].get(holder.section, (holder.section, holder.read))
        found.setdefault(section, []).append(holder._replace(section=section, read=read))
    return tuple((section, tuple(items)) for section, items in found.items())


def _may_be_long(key: str) -> bool:
    return text_limit(key) > 64 * 1024 and not key.startswith(("exception.", "http.", "url.", "server.", "code."))


def _unmapped(keys: Iterable[str]) -> tuple[str, ...]:
    unknown = {
        _INDEX.sub(".*", key)
        for key in keys
        if key not in table.SLOTS
        and key not in table.KIND_KEYS
        and _LLM_WORLD.match(key)
        and not key.startswith(table.KNOWN)
    }
    return tuple(sorted(item[:200] for item in unknown)[:_MAX_UNMAPPED])
