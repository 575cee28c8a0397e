"""A client app runs against our server and the fake provider; what it made is read back as the product reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from kit.client_envs import run_app
from stanchion_server.commands.fake_llm import FakeLlm
from stanchion_server.costs import settle
from stanchion_server.ingest.models import IngestBatch
from stanchion_server.ingest.records import Charge, SpanKind
from stanchion_server.kernel import clock
from stanchion_server.kernel.ids import span_id_to_hex
from stanchion_server.tenants import services
from stanchion_server.traces import selectors
from stanchion_server.traces.models import LlmCall

OPENAI_COST = Decimal("0.000126")
ANTHROPIC_COST = Decimal("0.0021")
# Of a client that does not tell which of the tokens came from the cache: there is no way to know better.
UNCACHED_COST = Decimal("0.000201")
ALL = ("plain", "stream", "tools", "stream_tools")
CURRENT_CONVENTIONS = {
    "OTEL_SEMCONV_STABILITY_OPT_IN": "gen_ai_latest_experimental",
    "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "SPAN_AND_EVENT",
}


@dataclass(frozen=True)
class Door:
    """Our server as a client sees it: an address and the key of one project."""

    url: str
    project_id: int
    api_key: str

    def run(self, environment: str, script: str, *words: str, **variables: str) -> Run:
        """Lets the app make its calls, then settles; nothing it sent may have been refused."""
        with FakeLlm(chunk_ms=30) as fake:
            run_app(environment, script, *words, variables=self._variables(fake.url) | variables)
            served = len(fake.calls)
            ids = [call.response_id for call in fake.calls]
        settle.run(clock.now(), project_id=self.project_id)
        refused = IngestBatch.objects.filter(project_id=self.project_id).exclude(rejected=0, state="stored")
        assert not refused, [(batch.signal, batch.detail, batch.reasons) for batch in refused]
        records = list(LlmCall.objects.filter(project_id=self.project_id).order_by("start_time"))
        return Run(self.project_id, served, ids, records)

    def _variables(self, provider: str) -> dict[str, str]:
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.url,
            "OTEL_EXPORTER_OTLP_HEADERS": f"Authorization=Bearer {self.api_key}",
            "OTEL_SERVICE_NAME": "contract-app",
            "STANCHION_KEY": self.api_key,
            "STANCHION_ENDPOINT": self.url,
            "STANCHION_API_KEY": self.api_key,
            "STANCHION_SPOOL_DIR": "off",
            "GEMINI_BASE_URL": provider,
            "OPENAI_BASE_URL": f"{provider}/v1",
            "OPENAI_API_KEY": "sk-fake",
            "ANTHROPIC_BASE_URL": provider,
            "ANTHROPIC_API_KEY": "sk-ant-fake",
        }


def open_door(url: str) -> Door:
    project = services.create_project(services.create_organisation("Contract"), "Contract")
    return Door(url, project.pk, services.create_key(project, "app", ["ingest"]))


@dataclass(frozen=True)
class Run:
    """`served` provider calls were made, with these response ids; `records` are all model-call rows, by start."""

    project_id: int
    served: int
    response_ids: Sequence[str]
    records: Sequence[LlmCall]

    @property
    def charged(self) -> list[LlmCall]:
        return [record for record in self.records if record.charge == Charge.CHARGED]

    def content(self, call: LlmCall) -> Mapping[str, Any]:
        """The canonical texts of the call's own span."""
        found = selectors.span_content(self.project_id, call.trace_id.hex, span_id_to_hex(call.span_id))
        assert found is not None
        return found.body


@dataclass(frozen=True)
class Known:
    """What a client tells beyond the common core; the rest must be None, never 0 or a guess.

    `reasoning`, `cached`, `ttft`, `finish` and `tool_calls` name the scenarios in which it reports them;
    `is_streamed` is false for clients that do not tell, or tell wrongly.
    """

    reasoning: Sequence[str] = ALL
    cached: Sequence[str] = ALL
    ttft: Sequence[str] = ("stream", "stream_tools")
    finish: Sequence[str] = ALL
    model: str = "gpt-4o-mini"
    tool_calls: Sequence[str] = ALL
    response_id: bool = True
    is_streamed: bool = True


