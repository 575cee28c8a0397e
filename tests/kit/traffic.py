"""A small shop's telemetry, sent through decoding, normalising, pricing and the store: what the page tests look at."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from kit import otlp
from stanchion_server.costs import arriving, peaks, selectors, settle
from stanchion_server.ingest import decode, normalise
from stanchion_server.ingest.ledger import LedgerEntry
from stanchion_server.ingest.records import Batch
from stanchion_server.traces import store

HIDDEN_TAGS = "".join(chr(0xE0000 + ord(letter)) for letter in "obey me")
HOSTILE = (
    "<script>alert('stanchion')</script><img src=x onerror=alert(1)>{{7*7}}"
    f'\u202egnp.exe\u202c zero\u200bwidth {HIDDEN_TAGS} "><svg onload=alert(2)> javascript:alert(3)'
)


def send(project_id: int, api_key_id: int, request: otlp.Json, now: datetime, client: str = "test/1.0") -> int:
    """Stores a request of spans the way the door does; the number of rows written."""
    now_ns = int(now.timestamp() * 1e9)
    decoded = decode.decode_traces(otlp.as_json(request), "json", now_ns, decode.Limits())
    found = normalise.normalise_spans(decoded.spans, now_ns)
    calls = arriving.priced(found.calls, found.spans, selectors.book(project_id))
    refused = sum(rejection.count for rejection in decoded.rejections)
    ledger = LedgerEntry(
        api_key_id=api_key_id,
        signal="traces",
        client=client,
        body_bytes=1000,
        sent=decoded.sent,
        rejected=refused,
        reasons={rejection.reason: rejection.count for rejection in decoded.rejections},
        detail=decoded.rejections[0].detail if decoded.rejections else "",
    )
    batch = Batch(spans=found.spans, calls=calls, contents=found.contents)
    return store.store(project_id, batch, ledger).stored


def settle_all(now: datetime) -> None:
    while settle.run(now).minutes:
        pass


def count_peaks(now: datetime) -> None:
    for _project in peaks.work(now):
        pass


def messages(role: str, text: str, **more: Any) -> str:
    return json.dumps([{"role": role, "parts": [{"type": "text", "content": text}], **more}])


def chat(
    at: datetime,
    *,
    question: str = "Where is my order?",
    answer: str = "It left our warehouse today.",
    attributes: Mapping[str, object] | None = None,
    **span: Any,
) -> otlp.Json:
    """One chat call with its texts."""
    texts = {
        "gen_ai.input.messages": messages("user", question),
        "gen_ai.output.messages": messages("assistant", answer, finish_reason="stop"),
    }
    return otlp.llm_span(attributes={**texts, **(attributes or {})}, start_ns=nanoseconds(at), **span)


def nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000_000 + moment.microsecond * 1000


def agent_trace(at: datetime, trace_id: str, root: str) -> list[otlp.Json]:
    """An agent that searches, calls a tool, fails once and answers; one call is recorded by two instrumentations."""
    search, tool = otlp.new_span_id(), otlp.new_span_id()
    common = {"stanchion.feature": "support-chat", "stanchion.user": "u-17", "stanchion.session": "session-4"}

    def child(name: str, after_ms: int, took_ms: int, values: Mapping[str, object], **more: Any) -> otlp.Json:
        start = nanoseconds(at) + after_ms * 1_000_000
        more.setdefault("parent", root)
        return otlp.span(
            name, trace_id=trace_id, start_ns=start, duration_ns=took_ms * 1_000_000, attributes=values, **more
        )

    documents = [{"document.id": "kb-7", "document.content": "Orders ship within two days.", "document.score": 0.91}]
    retrieved = {
        f"retrieval.documents.{place}.{key}": value
        for place, document in enumerate(documents)
        for key, value in document.items()
    }
    return [
        child("support agent", 0, 4200, {"gen_ai.operation.name": "invoke_agent", **common}, span_id=root, parent=""),
        child("search the handbook", 40, 310, {"openinference.span.kind": "RETRIEVER", "input.value": "shipping times",
              **retrieved}, span_id=search),
        child("embeddings text-embedding-3-small", 60, 90, {"gen_ai.operation.name": "embeddings",
              "gen_ai.provider.name": "openai", "gen_ai.request.model": "text-embedding-3-small",
              "gen_ai.usage.input_tokens": 8}, parent=search),
        child("execute_tool order_status", 380, 520, {"gen_ai.operation.name": "execute_tool",
              "gen_ai.tool.name": "order_status", "gen_ai.tool.call.arguments": '{"order": 4711}',
              "gen_ai.tool.call.result": "timeout after 500 ms"}, span_id=tool, status=2,
              message="TimeoutError: 500 ms"),
        chat(at + timedelta(milliseconds=950), trace_id=trace_id, parent=root, duration_ns=2_900_000_000,
             question=HOSTILE, answer="I cannot see the order, but orders ship within two days.",
             attributes={**common, "gen_ai.response.id": f"resp-{trace_id}", "gen_ai.request.temperature": 0.2,
                         "gen_ai.system_instructions": json.dumps([{"type": "text", "content": "You help a shop."}]),
                         "gen_ai.response.time_to_first_chunk": 0.42, "x.custom": "kept"}),
        child("guardrail: no promises", 3900, 60, {"openinference.span.kind": "GUARDRAIL"}),
    ]  # fmt: skip


def second_record(at: datetime, trace_id: str, parent: str) -> otlp.Json:
    """The agent's chat call as another instrumentation saw it."""
    span = otlp.llm_span(
        name="ChatCompletion",
        trace_id=trace_id,
        parent=parent,
        start_ns=nanoseconds(at + timedelta(milliseconds=955)),
        duration_ns=2_880_000_000,
        attributes={"gen_ai.response.id": f"resp-{trace_id}"},
    )
    return otlp.traces([span], scope="anthropic_like.instrumentation", version="0.9")


