"""Prices calls as they arrive, before they are stored."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from stanchion_server.costs import pricing, serving
from stanchion_server.costs.pricing import PriceBook
from stanchion_server.costs.serving import Ran
from stanchion_server.ingest.records import CallRecord, SpanRecord

Attributes = Mapping[tuple[UUID, int], Mapping[str, object]]


def priced(calls: Sequence[CallRecord], spans: Sequence[SpanRecord], book: PriceBook) -> tuple[CallRecord, ...]:
    """`spans` hold those of the calls: where some deployment is told apart by them, their attributes are read."""
    attributes = _attributes(calls, spans) if serving.wanted(book.hosted) else {}
    return tuple(replace(call, cost=pricing.charge(call, _ran(call, attributes), book)) for call in calls)


def _ran(call: CallRecord, attributes: Attributes) -> Ran:
    models = (call.model, call.request_model, call.response_model)
    return Ran(call.provider, models, call.service, attributes.get((call.trace_id, call.span_id), {}))


def _attributes(calls: Sequence[CallRecord], spans: Sequence[SpanRecord]) -> Attributes:
    wanted = {(call.trace_id, call.span_id) for call in calls}
    keys = ((span, (span.trace_id, span.span_id)) for span in spans)
    return {key: json.loads(span.attributes_json) for span, key in keys if key in wanted}
