"""What the GPU agent takes of its host: eight cards at 1 Hz, beside a made-up driver.

    script/bench gpu_agent [--seconds 60]

Starts `stanchion-gpu-agent run` against a libnvidia-ml.so.1 that is built here and answers at once (a real driver's
calls take longer, mostly waiting), and a sink that takes every export. One process on a card is this one, to be looked
up in /proc. CPU is the process's own, by the scheduler's clock (its ticks of 10 ms would miss readings of a
millisecond), after the first ten seconds; memory is the resident set, shared pages included.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from kit import nvml_stub
from kit.sdk_sink import Sink

WARM_UP_S = 10.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Sink() as sink:
        library = nvml_stub.build(Path(folder))
        environment = nvml_stub.environment(
            library, STANCHION_ENDPOINT=sink.url, STANCHION_GPU_SPOOL=f"{folder}/spool", STUB_PID=str(os.getpid())
        )
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


def cpu_s(pid: int) -> float:
    """CPU seconds of all its threads, to the microsecond: clock_getcpuclockid(3) of another process."""
    return time.clock_gettime((~pid << 3) | 2)


def resident_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))


if __name__ == "__main__":
    main()
