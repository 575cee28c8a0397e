"""Canonical records for tests: say what matters, get a complete record."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from stanchion_server.ingest.records import (
    Alteration,
    CallRecord,
    Charge,
    ContentRecord,
    KeyMapping,
    RawResource,
    SpanKind,
    SpanRecord,
    Status,
    TokenSource,
)
from stanchion_server.kernel.ids import digest64

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
RESOURCE = RawResource(11, {"service.name": "shop"})
MAPPING = KeyMapping(21, "otel", "openai-v2", "1", {"model": "gen_ai.request.model"}, ("x.unknown",))

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_numbers = itertools.count(1)


def mapping(scope: str) -> KeyMapping:
    return replace(MAPPING, mapping_id=digest64(scope.encode()), scope_name=scope)


def trace(number: int) -> UUID:
    return UUID(int=number)


def call(**values: Any) -> CallRecord:
    """A gpt-4o-mini call of 100 input and 20 output tokens that took one second, `after_s` after noon."""
    start = NOON + timedelta(seconds=values.pop("after_s", 0))
    record = CallRecord(
        trace_id=trace(1),
        span_id=next(_numbers),
        parent_span_id=None,
        start_time=start,
        start_ns=(start - _EPOCH) // timedelta(microseconds=1) * 1000,
        duration_ns=1_000_000_000,
        kind=SpanKind.LLM,
        operation="chat",
        dialect="otel",
        mapping=MAPPING,
        provider="openai",
        request_model="gpt-4o-mini",
        response_model="",
        model="gpt-4o-mini",
        response_id="",
        response_key=None,
        pair_key=None,
        charge=Charge.CHARGED,
        input_tokens=100,
        output_tokens=20,
        cached_input_tokens=None,
        cache_write_tokens=None,
        cache_write_1h_tokens=None,
        reasoning_tokens=None,
        audio_input_tokens=None,
        audio_output_tokens=None,
        token_source=TokenSource.REPORTED,
        tokens_ambiguous=False,
        time_to_first_token_ms=None,
        is_streamed=None,
        service_tier="",
        status=Status.OK,
        error_type="",
        finish_reasons=(),
        feature="",
        user_id="",
        session_id="",
        environment="",
        release="",
        service="shop",
        prompt_name="",
        prompt_version="",
        tags=(),
        temperature=None,
        top_p=None,
        top_k=None,
        max_tokens=None,
        seed=None,
        parameters={},
        tool_call_count=0,
        input_preview="",
        output_preview="",
        client_cost_usd=None,
    )
    if values.get("response_id"):
        values.setdefault("response_key", digest64(values["response_id"].encode()))
    return replace(record, **values)


def span_of(record: CallRecord, **values: Any) -> SpanRecord:
    """The span that a call record was read from."""
    span = SpanRecord(
        trace_id=record.trace_id,
        span_id=record.span_id,
        parent_span_id=record.parent_span_id,
        start_time=record.start_time,
        start_ns=record.start_ns,
        duration_ns=record.duration_ns,
        kind=record.kind,
        otel_kind=3,
        status=record.status,
        status_message="",
        name="chat gpt-4o-mini",
        service=record.service,
        environment=record.environment,
        feature=record.feature,
        session_id=record.session_id,
        user_id=record.user_id,
        prompt_name=record.prompt_name,
        prompt_version=record.prompt_version,
        scope_name=record.mapping.scope_name,
        scope_version=record.mapping.scope_version,
        resource=RESOURCE,
        attributes_json=b'{"gen_ai.request.model":"gpt-4o-mini"}',
        events_json=None,
        links_json=None,
        alterations=Alteration.NONE,
    )
    return replace(span, **values)


def content_of(record: CallRecord, body: bytes = b"compressed", source: int = 0) -> ContentRecord:
    return ContentRecord(
        trace_id=record.trace_id,
        span_id=record.span_id,
        start_time=record.start_time,
        digest=digest64(body),
        source=source,
        body=body,
        original_bytes=len(body),
        is_truncated=False,
    )
