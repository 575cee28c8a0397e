"""What agent frameworks and their instrumentations sent: the reference calls, charged once each, told in full."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import pytest

from kit import otlp
from stanchion_server.costs import charging
from stanchion_server.ingest import decode, messages
from stanchion_server.ingest.normalise import Normalised, normalise_logs, normalise_spans
from stanchion_server.ingest.records import CallRecord, Charge, SpanKind

LIMITS = decode.Limits()
OPENAI, GEMINI = ("openai", "gpt-4o-mini"), ("gcp.gemini", "gemini-2.5-flash")
FULL, PLAIN = (1100, 1000, 60, 40), (1100, None, 60, None)


@dataclass(frozen=True)
class Golden:
    """`usage` of the model calls in order: (input, cached, output, reasoning); what a client leaves out is None."""

    model: tuple[str, str]
    usage: Sequence[tuple[int | None, ...]]
    finish: Sequence[str] = ()
    has_ids: bool = True
    embeddings: int = 0


GOLDEN = {
    "google-adk": Golden(GEMINI, [FULL] * 3, ["stop", "tool_calls", "stop"], has_ids=False),
    "google-genai-openinference": Golden(GEMINI, [FULL] * 3, ["stop", "stop", "tool_calls"]),
    "google-genai-otel": Golden(GEMINI, [FULL] * 3, ["stop", "stop", "tool_calls"]),
    "haystack-openinference": Golden(OPENAI, [FULL] * 2, ["stop", "stop"], has_ids=False),
    "langsmith": Golden(OPENAI, [FULL] * 4, ["stop", "stop", "tool_calls", "tool_calls"]),
    "llama-index-openinference": Golden(OPENAI, [FULL] * 3, ["stop"] * 3, has_ids=False, embeddings=3),
    "openai-agents-openinference": Golden(OPENAI, [FULL] * 4, ["stop", "tool_calls", "stop", "stop"]),
    "openai-agents-openllmetry": Golden(OPENAI, [FULL] * 4, ["stop", "tool_calls", "stop", "stop"]),
    "semantic-kernel": Golden(OPENAI, [PLAIN] * 2, ["stop", "stop"]),
    "smolagents-openinference": Golden(OPENAI, [FULL, PLAIN, FULL, FULL, FULL], has_ids=False),
    "strands": Golden(OPENAI, [PLAIN] * 4, ["stop", "stop", "tool_calls", "stop"], has_ids=False),
}


def requests(name: str, signal: str) -> list[bytes]:
    return [otlp.as_protobuf(body) for kind, body in otlp.captures(f"frameworks/{name}") if kind == signal]


def normalised(name: str) -> Normalised:
    found = [decode.decode_traces(body, "protobuf", 0, LIMITS) for body in requests(name, "traces")]
    return normalise_spans([span for decoded in found for span in decoded.spans], 0)


def charged(found: Normalised, kind: SpanKind) -> list[CallRecord]:
    """By the same rule as the product's, in order of time."""
    names = [field.name for field in fields(charging.CallFacts) if field.name not in ("scope", "is_rollup")]
    facts = [
        charging.CallFacts(
            scope=call.mapping.scope_name,
            is_rollup=call.charge is Charge.ROLLUP,
            **{name: getattr(call, name) if name != "token_source" else call.token_source or "" for name in names},
        )
        for call in found.calls
    ]
    parents: dict[Any, dict[int, int | None]] = {}
    for span in found.spans:
        parents.setdefault(span.trace_id, {})[span.span_id] = span.parent_span_id
    decisions = charging.decide(facts, parents)
    calls = [c for c in found.calls if decisions[c.trace_id, c.span_id, c.start_time].charge is Charge.CHARGED]
    return sorted((call for call in calls if call.kind == kind), key=lambda call: call.start_ns)


def contents(found: Normalised, kind: SpanKind) -> list[dict[str, Any]]:
    kinds = {(span.trace_id, span.span_id): span.kind for span in found.spans}
    records = sorted(found.contents, key=lambda record: record.start_time)
    return [messages.load(r.body) for r in records if kinds[r.trace_id, r.span_id] == kind]


def test_every_capture_has_its_golden_row() -> None:
    assert {path.stem for path in (otlp.CAPTURES / "frameworks").glob("*.jsonl")} == set(GOLDEN)


@pytest.mark.parametrize("name", GOLDEN)
def test_each_call_is_charged_once_with_what_the_provider_reported(name: str) -> None:
    golden, found = GOLDEN[name], normalised(name)
    calls = charged(found, SpanKind.LLM)
    usage = [(c.input_tokens, c.cached_input_tokens, c.output_tokens, c.reasoning_tokens) for c in calls]
    assert usage == list(golden.usage)
    assert {(call.provider, call.model.removesuffix("-2024-07-18")) for call in calls} == {golden.model}
    if golden.finish:
        assert [call.finish_reasons for call in calls] == [(reason,) for reason in golden.finish]
    if golden.has_ids:
        assert len({call.response_id for call in calls} - {""}) == len(calls)
    assert len(charged(found, SpanKind.EMBEDDING)) == golden.embeddings


@pytest.mark.parametrize("name", GOLDEN)
def test_no_key_is_left_that_nothing_understands(name: str) -> None:
    assert {key for call in normalised(name).calls for key in call.mapping.unmapped} == set()


@pytest.mark.parametrize("name", GOLDEN)
def test_the_first_question_and_answer_are_told_with_their_system_text(name: str) -> None:
    found = normalised(name)
    told = contents(found, SpanKind.LLM)
    if not told or name == "semantic-kernel":
        logs = [decode.decode_logs(body, "protobuf", 0, LIMITS).logs for body in requests(name, "logs")]
        merged: dict[Any, list[Any]] = {}
        for record in (content for batch in logs for content in normalise_logs(batch)[1]):
            merged.setdefault(record.span_id, []).append(record)
        told = [messages.merge(records) for records in merged.values()]
    content = told[0]
    assert content["input"][-1]["parts"] == [{"type": "text", "text": "Capital of France?"}]
    assert content["output"][0]["parts"] == [{"type": "text", "text": "The capital of France is Paris."}]
    if name != "strands":  # it tells the system text on the agent's span only
        assert content["system"][0]["text"].startswith("Be brief.")


@pytest.mark.parametrize(
    "name", ["google-adk", "langsmith", "openai-agents-openinference", "openai-agents-openllmetry", "strands"]
)
def test_a_tool_span_tells_arguments_and_result(name: str) -> None:
    content = contents(normalised(name), SpanKind.TOOL)[0]
    assert content["arguments"] == {"city": "Paris"}
    assert content["result"] in ("sunny", "sunny in Paris", {"result": "sunny"})


@pytest.mark.parametrize("name", ["haystack-openinference", "langsmith", "llama-index-openinference"])
def test_a_retriever_tells_what_it_was_asked_and_what_it_found(name: str) -> None:
    for content in contents(normalised(name), SpanKind.RETRIEVER):
        assert content["query"] == "Capital of France?"
        assert len(content["documents"]) == 1
        assert content["documents"][0]["content"]


def test_agents_and_their_turns_have_kinds() -> None:
    for name, kind in (("google-adk", SpanKind.AGENT), ("strands", SpanKind.AGENT), ("strands", SpanKind.CHAIN)):
        assert Counter(span.kind for span in normalised(name).spans)[kind] >= 2


def test_numbers_stay_attributes_and_do_not_move_to_the_texts() -> None:
    for content in contents(normalised("llama-index-openinference"), SpanKind.LLM):
        assert "llm.token_count.prompt" not in content.get("raw", {})
