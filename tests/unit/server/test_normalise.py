"""What comes out of normalise can be stored, whatever went in."""

from __future__ import annotations

import json
import logging

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit import otlp
from stanchion_server.ingest import decode, messages
from stanchion_server.ingest.dialects import table
from stanchion_server.ingest.normalise import normalise_logs, normalise_points, normalise_spans
from stanchion_server.ingest.records import Alteration

LIMITS = decode.Limits()


def read(request):
    return normalise_spans(decode.decode_traces(otlp.as_json(request), "json", 0, LIMITS).spans, 0)


def read_one(attributes, **parts):
    return read(otlp.traces([otlp.span(attributes=attributes, **parts)]))


def test_texts_move_to_contents_and_leave_a_mark():
    text = json.dumps([{"role": "user", "parts": [{"type": "text", "content": "secret é"}]}])
    result = read_one({"gen_ai.operation.name": "chat", "gen_ai.input.messages": text, "my.key": "kept"})
    attributes = orjson.loads(result.spans[0].attributes_json)
    assert attributes == {
        "gen_ai.operation.name": "chat",
        "my.key": "kept",
        "gen_ai.input.messages": {"stanchion.content": True, "bytes": len(text.encode())},
    }
    assert messages.load(result.contents[0].body)["input"][0]["parts"][0]["text"] == "secret é"


def test_flattened_texts_leave_one_mark():
    values = {"llm.input_messages.0.message.role": "user", "llm.input_messages.0.message.content": "secret"}
    result = read_one({"openinference.span.kind": "LLM", **values})
    assert orjson.loads(result.spans[0].attributes_json) == {
        "openinference.span.kind": "LLM",
        "llm.input_messages.*": {"stanchion.content": True, "bytes": 10},
    }


def test_a_text_told_twice_is_kept_under_raw_and_not_in_the_attributes():
    result = read_one({
        "openinference.span.kind": "LLM", "input.value": '{"messages": [{"role": "user", "content": "secret"}]}',
        "llm.input_messages.0.message.role": "user", "llm.input_messages.0.message.content": "secret"})  # fmt: skip
    assert b"secret" not in result.spans[0].attributes_json
    content = messages.load(result.contents[0].body)
    assert content["input"] == [{"role": "user", "parts": [{"type": "text", "text": "secret"}]}]
    assert "secret" in content["raw"]["input.value"]


