"""Applications that only call `init()`, with the real provider clients: one right span a call, answers untouched."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.client_envs import ROOT, run_app
from kit.fake_bedrock import FakeBedrock
from kit.sdk_sink import ArrivedSpan, Sink
from stanchion_server.commands.fake_llm.server import FakeLlm

pytestmark = [pytest.mark.clients, pytest.mark.slow]
APPS = Path(__file__).parent / "sdk"
PARIS = "The capital of France is Paris."


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeLlm]:
    with FakeLlm(latency_ms=1, chunk_ms=5) as running:
        yield running


def run(
    environment: str, script: str, fake: FakeLlm, tmp: Path, **more: str
) -> tuple[dict[str, object], list[ArrivedSpan]]:
    """What the app got back, and what it sent."""
    with Sink() as sink, FakeBedrock() as bedrock:
        variables = {
            "PYTHONPATH": f"{ROOT / 'collectors' / 'src'}:{APPS}",
            "STANCHION_ENDPOINT": sink.url, "STANCHION_API_KEY": "stn_k", "STANCHION_SPOOL_DIR": str(tmp),
            "OPENAI_BASE_URL": fake.url + "/v1", "OPENAI_API_KEY": "x",
            "ANTHROPIC_BASE_URL": fake.url, "ANTHROPIC_API_KEY": "x", "AZURE_OPENAI_API_KEY": "x",
            "GEMINI_BASE_URL": fake.url, "BEDROCK_URL": bedrock.url, **more,
        }  # fmt: skip
        output = run_app(environment, str(APPS / script), variables=variables)
        seen = next(json.loads(line) for line in reversed(output.splitlines()) if line.startswith("{"))
        return seen, sink.spans


def by_feature(spans: list[ArrivedSpan]) -> dict[str, ArrivedSpan]:
    features = [span.attributes["stanchion.feature"] for span in spans]
    assert len(features) == len(set(features)), f"more than one span a call: {sorted(features)}"
    return dict(zip(features, spans, strict=True))


@pytest.fixture(scope="module", params=["openai-v2", "openai-v3"])
def openai_run(
    request: pytest.FixtureRequest, fake: FakeLlm, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, object], dict[str, ArrivedSpan]]:
    fake.calls.clear()
    seen, spans = run(request.param, "openai_sdk_app.py", fake, tmp_path_factory.mktemp("spool"))
    return seen, by_feature(spans)


WHOLE_CHATS = [
    "early",
    "plain",
    "stream",
    "helper",
    "raw",
    "raw_stream",
    "streaming_response",
    "async",
    "async_stream",
    "parse",
    "streaming_response_stream",
    "azure",
    "generator",
    "thread",
]


def test_the_openai_client_answers_as_it_does_without_us(
    openai_run: tuple[dict[str, object], dict[str, ArrivedSpan]],
) -> None:
    seen, _ = openai_run
    others = ("responses", "responses_parse", "responses_helper")
    texts = [name for name in (*WHOLE_CHATS, *others) if name != "thread"]
    assert {name: seen[name] for name in texts} == dict.fromkeys(texts, PARIS)
    assert (seen["tools"], seen["embeddings"], seen["error"]) == ("get_weather", 2, "APIConnectionError")
    assert (seen["refused"], seen["cancelled"]) == (429, "TimeoutError")


def test_every_kind_of_openai_chat_is_one_span_with_the_right_counts(
    openai_run: tuple[dict[str, object], dict[str, ArrivedSpan]], fake: FakeLlm
) -> None:
    _, spans = openai_run
    responses = ("responses", "responses_tools", "responses_stream", "responses_parse", "responses_helper")
    for name in (*WHOLE_CHATS, "tools", "stream_tools", *responses):
        values = spans[name].attributes
        counts = [values.get(f"gen_ai.usage.{kind}_tokens") for kind in ("input", "output")]
        assert counts == [1100, 60], name
        assert values["gen_ai.usage.cache_read.input_tokens"] == 1000, name
        assert values["gen_ai.usage.reasoning.output_tokens"] == 40, name
        assert values["gen_ai.provider.name"] == ("azure.ai.openai" if name == "azure" else "openai")
        assert values["gen_ai.response.model"] == "gpt-4o-mini-2024-07-18"
        assert values["gen_ai.response.finish_reasons"] in (["stop"], ["tool_calls"]), name
    answered = {call.response_id for call in fake.calls if call.response_id}
    assert {
        span.attributes["gen_ai.response.id"] for span in spans.values() if "gen_ai.response.id" in span.attributes
    } <= answered


def test_openai_content_is_canonical_in_both_directions(
    openai_run: tuple[dict[str, object], dict[str, ArrivedSpan]],
) -> None:
    _, spans = openai_run
    asked = [
        {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]},
        {"role": "user", "parts": [{"type": "text", "content": "Capital of France?"}]},
    ]
    for name in WHOLE_CHATS:
        assert json.loads(spans[name].attributes["gen_ai.input.messages"]) == asked
        answer = json.loads(spans[name].attributes["gen_ai.output.messages"])[0]
        assert answer == {
            "role": "assistant",
            "parts": [{"type": "text", "content": PARIS}],
            "finish_reason": "stop",
        }, name
    for name in ("tools", "stream_tools", "responses_tools"):
        part = json.loads(spans[name].attributes["gen_ai.output.messages"])[0]["parts"][0]
        assert (part["type"], part["name"], json.loads(part["arguments"])) == (
            "tool_call",
            "get_weather",
            {"city": "Paris"},
        )
    assert json.loads(spans["responses"].attributes["gen_ai.system_instructions"])[0]["content"] == "Be brief."


def test_streams_have_a_time_to_first_chunk_and_end_when_they_are_left(
    openai_run: tuple[dict[str, object], dict[str, ArrivedSpan]],
) -> None:
    _, spans = openai_run
    for name in (
        "stream",
        "helper",
        "raw_stream",
        "async_stream",
        "responses_stream",
        "stream_closed",
        "stream_dropped",
    ):
        assert 0 < spans[name].attributes["gen_ai.response.time_to_first_chunk"] < 5, name
        assert spans[name].attributes["gen_ai.request.stream"] is True
    assert "gen_ai.response.time_to_first_chunk" not in spans["plain"].attributes
    assert spans["stream_closed"].attributes["gen_ai.response.id"]


def test_labels_reach_threads_and_tasks_and_failures_say_why(
    openai_run: tuple[dict[str, object], dict[str, ArrivedSpan]],
) -> None:
    _, spans = openai_run
    assert (len(spans["thread"].attributes["stanchion.user"]), spans["thread"].attributes["stanchion.session"]) == (
        16,
        "s-1",
    )
    assert {spans[name].attributes["stanchion.session"] for name in ("task_a", "task_b")} == {"s-gather"}
    assert (spans["error"].status, spans["error"].attributes["error.type"]) == (2, "openai.APIConnectionError")
    assert (spans["refused"].status, spans["refused"].attributes["error.type"]) == (2, "429")
    assert spans["cancelled"].attributes["error.type"] == "asyncio.exceptions.CancelledError"
    assert spans["embeddings"].attributes["gen_ai.operation.name"] == "embeddings"


def test_anthropic_calls_are_one_span_each_with_cache_counts_included(fake: FakeLlm, tmp_path: Path) -> None:
    fake.calls.clear()
    seen, arrived = run("many", "anthropic_sdk_app.py", fake, tmp_path)
    spans = by_feature(arrived)
    texts = ("plain", "helper", "async", "async_helper", "beta", "raw", "bedrock")
    assert {seen[name] for name in texts} == {PARIS}
    for name in (*texts, "tools", "stream", "stream_tools"):
        values = spans[name].attributes
        assert values["gen_ai.usage.input_tokens"] == 1250, name
        assert values["gen_ai.usage.cache_read.input_tokens"] == 1000
        assert values["gen_ai.usage.cache_creation.input_tokens"] == 200
        assert values["gen_ai.usage.output_tokens"] == 60
        assert name == "bedrock" or values["gen_ai.response.id"] in {call.response_id for call in fake.calls}
        part = json.loads(values["gen_ai.output.messages"])[0]["parts"][-1]
        assert part == {"type": "text", "content": PARIS} or (part["type"], part["name"]) == (
            "tool_call",
            "get_weather",
        ), name
    assert spans["error"].attributes["error.type"] == "anthropic.APIConnectionError"
    assert (seen["count"], spans["count"].scope) == (1250, "com.anthropic.sdk.python"), "counting tokens is no call"
    assert spans["bedrock"].attributes["gen_ai.provider.name"] == "aws.bedrock"
    assert (seen["vertex"], spans["vertex"].attributes["gen_ai.provider.name"]) == (404, "gcp.vertex_ai")


@pytest.mark.parametrize("content", ["masked", "off"])
def test_no_prompt_leaves_in_off_mode_and_counts_stay_in_both(fake: FakeLlm, tmp_path: Path, content: str) -> None:
    _, arrived = run("openai-v3", "openai_sdk_app.py", fake, tmp_path, STANCHION_CONTENT=content)
    plain = by_feature(arrived)["plain"].attributes
    assert plain["gen_ai.usage.input_tokens"] == 1100
    assert ("gen_ai.input.messages" in plain) == (content == "masked")


def test_litellm_calls_are_one_span_each_whichever_way_it_takes(fake: FakeLlm, tmp_path: Path) -> None:
    fake.calls.clear()
    seen, arrived = run("litellm", "litellm_sdk_app.py", fake, tmp_path, LITELLM_LOCAL_MODEL_COST_MAP="True")
    spans = by_feature(arrived)
    assert set(seen.values()) == {PARIS} and set(spans) == set(seen)
    for name, span in spans.items():
        tokens = 1100 if name.startswith("openai") else 1250
        assert span.attributes["gen_ai.usage.input_tokens"] == tokens, name
        assert span.attributes["gen_ai.usage.cache_read.input_tokens"] == 1000, name
        assert span.attributes["gen_ai.provider.name"] == name.partition("_")[0]
        assert json.loads(span.attributes["gen_ai.output.messages"])[0]["parts"][0]["content"] == PARIS


def test_langchain_calls_are_one_span_each_below_their_chain_and_tool(fake: FakeLlm, tmp_path: Path) -> None:
    fake.calls.clear()
    seen, arrived = run("many", "langchain_sdk_app.py", fake, tmp_path)
    assert set(seen.values()) == {PARIS}
    by_id = {span.span_id: span for span in arrived}
    calls = [span for span in arrived if "gen_ai.request.model" in span.attributes]
    ids = [span.attributes["gen_ai.response.id"] for span in calls]
    assert len(set(ids)) == len(ids) == len(fake.calls)
    for name in ("plain", "stream", "batch", "async", "async_stream"):
        [call] = [span for span in calls if span.attributes.get("stanchion.feature") == name]
        assert call.attributes["gen_ai.usage.input_tokens"] == 1100, name
        assert call.parent_id in by_id, name
        assert by_id[call.parent_id].attributes["gen_ai.operation.name"] == "invoke_workflow", name
        assert by_id[call.parent_id].attributes["stanchion.feature"] == name
    within = {by_id[span.parent_id].name for span in calls if span.attributes.get("stanchion.feature") == "tool"}
    assert within == {"invoke_workflow RunnableSequence", "execute_tool look_up"}
    [tool] = [span for span in arrived if span.name == "execute_tool look_up"]
    assert json.loads(tool.attributes["gen_ai.tool.call.result"]) == "sunny"
    assert by_id[tool.parent_id].name == "invoke_workflow RunnableSequence"


@pytest.mark.parametrize("environment", ["openai-v3", "many"], ids=["google-genai 2", "google-genai 3"])
def test_google_genai_calls_are_one_span_each_with_thoughts_among_the_output(
    fake: FakeLlm, tmp_path: Path, environment: str
) -> None:
    fake.calls.clear()
    seen, arrived = run(environment, "google_genai_sdk_app.py", fake, tmp_path)
    spans = by_feature(arrived)
    texts = ("plain", "stream", "chat", "async", "async_stream")
    assert {seen[name] for name in texts} == {PARIS}
    assert (seen["tools"], seen["embeddings"], seen["error"]) == ("get_weather", 2, "ClientError")
    assert "unread" not in spans, "a stream that is never read sends no request"
    for name in (*texts, "tools", "stream_tools", "automatic"):
        values = spans[name].attributes
        counts = [values[f"gen_ai.usage.{kind}_tokens"] for kind in ("input", "output")]
        cached, thoughts = "gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.reasoning.output_tokens"
        assert (name, counts, values[cached], values[thoughts]) == (name, [1100, 60], 1000, 40)
        assert values["gen_ai.provider.name"] == "gcp.gemini"
        assert values["gen_ai.response.id"] in {call.response_id for call in fake.calls}
        assert ("gen_ai.response.time_to_first_chunk" in values) == ("stream" in name), name
        part = json.loads(values["gen_ai.output.messages"])[0]["parts"][0]
        called = (part["type"], part.get("name"), part.get("arguments"))
        assert part == {"type": "text", "content": PARIS} or called == ("tool_call", "get_weather", {"city": "Paris"})
    for name in ("stream_closed", "stream_dropped"):
        assert json.loads(spans[name].attributes["gen_ai.output.messages"])[0]["parts"][0]["content"] == "The "
    errors = [spans[name].attributes["error.type"] for name in ("error", "stream_error")]
    assert errors == ["429", "503"]


def test_bedrock_calls_are_one_span_each_in_every_shape(fake: FakeLlm, tmp_path: Path) -> None:
    seen, arrived = run("many", "bedrock_sdk_app.py", fake, tmp_path)
    spans = by_feature(arrived)
    shapes = [f"invoke_{model}{end}" for model in ("anthropic", "nova", "titan") for end in ("", "_stream")]
    texts = ["plain", "stream", *shapes]
    assert {name: seen[name] for name in texts} == dict.fromkeys(texts, PARIS)
    for name in (*texts, "tools", "stream_tools", "profile"):
        values = spans[name].attributes
        counts = [values[f"gen_ai.usage.{kind}_tokens"] for kind in ("input", "output")]
        assert (name, counts, values["gen_ai.provider.name"]) == (name, [1250, 60], "aws.bedrock")
        if "titan" not in name:
            cache = [values[f"gen_ai.usage.cache_{kind}.input_tokens"] for kind in ("read", "creation")]
            assert (name, cache) == (name, [1000, 200])
        assert ("gen_ai.response.time_to_first_chunk" in values) == ("stream" in name), name
        part = json.loads(values["gen_ai.output.messages"])[0]["parts"][0]
        assert part == {"type": "text", "content": PARIS} or part["name"] == "get_weather", name
    assert spans["profile"].attributes["gen_ai.request.model"].startswith("us.anthropic.claude")
    assert spans["embeddings"].attributes["gen_ai.usage.input_tokens"] == 7
    assert {"stream_closed", "stream_unread", "invoke_unread"} <= set(spans), "what is left unread is a call too"
    assert spans["invoke_unread"].attributes["gen_ai.usage.input_tokens"] == 1250
    assert (seen["error"], spans["error"].attributes["error.type"]) == (429, "429")


def test_llama_index_calls_are_one_span_each_below_their_query_agent_and_retrieval(
    fake: FakeLlm, tmp_path: Path
) -> None:
    fake.calls.clear()
    seen, arrived = run("openai-v2", "llama_index_sdk_app.py", fake, tmp_path)
    assert {seen[name] for name in ("plain", "stream", "query", "async")} == {PARIS}
    assert (seen["tool"], seen["agent"]) == ("sunny in Paris", "It is sunny in Paris.")
    by_id = {span.span_id: span for span in arrived}
    calls = [span for span in arrived if span.attributes.get("gen_ai.provider.name") == "openai"]
    assert len(calls) == len(fake.calls)
    above = {
        (span.attributes["stanchion.feature"], span.attributes["gen_ai.operation.name"]): by_id[span.parent_id].name
        for span in arrived
        if span.parent_id
    }
    assert above == {
        ("query", "embeddings"): "retrieval VectorIndexRetriever",
        ("query", "retrieval"): "invoke_workflow RetrieverQueryEngine",
        ("query", "chat"): "invoke_workflow RetrieverQueryEngine",
        ("agent", "chat"): "invoke_workflow FunctionAgent",
        ("agent", "execute_tool"): "invoke_workflow FunctionAgent",
    }
    assert {span.attributes["stanchion.session"] for span in arrived if span.trace_id == _trace(arrived, "query")} == {
        "s-1"
    }
    assert all(span.attributes.get("stanchion.user") for span in arrived if span.trace_id == _trace(arrived, "agent"))
    own = [span for span in arrived if span.attributes["stanchion.feature"].startswith("own_")]
    assert sorted(span.attributes["gen_ai.operation.name"] for span in own) == ["chat", "chat", "embeddings"]
    [tool] = [span for span in arrived if span.attributes["stanchion.feature"] == "tool"]
    assert json.loads(tool.attributes["gen_ai.tool.call.arguments"]) == {"city": "Paris"}


def _trace(spans: list[ArrivedSpan], feature: str) -> str:
    [trace] = {span.trace_id for span in spans if span.attributes["stanchion.feature"] == feature}
    return trace