def check_openai(run: Run, scenarios: Sequence[str] = ALL, known: Known | None = None) -> None:
    """One charged call for each scenario, in order, with the reference usage, price, texts and times."""
    known = known or Known()
    assert len(run.charged) == run.served == len(scenarios)
    for scenario, call in zip(scenarios, run.charged, strict=True):
        assert (scenario, call.kind, call.provider, call.model) == (scenario, SpanKind.LLM, "openai", known.model)
        assert call.response_model in ("gpt-4o-mini-2024-07-18", "gpt-4o-mini"), scenario
        assert (scenario, call.input_tokens, call.output_tokens) == (scenario, 1100, 60)
        assert (scenario, call.cached_input_tokens) == (scenario, 1000 if scenario in known.cached else None)
        assert (scenario, call.reasoning_tokens) == (scenario, 40 if scenario in known.reasoning else None)
        assert (scenario, call.cost_usd) == (scenario, OPENAI_COST if scenario in known.cached else UNCACHED_COST)
    _check_shape(run, scenarios, known)


def check_anthropic(run: Run, scenarios: Sequence[str] = ALL, known: Known | None = None) -> None:
    """The same for Anthropic's reference usage: 50 fresh, 1,000 read from and 200 written to the cache."""
    known = known or Known()
    assert len(run.charged) == run.served == len(scenarios)
    for scenario, call in zip(scenarios, run.charged, strict=True):
        named = (scenario, call.kind, call.provider, call.model)
        assert named == (scenario, SpanKind.LLM, "anthropic", "claude-sonnet-4-5")
        tokens = (call.input_tokens, call.cached_input_tokens, call.cache_write_tokens, call.output_tokens)
        assert (scenario, tokens) == (scenario, (1250, 1000, 200, 60))
        assert (scenario, call.cost_usd) == (scenario, ANTHROPIC_COST)
    _check_shape(run, scenarios, known)


def _check_shape(run: Run, scenarios: Sequence[str], known: Known) -> None:
    for place, (scenario, call) in enumerate(zip(scenarios, run.charged, strict=True)):
        with_tool, streamed = scenario.endswith("tools"), scenario.startswith("stream")
        reason = "tool_calls" if with_tool else "stop"
        assert (scenario, list(call.finish_reasons)) == (scenario, [reason] if scenario in known.finish else [])
        assert (scenario, call.tool_call_count) == (scenario, int(with_tool and scenario in known.tool_calls))
        if known.is_streamed:
            assert (scenario, bool(call.is_streamed)) == (scenario, streamed)
        if known.response_id:
            assert (scenario, call.response_id) == (scenario, run.response_ids[place])
        if scenario in known.ttft:
            assert call.time_to_first_token_ms is not None, scenario
            assert 0 < call.time_to_first_token_ms < call.duration_ns / 1e6, scenario
        else:
            assert (scenario, call.time_to_first_token_ms) == (scenario, None)


def check_texts(run: Run, scenarios: Sequence[str] = ALL) -> None:
    """The same canonical messages, wherever the client put them; of a run of all four calls, those named."""
    made = ALL if len(run.charged) == len(ALL) else scenarios
    for scenario, call in zip(made, run.charged, strict=True):
        if scenario not in scenarios:
            continue
        content, with_tool = run.content(call), scenario.endswith("tools")
        assert (scenario, texts(content.get("system", []))) == (scenario, ["Be brief."])
        question = "Weather in Paris?" if with_tool else "Capital of France?"
        assert (scenario, said(content["input"])) == (scenario, [("user", [question])])
        assert (scenario, [message["role"] for message in content["output"]]) == (scenario, ["assistant"])
        if with_tool:
            wanted = [part for part in content["output"][0]["parts"] if part["type"] == "tool_call"]
            assert [(part["name"], part["arguments"]) for part in wanted] == [("get_weather", {"city": "Paris"})], (
                scenario
            )
        else:
            assert (scenario, texts(content["output"][0]["parts"])) == (scenario, ["The capital of France is Paris."])


def said(messages: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[str]]]:
    return [(message["role"], texts(message["parts"])) for message in messages]


def texts(parts: Sequence[Mapping[str, Any]]) -> list[str]:
    return [part["text"] for part in parts if part["type"] == "text"]
