"""The door for telemetry: everything sent is either accepted or refused with a reason, and what is accepted is
clean."""

from __future__ import annotations

import json

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit import otlp
from stanchion_server.ingest import decode, wire_count
from stanchion_server.ingest.records import Alteration
from stanchion_server.kernel.errors import SenderError

LIMITS = decode.Limits()


def both(request):
    yield decode.decode_traces(otlp.as_protobuf(request), "protobuf", 0, LIMITS)
    yield decode.decode_traces(otlp.as_json(request), "json", 0, LIMITS)


def accepted(decoded):
    return len(decoded.spans) + len(decoded.logs) + len(decoded.points)


def holds_promise(decoded):
    return accepted(decoded) + sum(r.count for r in decoded.rejections) == decoded.sent


def as_json_with(request, **replaced):
    text = otlp.as_json(request).decode()
    for old, new in replaced.items():
        text = text.replace(f'"{old}"', new)
    return text.encode()


def one_json(value_json: str):
    body = as_json_with(otlp.traces([otlp.span(attributes={"k": "VALUE"})])).decode()
    body = body.replace('{"stringValue": "VALUE"}', value_json)
    (span,) = decode.decode_traces(body.encode(), "json", 0, LIMITS).spans
    return span


def test_an_empty_request_is_valid():
    for body, encoding in ((b"", "protobuf"), (b"{}", "json")):
        assert decode.decode_traces(body, encoding, 0, LIMITS).sent == 0


def test_attribute_types_survive_both_encodings():
    values = {
        "s": "é",
        "i": 2**63 - 1,
        "n": -5,
        "d": 0.5,
        "b": True,
        "e": None,
        "l": [1, "x"],
        "o": {"a": {"b": [1]}},
        "": "",
    }
    for decoded in both(otlp.traces([otlp.span(attributes=values)])):
        assert decoded.spans[0].attributes == values


@pytest.mark.parametrize("body", [b"\xff\xff", b"\x0a\xff", b"not protobuf at all", b"\x0a\x05abc"])
def test_junk_protobuf_is_refused_as_undecodable(body):
    with pytest.raises(SenderError) as error:
        decode.decode_traces(body, "protobuf", 0, LIMITS)
    assert (error.value.code, error.value.http_status) == ("undecodable", 400)


@pytest.mark.parametrize(
    "body", [b"", b"nope", b"[]", b'"x"', b"{", b"[" * 100_000, b'{"a":' * 5000 + b"1" + b"}" * 5000]
)
def test_junk_json_is_refused_as_undecodable(body):
    with pytest.raises(SenderError) as error:
        decode.decode_traces(body, "json", 0, LIMITS)
    assert error.value.http_status == 400


def test_a_bomb_of_empty_spans_is_refused_before_the_parse():
    bomb = b"\x12\x00" * 1_000_000
    scope = b"\x12" + _varint(len(bomb)) + bomb
    body = b"\x0a" + _varint(len(scope)) + scope
    with pytest.raises(SenderError) as error:
        decode.decode_traces(body, "protobuf", 0, LIMITS)
    assert (error.value.code, error.value.http_status) == ("too_many_items", 413)
    assert wire_count.count(body, wire_count.SPANS, 2_000_000) == 1_000_000


def test_a_bomb_of_empty_json_spans_is_refused():
    body = b'{"resourceSpans":[{"scopeSpans":[{"spans":[' + b",".join([b"{}"] * 10_001) + b"]}]}]}"
    with pytest.raises(SenderError) as error:
        decode.decode_traces(body, "json", 0, LIMITS)
    assert error.value.http_status == 413


def _varint(number):
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def test_invalid_utf8_in_one_span_is_mended_and_marks_only_that_span():
    request = otlp.traces([otlp.span("good", attributes={"k": "fine"}), otlp.span("bad", attributes={"k": "QQQQ"})])
    body = otlp.as_protobuf(request).replace(b"QQQQ", b"a\xff\xfeb")
    good, bad = decode.decode_traces(body, "protobuf", 0, LIMITS).spans
    assert (good.attributes["k"], good.alterations) == ("fine", Alteration.NONE)
    assert bad.attributes["k"] == "a\ufffd\ufffdb"
    assert bad.alterations == Alteration.INVALID_UTF8


