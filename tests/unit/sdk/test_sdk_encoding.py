from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.trace import Link, SpanContext, SpanKind, StatusCode, TraceFlags, TraceState

from kit.sdk_sink import plain_value
from stanchion_sdk import encoding
from stanchion_sdk.packing import encode


class Keep(SpanProcessor):
    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        self.spans.append(span)


def a_rich_trace() -> list[ReadableSpan]:
    keep = Keep()
    provider = TracerProvider(resource=Resource({"service.name": "x"}), shutdown_on_exit=False)
    provider.add_span_processor(keep)
    tracer = provider.get_tracer("lib", "1.2")
    remote = SpanContext(7, 8, True, TraceFlags(1), TraceState([("a", "b")]))
    with tracer.start_as_current_span("parent", kind=SpanKind.SERVER, links=[Link(remote, {"why": "batch"})]) as parent:
        parent.set_attributes(
            {"s": "ü\ud800", "i": -5, "big": 2**62, "f": 1.5, "b": True, "l": [1, 2], "t": ("a", "b")}
        )
        parent.add_event("happened", {"n": 1}, timestamp=123)
        with pytest.raises(ValueError, match="no"), tracer.start_as_current_span("child", kind=SpanKind.CLIENT):
            raise ValueError("no")
    parent.set_status(StatusCode.OK)
    return keep.spans


def test_our_spans_read_as_those_of_the_official_encoder() -> None:
    spans = [span for span in a_rich_trace() if "s" not in (span.attributes or {})]
    assert spans
    for span in spans:
        theirs = encode_spans([span]).resource_spans[0].scope_spans[0].spans[0]
        ours = type(theirs).FromString(encode(span, "full"))
        assert ours.flags & 0xFF == span.context.trace_flags  # type: ignore[union-attr]  # theirs leaves these out
        ours.flags &= 0x300
        assert ours == theirs


def test_a_span_of_every_attribute_type_survives_the_way() -> None:
    parent = next(span for span in a_rich_trace() if span.name == "parent")
    body = encoding.request(
        encoding.attributes(b"\x0a", {"service.name": "x"}), [(encoding.scope("lib", "1"), [encode(parent, "full")])]
    )
    request = ExportTraceServiceRequest.FromString(body)
    span = request.resource_spans[0].scope_spans[0].spans[0]
    values: dict[str, Any] = {item.key: plain_value(item.value) for item in span.attributes}
    assert values == {"s": "ü?", "i": -5, "big": 2**62, "f": 1.5, "b": True, "l": [1, 2], "t": ["a", "b"]}
    assert (span.events[0].name, span.events[0].time_unix_nano) == ("happened", 123)
    assert span.links[0].trace_id == (7).to_bytes(16, "big")
    assert request.resource_spans[0].scope_spans[0].scope.version == "1"


values = st.recursive(
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec="utf-8"))
    | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(values)
def test_every_value_that_otlp_knows_arrives_as_it_was(value: Any) -> None:
    assert plain_value(AnyValue.FromString(encoding.any_value(value))) == value


def test_values_otlp_does_not_know_arrive_as_text() -> None:
    deep: Any = "x"
    for _ in range(50):
        deep = [deep]
    AnyValue.FromString(encoding.any_value(deep))
    assert AnyValue.FromString(encoding.any_value(2**70)).string_value == str(2**70)
    assert AnyValue.FromString(encoding.any_value(3 + 4j)).string_value == "(3+4j)"


def test_the_counter_of_drops_is_a_cumulative_sum() -> None:
    body = encoding.counter_request(b"", "dropped", "{span}", 5, 9, {"queue_full": 3, "exit": 300})
    metric = ExportMetricsServiceRequest.FromString(body).resource_metrics[0].scope_metrics[0].metrics[0]
    assert (metric.name, metric.unit, metric.sum.is_monotonic, metric.sum.aggregation_temporality) == (
        "dropped",
        "{span}",
        True,
        2,
    )
    points = [
        (point.attributes[0].value.string_value, point.as_int, point.time_unix_nano) for point in metric.sum.data_points
    ]
    assert points == [("queue_full", 3, 9), ("exit", 300, 9)]


@pytest.mark.parametrize("count", [0, 1, 127, 128, 100_000])
def test_the_rejected_count_is_read_from_a_partial_success(count: int) -> None:
    partial = ExportTracePartialSuccess(rejected_spans=count, error_message="late" * 60)
    assert encoding.rejected_spans(ExportTraceServiceResponse(partial_success=partial).SerializeToString()) == count


@given(st.binary(max_size=40))
def test_any_answer_is_read_without_an_error(body: bytes) -> None:
    assert encoding.rejected_spans(body) >= 0
