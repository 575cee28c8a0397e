"""Export requests as a busy application sends them: four spans a trace, 2 KB prompts, 1 KB answers.

The same seed, index and time give the same bytes. Texts are seeded pseudo-English, so that they compress as texts do.
"""

from __future__ import annotations

import gzip
import itertools
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

SPANS_PER_TRACE = 4
DAY_S = 86_400
# name, provider, share of the calls
MODELS = [
    ("gpt-4o-mini", "openai", 40), ("gpt-4o", "openai", 18), ("gpt-4.1", "openai", 8),
    ("claude-sonnet-4-5", "anthropic", 14), ("claude-haiku-4-5", "anthropic", 10),
    ("gemini-2.5-flash", "gcp.gemini", 7), ("mistral-large-latest", "mistral_ai", 3),
]  # fmt: skip
FEATURES = ["support", "search", "summaries", "sql", "drafts", "review", "onboarding", "contracts", "triage", "minutes"]
TOOLS = ["find_order", "search_pages", "weather", "run_query", "open_ticket"]
SERVICES = ["gateway", "search-api", "agents"]

SpanKey = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Export:
    """One request: the body as sent, and the hex (trace id, span id) of every span in it."""

    body: bytes
    is_gzip: bool
    keys: tuple[SpanKey, ...]

    @property
    def headers(self) -> dict[str, str]:
        encoding = {"content-encoding": "gzip"} if self.is_gzip else {}
        return {"content-type": "application/x-protobuf", **encoding}


class Vocabulary:
    """12,000 made-up words; the common ones are common."""

    def __init__(self, seed: str) -> None:
        chance = random.Random(seed)
        syllables = ["".join(pair) for pair in itertools.product("bcdfghklmnprstvw", ["a", "e", "i", "o", "u", "ea"])]
        words = {"".join(chance.choices(syllables, k=chance.choice((1, 2, 2, 3)))) + chance.choice(("", "n", "s", "r"))
                 for _ in range(16_000)}  # fmt: skip
        self._words = sorted(words)[:12_000]
        chance.shuffle(self._words)
        self._weights = list(itertools.accumulate(1 / (rank + 3) for rank in range(len(self._words))))

    def text(self, chance: random.Random, size: int) -> str:
        """Sentences of `size` characters."""
        sentences: list[str] = []
        length = 0
        while length < size:
            words = chance.choices(self._words, cum_weights=self._weights, k=chance.randint(6, 20))
            if chance.random() < 0.25:
                words[-1] = str(chance.randint(2, 99_999))
            sentences.append(" ".join(words).capitalize() + chance.choice((". ", ". ", "? ", ".\n")))
            length += len(sentences[-1])
        return "".join(sentences)[:size]