def test_invalid_utf8_in_json_is_mended_and_marked():
    body = otlp.as_json(otlp.traces([otlp.span(attributes={"k": "QQ"})])).replace(b"QQ", b"a\xff")
    (span,) = decode.decode_traces(body, "json", 0, LIMITS).spans
    assert (span.attributes["k"], span.alterations) == ("a\ufffd", Alteration.INVALID_UTF8)


def test_nul_is_replaced_in_keys_and_values():
    for decoded in both(otlp.traces([otlp.span("a\0b", attributes={"k\0": "v\0", "n": {"x\0": ["y\0"]}})])):
        (span,) = decoded.spans
        assert span.name == "a\ufffdb"
        assert span.attributes == {"k\ufffd": "v\ufffd", "n": {"x\ufffd": ["y\ufffd"]}}
        assert span.alterations == Alteration.NUL_REPLACED


def test_a_literal_backslash_u0000_is_not_a_nul():
    for decoded in both(otlp.traces([otlp.span(attributes={"k": "\\u0000"})])):
        assert decoded.spans[0].attributes == {"k": "\\u0000"}
        assert decoded.spans[0].alterations == Alteration.NONE


def test_a_lone_surrogate_is_replaced_and_a_pair_is_kept():
    span = one_json('{"stringValue": "a\\ud800b \\ud83d\\ude00"}')
    assert span.attributes["k"] == "a\ufffdb 😀"
    assert span.alterations == Alteration.SURROGATE_REPLACED


@pytest.mark.parametrize(
    "number", ["NaN", "Infinity", "-Infinity", '"NaN"', '"Infinity"', "1e400", "1e100000", '"1e400"']
)
def test_numbers_that_are_none_are_dropped(number):
    span = one_json(f'{{"doubleValue": {number}}}')
    assert span.attributes["k"] is None
    assert span.alterations == Alteration.NUMBER_DROPPED


def test_nan_in_protobuf_is_dropped():
    body = otlp.as_protobuf(otlp.traces([otlp.span(attributes={"k": float("nan")})]))
    (span,) = decode.decode_traces(body, "protobuf", 0, LIMITS).spans
    assert (span.attributes["k"], span.alterations) == (None, Alteration.NUMBER_DROPPED)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("5", 5),
        ('"5"', 5),
        ('"-9223372036854775808"', -(2**63)),
        ('"9223372036854775808"', "9223372036854775808"),
        ('"x"', "x"),
    ],
)
def test_integers_beyond_64_bit_stay_text(given, kept):
    assert one_json(f'{{"intValue": {given}}}').attributes["k"] == kept


def test_an_integer_of_many_thousand_digits_does_not_harm():
    assert isinstance(one_json('{"intValue": "' + "9" * 5000 + '"}').attributes["k"], str)


def nested(levels):
    value: object = "deep"
    for _ in range(levels):
        value = [value]
    return value


def test_sixteen_levels_are_kept_and_deeper_ones_become_text():
    for decoded in both(otlp.traces([otlp.span(attributes={"ok": nested(16), "deep": nested(20)})])):
        (span,) = decoded.spans
        assert span.attributes["ok"] == nested(16)
        value = span.attributes["deep"]
        for _ in range(16):
            (value,) = value
        assert isinstance(value, str) and json.loads(value) == nested(4)
        assert span.alterations == Alteration.NESTING_CUT


def test_nesting_beyond_what_protobuf_reads_is_a_clear_refusal():
    value = b"\x0a\x01x"
    for _ in range(300):
        value = b"\x0a" + _varint(len(value)) + value
        value = b"\x2a" + _varint(len(value)) + value
    attribute = b"\x0a\x01k\x12" + _varint(len(value)) + value
    body = b"\x4a" + _varint(len(attribute)) + attribute
    for tag in (b"\x12", b"\x12", b"\x0a"):
        body = tag + _varint(len(body)) + body
    with pytest.raises(SenderError, match="nested too deeply"):
        decode.decode_traces(body, "protobuf", 0, LIMITS)


