"""One span's account of a model call, from the fields its attributes tell."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from stanchion_server.ingest import messages
from stanchion_server.ingest.dialects.logfire import is_stream_end, is_stream_start
from stanchion_server.ingest.dialects.openlit import without_defaults
from stanchion_server.ingest.dialects.readers import number, provider
from stanchion_server.ingest.messages import Content
from stanchion_server.ingest.normalise_plan import Fields, Plan
from stanchion_server.ingest.records import (
    Alteration,
    CallRecord,
    Charge,
    RawSpan,
    SpanKind,
    Status,
    TokenSource,
)
from stanchion_server.kernel.ids import digest64

CALL_KINDS = frozenset((SpanKind.LLM, SpanKind.EMBEDDING, SpanKind.RERANKER))
# Cached tokens under these names were inclusive with some versions and exclusive with others of Anthropic-style
# clients.
_UNDECIDED = frozenset(("gen_ai.usage.cache_read_input_tokens", "gen_ai.usage.cache_creation_input_tokens"))
# Written by Claude Code from Anthropic's own usage object, whose input excludes both cache buckets.
_EXCLUSIVE = frozenset(
    ("cache_read_tokens", "cache_creation_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
)
_EXCLUSIVE_PROVIDERS = ("anthropic", "aws.bedrock", "gcp.vertex_ai")
_DEFAULT_OPERATIONS = {SpanKind.LLM: "chat", SpanKind.EMBEDDING: "embeddings", SpanKind.RERANKER: "rerank"}

_PAIR_WINDOW_NS = 5_000_000_000

Told = dict[str, Any]
Winners = list[tuple[str, str]]


class Place(NamedTuple):
    """What a call shares with its span record."""

    kind: SpanKind
    start_time: datetime
    status: Status
    service: str
    feature: str
    session_id: str
    user_id: str
    prompt_name: str
    prompt_version: str
    environment: str
    release: str


def read_fields(fields: Fields, attributes: Mapping[str, Any], told: Told, winners: Winners) -> None:
    """The first slot of each field that tells something wins."""
    parsed: dict[str, Mapping[str, Any]] = {}
    for field, slots in fields:
        for slot in slots:
            key = slot.key
            if slot.is_blob:
                if key not in parsed:
                    parsed[key] = slot.read(attributes[key])
                value = parsed[key].get(field)
            else:
                value = slot.read(attributes[key])
            if value is not None:
                told[field] = value
                winners.append((field, key))
                break


def is_recorded(kind: SpanKind, told: Told) -> bool:
    """Whether the span becomes a call record: a model call, or anything else that carries usage (a roll-up)."""
    if told.get("operation") == "fetch_response":
        return False
    return kind in CALL_KINDS or "input_tokens" in told or "output_tokens" in told


def settle_tokens(told: Told, winners: Winners) -> tuple[Alteration, bool]:
    """Makes the counts inclusive in place; says whether they had to be corrected and whether that stayed open."""
    sources = dict(winners)
    cache = told.get("cached_input_tokens", 0) + told.get("cache_write_tokens", 0)
    bits, is_open = Alteration.NONE, False
    total, output = told.get("total_tokens"), told.get("output_tokens", 0)
    if "input_tokens" not in told and total is not None and total >= output:
        told["input_tokens"] = total - output
    elif "input_tokens" in told and cache:
        is_exclusive = _exclusive(told, sources, cache, total)
        if is_exclusive:
            told["input_tokens"] += cache
            bits = Alteration.TOKENS_CORRECTED
        is_open = is_exclusive is None
    if told.get("reasoning_tokens", 0) > output and "output_tokens" in told:
        told["output_tokens"] = output + told["reasoning_tokens"]
        bits = Alteration.TOKENS_CORRECTED
    return bits, is_open


def _exclusive(told: Told, sources: Mapping[str, str], cache: int, total: int | None) -> bool | None:
    """Whether the input count leaves the cache out; None where nothing tells."""
    if cache > told["input_tokens"]:
        return True
    plain = told["input_tokens"] + told.get("output_tokens", 0)
    if total is not None and total in (plain, plain + cache):
        return bool(total != plain)
    named = {sources.get("cached_input_tokens"), sources.get("cache_write_tokens")}
    if named & _EXCLUSIVE and sources.get("input_tokens") == "input_tokens":
        return True
    is_anthropic = told.get("provider", "") in _EXCLUSIVE_PROVIDERS
    is_old_vercel = sources.get("input_tokens") == "ai.usage.promptTokens"
    return None if is_anthropic and (named & _UNDECIDED or is_old_vercel) else False


def build(
    span: RawSpan,
    plan: Plan,
    place: Place,
    told: Told,
    winners: Winners,
    content: Content,
    first_token_ns: int | None,
    exception_type: str,
    is_open: bool,
) -> CallRecord:
    if plan.dialect == "openlit":
        without_defaults(told)
    duration_ns = span.end_ns - span.start_ns
    is_streamed, first_token_ms = _first_token(span, plan, told, duration_ns, first_token_ns)
    request_model, response_model = told.get("request_model", ""), told.get("response_model", "")
    response_id = told.get("response_id", "")
    has_tokens = "input_tokens" in told or "output_tokens" in told
    return CallRecord(
        trace_id=span.trace_id,
        span_id=span.span_id,
        parent_span_id=span.parent_span_id,
        start_time=place.start_time,
        start_ns=span.start_ns,
        duration_ns=duration_ns,
        kind=place.kind,
        operation=told.get("operation") or _DEFAULT_OPERATIONS.get(place.kind, ""),
        dialect=plan.dialect,
        mapping=plan.mapping(tuple(winners)),
        provider=told.get("provider") or _guessed_provider(request_model or response_model),
        request_model=request_model,
        response_model=response_model,
        model=request_model or response_model,
        response_id=response_id,
        response_key=digest64(response_id.encode()) if response_id else None,
        pair_key=_pair_key(span, plan, request_model, response_id),
        charge=Charge.CHARGED if place.kind in CALL_KINDS else Charge.ROLLUP,
        input_tokens=told.get("input_tokens"),
        output_tokens=told.get("output_tokens"),
        cached_input_tokens=told.get("cached_input_tokens"),
        cache_write_tokens=told.get("cache_write_tokens"),
        cache_write_1h_tokens=told.get("cache_write_1h_tokens"),
        reasoning_tokens=told.get("reasoning_tokens"),
        audio_input_tokens=told.get("audio_input_tokens"),
        audio_output_tokens=told.get("audio_output_tokens"),
        token_source=TokenSource.REPORTED if has_tokens else None,
        tokens_ambiguous=is_open,
        time_to_first_token_ms=first_token_ms,
        is_streamed=is_streamed,
        service_tier=told.get("service_tier", ""),
        status=place.status,
        error_type=told.get("error_type") or exception_type,
        finish_reasons=_finish_reasons(told, content),
        feature=place.feature,
        user_id=told.get("user_id", ""),
        session_id=place.session_id,
        environment=place.environment,
        release=place.release,
        service=place.service,
        prompt_name=told.get("prompt_name", ""),
        prompt_version=told.get("prompt_version", ""),
        tags=told.get("tags", ()),
        temperature=told.get("temperature"),
        top_p=told.get("top_p"),
        top_k=told.get("top_k"),
        max_tokens=told.get("max_tokens"),
        seed=told.get("seed"),
        parameters={key[6:]: value for key, value in told.items() if key[:6] == "param:" and value is not None},
        tool_call_count=messages.tool_call_count(content),
        input_preview=messages.input_preview(content),
        output_preview=messages.output_preview(content),
        client_cost_usd=told.get("client_cost_usd"),
    )


def _finish_reasons(told: Told, content: Content) -> tuple[str, ...]:
    """Gemini and OpenAI's Responses end with a plain stop when they call a tool; other APIs say `tool_calls`."""
    found: tuple[str, ...] = told.get("finish_reasons") or messages.finish_reasons(content)
    return ("tool_calls",) if found == ("stop",) and messages.ends_in_tool_call(content) else found


