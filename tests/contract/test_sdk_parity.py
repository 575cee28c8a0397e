"""The same requests under our SDK and under other instrumentations, through our real server: the same canonical calls,
and one charge each, also when both record at once."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from kit.client_envs import APPS, ROOT
from kit.contract import ALL, CURRENT_CONVENTIONS, Door, Run, open_door
from kit.fake_bedrock import FakeBedrock
from stanchion_server.ingest.records import Status
from stanchion_server.traces.models import LlmCall, Span

pytestmark = [pytest.mark.clients, pytest.mark.slow, pytest.mark.django_db(transaction=True)]
SDK_APPS = ROOT / "tests" / "contract" / "sdk"
COLUMNS = (
    "kind", "provider", "model", "response_model", "input_tokens", "cached_input_tokens", "cache_write_tokens",
    "output_tokens", "reasoning_tokens", "finish_reasons", "tool_call_count", "is_streamed", "max_tokens",
    "temperature", "status", "error_type", "cost_usd",
)  # fmt: skip


@pytest.fixture(scope="module")
def bedrock() -> Iterator[FakeBedrock]:
    with FakeBedrock() as running:
        yield running


def recorded(door: Door, bedrock: FakeBedrock, environment: str, who: str, target: str, *scenarios: str) -> Run:
    bedrock.calls.clear()
    variables = {
        "PYTHONPATH": f"{ROOT / 'collectors' / 'src'}:{APPS}:{SDK_APPS}",
        "BEDROCK_URL": bedrock.url,
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "OTEL_EXPORTER": "otlp_http",
        "OTEL_ENDPOINT": f"{door.url}/v1/traces",
        "OTEL_HEADERS": f"Authorization=Bearer {door.api_key}",
        **CURRENT_CONVENTIONS,
    }
    script = str(SDK_APPS / "parity_app.py")
    run = door.run(environment, script, who, target, *scenarios, **variables)
    return dataclasses.replace(run, served=run.served + len(bedrock.calls))


def row(run: Run, call: LlmCall) -> dict[str, Any]:
    """A call's columns, whether it has a first token's time and an id, and its texts."""
    content = run.content(call)
    return {
        **{name: getattr(call, name) for name in COLUMNS},
        "finish_reasons": list(call.finish_reasons),
        "status": call.status == Status.ERROR,
        "time_to_first_token": call.time_to_first_token_ms is not None,
        "response_id": bool(call.response_id),
        "input": [(turn["role"], [_words(part) for part in turn["parts"]]) for turn in content["input"]],
        "system": [_words(part) for part in content.get("system") or []],
        "output": [[_words(part) for part in turn["parts"]] for turn in content["output"]],
    }


def _words(part: Mapping[str, Any]) -> Any:
    return part.get("text") or (part.get("name"), part.get("arguments"))


@dataclasses.dataclass(frozen=True)
class Pair:
    """`allowed`: the columns in which the other instrumentation differs, and why."""

    environment: str
    target: str
    other: str
    scenarios: Sequence[str] = ALL
    allowed: Mapping[str, str] = dataclasses.field(default_factory=dict)


NO_FIRST_TOKEN = {"time_to_first_token": "it does not measure it", "is_streamed": "it does not tell"}
LANGCHAIN = {
    "response_id": "langchain's callbacks carry none for a streamed call, and it reads none of a whole one",
    "response_model": "of a stream it knows the model asked for only",
    "is_streamed": "it says false of every call",
    "time_to_first_token": "it does not measure it",
}
# litellm calls back in a thread of its own, logfire keeps a tracer provider of its own: our labels reach neither.
OWN_CONTEXT = ("litellm", "logfire")
PAIRS = [
    Pair("openai-v3", "openai", "otel"),
    Pair("many", "openai", "openinference"),
    Pair("many", "anthropic", "openinference"),
    Pair("openai-v3", "gemini", "otel"),
    Pair("many", "gemini", "openinference", allowed=NO_FIRST_TOKEN),
    Pair("openai-v3", "bedrock", "otel"),
    Pair(
        "many",
        "bedrock",
        "openinference",
        allowed={
            **NO_FIRST_TOKEN,
            "response_model": "it repeats the model asked for; Bedrock answers without one",
            "max_tokens": "it keeps maxTokens under Bedrock's own name",
        },
    ),
    Pair("many", "langchain", "openinference", allowed=LANGCHAIN),
    Pair("many", "langgraph", "openinference", allowed=LANGCHAIN),
    Pair("many", "pydantic_ai", "logfire", ("plain", "stream")),
    Pair(
        "litellm",
        "litellm",
        "litellm",
        allowed={
            "response_model": "of a stream litellm hands on the model asked for",
            "time_to_first_token": "it does not send it",
        },
    ),
    # Of a call with tools it makes two model spans, one of them for the preparation, without usage.
    Pair(
        "openai-v2",
        "llama_index",
        "openinference",
        ("plain", "stream"),
        {
            "response_id": "it does not send it",
            "response_model": "it sends the model asked for",
            "max_tokens": "it does not send it",
            "temperature": "it does not send it",
            "time_to_first_token": "it does not measure it",
        },
    ),
]
DOUBLE = "a stream of llama-index under OpenInference too: its span has no response id and lies in another trace"
BESIDE = [
    pytest.param(pair, marks=[pytest.mark.xfail(strict=True, reason=DOUBLE)] if pair.target == "llama_index" else [])
    for pair in PAIRS
]
NAMES = [f"{pair.target}-{pair.other}" for pair in PAIRS]


@pytest.mark.parametrize("pair", PAIRS, ids=NAMES)
def test_a_call_reads_the_same_whoever_recorded_it(live_door: Door, bedrock: FakeBedrock, pair: Pair) -> None:

    ours = recorded(live_door, bedrock, pair.environment, "ours", pair.target, *pair.scenarios)
    other_door = open_door(live_door.url)
    theirs = recorded(other_door, bedrock, pair.environment, pair.other, pair.target, *pair.scenarios)

    assert len(ours.charged) == len(theirs.charged) == ours.served == theirs.served == len(pair.scenarios)
    different: dict[str, list[Any]] = {}
    for mine, other in zip(ours.charged, theirs.charged, strict=True):
        left, right = row(ours, mine), row(theirs, other)
        for name in left:
            if left[name] != right[name]:
                different.setdefault(name, []).append((mine.feature, left[name], right[name]))
    assert {name: values for name, values in different.items() if name not in pair.allowed} == {}
    assert set(pair.allowed) <= set(different), "a difference that is gone need not be allowed"


@pytest.mark.parametrize("pair", BESIDE, ids=NAMES)
def test_another_instrumentation_beside_ours_charges_nothing_twice(
    live_door: Door, bedrock: FakeBedrock, pair: Pair
) -> None:
    run = recorded(live_door, bedrock, pair.environment, f"ours+{pair.other}", pair.target, *pair.scenarios)

    assert len(run.charged) == run.served == len(pair.scenarios)
    assert {(call.feature, call.session_id) for call in run.charged} == {(name, "s-1") for name in pair.scenarios}
    assert len(run.records) > len(run.charged), "both have recorded"
    spans = Span.objects.filter(project_id=run.project_id)
    if pair.other not in OWN_CONTEXT:
        unlabelled = spans.filter(user_id="").values_list("name", flat=True)
        assert list(unlabelled) == [], "every span of the process carries the labels"


@pytest.mark.parametrize("framework", ["pydantic_ai", "openai_agents", "langgraph"])
def test_an_agent_framework_that_we_do_not_know_is_charged_through_its_client(
    live_door: Door, bedrock: FakeBedrock, framework: str
) -> None:
    run = recorded(live_door, bedrock, "many", "ours", framework, "plain")

    assert len(run.charged) == run.served == 1
    assert (run.charged[0].feature, run.charged[0].session_id, len(run.charged[0].user_id)) == ("plain", "s-1", 16)
    assert run.charged[0].input_tokens == 1100
