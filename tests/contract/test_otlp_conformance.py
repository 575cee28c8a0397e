"""The duties of an OTLP/HTTP server (specification 1.11) and what hostile senders try, as a table of requests."""

from __future__ import annotations

import gzip
import io
import json
import logging
import random
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
import zstandard
from django.core.handlers.wsgi import WSGIRequest
from django.test import Client
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceResponse,
)

from kit import otlp
from stanchion_server.ingest.ledger import Refusals
from stanchion_server.ingest.models import IngestBatch
from stanchion_server.kernel import clock
from stanchion_server.kernel.errors import Unavailable
from stanchion_server.routes import telemetry
from stanchion_server.tenants import access, services
from stanchion_server.tenants.models import Scope
from stanchion_server.traces.models import Span
from stanchion_server.web import otlp as door

pytestmark = pytest.mark.django_db

PROTOBUF, JSON = "application/x-protobuf", "application/json"
DAY_NS = 86_400 * 10**9
RESPONSES: dict[str, type[Message]] = {
    "traces": ExportTraceServiceResponse,
    "logs": ExportLogsServiceResponse,
    "metrics": ExportMetricsServiceResponse,
}


@pytest.fixture(autouse=True)
def _fresh_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    access.forget_everything()
    monkeypatch.setattr(telemetry, "refusals", Refusals())
    yield
    access.forget_everything()


@pytest.fixture
def key() -> str:
    project = services.create_project(services.create_organisation("Acme"), "Shop")
    return services.create_key(project, "app", [Scope.INGEST])


def post(key: str, body: bytes, media_type: str = PROTOBUF, path: str = "/v1/traces", **headers: str) -> Any:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    sender = {"x-api-key": key} if key else {}
    return Client(headers={**sender, **names}).post(path, body, content_type=media_type, CONTENT_TYPE=media_type)


def spans(count: int = 1) -> dict[str, Any]:
    return otlp.traces([otlp.llm_span(start_ns=clock.now_ns() - 10**9) for _ in range(count)])


def status_message(answer: Any) -> tuple[int, str]:
    """Code and message of a google.rpc.Status, read by protobuf's own parser: same field numbers, other names."""
    if answer["Content-Type"] == JSON:
        body = json.loads(answer.content)
        return body["code"], body["message"]
    fields = _fields(answer.content)
    return fields[1], fields[2].decode()


def _fields(data: bytes) -> dict[int, Any]:
    """A flat protobuf message with small numbers and strings."""
    stream, found = io.BytesIO(data), {}
    while tag := stream.read(1):
        value = shift = 0
        while True:
            byte = stream.read(1)[0]
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        found[tag[0] >> 3] = stream.read(value) if tag[0] & 7 == 2 else value
    return found


# --- success ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("signal", RESPONSES)
def test_an_empty_request_is_a_200_with_an_empty_response(key: str, signal: str) -> None:
    answer = post(key, b"", path=f"/v1/{signal}")
    assert (answer.status_code, answer["Content-Type"], answer.content) == (200, PROTOBUF, b"")
    answer = post(key, b"{}", JSON, path=f"/v1/{signal}")
    assert (answer.status_code, answer["Content-Type"], answer.content) == (200, JSON, b"{}")


def test_a_full_success_leaves_partial_success_unset(key: str) -> None:
    answer = post(key, otlp.as_protobuf(spans()))
    assert not ExportTraceServiceResponse.FromString(answer.content).HasField("partial_success")
    assert post(key, otlp.as_json(spans()), JSON).content == b"{}"


@pytest.mark.parametrize("media_type", [JSON, "application/json; charset=utf-8", "APPLICATION/JSON;x=y"])
def test_parameters_of_the_media_type_are_tolerated(key: str, media_type: str) -> None:
    answer = post(key, otlp.as_json(spans()), media_type)
    assert (answer.status_code, answer["Content-Type"]) == (200, JSON)


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [("gzip", gzip.compress), ("deflate", zlib.compress), ("zstd", zstandard.compress), ("identity", bytes)],
)
def test_encodings_of_the_body(key: str, encoding: str, pack: Any) -> None:
    assert post(key, pack(otlp.as_protobuf(spans())), Content_Encoding=encoding).status_code == 200
    assert Span.objects.count() == 1


