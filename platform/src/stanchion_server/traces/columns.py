"""How each record becomes a row: the columns of the telemetry tables, in order, with their encoders."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from stanchion_server.ingest.records import (
    CallCost,
    CallRecord,
    ContentRecord,
    CostConfidence,
    DecisionRecord,
    LogRecord,
    PointRecord,
    SpanRecord,
)
from stanchion_server.kernel import copy, money
from stanchion_wire.decisions import ACTIONS

_FLOAT_LIMIT = 1e15
_POINT_LIMIT = 1e300
_INT8_LIMIT = 1 << 63

NOT_PRICED = CallCost(None, "", "", CostConfidence.LOW, "The call was stored before it was priced.")


@dataclass(frozen=True, slots=True)
class Frame:
    """What every row of one batch shares, encoded once."""

    project_id: bytes
    received_at: bytes


@dataclass(frozen=True, slots=True)
class Table:
    """`key` names the columns after project_id that make a row unique; `is_replaced` tables take a longer version of
    a row they have. `row` makes the values in column order."""

    name: str
    encoders: Mapping[str, copy.Encoder]
    key: tuple[str, ...]
    row: Callable[[Frame, Any], tuple[Any, ...]]
    identity: Callable[[Any], tuple[Any, ...]]
    is_replaced: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(self.encoders)


def _span_identity(record: SpanRecord | CallRecord | DecisionRecord) -> tuple[Any, ...]:
    return record.start_time, record.trace_id.int, record.span_id


def _content_identity(record: ContentRecord) -> tuple[Any, ...]:
    return record.start_time, record.trace_id.int, record.span_id, record.digest


def _log_identity(record: LogRecord) -> tuple[Any, ...]:
    return record.time, record.digest


def _point_identity(record: PointRecord) -> tuple[Any, ...]:
    return record.time, record.series_id


def _span_row(frame: Frame, s: SpanRecord) -> tuple[Any, ...]:
    return (
        frame.project_id, s.trace_id, s.span_id, s.parent_span_id, s.start_time, frame.received_at, s.duration_ns,
        s.resource.resource_id, s.alterations, s.kind, s.otel_kind, s.status, s.name, s.status_message, s.service,
        s.environment, s.feature, s.session_id, s.scope_name, s.scope_version, s.attributes_json, s.events_json,
        s.links_json, s.user_id, s.prompt_name, s.prompt_version,
    )  # fmt: skip


def _call_row(frame: Frame, c: CallRecord) -> tuple[Any, ...]:
    cost = c.cost or NOT_PRICED
    return (
        frame.project_id, c.trace_id, c.span_id, c.parent_span_id, c.start_time, frame.received_at, c.duration_ns,
        c.mapping.mapping_id, c.response_key, c.pair_key,
        _count(c.input_tokens), _count(c.output_tokens), _count(c.cached_input_tokens), _count(c.cache_write_tokens),
        _count(c.cache_write_1h_tokens), _count(c.reasoning_tokens), _count(c.audio_input_tokens),
        _count(c.audio_output_tokens), _count(c.max_tokens), _count(c.seed),
        _wait(c.time_to_first_token_ms), _real(c.temperature), _real(c.top_p), _real(c.top_k),
        c.tool_call_count, c.kind, c.charge, c.status, c.is_streamed, c.tokens_ambiguous,
        cost.usd, _client_cost(c.client_cost_usd), cost.price, cost.rule, str(cost.confidence), cost.reason,
        c.operation, c.dialect, c.provider, c.request_model, c.response_model, c.model, c.response_id,
        str(c.token_source or ""), c.service_tier, c.error_type, tuple(c.finish_reasons),
        c.feature, c.user_id, c.session_id, c.environment, c.release, c.service, c.prompt_name, c.prompt_version,
        tuple(c.tags), _parameters(c.parameters), c.input_preview, c.output_preview,
    )  # fmt: skip


def _content_row(frame: Frame, c: ContentRecord) -> tuple[Any, ...]:
    return (
        frame.project_id, c.trace_id, c.span_id, c.start_time, c.digest, min(c.original_bytes, 2**31 - 1), c.source,
        c.is_truncated, c.body,
    )  # fmt: skip


def _log_row(frame: Frame, r: LogRecord) -> tuple[Any, ...]:
    return (
        frame.project_id, r.time, r.digest, r.trace_id, r.span_id, r.resource.resource_id, r.alterations, r.severity,
        r.event_name, r.scope_name, r.body_json, r.attributes_json,
    )  # fmt: skip


def _point_row(frame: Frame, p: PointRecord) -> tuple[Any, ...]:
    value = p.value if p.value is not None and abs(p.value) < _POINT_LIMIT else None
    return (
        frame.project_id, p.series_id, p.time, p.start_time, p.resource.resource_id, value, p.temporality, p.name,
        p.unit, p.kind, p.histogram_json, p.attributes_json,
    )  # fmt: skip


def _decision_row(frame: Frame, d: DecisionRecord) -> tuple[Any, ...]:
    told = d.told
    return (
        frame.project_id, d.trace_id, d.span_id, d.parent_span_id, d.start_time, frame.received_at, d.duration_ns,
        told.text_digest, told.elapsed_us, told.characters, told.guarded_characters, ACTIONS.index(told.action),
        told.is_complete, told.check_id, told.policy, told.policy_version, told.mode, told.source, told.stage,
        d.feature, d.user_id, d.session_id, d.environment, d.release, d.service, told.rules, told.labels,
        _json(told.findings), _json(told.checks), _json(told.not_run), _json(told.limits),
    )  # fmt: skip


def _json(rows: Sequence[Any]) -> bytes | None:
    return json.dumps(list(rows), separators=(",", ":"), ensure_ascii=False).encode() if rows else None


def _count(value: int | None) -> int | None:
    """A number that no column holds is not known, rather than a reason to lose the call."""
    return value if value is None or -_INT8_LIMIT <= value < _INT8_LIMIT else None


def _real(value: float | None) -> float | None:
    return value if value is not None and abs(value) < _FLOAT_LIMIT else None


def _wait(value: float | None) -> float | None:
    return value if value is not None and 0 <= value < _FLOAT_LIMIT else None


def _client_cost(value: Decimal | None) -> Decimal | None:
    return money.usd(value) if value is not None and money.is_plausible_usd(value) else None


def _parameters(value: Mapping[str, Any]) -> bytes | None:
    return json.dumps(dict(value), separators=(",", ":")).encode() if value else None


SPANS = Table(
    "spans",
    {
        "project_id": copy.encoded, "trace_id": copy.uuid, "span_id": copy.bigint, "parent_span_id": copy.bigint,
        "start_time": copy.timestamptz, "received_at": copy.encoded, "duration_ns": copy.bigint,
        "resource_id": copy.bigint, "alterations": copy.integer, "kind": copy.smallint, "otel_kind": copy.smallint,
        "status": copy.smallint, "name": copy.label, "status_message": copy.text, "service": copy.label,
        "environment": copy.label, "feature": copy.label, "session_id": copy.text, "scope_name": copy.label,
        "scope_version": copy.label, "attributes": copy.jsonb, "events": copy.jsonb, "links": copy.jsonb,
        "user_id": copy.text, "prompt_name": copy.label, "prompt_version": copy.label,
    },
    ("trace_id", "span_id", "start_time"), _span_row, _span_identity, is_replaced=True,
)  # fmt: skip

CALLS = Table(
    "llm_calls",
    {
        "project_id": copy.encoded, "trace_id": copy.uuid, "span_id": copy.bigint, "parent_span_id": copy.bigint,
        "start_time": copy.timestamptz, "received_at": copy.encoded, "duration_ns": copy.bigint,
        "mapping_id": copy.bigint, "response_key": copy.bigint, "pair_key": copy.bigint,
        "input_tokens": copy.bigint, "output_tokens": copy.bigint, "cached_input_tokens": copy.bigint,
        "cache_write_tokens": copy.bigint, "cache_write_1h_tokens": copy.bigint, "reasoning_tokens": copy.bigint,
        "audio_input_tokens": copy.bigint, "audio_output_tokens": copy.bigint, "max_tokens": copy.bigint,
        "seed": copy.bigint, "time_to_first_token_ms": copy.float8, "temperature": copy.float8, "top_p": copy.float8,
        "top_k": copy.float8, "tool_call_count": copy.integer, "kind": copy.smallint, "charge": copy.smallint,
        "status": copy.smallint, "is_streamed": copy.boolean, "tokens_ambiguous": copy.boolean,
        "cost_usd": copy.numeric, "client_cost_usd": copy.numeric, "cost_price": copy.label, "cost_rule": copy.label,
        "cost_confidence": copy.label, "cost_reason": copy.label, "operation": copy.label, "dialect": copy.label,
        "provider": copy.label, "request_model": copy.label, "response_model": copy.label, "model": copy.label,
        "response_id": copy.text, "token_source": copy.label, "service_tier": copy.label, "error_type": copy.label,
        "finish_reasons": copy.text_array, "feature": copy.label, "user_id": copy.text, "session_id": copy.text,
        "environment": copy.label, "release": copy.label, "service": copy.label, "prompt_name": copy.label,
        "prompt_version": copy.label, "tags": copy.text_array, "parameters": copy.jsonb, "input_preview": copy.text,
        "output_preview": copy.text,
    },
    ("trace_id", "span_id", "start_time"), _call_row, _span_identity, is_replaced=True,
)  # fmt: skip

CONTENTS = Table(
    "contents",
    {
        "project_id": copy.encoded, "trace_id": copy.uuid, "span_id": copy.bigint, "start_time": copy.timestamptz,
        "digest": copy.bigint, "original_bytes": copy.integer, "source": copy.smallint, "is_truncated": copy.boolean,
        "body": copy.bytea,
    },
    ("trace_id", "span_id", "start_time", "digest"), _content_row, _content_identity,
)  # fmt: skip

LOGS = Table(
    "log_records",
    {
        "project_id": copy.encoded, "time": copy.timestamptz, "digest": copy.bigint, "trace_id": copy.uuid,
        "span_id": copy.bigint, "resource_id": copy.bigint, "alterations": copy.integer, "severity": copy.smallint,
        "event_name": copy.label, "scope_name": copy.label, "body": copy.jsonb, "attributes": copy.jsonb,
    },
    ("time", "digest"), _log_row, _log_identity,
)  # fmt: skip

POINTS = Table(
    "metric_points",
    {
        "project_id": copy.encoded, "series_id": copy.bigint, "time": copy.timestamptz,
        "start_time": copy.timestamptz, "resource_id": copy.bigint, "value": copy.float8, "temporality": copy.smallint,
        "name": copy.label, "unit": copy.label, "kind": copy.label, "histogram": copy.jsonb, "attributes": copy.jsonb,
    },
    ("series_id", "time"), _point_row, _point_identity,
)  # fmt: skip

DECISIONS = Table(
    "guard_decisions",
    {
        "project_id": copy.encoded, "trace_id": copy.uuid, "span_id": copy.bigint, "parent_span_id": copy.bigint,
        "start_time": copy.timestamptz, "received_at": copy.encoded, "duration_ns": copy.bigint,
        "text_digest": copy.bigint, "elapsed_us": copy.integer, "characters": copy.integer,
        "guarded_characters": copy.integer, "action": copy.smallint, "is_complete": copy.boolean,
        "check_id": copy.label, "policy": copy.label, "policy_version": copy.label, "mode": copy.label,
        "source": copy.label, "stage": copy.label, "feature": copy.label, "user_id": copy.text,
        "session_id": copy.text, "environment": copy.label, "release": copy.label, "service": copy.label,
        "rules": copy.text_array, "labels": copy.text_array, "findings": copy.jsonb, "checks": copy.jsonb,
        "not_run": copy.jsonb, "limits": copy.jsonb,
    },
    ("trace_id", "span_id", "start_time"), _decision_row, _span_identity, is_replaced=True,
)  # fmt: skip
