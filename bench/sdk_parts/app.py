"""The application under test: one process that calls the openai client with one of the SDKs, or with none.

Runs in the peers' environments, so it imports nothing but the client, the SDK it is told to use and its neighbours.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from sdk_parts import servers

PROMPT = ("Please read the following passages and answer the customer's question with references to the source. " * 22)[
    :2048
]
MESSAGES = [
    {"role": "system", "content": "You are a careful support assistant. " * 10},
    {"role": "user", "content": PROMPT},
]


def start(variant: str, sink: str, spool: str) -> Callable[[], object]:
    """Each SDK as its own documentation starts it, with contents captured; returns what flushes."""
    os.environ.update(
        OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT="SPAN_ONLY" if variant == "otel-genai" else "true",
        OTEL_SEMCONV_STABILITY_OPT_IN="gen_ai_latest_experimental",
        TRACELOOP_TRACE_CONTENT="true", TRACELOOP_TELEMETRY="false",
        LANGFUSE_PUBLIC_KEY="pk-lf-bench", LANGFUSE_SECRET_KEY="sk-lf-bench",
        LANGFUSE_BASE_URL=sink, LANGFUSE_HOST=sink,
    )  # fmt: skip
    if variant == "bare":
        return lambda: None
    if variant in ("stanchion", "masked"):
        import stanchion_sdk

        content = "masked" if variant == "masked" else "full"
        assert stanchion_sdk.init(sink, "stn_bench", service_name="bench", content=content, spool_dir=spool)
        return lambda: stanchion_sdk.flush(60)
    if variant == "langfuse":
        import langfuse

        return langfuse.get_client().flush
    if variant == "traceloop":
        return _traceloop(sink)
    return _otel(variant, sink)


def _traceloop(sink: str) -> Callable[[], object]:
    from opentelemetry import trace
    from traceloop.sdk import Traceloop
    from traceloop.sdk.instruments import Instruments

    Traceloop.init(app_name="bench", api_endpoint=sink, api_key="k", instruments={Instruments.OPENAI})
    return trace.get_tracer_provider().force_flush


def _otel(variant: str, sink: str) -> Callable[[], object]:
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=sink + "/v1/traces")))
    trace.set_tracer_provider(provider)
    if variant == "openinference":
        from openinference.instrumentation.openai import OpenAIInstrumentor
    elif variant == "otel-genai":
        from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor
    if variant != "span":
        OpenAIInstrumentor().instrument(tracer_provider=provider)
    return provider.force_flush


def client(variant: str, provider: str) -> Any:
    """With a provider's address over loopback, without one on an in-process transport."""
    if variant == "langfuse":
        from langfuse.openai import OpenAI
    else:
        from openai import OpenAI
    if provider:
        return OpenAI(api_key="sk-bench", base_url=provider, max_retries=0)
    try:
        import httpx2 as httpx  # openai 3
    except ImportError:
        import httpx

    def answer(request: Any) -> Any:
        streaming = servers.is_stream(request.content)
        kind = "text/event-stream" if streaming else "application/json"
        return httpx.Response(
            200, headers={"content-type": kind}, content=servers.STREAM if streaming else servers.PLAIN
        )

    transport = httpx.Client(transport=httpx.MockTransport(answer))
    return OpenAI(api_key="sk-bench", base_url="http://127.0.0.1:1/v1", max_retries=0, http_client=transport)


def one(api: Any, variant: str, mode: str) -> int:
    """One call; answers how many characters came back. `span` adds a span written by hand."""
    span = None
    if variant == "span":
        from opentelemetry import trace

        span = trace.get_tracer("bench").start_span("chat")
    if mode == "stream":
        answer = api.chat.completions.create(
            model="gpt-4o-mini", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
        )
        size = sum(len(part.choices[0].delta.content or "") for part in answer if part.choices)
    else:
        size = len(api.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES).choices[0].message.content)
    if span is not None:
        span.set_attributes({
            "gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o-mini", "gen_ai.usage.input_tokens": 512,
            "gen_ai.usage.output_tokens": 256, "gen_ai.input.messages": PROMPT, "gen_ai.output.messages": "x" * size,
        })  # fmt: skip
        span.end()
    return size


def measure(api: Any, args: argparse.Namespace, mode: str, flush: Callable[[], object]) -> dict[str, float]:
    for _ in range(30):
        assert one(api, args.variant, mode) > 900
    flush()
    cpu, walls = [], []
    process, thread = time.process_time(), time.thread_time()
    for _ in range(args.calls):
        wall, before = time.perf_counter(), time.thread_time()
        one(api, args.variant, mode)
        cpu.append(time.thread_time() - before)
        walls.append(time.perf_counter() - wall)
        time.sleep(args.pause_s)
    thread = time.thread_time() - thread
    flush()
    background = time.process_time() - process - thread
    cpu.sort()
    walls.sort()
    found = {
        "caller_us": cpu[len(cpu) // 2], "background_us": background / args.calls,
        "wall_p50_us": walls[len(walls) // 2], "wall_p99_us": walls[int(len(walls) * 0.99)],
    }  # fmt: skip
    return {name: round(value * 1e6, 1) for name, value in found.items()}


def cost(args: argparse.Namespace) -> None:
    began = time.process_time()
    flush = start(args.variant, args.sink, args.spool)
    api = client(args.variant, args.provider)
    found: dict[str, Any] = {"import_cpu_s": round(time.process_time() - began, 2)}
    for mode in args.modes.split(","):
        found[mode] = measure(api, args, mode, flush)
    status = Path("/proc/self/status").read_text()
    found["rss_mib"] = round(int(status.partition("VmRSS:")[2].split()[0]) / 1024, 1)
    sys.stdout.write(json.dumps(found) + "\n")


def leave(args: argparse.Namespace) -> None:
    start(args.variant, args.sink, args.spool)
    api = client(args.variant, "")
    for _ in range(args.calls):
        one(api, args.variant, "plain")
        time.sleep(args.pause_s)
    if args.how == "sys.exit":
        sys.exit(3)
    if args.how == "exception":
        raise RuntimeError("bench")
    if args.how == "os._exit":
        os._exit(0)
    if args.how.startswith("SIG"):
        os.kill(os.getpid(), getattr(signal, args.how))
        time.sleep(5)


def outlast(args: argparse.Namespace) -> None:
    """Calls at an even pace until a line arrives on standard input, then the ordinary end of a program."""
    import select

    start(args.variant, args.sink, args.spool)
    api, calls = client(args.variant, ""), 0
    while not select.select([sys.stdin], [], [], args.pause_s)[0]:
        one(api, args.variant, "plain")
        calls += 1
    sys.stdout.write(json.dumps({"calls": calls}) + "\n")


def resend(args: argparse.Namespace) -> None:
    """The next process of the application: one call, and whatever the spool holds."""
    flush = start(args.variant, args.sink, args.spool)
    one(client(args.variant, ""), args.variant, "plain")
    flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=("cost", "leave", "outlast", "resend"))
    parser.add_argument("--variant", default="stanchion")
    parser.add_argument("--modes", default="plain,stream")
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--how", default="return")
    parser.add_argument("--pause-s", type=float, default=0.0)
    parser.add_argument("--sink", required=True)
    parser.add_argument("--spool", required=True)
    parser.add_argument("--provider", default="")
    chosen = parser.parse_args()
    {"cost": cost, "leave": leave, "outlast": outlast, "resend": resend}[chosen.command](chosen)
