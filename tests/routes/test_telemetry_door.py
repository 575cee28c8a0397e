"""HTTP in, rows out."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from kit import otlp
from stanchion_server.ingest.models import IngestBatch
from stanchion_server.kernel import clock
from stanchion_server.tenants import access, services
from stanchion_server.tenants.models import Project, Scope
from stanchion_server.traces.models import Content, LlmCall, LogEntry, MetricPoint, Span

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _empty_caches() -> Iterator[None]:
    access.forget_everything()
    yield
    access.forget_everything()


@pytest.fixture
def project() -> Project:
    return services.create_project(services.create_organisation("Acme"), "Shop")


@pytest.fixture
def key(project: Project) -> str:
    return services.create_key(project, "app", [Scope.INGEST])


def send(key: str, request: dict[str, Any], signal: str = "traces", **headers: str) -> Any:
    return Client(headers={"x-api-key": key, **headers}).post(
        f"/v1/{signal}", otlp.as_protobuf(request), content_type="application/x-protobuf"
    )


def recent(**values: Any) -> dict[str, Any]:
    return otlp.llm_span(start_ns=clock.now_ns() - 10**9, **values)


def test_a_span_that_came_in_is_a_row_with_its_call_its_price_and_its_entry_in_the_ledger(
    project: Project, key: str
) -> None:
    answer = send(key, otlp.traces([recent()], {"telemetry.sdk.language": "python", "telemetry.sdk.version": "1.45.2"}))
    assert (answer.status_code, answer.content) == (200, b"")
    assert Span.objects.get().project_id == project.pk
    call = LlmCall.objects.get()
    assert (call.model, call.input_tokens) == ("gpt-4o-mini", 1100)
    assert str(call.cost_usd.normalize()) == "0.000126"
    batch = IngestBatch.objects.get()
    assert (batch.sent, batch.stored, batch.duplicate, batch.rejected, batch.state) == (1, 1, 0, 0, "stored")
    assert batch.client == "opentelemetry.instrumentation.openai_v2 1.0 via python 1.45.2"


def test_both_encodings_and_every_compression_give_the_same_row(key: str) -> None:
    request = otlp.traces([recent()])
    rows = []
    for body, media_type, headers in (
        (otlp.as_protobuf(request), "application/x-protobuf", {}),
        (otlp.as_json(request), "application/json; charset=utf-8", {}),
        (gzip.compress(otlp.as_json(request)), "application/json", {"Content-Encoding": "gzip"}),
    ):
        Span.objects.all().delete()
        LlmCall.objects.all().delete()
        Content.objects.all().delete()
        client = Client(headers={"Authorization": f"Bearer {key}", **headers})
        assert client.post("/v1/traces", body, content_type=media_type).status_code == 200
        rows.append(LlmCall.objects.values().get() | {"received_at": None})
    assert rows[0] == rows[1] == rows[2]


def test_logs_and_metrics_are_stored_too(key: str) -> None:
    now_ns = clock.now_ns()
    assert send(key, otlp.logs([otlp.log("hello", body="text", time_ns=now_ns)]), "logs").status_code == 200
    assert (
        send(key, otlp.metrics([otlp.gauge("hw.gpu.utilization", 0.5, time_ns=now_ns)]), "metrics").status_code == 200
    )
    assert LogEntry.objects.get().event_name == "hello"
    assert MetricPoint.objects.get().value == 0.5


def test_the_same_request_twice_is_counted_as_duplicate_and_stored_once(key: str) -> None:
    request = otlp.traces([recent(), recent()])
    for _ in range(2):
        assert send(key, request).content == b""
    assert Span.objects.count() == 2
    assert [(b.stored, b.duplicate) for b in IngestBatch.objects.order_by("id")] == [(2, 0), (0, 2)]


def test_what_is_refused_is_told_and_counted_and_the_rest_is_stored(key: str) -> None:
    old = otlp.llm_span(start_ns=clock.now_ns() - 400 * 86_400 * 10**9)
    nameless = recent(span_id="0" * 16)
    client = Client(headers={"x-api-key": key})
    body = otlp.as_json(otlp.traces([recent(), old, nameless]))
    answer = client.post("/v1/traces", body, content_type="application/json")
    partial = json.loads(answer.content)["partialSuccess"]
    assert partial["rejectedSpans"] == "2"
    assert "too_old" in partial["errorMessage"]
    assert Span.objects.count() == 1
    batch = IngestBatch.objects.get()
    assert (batch.sent, batch.stored, batch.rejected) == (3, 1, 2)
    assert sum(batch.reasons.values()) == 2


def test_a_refused_request_is_in_the_ledger_with_its_reason(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from stanchion_server.ingest.ledger import Refusals
    from stanchion_server.routes import telemetry

    monkeypatch.setattr(telemetry, "refusals", Refusals())
    client = Client(headers={"x-api-key": key, "User-Agent": "OTel-OTLP-Exporter-Python/1.45.2"})
    assert client.post("/v1/traces", b"\xff" * 30, content_type="application/x-protobuf").status_code == 400
    batch = IngestBatch.objects.get()
    assert (batch.state, batch.reasons, batch.sent) == ("refused", {"undecodable": 1}, 0)
    assert batch.client == "OTel-OTLP-Exporter-Python 1.45.2"


def test_a_key_writes_into_its_own_project_only(project: Project, key: str) -> None:
    other = services.create_project(services.create_organisation("Other"), "Other")
    other_key = services.create_key(other, "app", [Scope.INGEST])
    request = otlp.traces([recent()])
    send(key, request)
    send(other_key, request)
    assert sorted(Span.objects.values_list("project_id", flat=True)) == sorted([project.pk, other.pk])


def test_a_project_over_its_daily_quota_gets_429_until_it_is_raised(project: Project, key: str) -> None:
    from stanchion_server.ingest import selectors

    Project.objects.update(daily_span_quota=2)
    selectors.forget()
    assert send(key, otlp.traces([recent(), recent()])).status_code == 200
    selectors.forget()
    answer = send(key, otlp.traces([recent()]))
    assert answer.status_code == 429
    assert b"quota" in answer.content
    assert Span.objects.count() == 2


def test_a_credential_in_a_prompt_is_masked_before_it_is_stored(key: str) -> None:
    secret = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789"
    send(
        key, otlp.traces([recent(attributes={"app.note": f"use {secret}", "http.request.header.authorization": "x y"})])
    )
    stored = json.dumps(Span.objects.get().attributes)
    assert secret not in stored
    assert "x y" not in stored
    assert IngestBatch.objects.get().alterations == {"secret_masked": 1}


def test_no_answer_sets_a_cookie_or_redirects(key: str) -> None:
    for path in ("/v1/traces", "/v1/traces/", "/otel/v1/traces", "/api/public/otel/v1/traces/", "/v1/traces/v1/traces"):
        client = Client(headers={"x-api-key": key, "Host": "some.name:4318"})
        body = otlp.as_protobuf(otlp.traces([recent()]))
        answer = client.post(path, body, content_type="application/x-protobuf")
        assert answer.status_code == 200
        assert not answer.cookies
    assert Span.objects.count() == 5