def test_partial_success_counts_and_explains_in_both_encodings(key: str) -> None:
    request = otlp.traces([otlp.llm_span(start_ns=5), otlp.llm_span(start_ns=clock.now_ns())])
    partial = ExportTraceServiceResponse.FromString(post(key, otlp.as_protobuf(request)).content).partial_success
    assert partial.rejected_spans == 1
    assert "too_old" in partial.error_message
    body = json.loads(post(key, otlp.as_json(request), JSON).content)
    assert body["partialSuccess"]["rejectedSpans"] == "1"


def test_logs_and_metrics_name_their_own_rejected_items(key: str) -> None:
    old_log = otlp.as_protobuf(otlp.logs([otlp.log("x", time_ns=5)]))
    answer = post(key, old_log, path="/v1/logs")
    assert ExportLogsServiceResponse.FromString(answer.content).partial_success.rejected_log_records == 1
    old_point = otlp.as_json(otlp.metrics([otlp.gauge("x", 1.0, time_ns=5)]))
    answer = post(key, old_point, JSON, path="/v1/metrics")
    assert json.loads(answer.content)["partialSuccess"]["rejectedDataPoints"] == "1"


def test_a_change_to_an_accepted_item_is_a_warning(key: str) -> None:
    ahead = otlp.traces([otlp.llm_span(start_ns=clock.now_ns() + 3_600 * 10**9)])
    partial = ExportTraceServiceResponse.FromString(post(key, otlp.as_protobuf(ahead)).content).partial_success
    assert partial.rejected_spans == 0
    assert "clock_skew" in partial.error_message


def test_json_takes_ids_in_either_case_numbers_as_text_and_unknown_fields(key: str) -> None:
    request = spans()
    span = request["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    span["traceId"] = span["traceId"].upper()
    span["startTimeUnixNano"] = int(span["startTimeUnixNano"])
    span["somethingNew"] = {"a": [1]}
    answer = post(key, json.dumps(request).encode(), JSON)
    assert (answer.status_code, answer.content) == (200, b"{}")
    assert Span.objects.get().trace_id.hex == span["traceId"].lower()


# --- refusals --------------------------------------------------------------------------------------------------------


REFUSALS: list[tuple[str, dict[str, Any], int, int]] = [
    ("no key", {"key": ""}, 401, 16),
    ("no key of ours", {"key": "hello"}, 401, 16),
    ("not protobuf", {"body": b"\xff\xff\xff\xff"}, 400, 3),
    ("cut off protobuf", {"body": b"\x0a\x50\x00"}, 400, 3),
    ("not gzip", {"body": b"plain", "Content_Encoding": "gzip"}, 400, 3),
    ("cut off gzip", {"body": gzip.compress(b"a" * 100)[:20], "Content_Encoding": "gzip"}, 400, 3),
    ("unknown encoding", {"body": b"", "Content_Encoding": "br"}, 415, 3),
    ("gzip bomb", {"body": gzip.compress(bytes(80 << 20)), "Content_Encoding": "gzip"}, 413, 8),
    ("too large as sent", {"body": bytes(17 << 20)}, 413, 8),
]  # fmt: skip


@pytest.mark.parametrize(
    ("request_", "status", "code"), [row[1:] for row in REFUSALS], ids=[row[0] for row in REFUSALS]
)
def test_a_refusal_has_a_status_body_in_the_encoding_of_the_request(
    key: str, request_: dict[str, Any], status: int, code: int
) -> None:
    answer = post(**{"key": key, "body": b"", **request_})
    assert (answer.status_code, answer["Content-Type"]) == (status, PROTOBUF)
    found = status_message(answer)
    assert found[0] == code
    assert len(found[1]) > 20
    assert "Retry-After" not in answer


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'{"resourceSpans": {}}', b'"x"', b"\xff{}", b'{"resourceLogs": [{}]}']
)
def test_json_that_is_no_request_is_a_400_in_json(key: str, body: bytes) -> None:
    answer = post(key, body, JSON)
    if answer.status_code != 200:
        assert (answer.status_code, answer["Content-Type"]) == (400, JSON)
        assert status_message(answer)[0] == 3


def test_a_million_empty_spans_in_two_kilobytes_are_refused(key: str) -> None:
    inner = b"\x12\x00" * 1_000_000
    answer = post(key, gzip.compress(_field(1, _field(2, inner))), Content_Encoding="gzip")
    assert answer.status_code == 413