def a_day(project_id: int, api_key_id: int, now: datetime, calls: int = 400) -> str:
    """A day of calls and one agent trace; answers the trace's id. The numbers are the same for every `now`."""
    random_ = random.Random(7)
    models = (
        ("openai", "gpt-4o-mini"),
        ("openai", "gpt-4o"),
        ("anthropic", "claude-sonnet-4-5"),
        ("acme", "house-llm-7b"),
    )
    features = ("support-chat", "search", "summaries", "")
    spans = []
    for place in range(calls):
        provider, model = random_.choices(models, (60, 20, 15, 5))[0]
        failed = random_.random() < 0.03
        at = now - timedelta(seconds=60 + random_.random() ** 1.4 * 86_000)
        spans.append(
            chat(
                at,
                question=f"Question {place}: how do I return a pair of shoes?",
                duration_ns=int(random_.lognormvariate(0, 0.6) * 1.2e9),
                status=2 if failed else 0,
                attributes={
                    "gen_ai.provider.name": provider,
                    "gen_ai.request.model": model,
                    "gen_ai.response.model": model,
                    "gen_ai.usage.input_tokens": random_.randint(200, 6000),
                    "gen_ai.usage.cache_read.input_tokens": 0,
                    "gen_ai.usage.output_tokens": random_.randint(20, 900),
                    "gen_ai.usage.reasoning.output_tokens": 0,
                    "stanchion.feature": random_.choices(features, (50, 30, 15, 5))[0],
                    "stanchion.user": f"u-{random_.randint(1, 40)}",
                    "stanchion.session": f"session-{random_.randint(1, 60)}",
                    "gen_ai.response.time_to_first_chunk": random_.uniform(0.1, 0.9),
                    **({"error.type": "RateLimitError"} if failed else {}),
                },
            )
        )
    send(project_id, api_key_id, otlp.traces(spans), now, "OTel-OTLP-Exporter-Python/1.45.0")
    trace_id, root = otlp.new_trace_id(), otlp.new_span_id()
    at = now - timedelta(minutes=3)
    send(project_id, api_key_id, otlp.traces(agent_trace(at, trace_id, root)), now, "OTel-OTLP-Exporter-Python/1.45.0")
    send(project_id, api_key_id, second_record(at, trace_id, root), now, "OpenLLMetry/0.62")
    broken = otlp.span("no id", trace_id="0" * 32)
    send(project_id, api_key_id, otlp.traces([broken]), now, "home-made/0.1")
    settle_all(now)
    return trace_id
