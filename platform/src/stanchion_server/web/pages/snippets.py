"""What to paste to send a first call, per way of instrumenting. The key stands in for itself until one was made."""

from __future__ import annotations

from dataclasses import dataclass

PLACEHOLDER_KEY = "YOUR_INGEST_KEY"


@dataclass(frozen=True, slots=True)
class Snippet:
    """`install` is a shell line or empty; `language` is shown above the code."""

    id: str
    name: str
    hint: str
    install: str
    language: str
    code: str


def snippets(endpoint: str, key: str) -> tuple[Snippet, ...]:
    """One snippet per tab; `endpoint` is the OTLP base address without a slash at its end."""
    return tuple(
        Snippet(id_, name, hint, install, language, code.replace("@ENDPOINT@", endpoint).replace("@KEY@", key))
        for id_, name, hint, install, language, code in _TABS
    )


def guard_snippets(endpoint: str, policy: str) -> tuple[Snippet, ...]:
    """The two ways to ask for a verdict."""
    return tuple(
        Snippet(id_, name, hint, install, language, code.replace("@ENDPOINT@", endpoint).replace("@POLICY@", policy))
        for id_, name, hint, install, language, code in _GUARD
    )


_EXPORT = """\
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider(resource=Resource.create({"service.name": "my-app"}))
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(
    endpoint="@ENDPOINT@/v1/traces", headers={"x-api-key": "@KEY@"})))
trace.set_tracer_provider(provider)
"""

_CALL = """
from openai import OpenAI
with trace.get_tracer("my-app").start_as_current_span("answer", attributes={"stanchion.feature": "support-chat"}):
    print(OpenAI().chat.completions.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": "Say hello."}]).choices[0].message.content)
"""

_OPENAI = f"""\
import os
os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"] = "gen_ai_latest_experimental"
os.environ["OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"] = "SPAN_ONLY"  # leave out to keep texts at home

{_EXPORT}
from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor
OpenAIInstrumentor().instrument()
{_CALL}"""

_OPENINFERENCE = f"""\
{_EXPORT}
from openinference.instrumentation.openai import OpenAIInstrumentor
OpenAIInstrumentor().instrument()
{_CALL}"""

_OPENLLMETRY = f"""\
{_EXPORT}
from opentelemetry.instrumentation.openai import OpenAIInstrumentor
OpenAIInstrumentor().instrument()
{_CALL}"""

_PLAIN = f"""\
{_EXPORT}
with trace.get_tracer("my-app").start_as_current_span("chat gpt-4o-mini") as span:
    answer, prompt_tokens, completion_tokens = "Hello!", 12, 3  # your own call goes here
    span.set_attributes({{
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.usage.input_tokens": prompt_tokens,
        "gen_ai.usage.output_tokens": completion_tokens,
        "gen_ai.input.messages": '[{{"role": "user", "parts": [{{"type": "text", "content": "Say hello."}}]}}]',
        "gen_ai.output.messages": '[{{"role": "assistant", "parts": [{{"type": "text", "content": "Hello!"}}]}}]',
        "stanchion.feature": "support-chat",
    }})
"""

_COLLECTOR = """\
receivers:
  otlp:
    protocols:
      http: {endpoint: 0.0.0.0:4318}
      grpc: {endpoint: 0.0.0.0:4317}
processors:
  batch: {send_batch_size: 512, send_batch_max_size: 512, timeout: 1s}
exporters:
  otlphttp/stanchion:
    endpoint: @ENDPOINT@
    headers: {x-api-key: "@KEY@"}
    compression: gzip
    sending_queue: {enabled: true, queue_size: 5000}
    retry_on_failure: {enabled: true, initial_interval: 1s, max_interval: 30s, max_elapsed_time: 15m}
service:
  pipelines:
    traces: {receivers: [otlp], processors: [batch], exporters: [otlphttp/stanchion]}
    logs: {receivers: [otlp], processors: [batch], exporters: [otlphttp/stanchion]}
    metrics: {receivers: [otlp], processors: [batch], exporters: [otlphttp/stanchion]}
"""