def _field(number: int, data: bytes) -> bytes:
    length, out = len(data), bytearray([number << 3 | 2])
    while length > 0x7F:
        out.append(length & 0x7F | 0x80)
        length >>= 7
    out.append(length)
    return bytes(out) + data


@pytest.mark.parametrize("media_type", ["text/plain", "application/grpc", "multipart/form-data; boundary=x", ""])
def test_other_media_types_are_a_415_in_json(key: str, media_type: str) -> None:
    answer = post(key, b"x", media_type)
    assert (answer.status_code, answer["Content-Type"]) == (415, JSON)
    assert "application/x-protobuf" in status_message(answer)[1]


@pytest.mark.parametrize("method", ["get", "put", "delete", "options", "head", "patch"])
def test_other_methods_are_a_405_that_explains_the_address(method: str) -> None:
    answer = getattr(Client(), method)("/v1/traces")
    assert (answer.status_code, answer["Allow"]) == (405, "POST")
    if method != "head":
        assert "OTEL_EXPORTER_OTLP_ENDPOINT" in status_message(answer)[1]


def test_a_key_without_the_ingest_scope_is_a_403(key: str) -> None:
    from stanchion_server.tenants.models import Project

    reader = services.create_key(Project.objects.get(), "reader", [Scope.READ_METRICS])
    answer = post(reader, b"")
    assert (answer.status_code, status_message(answer)[0]) == (403, 7)


