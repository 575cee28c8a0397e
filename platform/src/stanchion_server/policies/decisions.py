"""A judgement as the telemetry it becomes: a guardrail span and a decision, the same as an application would send."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from stanchion_guard import summary
from stanchion_guard.records import Subject
from stanchion_server.ingest.messages import to_json
from stanchion_server.ingest.records import Alteration, DecisionRecord, RawResource, SpanKind, SpanRecord, Status
from stanchion_server.kernel.ids import digest64
from stanchion_server.policies.engine import Judgement
from stanchion_wire.decisions import SCOPE, Decision, to_attributes

_RESOURCE_ATTRIBUTES = {"service.name": "stanchion-guard"}
RESOURCE = RawResource(digest64(b"stanchion-guard"), _RESOURCE_ATTRIBUTES)
_OTEL_INTERNAL = 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a check came from and what it belongs to. Without a `trace_id` it is a trace of its own."""

    check_id: str
    source: str
    trace_id: uuid.UUID
    parent_span_id: int | None = None
    feature: str = ""
    user_id: str = ""
    session_id: str = ""
    environment: str = ""
    release: str = ""


@dataclass(frozen=True, slots=True)
class Recorded:
    span: SpanRecord
    decision: DecisionRecord


def record(judgement: Judgement, subject: Subject, origin: Origin, span_id: int, start_ns: int) -> Recorded:
    told = Decision(
        check_id=origin.check_id, mode=judgement.mode, source=origin.source, **summary.of(judgement.verdict, subject)
    )
    span = _span(told, origin, span_id, start_ns)
    decision = DecisionRecord(
        trace_id=origin.trace_id, span_id=span_id, parent_span_id=origin.parent_span_id, start_time=span.start_time,
        duration_ns=span.duration_ns, feature=origin.feature, user_id=origin.user_id, session_id=origin.session_id,
        environment=origin.environment, release=origin.release, service=span.service, told=told,
    )  # fmt: skip
    return Recorded(span, decision)


def _span(told: Decision, origin: Origin, span_id: int, start_ns: int) -> SpanRecord:
    return SpanRecord(
        trace_id=origin.trace_id,
        span_id=span_id,
        parent_span_id=origin.parent_span_id,
        start_time=_EPOCH + timedelta(microseconds=start_ns // 1000),
        start_ns=start_ns,
        duration_ns=told.elapsed_us * 1000,
        kind=SpanKind.GUARDRAIL,
        otel_kind=_OTEL_INTERNAL,
        status=Status.UNSET,
        status_message="",
        name=f"guard {told.policy}",
        service=_RESOURCE_ATTRIBUTES["service.name"],
        environment=origin.environment,
        feature=origin.feature,
        session_id=origin.session_id,
        user_id=origin.user_id,
        prompt_name="",
        prompt_version="",
        scope_name=SCOPE,
        scope_version="",
        resource=RESOURCE,
        attributes_json=to_json(to_attributes(told)),
        events_json=None,
        links_json=None,
        alterations=Alteration.NONE,
    )