def test_span_events_with_messages_are_content_and_chunks_are_counted():
    events = [
        otlp.event("gen_ai.system.message", {"content": "Be brief."}),
        otlp.event("gen_ai.user.message", {"content": "Hi"}),
        otlp.event(
            "gen_ai.choice", {"index": 0, "finish_reason": "stop", "message": '{"role":"assistant","content":"Yo"}'}
        ),
        *[otlp.event("gen_ai.content.completion.chunk", time_ns=otlp.START_NS + 1_000_000 * i) for i in range(5, 9)],
    ]
    result = read_one({"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}, events=events)
    content = messages.load(result.contents[0].body)
    assert content["system"] == [{"type": "text", "text": "Be brief."}]
    assert content["input"][0]["parts"][0]["text"] == "Hi"
    assert content["output"][0]["parts"][0]["text"] == "Yo"
    rows = orjson.loads(result.spans[0].events_json)
    assert [row.get("count") for row in rows] == [None, None, None, 4]
    assert result.calls[0].time_to_first_token_ms == 5.0


def test_a_long_text_that_is_no_content_is_cut_and_marked():
    result = read_one({"exception.message": "x" * 300_000, "a": "y"})
    assert len(result.spans[0].attributes_json) < 70_000
    assert Alteration.VALUE_TRUNCATED in result.spans[0].alterations


def test_details_logs_give_content_and_keep_no_copy():
    found = {"gen_ai.input.messages": [{"role": "user", "parts": [{"type": "text", "content": "secret"}]}]}
    entry = otlp.log(
        "gen_ai.client.inference.operation.details", attributes=found, trace_id="ab" * 16, span_id="cd" * 8
    )
    decoded = decode.decode_logs(otlp.as_protobuf(otlp.logs([entry])), "protobuf", 0, LIMITS)
    (record,), (content,) = normalise_logs(decoded.logs)
    assert b"secret" not in record.attributes_json + record.body_json
    assert messages.load(content.body)["input"][0]["parts"][0]["text"] == "secret"


def test_a_message_log_without_a_span_keeps_its_text():
    decoded = decode.decode_logs(
        otlp.as_json(otlp.logs([otlp.log("gen_ai.user.message", body={"content": "kept"})])), "json", 0, LIMITS
    )
    (record,), contents = normalise_logs(decoded.logs)
    assert b"kept" in record.body_json and contents == ()


def test_a_retried_log_has_the_same_digest():
    body = otlp.as_protobuf(otlp.logs([otlp.log("x", body="a")]))
    first, second = (normalise_logs(decode.decode_logs(body, "protobuf", 0, LIMITS).logs)[0][0] for _ in range(2))
    assert first.digest == second.digest


def test_points_of_one_series_share_an_id():
    found = [otlp.gauge("g", 1.0, a="x"), otlp.gauge("g", 2.0, a="x"), otlp.gauge("g", 1.0, a="y")]
    decoded = decode.decode_metrics(otlp.as_json(otlp.metrics(found)), "json", 0, LIMITS)
    ids = [point.series_id for point in normalise_points(decoded.points)]
    assert ids[0] == ids[1] != ids[2]


KEYS = st.sampled_from(sorted({*table.SLOTS, *table.TEXTS, *table.KIND_KEYS,
    "llm.input_messages.0.message.content", "llm.input_messages.0",
    "llm.output_messages.0.message.tool_calls.0.tool_call.function.name",
    "gen_ai.prompt.0.content", "gen_ai.prompt.1", "gen_ai.completion.0.tool_calls.0.name",
    "retrieval.documents.0.document.content",
    "llm.tools.0.tool.json_schema", "embedding.embeddings.0.embedding.text", "gen_ai.prompt.x", "other"}))  # fmt: skip
LEAVES = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text(max_size=12)
    | st.sampled_from(["{}", "[]", "{'a': 1}", '"x"', '{"content": null}', '[{"role": 5}]',
    '{"messages": {"0": 1}}', "[[[]]]", "1e999",
                       '[{"parts": [null, 1, "a", {"type": []}]}]', '{"usage": []}', '{"choices": [1, null]}',
                       '{"model": {}}',
                       '{"a": "\\u0000"}', "chat", "LLM", "tool", '{"tools": 5, "messages": "x"}',
                       '{"kwargs": {"content": {}}}'])
)  # fmt: skip
VALUES = st.recursive(
    LEAVES, lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(max_size=5), v, max_size=3), max_leaves=6
)
SCOPES = st.sampled_from(["app", *(scope for dialect in table.DIALECTS for scope in dialect.scopes[:1])])
EVENTS = st.sampled_from(["exception", "gen_ai.choice", "gen_ai.user.message", "gen_ai.tool.message",
"gen_ai.content.prompt",
                          "db.query.result", "gen_ai.client.inference.operation.details",
                          "First Token Stream Event"])  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(
    attributes=st.dictionaries(KEYS, VALUES, max_size=12),
    scope=SCOPES,
    events=st.lists(st.tuples(EVENTS, st.dictionaries(st.sampled_from(["content", "message", "gen_ai.prompt", "x"]),
    VALUES, max_size=2)), max_size=2),
)  # fmt: skip
def test_no_attributes_break_the_reading_and_what_comes_out_can_be_stored(attributes, scope, events):
    made = [otlp.event(name, values) for name, values in events]
    request = otlp.traces([otlp.span(attributes=attributes, events=made)], scope=scope)
    failures = _Failures()
    logging.getLogger("stanchion_server.ingest.normalise").addHandler(failures)
    result = read(request)
    assert failures.found == []
    (span,) = result.spans
    for data in (span.attributes_json, span.events_json or b"{}"):
        assert not holds_nul(orjson.loads(data))
    for call in result.calls:
        for counted in (call.input_tokens, call.output_tokens, call.cached_input_tokens, call.reasoning_tokens):
            assert counted is None or 0 <= counted < 2**63
        for text in (call.model, call.user_id, call.feature, call.input_preview, call.output_preview, call.error_type):
            assert "\0" not in text and len(text) <= 256
            text.encode()
        assert not holds_nul(orjson.loads(orjson.dumps(call.parameters)))
        orjson.dumps(call.mapping.winners)
    for content in result.contents:
        assert not holds_nul(messages.load(content.body))


def holds_nul(tree):
    if isinstance(tree, dict):
        return any(holds_nul(key) or holds_nul(value) for key, value in tree.items())
    return any(map(holds_nul, tree)) if isinstance(tree, list) else isinstance(tree, str) and "\0" in tree


class _Failures(logging.Handler):
    def __init__(self):
        super().__init__()
        self.found = []

    def emit(self, record):
        self.found.append(record.exc_text or str(record.exc_info))


@pytest.mark.parametrize("encoding", ["protobuf", "json"])
def test_two_readings_of_one_request_are_equal(encoding):
    request = otlp.traces([otlp.llm_span(), otlp.span("x", attributes={"a": 1})])
    body = otlp.as_protobuf(request) if encoding == "protobuf" else otlp.as_json(request)
    first, second = (normalise_spans(decode.decode_traces(body, encoding, 0, LIMITS).spans, 0) for _ in range(2))
    assert first == second
