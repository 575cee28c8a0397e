"""What real clients sent once, delivered again over HTTP: charged right the first time, and no new row the second."""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from kit import otlp
from kit.contract import ANTHROPIC_COST, OPENAI_COST, Door, open_door
from stanchion_server.costs import settle
from stanchion_server.ingest.models import IngestBatch
from stanchion_server.ingest.records import Charge, SpanKind
from stanchion_server.kernel import clock
from stanchion_server.traces.models import LlmCall

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
TABLES = ("spans", "llm_calls", "contents", "log_records", "metric_points", "resources", "key_mappings")
# (OpenAI's, Anthropic's) model calls that the applications made while they were captured, embeddings apart.
CALLS = {
    "langfuse": (3, 0),
    "litellm": (2, 1),
    "logfire": (3, 2),
    "openinference": (3, 2),
    "openllmetry-events": (3, 2),
    "openllmetry-legacy": (3, 2),
    "otel-default": (3, 0),
    "otel-latest": (3, 0),
    "vercel-legacy": (2, 0),
}
# An OpenLLMetry span without usage, without the response's id, in a trace of its own: an unpriced call, not a charge.
UNPRICED = {"openllmetry-events": 1}
CONSTANT_ID = re.compile(r"\b(chatcmpl-1|msg_1|resp_1)\b")


@pytest.fixture
def door() -> Door:
    return open_door("http://testserver")


@pytest.fixture(params=sorted(CALLS))
def capture(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, otlp.Json]]:
    """The requests of one file, with the clock set to a minute after they were sent and a response id for each call."""
    requests = list(otlp.captures(request.param))
    last_ns = max(int(span["endTimeUnixNano"]) for span in spans_of(requests))
    sent_at = datetime.fromtimestamp(last_ns / 1e9, UTC) + timedelta(minutes=1)
    monkeypatch.setattr(clock, "now", lambda: sent_at)
    monkeypatch.setattr(clock, "now_ns", lambda: last_ns + 60_000_000_000)
    make_ids_unique(requests)
    return requests


def spans_of(requests: list[tuple[str, otlp.Json]]) -> list[otlp.Json]:
    return [
        span
        for kind, body in requests
        if kind == "traces"
        for resource in body["resourceSpans"]
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    ]


def make_ids_unique(requests: list[tuple[str, otlp.Json]]) -> None:
    """The provider of that day answered constant ids. Records that overlap in time tell of the same call."""
    number, until_ns = Counter[str](), Counter[str]()
    for span in sorted(spans_of(requests), key=lambda span: int(span["startTimeUnixNano"])):
        text = json.dumps(span)
        for found in set(CONSTANT_ID.findall(text)):
            number[found] += int(span["startTimeUnixNano"]) > until_ns[found]
            until_ns[found] = max(until_ns[found], int(span["endTimeUnixNano"]))
        text = CONSTANT_ID.sub(lambda match: f"{match[1]}x{number[match[1]]}", text)
        span.update(json.loads(text))


def deliver(door: Door, requests: list[tuple[str, otlp.Json]], encoding: str) -> None:
    for kind, body in requests:
        is_json = encoding == "json"
        answer = Client().post(
            f"/v1/{kind}",
            otlp.as_json(body) if is_json else otlp.as_protobuf(body),
            content_type="application/json" if is_json else "application/x-protobuf",
            headers={"authorization": f"Bearer {door.api_key}"},
        )
        assert answer.status_code == 200, answer.content[:500]
    settle.run(clock.now(), project_id=door.project_id)


def row_counts(door: Door) -> dict[str, int]:
    with connection.cursor() as cursor:
        counts = {}
        for table in TABLES:
            cursor.execute(f"SELECT count(*) FROM {table} WHERE project_id = %s", [door.project_id])
            counts[table] = cursor.fetchone()[0]
        return counts


def money(door: Door) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT grain_minutes, bucket, model, calls, input_tokens, output_tokens, cost_usd FROM call_rollups"
            " WHERE project_id = %s ORDER BY 1, 2, 3, 4",
            [door.project_id],
        )
        return cursor.fetchall()


@pytest.mark.parametrize("encodings", [("protobuf", "protobuf"), ("json", "protobuf")])
def test_a_capture_delivered_twice_adds_no_row_and_no_cost(
    door: Door, capture: list[tuple[str, otlp.Json]], encodings: tuple[str, str]
) -> None:
    deliver(door, capture, encodings[0])
    rows, sums = row_counts(door), money(door)

    deliver(door, capture, encodings[1])

    assert rows["spans"] == len({(span["traceId"], span["spanId"]) for span in spans_of(capture)})
    assert row_counts(door) == rows
    assert money(door) == sums
    batches = IngestBatch.objects.filter(project_id=door.project_id)
    assert sum(batch.sent for batch in batches) == sum(b.stored + b.duplicate + b.rejected for b in batches)
    assert not any(batch.rejected for batch in batches)


@pytest.mark.parametrize("is_reversed", [False, True], ids=["in order", "backwards"])
def test_a_capture_is_charged_once_for_each_provider_call(
    door: Door, capture: list[tuple[str, otlp.Json]], request: pytest.FixtureRequest, is_reversed: bool
) -> None:
    name = request.node.callspec.params["capture"]
    deliver(door, capture[::-1] if is_reversed else capture, "protobuf")

    charged = LlmCall.objects.filter(project_id=door.project_id, charge=Charge.CHARGED, kind=SpanKind.LLM)
    openai = [call.cost_usd for call in charged if call.provider == "openai"]
    anthropic = [call.cost_usd for call in charged if call.provider == "anthropic"]
    of_openai, of_anthropic = CALLS[name]
    assert openai == [OPENAI_COST] * of_openai
    assert sorted(cost for cost in anthropic if cost is not None) == [ANTHROPIC_COST] * of_anthropic
    assert anthropic.count(None) == UNPRICED.get(name, 0)
    embeddings = LlmCall.objects.filter(project_id=door.project_id, charge=Charge.CHARGED, kind=SpanKind.EMBEDDING)
    assert all(call.input_tokens == 5 and (call.cost_usd or Decimal(1)) < Decimal("0.00001") for call in embeddings)


def test_a_wrapper_around_a_call_is_settled_as_no_call_of_its_own(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    requests = list(otlp.captures("frameworks/llama-index-openinference"))
    last_ns = max(int(span["endTimeUnixNano"]) for span in spans_of(requests))
    sent_at = datetime.fromtimestamp(last_ns / 1e9, UTC) + timedelta(minutes=1)
    monkeypatch.setattr(clock, "now", lambda: sent_at)
    monkeypatch.setattr(clock, "now_ns", lambda: last_ns + 60_000_000_000)

    deliver(door, requests, "protobuf")

    charged = LlmCall.objects.filter(project_id=door.project_id, charge=Charge.CHARGED)
    assert [call.cost_usd for call in charged if call.kind == SpanKind.LLM] == [OPENAI_COST] * 3
    assert sum(call.kind == SpanKind.EMBEDDING for call in charged) == 3