_ENVIRONMENT = """\
export OTEL_EXPORTER_OTLP_ENDPOINT="@ENDPOINT@"
export OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf"
export OTEL_EXPORTER_OTLP_HEADERS="x-api-key=@KEY@"
export OTEL_SERVICE_NAME="my-app"
"""

_CURL = """\
now=$(date +%s)
curl -sS "@ENDPOINT@/v1/traces" -H "x-api-key: @KEY@" -H "Content-Type: application/json" -d '{"resourceSpans":
 [{"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "curl"}}]}, "scopeSpans": [{"spans": [{
  "traceId": "'$(openssl rand -hex 16)'", "spanId": "'$(openssl rand -hex 8)'", "name": "chat gpt-4o-mini", "kind": 3,
  "startTimeUnixNano": "'$((now - 1))000000000'", "endTimeUnixNano": "'${now}000000000'", "attributes": [
   {"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
   {"key": "gen_ai.provider.name", "value": {"stringValue": "openai"}},
   {"key": "gen_ai.request.model", "value": {"stringValue": "gpt-4o-mini"}},
   {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "12"}},
   {"key": "gen_ai.usage.output_tokens", "value": {"intValue": "3"}},
   {"key": "stanchion.feature", "value": {"stringValue": "support-chat"}}]}]}]}]}'
"""

# httpx: by November 2026 openai 3 no longer installs it, and two of these instrumentations import it.
_OPENAI_GENAI = "opentelemetry-instrumentation-genai-openai"
_EXPORTER = "opentelemetry-sdk opentelemetry-exporter-otlp-proto-http"
_TABS = (
    (
        "openai",
        "OpenAI + OpenTelemetry",
        "The OpenTelemetry project's own instrumentation of the openai client.",
        f"pip install openai {_OPENAI_GENAI} {_EXPORTER}",
        "app.py",
        _OPENAI,
    ),
    (
        "openinference",
        "OpenInference",
        "Arize's instrumentations; the same lines work for anthropic, langchain, llama-index and others.",
        f"pip install openai httpx openinference-instrumentation-openai {_EXPORTER}",
        "app.py",
        _OPENINFERENCE,
    ),
    (
        "openllmetry",
        "OpenLLMetry",
        "Traceloop's instrumentations; the same lines work for anthropic, langchain, bedrock and others.",
        f"pip install openai httpx opentelemetry-instrumentation-openai {_EXPORTER}",
        "app.py",
        _OPENLLMETRY,
    ),
    (
        "plain",
        "Plain OpenTelemetry",
        "Write the GenAI attributes yourself, for clients nobody instruments.",
        f"pip install {_EXPORTER}",
        "app.py",
        _PLAIN,
    ),
    (
        "env",
        "Environment",
        "For applications that export OTLP already: no code changes, in any language.",
        "",
        "shell",
        _ENVIRONMENT,
    ),
    (
        "collector",
        "Collector",
        "Put an OpenTelemetry Collector between your applications and Stanchion.",
        "",
        "otelcol.yaml",
        _COLLECTOR,
    ),
    ("curl", "curl", "One made-up call, to see that the way is open. Nothing to install.", "", "shell", _CURL),
)

_GUARD_CURL = f"""\
curl -sS "@ENDPOINT@/api/v1/guard/check" -H "Authorization: Bearer {PLACEHOLDER_KEY}" \\
  -H "Content-Type: application/json" \\
  -d '{{"policy": "@POLICY@", "stage": "input", "text": "Write to ann.lee@example.org"}}'
"""

_GUARD_SDK = f"""\
import stanchion_sdk

stanchion_sdk.init(endpoint="@ENDPOINT@", api_key="{PLACEHOLDER_KEY}")
guard = stanchion_sdk.guard("@POLICY@")
verdict = guard.check("Write to ann.lee@example.org", stage="input")
print(verdict.action, verdict.texts[0])
"""

_GUARD = (
    ("rest", "Over REST, from any language", "One request, one verdict.", "", "shell", _GUARD_CURL),
    (
        "sdk",
        "In your application's process",
        "The policy is pulled from here and judges in the process, also while this server is away.",
        "pip install 'stanchion-sdk[guard]'",
        "app.py",
        _GUARD_SDK,
    ),
)