@pytest.mark.parametrize(
    ("trace_id", "span_id", "reason"),
    [
        ("", "", "missing_ids"),
        ("00" * 16, "01" * 8, "invalid_trace_id"),
        ("01" * 16, "00" * 8, "invalid_span_id"),
        ("01" * 8, "01" * 8, "invalid_trace_id"),
        ("01" * 16, "01" * 4, "invalid_span_id"),
    ],
)
def test_bad_ids_refuse_the_span_with_a_reason_and_spare_the_others(trace_id, span_id, reason):
    bad = otlp.span() | {"traceId": trace_id, "spanId": span_id}
    for decoded in both(otlp.traces([bad, otlp.span()])):
        assert [r.reason for r in decoded.rejections] == [reason]
        assert (len(decoded.spans), decoded.sent) == (1, 2)


def test_ids_in_upper_case_are_the_same_ids():
    span = otlp.span(trace_id="ab" * 16, span_id="cd" * 8)
    lower, upper = otlp.traces([span]), otlp.traces([span | {"traceId": "AB" * 16, "spanId": "CD" * 8}])
    decoded = [decode.decode_traces(otlp.as_json(r), "json", 0, LIMITS).spans for r in (lower, upper)]
    assert decoded[0] == decoded[1]


def test_logs_sent_to_the_traces_address_are_refused_with_a_hint():
    request = otlp.logs([otlp.log("x", body="hello", attributes={"a": 1})])
    decoded = decode.decode_traces(otlp.as_protobuf(request), "protobuf", 0, LIMITS)
    assert decoded.sent == 1 and "/v1/logs" in decoded.rejections[0].detail
    with pytest.raises(SenderError, match="/v1/logs"):
        decode.decode_traces(otlp.as_json(request), "json", 0, LIMITS)


def test_spans_sent_to_the_logs_address_are_refused():
    body = otlp.as_protobuf(otlp.traces([otlp.span(attributes={"a": 1})]))
    with pytest.raises(SenderError, match="path"):
        decode.decode_logs(body, "protobuf", 0, LIMITS)


def test_a_negative_duration_becomes_zero_and_is_marked():
    for decoded in both(otlp.traces([otlp.span(duration_ns=-5)])):
        (span,) = decoded.spans
        assert span.end_ns == span.start_ns and span.alterations == Alteration.NEGATIVE_DURATION


def test_attributes_events_and_links_are_bounded():
    link = {"traceId": "01" * 16, "spanId": "02" * 8}
    many = {f"k{i}": i for i in range(600)}
    request = otlp.traces([otlp.span(attributes=many, events=[otlp.event("e")] * 300, links=[link] * 200)])
    for decoded in both(request):
        (span,) = decoded.spans
        assert (len(span.attributes), len(span.events), len(span.links)) == (512, 256, 128)
        assert span.alterations == Alteration.VALUE_TRUNCATED


def test_long_texts_are_cut_unless_they_are_content():
    values = {"http.url": "x" * 100_000, "gen_ai.input.messages": "x" * 100_000, "gen_ai.prompt": "x" * 1_200_000}
    for decoded in both(otlp.traces([otlp.span(attributes=values)])):
        lengths = {key: len(value) for key, value in decoded.spans[0].attributes.items()}
        assert lengths == {"http.url": 65_536, "gen_ai.input.messages": 100_000, "gen_ai.prompt": 1_048_576}
        assert decoded.spans[0].alterations == Alteration.VALUE_TRUNCATED


def test_enums_may_be_names_and_unknown_fields_are_ignored():
    span = otlp.span() | {"kind": "SPAN_KIND_CLIENT", "status": {"code": "STATUS_CODE_ERROR"}, "novel": {"a": [1]}}
    (read,) = decode.decode_traces(otlp.as_json(otlp.traces([span])), "json", 0, LIMITS).spans
    assert (read.otel_kind, read.status) == (3, 2)


