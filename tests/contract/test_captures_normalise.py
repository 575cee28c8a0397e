"""What real clients sent, read as the reference calls they made: whatever the vocabulary, the numbers are the same."""

from __future__ import annotations

from decimal import Decimal

import pytest

from kit import otlp
from stanchion_server.ingest import decode, messages
from stanchion_server.ingest.normalise import normalise_logs, normalise_points, normalise_spans
from stanchion_server.ingest.records import CallRecord, Charge, SpanKind

LIMITS = decode.Limits()
DECODERS = {"traces": decode.decode_traces, "logs": decode.decode_logs, "metrics": decode.decode_metrics}
SYSTEM = [{"type": "text", "text": "Be brief."}]
QUESTION = [{"role": "user", "parts": [{"type": "text", "text": "Capital of France?"}]}]


def normalised(name):
    spans = [
        span
        for signal, request in otlp.captures(name)
        if signal == "traces"
        for span in decode.decode_traces(otlp.as_protobuf(request), "protobuf", 0, LIMITS).spans
    ]
    return normalise_spans(spans, 0)


def is_paired_request(call: CallRecord) -> bool:
    """The first half of a streamed Logfire call: the tokens are on the other half."""
    return call.pair_key is not None and call.input_tokens is None


@pytest.mark.parametrize("name", otlp.capture_names())
def test_both_encodings_give_the_same_records(name):
    for signal, request in otlp.captures(name):
        by_protobuf = DECODERS[signal](otlp.as_protobuf(request), "protobuf", 0, LIMITS)
        by_json = DECODERS[signal](otlp.as_json(request), "json", 0, LIMITS)
        assert by_protobuf == by_json
        assert not by_protobuf.rejections


@pytest.mark.parametrize("name", otlp.capture_names())
def test_every_call_has_the_tokens_the_provider_reported(name):
    calls = [call for call in normalised(name).calls if not is_paired_request(call)]
    assert calls
    for call in calls:
        told = (call.input_tokens, call.cached_input_tokens, call.cache_write_tokens, call.output_tokens)
        if call.kind == SpanKind.EMBEDDING:
            assert call.input_tokens == 5
        elif call.provider == "anthropic":
            assert told[:3] == (1250, 1000, 200)
            assert call.output_tokens in (60, 61), "OpenLLMetry counts one too many on streams"
        else:
            assert (told[0], told[1], told[3]) == (1100, 1000, 60)
            assert call.cache_write_tokens is None
            assert call.reasoning_tokens in (40, None)
        assert not call.tokens_ambiguous


@pytest.mark.parametrize("name", otlp.capture_names())
def test_no_capture_holds_keys_that_nothing_understands(name):
    assert {key for call in normalised(name).calls for key in call.mapping.unmapped} == set()


@pytest.mark.parametrize("name", otlp.capture_names())
def test_content_is_the_same_canonical_messages_whatever_the_client(name):
    for record in normalised(name).contents:
        content = messages.load(record.body)
        if content.get("input") == QUESTION and "output" in content:
            answer = content["output"][0]
            assert (answer["role"], answer["parts"]) == ("assistant", [{"type": "text", "text": "Paris."}])
            assert content.get("system") in (SYSTEM, None)


def test_messages_on_log_records_equal_those_on_spans():
    on_spans = {messages.load(c.body)["input"][0]["parts"][0]["text"] for c in normalised("otel-latest").contents}
    logs = [r for signal, r in otlp.captures("otel-latest") if signal == "logs"]
    contents = [
        messages.load(content.body)
        for request in logs
        for content in normalise_logs(decode.decode_logs(otlp.as_protobuf(request), "protobuf", 0, LIMITS).logs)[1]
    ]
    assert on_spans == {"Capital of France?"}
    assert all(content["input"] == QUESTION and content["system"] == SYSTEM for content in contents)


def test_per_message_log_records_of_one_span_become_one_content():
    request = next(r for signal, r in otlp.captures("openllmetry-events") if signal == "logs")
    records, contents = normalise_logs(decode.decode_logs(otlp.as_protobuf(request), "protobuf", 0, LIMITS).logs)
    content = messages.load(contents[0].body)
    assert content["system"] == SYSTEM and content["input"] == QUESTION
    assert content["output"][0]["finish_reason"] == "stop"
    assert contents[0].source == 1
    assert b"Capital of France?" not in b"".join(r.body_json for r in records if r.trace_id)


def test_vercel_wrappers_are_rollups_over_the_provider_call():
    calls = normalised("vercel-legacy").calls
    charges = {call.operation: call.charge for call in calls}
    assert charges == {
        "ai.generateText": Charge.ROLLUP,
        "ai.generateText.doGenerate": Charge.CHARGED,
        "ai.streamText": Charge.ROLLUP,
        "ai.streamText.doStream": Charge.CHARGED,
    }
    assert {call.feature for call in calls} == {"search-fn"}


def test_litellm_is_one_call_a_request_and_claims_the_list_price():
    calls = normalised("litellm").calls
    assert [call.client_cost_usd for call in calls] == [Decimal("0.000126"), Decimal("0.000126"), Decimal("0.0021")]


def test_logfire_claims_the_list_price_and_pairs_its_split_streams():
    calls = normalised("logfire").calls
    claimed = {call.client_cost_usd for call in calls if call.kind == SpanKind.LLM and call.client_cost_usd}
    assert claimed == {Decimal("0.000126"), Decimal("0.0021")}
    paired = [call.pair_key for call in calls if call.pair_key is not None]
    assert len(paired) == 4 and len(set(paired)) == 2


def test_first_token_times_are_inside_their_calls_and_absent_without_a_stream():
    for name in otlp.capture_names():
        for call in normalised(name).calls:
            if call.time_to_first_token_ms is not None:
                assert 0 < call.time_to_first_token_ms < call.duration_ns / 1e6
                assert call.is_streamed is not False


def test_langfuse_and_openinference_tell_feature_user_session_and_tags_without_quotes():
    for name in ("langfuse", "openinference"):
        for call in normalised(name).calls:
            assert (call.feature, call.user_id, call.session_id) == ("search", "user-7", "sess-1")
            assert call.tags == ("a", "b")


def test_metric_points_of_captures_are_read():
    for name in ("otel-latest", "openllmetry-legacy"):
        for signal, request in otlp.captures(name):
            if signal == "metrics":
                decoded = decode.decode_metrics(otlp.as_protobuf(request), "protobuf", 0, LIMITS)
                points = normalise_points(decoded.points)
                assert len(points) == decoded.sent > 0
                assert {point.kind for point in points} <= {"histogram", "sum"}