def test_a_lost_database_is_a_503_that_asks_to_come_again_in_a_second(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stanchion_server.traces import store

    def away(*_: object) -> None:
        raise Unavailable("the database cannot take this now: OperationalError")

    monkeypatch.setattr(store, "store", away)
    monkeypatch.setattr(door, "gate", type(door.gate)(door.gate.bounds))
    answers = [post(key, otlp.as_protobuf(spans())), post(key, otlp.as_json(spans()), JSON)]
    for answer in answers:
        assert (answer.status_code, answer["Retry-After"], status_message(answer)[0]) == (503, "1", 14)
    telemetry.write_refusals(is_forced=True)
    assert sum(batch.reasons["overload"] for batch in IngestBatch.objects.all()) == 2


def test_a_body_without_an_announced_length_is_read_to_its_end_and_bounded(key: str) -> None:
    def call(body: bytes) -> tuple[int, bytes]:
        environ = {
            "REQUEST_METHOD": "POST", "PATH_INFO": "/v1/traces", "SERVER_NAME": "x", "SERVER_PORT": "80",
            "wsgi.input": io.BytesIO(body), "wsgi.url_scheme": "http", "CONTENT_TYPE": PROTOBUF,
            "HTTP_TRANSFER_ENCODING": "chunked", "HTTP_X_API_KEY": key, "REMOTE_ADDR": "192.0.2.7",
        }  # fmt: skip
        answer = door.receive(WSGIRequest(environ), "traces")
        return answer.status_code, answer.content

    assert call(otlp.as_protobuf(spans(3))) == (200, b"")
    assert Span.objects.count() == 3
    assert call(bytes(17 << 20))[0] == 413


def test_no_log_line_ever_holds_a_key(key: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    wrong = key[:-1] + ("a" if key[-1] != "a" else "b")
    post(key, otlp.as_protobuf(spans()))
    post(key, b"\xff\xff")
    answer = post(wrong, b"")
    text = caplog.text + answer.content.decode("utf-8", "replace")
    assert key[22:54] not in text


# --- hostile items ---------------------------------------------------------------------------------------------------


def _nested(levels: int) -> object:
    value: object = "deep"
    for _ in range(levels):
        value = [value]
    return value


HOSTILE_VALUES: dict[str, object] = {
    "NUL": "a\x00b",
    "NaN": float("nan"),
    "infinity": float("-inf"),
    "largest integer": 2**63 - 1,
    "smallest integer": -(2**63),
    "two megabytes": "x" * 2_000_000,
    "incompressible text": "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=9_000)),
    "forty levels": _nested(15),
    "backslash u": "\\u0000",
    "control characters": "".join(map(chr, range(32))),
}
HOSTILE_KEYS = [
    "gen_ai.request.model", "gen_ai.usage.input_tokens", "gen_ai.response.id", "gen_ai.input.messages", "session.id",
    "user.id", "gen_ai.request.temperature", "gen_ai.response.finish_reasons", "stanchion.feature",
    "gen_ai.request.seed", "gen_ai.response.time_to_first_chunk", "llm.token_count.prompt", "input.value",
    "any.thing", "a\x00key", "",
]  # fmt: skip


@pytest.mark.parametrize("media_type", [PROTOBUF, JSON])
@pytest.mark.parametrize("value", HOSTILE_VALUES.values(), ids=HOSTILE_VALUES.keys())
def test_a_hostile_value_under_any_key_is_stored_changed_or_refused_but_never_a_5xx(
    key: str, value: object, media_type: str
) -> None:
    hostile = [
        otlp.llm_span(
            start_ns=clock.now_ns(), attributes={name: value}, **({} if index else {"name": str(value)[:5000]})
        )
        for index, name in enumerate(HOSTILE_KEYS)
        if not (isinstance(value, str) and len(value) > 1_000_000 and index > 4)
    ]
    request = otlp.traces([*hostile, otlp.llm_span(start_ns=clock.now_ns())])
    serialise = otlp.as_json if media_type == JSON else otlp.as_protobuf
    answer = post(key, serialise(request), media_type)
    if media_type == JSON and isinstance(value, float):
        assert answer.status_code in (200, 400)
        return
    assert answer.status_code == 200, answer.content[:300]
    _balanced()
    assert Span.objects.count() == len(hostile) + 1


TIMES = [0, 1, -1 % 2**64, 2**63, 2**63 - 1, 2**64 - 1, 18_429_000_000_000_000_000]


@pytest.mark.parametrize("start", TIMES)
@pytest.mark.parametrize("end", TIMES)
def test_impossible_times_never_fail_the_rest_of_the_batch(key: str, start: int, end: int) -> None:
    good = otlp.llm_span(start_ns=clock.now_ns())
    odd = otlp.llm_span()
    odd["startTimeUnixNano"], odd["endTimeUnixNano"] = str(start), str(end)
    late_end = otlp.llm_span(start_ns=clock.now_ns())
    late_end["endTimeUnixNano"] = str(end)
    answer = post(key, otlp.as_json(otlp.traces([good, odd, late_end])), JSON)
    assert answer.status_code == 200
    assert Span.objects.count() == 2
    _balanced()


@pytest.mark.parametrize(
    "ids",
    [("", ""), ("0" * 32, "1" * 16), ("1" * 32, "0" * 16), ("12", "34"), ("z" * 32, "1" * 16), ("1" * 33, "1" * 17)],
)
def test_wrong_ids_are_refused_with_a_reason_and_the_rest_is_stored(key: str, ids: tuple[str, str]) -> None:
    odd, good = otlp.llm_span(start_ns=clock.now_ns()), otlp.llm_span(start_ns=clock.now_ns())
    odd["traceId"], odd["spanId"] = ids
    answer = post(key, json.dumps(otlp.traces([odd, good])).encode(), JSON)
    assert answer.status_code == 200
    assert json.loads(answer.content)["partialSuccess"]["rejectedSpans"] == "1"
    assert Span.objects.count() == 1


def test_one_byte_of_bad_utf8_costs_neither_the_span_nor_the_batch(key: str) -> None:
    request = otlp.traces(
        [otlp.llm_span(start_ns=clock.now_ns(), attributes={"note": "QQQQ"}), otlp.llm_span(start_ns=clock.now_ns())]
    )
    answer = post(key, otlp.as_protobuf(request).replace(b"QQQQ", b"Q\xff\xfeQ"))
    assert answer.status_code == 200
    assert b"invalid_utf8" in answer.content
    assert Span.objects.count() == 2


JSON_TRICKS = {
    "lone surrogate": b'"\\ud800"',
    "huge integer": b"1" * 5_000,
    "huge exponent": b"1e100000",
    "NaN literal": b"NaN",
    "deep arrays": b"[" * 2_000 + b"]" * 2_000,
    "deep objects": b'{"a":' * 900 + b"1" + b"}" * 900,
    "a NUL": b'"\\u0000"',
}


@pytest.mark.parametrize("trick", JSON_TRICKS.values(), ids=JSON_TRICKS.keys())
@pytest.mark.parametrize(
    "place",
    [b"stringValue", b"intValue", b"doubleValue", b"boolValue", b"arrayValue", b"kvlistValue", b"bytesValue", b"x"],
)
def test_json_tricks_are_a_200_or_a_400(key: str, trick: bytes, place: bytes) -> None:
    request = otlp.traces([otlp.llm_span(start_ns=clock.now_ns(), attributes={"note": "QQQQ"})])
    body = otlp.as_json(request)
    body = body.replace(b'"stringValue":"QQQQ"', b'"' + place + b'":' + trick)
    body = body.replace(b'"stringValue": "QQQQ"', b'"' + place + b'":' + trick)
    assert trick in body
    answer = post(key, body, JSON)
    assert answer.status_code in (200, 400), answer.content[:300]
    _balanced()


def test_logs_sent_to_the_address_of_traces_are_refused_with_the_likely_cause(key: str) -> None:
    body = otlp.as_protobuf(otlp.logs([otlp.log("event", time_ns=clock.now_ns())]))
    answer = post(key, body)
    assert answer.status_code in (200, 400)
    assert Span.objects.count() == 0
    assert b"/v1/logs" in answer.content


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_noise_in_a_valid_body_is_never_a_5xx_and_the_ledger_balances(key: str, data: st.DataObject) -> None:
    body = bytearray(otlp.as_protobuf(spans(2)))
    for _ in range(data.draw(st.integers(1, 8))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    assert post(key, bytes(body)).status_code in (200, 400, 413)
    _balanced()


JSON_NODES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda children: st.lists(children, max_size=4)
    | st.dictionaries(
        st.sampled_from(["resourceSpans", "scopeSpans", "spans", "resource", "scope", "attributes", "key", "value",
                         "stringValue", "arrayValue", "values", "events", "links", "status", "code", "traceId",
                         "spanId", "startTimeUnixNano", "endTimeUnixNano", "name", "kind", "kvlistValue"]),
        children, max_size=4),
    max_leaves=20,
)  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tree=JSON_NODES)
def test_any_json_tree_is_a_200_or_a_400(key: str, tree: object) -> None:
    for body in (
        tree,
        {"resourceSpans": tree},
        {"resourceSpans": [{"resource": tree, "scopeSpans": [{"spans": tree}]}]},
    ):
        assert post(key, json.dumps(body).encode(), JSON).status_code in (200, 400)
    _balanced()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    deliveries=st.lists(
        st.lists(st.tuples(st.integers(0, 9), st.sampled_from(["good", "old", "future", "nameless"])), max_size=8),
        max_size=6,
    )
)
def test_accepted_and_rejected_make_sent_and_stored_is_accepted_however_often_and_in_what_order_spans_come(
    key: str, deliveries: list[list[tuple[int, str]]]
) -> None:
    Span.objects.all().delete()
    IngestBatch.objects.all().delete()
    now_ns = clock.now_ns()
    good: set[int] = set()
    for delivery in deliveries:
        request = otlp.traces([_numbered(number, sort, now_ns) for number, sort in delivery])
        assert post(key, otlp.as_protobuf(request)).status_code == 200
        good |= {number for number, sort in delivery if sort == "good"}
    assert {span.span_id for span in Span.objects.all()} == {number + 1 for number in good}
    sent = sum(len(delivery) for delivery in deliveries)
    refused = sum(sort != "good" for delivery in deliveries for _, sort in delivery)
    batches = list(IngestBatch.objects.all())
    assert sum(batch.sent for batch in batches) == sent
    assert sum(batch.rejected for batch in batches) == refused
    assert sum(batch.stored for batch in batches) == len(good)
    _balanced()


_START_NS = clock.now_ns()


def _numbered(number: int, sort: str, now_ns: int) -> dict[str, Any]:
    start = {"old": 1, "future": now_ns + 3 * DAY_NS}.get(sort, _START_NS)
    span_id = "0" * 16 if sort == "nameless" else struct.pack(">q", number + 1).hex()
    return otlp.llm_span(start_ns=start, trace_id="ab" * 16, span_id=span_id)


def _balanced() -> None:
    for batch in IngestBatch.objects.all():
        assert batch.sent == batch.stored + batch.duplicate + batch.rejected
    stored = IngestBatch.objects.filter(signal="traces").values_list("stored", flat=True)
    assert sum(stored) == Span.objects.count()