def test_metrics_of_every_kind_are_equal_in_both_encodings():
    point = {"timeUnixNano": "5", "startTimeUnixNano": "1", "attributes": otlp.attributes({"a": "b"})}
    buckets = {"offset": 1, "bucketCounts": ["1", "2"]}
    found = [
        otlp.gauge("g", 1.5, device="0"),
        {"name": "s", "sum": {"aggregationTemporality": 2, "isMonotonic": True,
        "dataPoints": [point | {"asInt": "7"}]}},
        {"name": "h", "histogram": {"aggregationTemporality": 1, "dataPoints": [
            point | {"count": "3", "sum": 6.0, "explicitBounds": [1.0], "bucketCounts": ["1", "2"]}]}},
        {"name": "e", "exponentialHistogram": {"dataPoints": [
            point | {"count": "3", "sum": 6.0, "scale": 3, "zeroCount": "0", "positive": buckets}]}},
        {"name": "y", "summary": {"dataPoints": [
            point | {"count": "3", "sum": 6.0, "quantileValues": [{"quantile": 0.5, "value": 2.0}]}]}},
    ]  # fmt: skip
    request = otlp.metrics(found)
    first = decode.decode_metrics(otlp.as_protobuf(request), "protobuf", 0, LIMITS)
    assert first == decode.decode_metrics(otlp.as_json(request), "json", 0, LIMITS)
    assert [p.kind for p in first.points] == ["gauge", "sum", "histogram", "exponential_histogram", "summary"]
    assert (first.points[1].value, first.points[1].monotonic, first.points[1].temporality) == (7.0, True, 2)
    assert first.points[3].histogram["positive"] == {"offset": 1, "counts": [1, 2]}


JSON_TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=12,
)
MEMBERS = st.sampled_from(
    ["stringValue", "intValue", "doubleValue", "boolValue", "bytesValue", "arrayValue", "kvlistValue", "x"]
)
VALUES = st.dictionaries(MEMBERS, JSON_TREES, max_size=2) | JSON_TREES
SPANS = st.fixed_dictionaries(
    {},
    optional={
        "traceId": st.sampled_from(["ab" * 16, "AB" * 16, "", "zz", "00" * 16]) | JSON_TREES,
        "spanId": st.sampled_from(["ab" * 8, "", "00" * 8]) | JSON_TREES,
        "name": JSON_TREES,
        "kind": JSON_TREES,
        "startTimeUnixNano": JSON_TREES | st.just("1795440000000000000"),
        "endTimeUnixNano": JSON_TREES,
        "attributes": st.lists(st.fixed_dictionaries({"key": JSON_TREES, "value": VALUES}), max_size=4) | JSON_TREES,
        "events": JSON_TREES,
        "links": JSON_TREES,
        "status": JSON_TREES,
    },
)


@settings(max_examples=150, deadline=None)
@given(spans=st.lists(SPANS | JSON_TREES, max_size=4), resource=JSON_TREES, scope=JSON_TREES)
def test_any_json_is_accepted_or_refused_item_by_item_and_comes_out_clean(spans, resource, scope):
    body = json.dumps(
        {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": scope, "spans": spans}]}]}, allow_nan=True
    ).encode("utf-8", "surrogatepass")
    decoded = decode.decode_traces(body, "json", 0, LIMITS)
    assert decoded.sent == len(spans) and holds_promise(decoded)
    for span in decoded.spans:
        data = orjson.dumps([span.attributes, span.name, span.status_message, span.resource.attributes])
        assert b"\\u0000" not in data


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body):
    for read in (decode.decode_traces, decode.decode_logs, decode.decode_metrics):
        for encoding in ("protobuf", "json"):
            try:
                assert holds_promise(read(body, encoding, 0, LIMITS))
            except SenderError as error:
                assert error.http_status in (400, 413)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_protobuf_with_any_byte_changed_is_read_or_refused(data):
    body = bytearray(otlp.as_protobuf(otlp.traces([otlp.span(attributes={"k": "text", "n": [1, {"a": 2.0}]})])))
    body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        assert holds_promise(decode.decode_traces(bytes(body), "protobuf", 0, LIMITS))
    except SenderError as error:
        assert error.code == "undecodable"