@dataclass(frozen=True)
class Load:
    """Requests number 0 to `total` - 1 tell of the `days` before `end_s` (Unix seconds), in order."""

    seed: str
    end_s: float
    total: int
    days: float = 7
    spans: int = 512
    prompt_bytes: int = 2048
    answer_bytes: int = 1024
    is_gzip: bool = False

    @cached_property
    def _vocabulary(self) -> Vocabulary:
        return Vocabulary(self.seed)

    def export(self, index: int) -> Export:
        chance = random.Random(f"{self.seed}/{index}")
        request = ExportTraceServiceRequest()
        found = request.resource_spans.add()
        _set(found.resource.attributes, _resource(chance))
        app, llm = found.scope_spans.add(), found.scope_spans.add()
        app.scope.name, app.scope.version = "app.pipeline", "1.4.2"
        llm.scope.name, llm.scope.version = "opentelemetry.instrumentation.openai_v2", "2.1b0"
        keys: list[SpanKey] = []
        traces = max(1, self.spans // SPANS_PER_TRACE)
        for number in range(traces):
            place = (index + number / traces) / max(1, self.total)
            start_ns = int((self.end_s - 15 - self.days * DAY_S * (1 - place)) * 1e9) + chance.randrange(10**6)
            keys += _Trace(self, chance, start_ns).write(app.spans, llm.spans)
        body = request.SerializeToString()
        return Export(gzip.compress(body, 6) if self.is_gzip else body, self.is_gzip, tuple(keys))

    def text(self, chance: random.Random, size: float) -> str:
        return self._vocabulary.text(chance, max(40, int(size)))


class _Trace:
    """A request answered with a retrieval, a model call and a tool call."""

    def __init__(self, load: Load, chance: random.Random, start_ns: int) -> None:
        self._load, self._chance, self._start_ns = load, chance, start_ns
        self._trace_id = chance.randbytes(16)
        self._span_ids = [chance.randbytes(8) for _ in range(SPANS_PER_TRACE)]
        self._feature = chance.choice(FEATURES)
        self._session = f"conv-{chance.getrandbits(48):012x}"
        self._user = f"user-{int(5000 * chance.random() ** 2):06d}"
        self._is_failed = chance.random() < 0.01

    def write(self, app: Any, llm: Any) -> list[SpanKey]:
        chance = self._chance
        found_ms, answered_ms, tool_ms = (chance.lognormvariate(mean, 0.6) for mean in (3.3, 7.1, 4.0))
        question = self._load.text(chance, chance.gauss(220, 60))
        root_ms = found_ms + answered_ms + tool_ms + 9
        self._span(app.add(), 0, f"POST /v1/{self._feature}", (0, root_ms), self._root())
        self._span(app.add(), 1, "retrieve kb-main", (2, 2 + found_ms), self._retrieval(question))
        model, provider, _ = chance.choices(MODELS, weights=[entry[2] for entry in MODELS])[0]
        values = self._call(model, provider, question, answered_ms)
        self._span(llm.add(), 2, f"chat {model}", (4 + found_ms, 4 + found_ms + answered_ms), values)
        tool = chance.choice(TOOLS)
        begin_ms = 6 + found_ms + answered_ms
        self._span(app.add(), 3, f"execute_tool {tool}", (begin_ms, begin_ms + tool_ms), self._tool(tool))
        return [(self._trace_id.hex(), span_id.hex()) for span_id in self._span_ids]

    def _span(
        self, span: Span, place: int, name: str, between_ms: tuple[float, float], values: Mapping[str, Any]
    ) -> None:
        span.trace_id, span.span_id, span.name = self._trace_id, self._span_ids[place], name
        span.kind = Span.SPAN_KIND_CLIENT if place in (1, 2) else Span.SPAN_KIND_INTERNAL
        if place:
            span.parent_span_id = self._span_ids[0]
        span.start_time_unix_nano = self._start_ns + int(between_ms[0] * 1e6)
        span.end_time_unix_nano = self._start_ns + int(between_ms[1] * 1e6)
        shared = {"app.feature": self._feature, "user.id": self._user, "session.id": self._session}
        _set(span.attributes, {**shared, **values})
        if self._is_failed and place in (0, 2):
            span.status.code, span.status.message = 2, "upstream timed out after 30 s"
            event = span.events.add(name="exception", time_unix_nano=span.end_time_unix_nano)
            trace = self._load.text(self._chance, 900)
            _set(event.attributes, {"exception.type": "APITimeoutError", "exception.stacktrace": trace})

    def _root(self) -> dict[str, Any]:
        return {
            "http.request.method": "POST",
            "http.route": f"/v1/{self._feature}",
            "http.response.status_code": 504 if self._is_failed else 200,
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.name": self._feature,
            "gen_ai.conversation.id": self._session,
        }

    def _retrieval(self, question: str) -> dict[str, Any]:
        return {
            "gen_ai.operation.name": "retrieval",
            "gen_ai.data_source.id": "kb-main",
            "db.system.name": "postgresql",
            "gen_ai.retrieval.query.text": question,
            "gen_ai.retrieval.top_k": 3,
        }

    def _call(self, model: str, provider: str, question: str, duration_ms: float) -> dict[str, Any]:
        load, chance = self._load, self._chance
        system = load.text(random.Random(self._feature), 400)  # one feature, one system prompt
        pages = [load.text(chance, (load.prompt_bytes - 620) / 3) for _ in range(3)]
        prompt = question + "\n\nContext:\n" + "\n---\n".join(pages)
        answer = load.text(chance, chance.gauss(load.answer_bytes, load.answer_bytes / 4))
        finish = "error" if self._is_failed else "stop"
        said = {"role": "assistant", "parts": [{"type": "text", "content": answer}], "finish_reason": finish}
        return {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": provider,
            "gen_ai.system": provider,
            "gen_ai.request.model": model,
            "gen_ai.response.model": f"{model}-2025-08-07",
            "gen_ai.request.temperature": round(chance.random(), 2),
            "gen_ai.request.max_tokens": 1024,
            "gen_ai.response.id": f"chatcmpl-{chance.getrandbits(96):024x}",
            "gen_ai.conversation.id": self._session,
            "gen_ai.response.finish_reasons": [finish],
            "gen_ai.usage.input_tokens": (len(system) + len(prompt)) // 4,
            "gen_ai.usage.output_tokens": len(answer) // 4,
            "gen_ai.server.time_to_first_token": round(duration_ms / 4000, 4),
            "server.address": f"api.{provider}.example",
            "server.port": 443,
            "gen_ai.system_instructions": json.dumps([{"type": "text", "content": system}]),
            "gen_ai.input.messages": json.dumps([{"role": "user", "parts": [{"type": "text", "content": prompt}]}]),
            "gen_ai.output.messages": json.dumps([said]),
            "error.type": "timeout" if self._is_failed else None,
        }

    def _tool(self, tool: str) -> dict[str, Any]:
        chance = self._chance
        return {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": tool,
            "gen_ai.tool.type": "function",
            "gen_ai.tool.call.id": f"call_{chance.getrandbits(64):016x}",
            "gen_ai.tool.call.arguments": json.dumps(
                {"id": chance.randint(1, 10**7), "q": self._load.text(chance, 60)}
            ),
            "gen_ai.tool.call.result": self._load.text(chance, 300),
        }


def _resource(chance: random.Random) -> dict[str, Any]:
    return {
        "service.name": chance.choice(SERVICES),
        "service.version": f"2.{chance.randint(0, 9)}.{chance.randint(0, 30)}",
        "deployment.environment.name": chance.choice(("production", "production", "staging")),
        "telemetry.sdk.language": "python",
        "telemetry.sdk.name": "opentelemetry",
        "telemetry.sdk.version": "1.45.2",
        "host.name": f"pod-{chance.randint(0, 40):02d}",
    }


def _set(attributes: Any, values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        if value is None:
            continue
        slot = attributes.add(key=key).value
        if isinstance(value, str):
            slot.string_value = value
        elif isinstance(value, int):
            slot.int_value = value
        elif isinstance(value, float):
            slot.double_value = value
        elif isinstance(value, Sequence):
            for item in value:
                slot.array_value.values.add(string_value=item)
