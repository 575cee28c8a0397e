"""What the SDK costs a call of the openai client, and what it loses at the end of a process or before a stalled server.

    python bench/sdk.py suite            everything below, in one run, beside no SDK and a hand-written OTel span
    python bench/sdk.py call --variant none|span|stanchion|masked --mode plain|stream

Needs an environment with `openai`, `opentelemetry-sdk` and, for `span`, `opentelemetry-exporter-otlp-proto-http`. The
provider is an in-process transport, so that only the client and the SDK are measured; the sink is a thread on loopback.
Compare the quietest runs: the 10th percentile of the caller's CPU per call plus the background threads' CPU per call.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "collectors" / "src"))

ANSWER = (
    "The invoice was issued on the third of the month and covers both services; the credit applies next cycle. " * 10
)[:1024]
PROMPT = ("Please read the following passages and answer the customer's question with references to the source. " * 22)[
    :2048
]
MESSAGES = [
    {"role": "system", "content": "You are a careful support assistant. " * 10},
    {"role": "user", "content": PROMPT},
]
USAGE = {"prompt_tokens": 512, "completion_tokens": 256, "total_tokens": 768}
WORDS = [ANSWER[at : at + 17] for at in range(0, len(ANSWER), 17)][:60]
VARIANTS = ("none", "span", "stanchion", "masked")


class Sink:
    """An OTLP sink that counts distinct spans; `delay_s` and `status` make it slow or away."""

    def __init__(self) -> None:
        self.delay_s, self.status = 0.0, 200
        self.ids: set[bytes] = set()
        self.busy = 0
        sink = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                sink.busy += 1
                time.sleep(sink.delay_s)
                if sink.status == 200 and self.path == "/v1/traces":
                    body = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
                    # Span ids follow the 16-byte trace id in every encoder we measure.
                    sink.ids.update(re.findall(rb"\x0a\x10.{16}\x12\x08(.{8})", body, re.DOTALL))
                self.send_response(sink.status)
                self.send_header("Content-Length", "0")
                sink.busy -= 1
                with contextlib.suppress(OSError):  # the sender may have left
                    self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def chunk(delta: dict, finish: str | None = None, usage: dict | None = None) -> bytes:
    choices = [] if usage else [{"index": 0, "delta": delta, "finish_reason": finish}]
    body = {
        "id": "chatcmpl-b",
        "created": 1,
        "model": "gpt-4o-mini-2024-07-18",
        "object": "chat.completion.chunk",
        "choices": choices,
    }
    return b"data: " + json.dumps(body | ({"usage": usage} if usage else {})).encode() + b"\n\n"


def client():
    import openai

    try:
        import httpx2 as httpx
    except ImportError:
        import httpx
    if not hasattr(openai, "_httpx2"):
        import httpx
    parts = [
        chunk({"role": "assistant", "content": ""}),
        *(chunk({"content": word}) for word in WORDS),
        chunk({}, "stop"),
    ]
    stream = b"".join(parts) + chunk({}, usage=USAGE) + b"data: [DONE]\n\n"
    message = {"role": "assistant", "content": ANSWER, "refusal": None}
    choices = [{"index": 0, "finish_reason": "stop", "logprobs": None, "message": message}]
    head = {"id": "chatcmpl-b", "created": 1, "model": "gpt-4o-mini-2024-07-18", "object": "chat.completion"}
    plain = json.dumps({**head, "usage": USAGE, "choices": choices}).encode()

    def answer(request):
        streaming = b'"stream":true' in request.content.replace(b" ", b"")
        kind = "text/event-stream" if streaming else "application/json"
        return httpx.Response(200, headers={"content-type": kind}, content=stream if streaming else plain)

    transport = httpx.Client(transport=httpx.MockTransport(answer))
    return openai.OpenAI(api_key="sk-bench", base_url="http://127.0.0.1:1/v1", max_retries=0, http_client=transport)


def start(variant: str, sink: str, spool: str):
    """Default settings of each; returns what flushes."""
    if variant == "none":
        return lambda: None
    if variant in ("stanchion", "masked"):
        import stanchion_sdk

        content = "masked" if variant == "masked" else "full"
        assert stanchion_sdk.init(sink, "stn_bench", service_name="bench", content=content, spool_dir=spool)
        return stanchion_sdk.flush
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=sink + "/v1/traces")))
    trace.set_tracer_provider(provider)
    return provider.force_flush


def one(api, variant: str, mode: str) -> int:
    span = None
    if variant == "span":
        from opentelemetry import trace

        span = trace.get_tracer("bench").start_span("chat")
    if mode == "stream":
        options = {"include_usage": True}
        answer = api.chat.completions.create(
            model="gpt-4o-mini", messages=MESSAGES, stream=True, stream_options=options
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


def rss_mib() -> float:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    return round(int(line.split()[1]) / 1024, 1)


def call(args: argparse.Namespace) -> None:
    began = time.process_time()
    flush = start(args.variant, args.sink, args.spool)
    api = client()
    import_cpu = time.process_time() - began
    for _ in range(20):
        assert one(api, args.variant, args.mode) > 900
    flush()
    costs, cpu, thread = [], time.process_time(), time.thread_time()
    for _ in range(args.calls):
        before = time.thread_time()
        one(api, args.variant, args.mode)
        costs.append(time.thread_time() - before)
    thread = time.thread_time() - thread
    flush()
    background = time.process_time() - cpu - thread
    costs.sort()
    print(json.dumps({"p10_us": costs[len(costs) // 10] * 1e6, "background_us": background / args.calls * 1e6,
                      "import_cpu_s": import_cpu, "rss_mib": rss_mib()}))  # fmt: skip


def leave(args: argparse.Namespace) -> None:
    start(args.variant, args.sink, args.spool)
    api = client()
    for _ in range(args.calls):
        one(api, args.variant, "plain")
    if args.how == "sys.exit":
        sys.exit(3)
    if args.how == "exception":
        raise RuntimeError("bench")
    if args.how == "os._exit":
        os._exit(0)
    if args.how.startswith("SIG"):
        os.kill(os.getpid(), getattr(signal, args.how))
        time.sleep(5)


def resend(args: argparse.Namespace) -> None:
    """The next process of the application: makes one call, and sends what the spool holds."""
    import stanchion_sdk

    start("stanchion", args.sink, args.spool)
    one(client(), "stanchion", "plain")
    stanchion_sdk.flush(60)


def run(args: argparse.Namespace, command: str, *extra: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, __file__, command, "--sink", args.sink, "--spool", args.spool, *extra]
    return subprocess.run(
        line, capture_output=True, text=True, timeout=300, check=False, env=os.environ | {"OTEL_SERVICE_NAME": "bench"}
    )


def suite(args: argparse.Namespace) -> None:
    sink = Sink()
    args.sink, args.spool = sink.url, tempfile.mkdtemp(prefix="stanchion-bench-")
    try:
        costs(args)
        if args.only_costs:
            return
        exits(args, sink)
        stalled(args, sink)
    finally:
        shutil.rmtree(args.spool, ignore_errors=True)


def costs(args: argparse.Namespace) -> None:
    for mode, chunks in (("plain", 1), ("stream", len(WORDS) + 3)):
        runs: dict[str, list[dict]] = {variant: [] for variant in args.variants.split(",")}
        for _ in range(args.repeat):
            for variant, found in runs.items():
                done = run(args, "call", "--variant", variant, "--mode", mode, "--calls", str(args.calls))
                if done.returncode:
                    print(json.dumps({"variant": variant, "error": done.stderr[-300:]}))
                    continue
                found.append(json.loads(done.stdout.splitlines()[-1]))
        quiet = {
            name: min((run["p10_us"] + run["background_us"] for run in found), default=0)
            for name, found in runs.items()
        }
        for variant, found in runs.items():
            if not found:
                continue
            added = quiet[variant] - quiet["none"]
            best = min(found, key=lambda run: run["p10_us"] + run["background_us"])
            line = {
                "mode": mode,
                "variant": variant,
                "total_us": round(quiet[variant]),
                "added_us": round(added),
                "of_it_background_us": round(best["background_us"]),
                "added_us_per_chunk": round(added / chunks, 1) if mode == "stream" else None,
                "import_cpu_s": round(best["import_cpu_s"], 2),
                "rss_mib": best["rss_mib"],
            }
            print(json.dumps(line), flush=True)


def exits(args: argparse.Namespace, sink: Sink) -> None:
    for how in ("return", "sys.exit", "exception", "SIGINT", "SIGTERM", "os._exit", "SIGKILL"):
        sink.ids.clear()
        done = run(args, "leave", "--variant", "stanchion", "--calls", "200", "--how", how)
        arrived = len(sink.ids)
        run(args, "resend")
        print(json.dumps({"exit": how, "calls": 200, "arrived": arrived, "after_the_next_process": len(sink.ids) - 1,
                          "exit_code": done.returncode}), flush=True)  # fmt: skip


def stalled(args: argparse.Namespace, sink: Sink) -> None:
    sink.ids.clear()
    sink.delay_s = 8.0
    began = time.monotonic()
    run(args, "leave", "--variant", "stanchion", "--calls", "5000", "--how", "return")
    took, arrived = time.monotonic() - began, len(sink.ids)
    sink.delay_s = 0.0
    run(args, "resend")
    print(json.dumps({"sink": "answers after 8 s", "calls": 5000, "process_took_s": round(took, 1), "arrived": arrived,
                      "after_the_next_process": len(sink.ids) - 1}), flush=True)  # fmt: skip
    while sink.busy:  # the requests that the first process left behind
        time.sleep(0.1)
    sink.ids.clear()
    sink.status = 503
    began = time.monotonic()
    run(args, "leave", "--variant", "stanchion", "--calls", "200", "--how", "return")
    took = time.monotonic() - began
    sink.status = 200
    run(args, "resend")
    print(json.dumps({"sink": "503 throughout", "calls": 200, "process_took_s": round(took, 1),
                      "after_the_next_process": len(sink.ids) - 1}), flush=True)  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("suite", "call", "leave", "resend"))
    parser.add_argument("--variant", choices=VARIANTS, default="stanchion")
    parser.add_argument("--variants", default=",".join(VARIANTS))
    parser.add_argument("--mode", choices=("plain", "stream"), default="plain")
    parser.add_argument("--calls", type=int, default=120)
    parser.add_argument("--repeat", type=int, default=4)
    parser.add_argument("--only-costs", action="store_true")
    parser.add_argument("--how", default="return")
    parser.add_argument("--sink", default="")
    parser.add_argument("--spool", default="")
    chosen = parser.parse_args()
    {"suite": suite, "call": call, "leave": leave, "resend": resend}[chosen.command](chosen)
