"""What the GPU agent takes of its host: eight cards at 1 Hz, beside a made-up driver.

    script/bench gpu_agent [--seconds 60] [--engines 2]

Starts `stanchion-gpu-agent run` against a libnvidia-ml.so.1 that is built here and answers at once (a real driver's
calls take longer, mostly waiting), and a sink that takes every export. One process on a card is this one, to be looked
up in /proc. With `--engines`, so many made-up vLLMs of eight ranks are read each ten seconds, 173 kB each. CPU is the
process's own, by the scheduler's clock (ticks of 10 ms would miss readings of a millisecond), after the first ten
seconds; memory is the resident set, shared pages included.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from kit import nvml_stub
from kit.sdk_sink import Sink

WARM_UP_S = 10.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--engines", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Sink() as sink:
        library = nvml_stub.build(Path(folder))
        told = {"STANCHION_ENDPOINT": sink.url, "STANCHION_GPU_SPOOL": f"{folder}/spool", "STUB_PID": str(os.getpid())}
        if options.engines:
            told["STANCHION_GPU_ENGINES"] = ",".join(f"vllm@127.0.0.1:{_an_engine()}" for _ in range(options.engines))
        environment = nvml_stub.environment(library, **told)
        process = subprocess.Popen([sys.executable, "-P", "-m", "stanchion_gpu", "run"], env=environment)
        try:
            print(json.dumps(_measured(process.pid, options.seconds, sink), indent=2))
        finally:
            process.terminate()
            process.wait(20)


def _measured(pid: int, seconds: float, sink: Sink) -> dict[str, object]:
    time.sleep(WARM_UP_S)
    before_s, began_s, exports = cpu_s(pid), time.monotonic(), len(sink.metrics)
    largest = 0
    while (past_s := time.monotonic() - began_s) < seconds:
        largest = max(largest, resident_bytes(pid))
        time.sleep(min(1.0, max(0.0, seconds - past_s)))
    used_s = cpu_s(pid) - before_s
    points = [
        sum(
            len(getattr(one, one.WhichOneof("data")).data_points)
            for one in request.resource_metrics[0].scope_metrics[0].metrics
        )
        for request in sink.metrics[-1:]
    ]
    return {
        "percent_of_a_core": round(100 * used_s / seconds, 3),
        "cpu_s": round(used_s, 3),
        "seconds": seconds,
        "resident_mib": round(largest / 2**20, 1),
        "exports": len(sink.metrics) - exports,
        "points_an_export": points[0] if points else 0,
        "load_average": os.getloadavg()[0],
    }


def _an_engine() -> int:
    """The port of a made-up vLLM of eight ranks."""
    histograms = (
        "time_to_first_token_seconds", "e2e_request_latency_seconds", "request_queue_time_seconds",
        "inter_token_latency_seconds", "iteration_tokens_total", "request_prompt_tokens", "request_decode_time_seconds",
        "request_prefill_time_seconds",
    )  # fmt: skip
    lines = [
        f'vllm:{name}_bucket{{engine="{rank}",le="{bound}",model_name="unsloth/Llama-3.2-1B-Instruct"}} 30.0'
        for name in histograms
        for rank in range(8)
        for bound in (*(f"{step}.5" for step in range(24)), "+Inf")
    ]
    text = "\n".join([*lines, 'vllm:num_requests_running{engine="0"} 3', ""]).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_arguments: object) -> None:
            """The figures are all that is to be read."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port


def cpu_s(pid: int) -> float:
    """CPU seconds of all its threads, to the microsecond: clock_getcpuclockid(3) of another process."""
    return time.clock_gettime((~pid << 3) | 2)


def resident_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))


if __name__ == "__main__":
    main()
