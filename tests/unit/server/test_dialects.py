"""Each vocabulary read into the same fields, also those of clients that were never seen together."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from kit import otlp
from stanchion_server.ingest import decode, messages
from stanchion_server.ingest.dialects.loose import structure
from stanchion_server.ingest.dialects.readers import cost, finish_reasons, provider, text
from stanchion_server.ingest.dialects.usage import read_usage
from stanchion_server.ingest.normalise import normalise_spans
from stanchion_server.ingest.records import Charge, SpanKind, Status

LIMITS = decode.Limits()
OPENAI_USAGE = {
    "prompt_tokens": 1100, "completion_tokens": 60, "total_tokens": 1160,
    "prompt_tokens_details": {"cached_tokens": 1000}, "completion_tokens_details": {"reasoning_tokens": 40},
}  # fmt: skip
ANTHROPIC_USAGE = {
    "input_tokens": 50, "output_tokens": 60, "cache_read_input_tokens": 1000, "cache_creation_input_tokens": 200,
}  # fmt: skip


def read(attributes, *, scope="my.app", name="span", resource=None, **parts):
    request = otlp.traces([otlp.span(name, attributes=attributes, **parts)], scope=scope, resource=resource)
    return normalise_spans(decode.decode_traces(otlp.as_protobuf(request), "protobuf", 0, LIMITS).spans, 0)


def one_call(attributes, **parts):
    (call,) = read(attributes, **parts).calls
    return call


def content_of(attributes, **parts):
    (record,) = read(attributes, **parts).contents
    return messages.load(record.body)


def tokens(call):
    return (call.input_tokens, call.cached_input_tokens, call.cache_write_tokens, call.output_tokens)


CASES = {
    "mlflow": ("mlflow.tracing.provider", {
        "mlflow.spanType": '"CHAT_MODEL"', "mlflow.llm.model": '"gpt-4o-mini"', "mlflow.spanInputs":
        '{"messages":[{"role":"user","content":"Hi"}]}',
        "mlflow.spanOutputs":
        '{"id":"chatcmpl-9","object":"chat.completion","choices":[{"message":{"role":"assistant","content":"Yo"},"finish_reason":"stop"}]}',
        "mlflow.chat.tokenUsage":
        '{"input_tokens":1100,"output_tokens":60,"total_tokens":1160,"cache_read_input_tokens":1000}'}),
    "langsmith": ("langsmith", {
        "langsmith.span.kind": "llm", "langsmith.metadata.ls_provider": "openai",
        "langsmith.metadata.ls_model_name": "gpt-4o-mini",
        "gen_ai.system": "openai", "gen_ai.usage.input_tokens": 1100, "gen_ai.usage.output_tokens": 60,
        "gen_ai.usage.input_token_details": "{'cache_read': 1000}",
        "gen_ai.usage.output_token_details": "{'reasoning': 40}",
        "gen_ai.prompt": '{"messages":[{"role":"user","content":"Hi"}]}',
        "gen_ai.completion":
        '{"id":"chatcmpl-9","object":"chat.completion","choices":[{"message":{"role":"assistant","content":"Yo"},"finish_reason":"stop"}]}'}),
    "openlit": ("openlit.instrumentation.openai", {
        "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.usage.cost": 0,
        "gen_ai.request.seed": 0, "gen_ai.usage.input_tokens": 1100, "gen_ai.usage.output_tokens": 60,
        "gen_ai.usage.cache_read.input_tokens": 1000, "gen_ai.server.time_to_first_token": 0.3,
        "gen_ai.response.id": "chatcmpl-9",
        "gen_ai.input.messages": '[{"role":"user","parts":[{"type":"text","content":"Hi"}]}]',
        "gen_ai.output.messages":
        '[{"role":"assistant","parts":[{"type":"text","content":"Yo"}],"finish_reason":"stop"}]'}),
    "pydantic-ai": ("pydantic-ai", {
        "gen_ai.operation.name": "chat", "gen_ai.system": "openai", "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.response.id": "chatcmpl-9",
        "gen_ai.usage.input_tokens": 1100, "gen_ai.usage.output_tokens": 60,
        "gen_ai.usage.details.cache_read_tokens": 1000,
        "gen_ai.agent.name": "helper", "gen_ai.response.finish_reasons": '["stop"]',
        "events":
        '[{"event.name":"gen_ai.user.message","role":"user","content":"Hi"},{"event.name":"gen_ai.choice","index":0,"message":{"role":"assistant","content":"Yo"}}]'}),
    "openllmetry": ("opentelemetry.instrumentation.openai.v1", {
        "llm.request.type": "chat", "gen_ai.system": "OpenAI", "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.response.id": "chatcmpl-9",
        "gen_ai.usage.prompt_tokens": 1100, "gen_ai.usage.completion_tokens": 60, "llm.usage.total_tokens": 1160,
        "gen_ai.usage.cache_read_input_tokens": 1000, "gen_ai.prompt.0.role": "user", "gen_ai.prompt.0.content": "Hi",
        "gen_ai.completion.0.role": "assistant", "gen_ai.completion.0.content": "Yo",
        "gen_ai.completion.0.finish_reason": "stop"}),
}  # fmt: skip


@pytest.mark.parametrize("dialect", CASES)
def test_a_vendor_call_is_read_into_the_reference_call(dialect):
    scope, attributes = CASES[dialect]
    call = one_call(attributes, scope=scope)
    assert (call.dialect, call.kind, call.charge) == (dialect, SpanKind.LLM, Charge.CHARGED)
    assert tokens(call) == (1100, 1000, None, 60)
    assert (call.provider, call.model, call.response_id) == ("openai", "gpt-4o-mini", "chatcmpl-9")
    assert call.finish_reasons in (("stop",), ())
    assert (call.input_preview, call.output_preview) == ("Hi", "Yo")
    assert (call.client_cost_usd, call.seed, call.time_to_first_token_ms) == (None, None, None)
    content = content_of(attributes, scope=scope)
    assert content["input"] == [{"role": "user", "parts": [{"type": "text", "text": "Hi"}]}]
    assert content["output"][0]["parts"] == [{"type": "text", "text": "Yo"}]


@pytest.mark.parametrize(
    "attributes",
    [
        {"model": "gpt-4o-mini", "input_tokens": 10, "output_tokens": 5},
        {"llm.model": "gpt-4o-mini", "llm.usage.input_tokens": "10", "llm.usage.output_tokens": "5"},
        {"gen_ai.request.model": "gpt-4o-mini", "gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 5},
        {"model_name": "gpt-4o-mini", "prompt_tokens": 10, "completion_tokens": 5},
        {"llm.model_name": "gpt-4o-mini", "usage": '{"prompt_tokens": 10, "completion_tokens": 5}'},
    ],
)
def test_a_client_nobody_listed_is_read_by_generic_rules(attributes):
    call = one_call(attributes, scope="com.acme.internal")
    assert (call.kind, call.charge) == (SpanKind.LLM, Charge.CHARGED)
    assert (call.model, call.provider) == ("gpt-4o-mini", "openai")
    assert (call.input_tokens, call.output_tokens) == (10, 5)


def test_a_plain_span_is_no_call():
    result = read({"http.request.method": "GET", "model": "Tesla", "input.size": 3}, name="GET /cars")
    assert result.calls == () and result.spans[0].kind in (SpanKind.OTHER,)


def test_claude_code_counts_are_exclusive_and_are_added_up():
    call = one_call(
        {"model": "claude-sonnet-4-5", "input_tokens": 50, "output_tokens": 60, "cache_read_tokens": 1000,
        "cache_creation_tokens": 200},
        name="claude_code.llm_request",
    )  # fmt: skip
    assert tokens(call) == (1250, 1000, 200, 60) and call.provider == "anthropic"


def test_usage_on_agents_chains_and_workflows_is_a_rollup():
    base = {"gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 5, "gen_ai.request.model": "gpt-4o"}
    spans = (
        {"gen_ai.operation.name": "invoke_agent"},
        {"gen_ai.operation.name": "invoke_workflow"},
        {"openinference.span.kind": "CHAIN"},
        {"traceloop.span.kind": "workflow"},
        {"langfuse.observation.type": "agent"},
    )
    for told in spans:
        assert one_call({**base, **told}).charge == Charge.ROLLUP


def test_aggregated_usage_alone_is_a_rollup():
    call = one_call(
        {"gen_ai.agent.name": "helper", "model_name": "gpt-4o", "final_result": "ok",
        "gen_ai.aggregated_usage.input_tokens": 9},
        scope="pydantic-ai", name="agent run",
    )  # fmt: skip
    assert (call.kind, call.charge, call.input_tokens) == (SpanKind.AGENT, Charge.ROLLUP, 9)


def test_fetch_response_is_no_call():
    assert read({"gen_ai.operation.name": "fetch_response", "gen_ai.usage.input_tokens": 10}).calls == ()


def test_unreported_tokens_stay_unknown():
    call = one_call({"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o"})
    assert tokens(call) == (None, None, None, None)
    assert (call.reasoning_tokens, call.token_source, call.time_to_first_token_ms) == (None, None, None)


def test_cache_larger_than_input_means_the_input_left_it_out():
    call = one_call({
        "gen_ai.operation.name": "chat", "gen_ai.provider.name": "anthropic",
        "gen_ai.request.model": "claude-sonnet-4-5",
        "gen_ai.usage.input_tokens": 50, "gen_ai.usage.cache_read.input_tokens": 1000,
        "gen_ai.usage.cache_creation.input_tokens": 200, "gen_ai.usage.output_tokens": 60})  # fmt: skip
    assert tokens(call) == (1250, 1000, 200, 60) and not call.tokens_ambiguous


def test_an_undecidable_convention_is_marked():
    call = one_call({
        "llm.request.type": "chat", "gen_ai.system": "Anthropic", "gen_ai.request.model": "claude-3-haiku",
        "gen_ai.usage.prompt_tokens": 1000, "gen_ai.usage.cache_read_input_tokens": 200,
        "gen_ai.usage.completion_tokens": 5})  # fmt: skip
    assert call.tokens_ambiguous and call.input_tokens == 1000


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (OPENAI_USAGE, (1100, 1000, None, 60)),
        (ANTHROPIC_USAGE, (1250, 1000, 200, 60)),
        (str(ANTHROPIC_USAGE), (1250, 1000, 200, 60)),
        (json.dumps(OPENAI_USAGE), (1100, 1000, None, 60)),
        ({"input": 100, "input_cached_tokens": 1000, "output": 20, "output_reasoning_tokens": 40, "total": 1160},
        (1100, 1000, None, 60)),
        ({"inputTokens": 50, "cacheReadInputTokens": 1000, "cacheWriteInputTokens": 200, "outputTokens": 60}, (1250,
        1000, 200, 60)),
        ({"promptTokenCount": 1100, "cachedContentTokenCount": 1000, "candidatesTokenCount": 20,
        "thoughtsTokenCount": 40}, (1100, 1000, None, 60)),
        ("nonsense", (None, None, None, None)),
    ],
)  # fmt: skip
def test_usage_objects_of_every_provider_become_inclusive(usage, expected):
    told = read_usage(usage)
    keys = ("input_tokens", "cached_input_tokens", "cache_write_tokens", "output_tokens")
    assert tuple(told.get(key) for key in keys) == expected


def test_own_keys_win_and_the_mapping_says_so():
    call = one_call({
        "gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o", "stanchion.feature": "checkout",
        "stanchion.user": "u1",
        "stanchion.session": "s1", "stanchion.prompt.name": "p", "stanchion.prompt.version": "3",
        "stanchion.release": "r9",
        "stanchion.tags": ["x"], "user.id": "other", "session.id": "other", "gen_ai.agent.name": "agent"})  # fmt: skip
    assert (call.feature, call.user_id, call.session_id) == ("checkout", "u1", "s1")
    assert (call.prompt_name, call.prompt_version, call.release, call.tags) == ("p", "3", "r9", ("x",))
    assert call.mapping.winners["feature"] == "stanchion.feature"
    assert call.mapping.winners["request_model"] == "gen_ai.request.model"


def test_the_feature_falls_back_in_order():
    told = {
        "gen_ai.agent.name": "agent", "traceloop.workflow.name": "flow", "ai.telemetry.functionId": "fn",
        "langfuse.trace.metadata.feature": '"lf"', "metadata": '{"feature": "meta"}',
        "traceloop.association.properties.feature": "tl",
    }  # fmt: skip
    expected = ["tl", "meta", "lf", "fn", "flow", "agent"]
    for word, key in zip(expected, reversed(list(told)), strict=True):
        assert read(told).spans[0].feature == word
        told = {k: v for k, v in told.items() if k != key}
    assert read({"gen_ai.operation.name": "chat"}).spans[0].feature == ""


def test_environment_release_and_service_come_from_the_resource():
    resource = {"service.name": "shop", "service.version": "1.2", "deployment.environment": "staging"}
    span = read({"a": 1}, resource=resource).spans[0]
    assert (span.service, span.environment) == ("shop", "staging")
    call = one_call({"gen_ai.operation.name": "chat"}, resource=resource)
    assert (call.release, call.environment, call.service) == ("1.2", "staging", "shop")


def test_keys_that_nothing_understands_are_named_and_transport_is_not():
    call = one_call({
        "gen_ai.operation.name": "chat", "gen_ai.novel.thing": 1, "llm.novel.0.x": 1, "llm.novel.1.x": 2,
        "server.address": "h",
        "http.route": "/", "telemetry.x": 1, "my.own": 2})  # fmt: skip
    assert call.mapping.unmapped == ("gen_ai.novel.thing", "llm.novel.*")


def test_equal_keys_give_equal_mappings():
    first, second = (one_call({"gen_ai.operation.name": "chat", "gen_ai.request.model": m}) for m in ("a", "b"))
    assert first.mapping == second.mapping
    assert one_call({"gen_ai.operation.name": "chat"}).mapping.mapping_id != first.mapping.mapping_id


def test_openlit_first_token_counts_only_on_streams():
    scope, attributes = CASES["openlit"]
    streamed = one_call({**attributes, "gen_ai.request.is_stream": True}, scope=scope)
    assert streamed.time_to_first_token_ms == 300.0


def test_a_first_token_after_the_end_is_dropped():
    told = {"gen_ai.operation.name": "chat", "gen_ai.request.stream": True, "gen_ai.response.time_to_first_chunk": 5.0}
    assert one_call(told).time_to_first_token_ms is None


@pytest.mark.parametrize(
    ("given", "expected"),
    [("openai.chat", "openai"), ("azure", "azure.ai.openai"), ("az.ai.openai", "azure.ai.openai"), ("xai", "x_ai"),
     ("vertex_ai", "gcp.vertex_ai"), ("google_genai", "gcp.gemini"), ("bedrock", "aws.bedrock"), ("mistralai",
     "mistral_ai"),
     ("google.generative-ai", "gcp.gemini"), ("OpenAI", "openai"), ("aws.bedrock", "aws.bedrock"), ("acme", "acme")],
)  # fmt: skip
def test_provider_aliases(given, expected):
    assert provider(given) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [(["end_turn"], ("stop",)), ('["STOP"]', ("stop",)), ("max_tokens", ("length",)), ("tool-calls", ("tool_calls",)),
     (["SAFETY", "refusal"], ("content_filter", "content_filter")), ("weird", ("weird",)), ("", None), (5, None)],
)  # fmt: skip
def test_finish_reasons_are_mapped(given, expected):
    assert finish_reasons(given) == expected


def test_claimed_costs_are_evidence_and_zero_is_unknown():
    assert cost(0.0) is None and cost("0") is None and cost("NaN") is None and cost(True) is None and cost(-1) is None
    assert cost("0.000126") == Decimal("0.000126") and cost(1e30) is None


def test_json_quotes_are_taken_off():
    assert text('"gpt-4o"') == "gpt-4o" and text('""') is None and text('"broken') == '"broken'


@pytest.mark.parametrize(
    "hostile",
    ["[" * 100_000, "{'a': " + "-" * 5000 + "1}", "{'a': __import__('os')}", "[" + "1+" * 5000 + "1]",
    "['" + "\\'" * 50_000,
     "{'a': lambda: 1}", "[" + "not " * 3000 + "1]", "(" * 90 + ")" * 90],
)  # fmt: skip
def test_hostile_literals_stay_text(hostile):
    assert structure(hostile) == hostile


def test_python_repr_is_read_as_a_literal():
    assert structure("{'a': None, 'b': [True, -1.5e3], 'c': 'it\\'s'}") == {
        "a": None,
        "b": [True, -1500.0],
        "c": "it's",
    }


def test_langfuse_errors_become_error_status():
    span = read(
        {"langfuse.observation.level": "ERROR", "langfuse.observation.status_message": "boom"}, scope="langfuse-sdk"
    )
    assert (span.spans[0].status, span.spans[0].status_message) == (Status.ERROR, "boom")


def test_exceptions_name_the_error_type():
    event = otlp.event("exception", {"exception.type": "RateLimitError"})
    assert one_call({"gen_ai.operation.name": "chat"}, events=[event], status=2).error_type == "RateLimitError"


def test_openinference_retriever_tells_query_and_documents():
    content = content_of({
        "openinference.span.kind": "RETRIEVER", "input.value": "capital?", "retrieval.documents.0.document.id": "d1",
        "retrieval.documents.0.document.content": "Paris", "retrieval.documents.0.document.score": 0.5,
        "retrieval.documents.1.document.content": "Lyon"}, scope="openinference.instrumentation.langchain")  # fmt: skip
    assert content["query"] == "capital?"
    assert content["documents"] == [{"id": "d1", "content": "Paris", "score": 0.5}, {"content": "Lyon"}]


def test_tools_tell_arguments_and_result():
    otel = content_of(
        {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.call.arguments": '{"q": 1}',
            "gen_ai.tool.call.result": "ok",
        }
    )
    openinference = content_of({"openinference.span.kind": "TOOL", "input.value": '{"q": 1}', "output.value": "ok"})
    assert otel == openinference == {"arguments": {"q": 1}, "result": "ok"}