def _first_token(
    span: RawSpan, plan: Plan, told: Told, duration_ns: int, event_ns: int | None
) -> tuple[bool | None, float | None]:
    """(streamed, milliseconds to the first token). A time that is not inside the call, or of a call that did not
    stream, is
    dropped; OpenLIT writes one on every call, so there the flag must say that it streamed."""
    is_streamed = told.get("is_streamed")
    first_ms = told.get("time_to_first_token_ms")
    at_ns = told.get("first_token_at") or event_ns
    if first_ms is None and at_ns is not None:
        first_ms = (at_ns - span.start_ns) / 1e6
        is_streamed = True if is_streamed is None else is_streamed
    if is_streamed is False or (plan.dialect == "openlit" and not is_streamed):
        return is_streamed, None
    if first_ms is None or not 0 < first_ms < duration_ns / 1e6:
        return is_streamed, None
    return True, first_ms


def _pair_key(span: RawSpan, plan: Plan, model: str, response_id: str) -> int | None:
    """Both halves of a streamed Logfire call name the same parent, model and question. Without a parent each half is a
    trace of its own; then the moment the request returned, which the second half tells within some 30 ms, must
    agree."""
    if plan.dialect != "logfire" or response_id:
        return None
    is_end = is_stream_end(span.name, span.attributes)
    if not is_end and not is_stream_start(span.attributes):
        return None
    asked = span.attributes.get("gen_ai.input.messages") or span.attributes.get("request_data")
    where = f"{span.trace_id}|{span.parent_span_id}"
    if span.parent_span_id is None:
        streamed_s = (number(span.attributes.get("duration")) or 0) if is_end else 0
        where = f"{span.resource.resource_id}|{(span.end_ns - int(streamed_s * 1e9)) // _PAIR_WINDOW_NS}"
    return digest64(f"{where}|{model}|{asked}".encode())


def _guessed_provider(model: str) -> str:
    """The provider where only the model is named, for names that only one provider gives."""
    head, _, rest = model.partition("/")
    if rest and head in ("openai", "anthropic", "azure", "bedrock", "vertex_ai", "gemini", "mistral", "groq", "cohere"):
        return provider(head) or ""
    for prefix, name in _MODEL_PREFIXES:
        if model.startswith(prefix):
            return name
    return ""


_MODEL_PREFIXES = (
    ("gpt-", "openai"), ("text-embedding-", "openai"), ("o1", "openai"), ("o3", "openai"), ("o4-", "openai"),
    ("chatgpt-", "openai"), ("claude-", "anthropic"), ("gemini-", "gcp.gemini"), ("grok-", "x_ai"),
    ("command-", "cohere"), ("deepseek-", "deepseek"),
)  # fmt: skip
