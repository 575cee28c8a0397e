"""Runs the application under test in every situation, SDK after SDK, and returns plain rows."""

from __future__ import annotations

import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sdk_parts.servers import CHUNKS, Provider, Sink

ROOT = Path(__file__).resolve().parents[2]
APP = Path(__file__).with_name("app.py")
LIMIT_S = 420
WAYS_OUT = ("return", "exception", "sys.exit", "SIGINT", "SIGTERM", "os._exit", "SIGKILL")
Row = dict[str, Any]


@dataclass(frozen=True)
class Variant:
    """An SDK, the environment it lives in, and the packages whose versions belong beside its figures."""

    name: str
    environment: str
    packages: tuple[str, ...] = ()


VARIANTS = (
    Variant("stanchion", "many", ("opentelemetry-sdk", "openai")),
    Variant("masked", "many"),
    Variant("span", "many", ("opentelemetry-sdk",)),
    Variant("langfuse", "many", ("langfuse",)),
    Variant("openinference", "many", ("openinference-instrumentation-openai",)),
    Variant("traceloop", "many", ("traceloop-sdk",)),
    Variant("otel-genai", "openai-v3", ("opentelemetry-instrumentation-genai-openai", "openai")),
)


def python_of(environment: str) -> str:
    return str(ROOT / ".venvs" / environment / "bin" / "python")


class Bench:
    """The servers and folders of one run; `rounds` and `calls` say how long the cost is measured."""

    def __init__(self, variants: Sequence[Variant], rounds: int, calls: int) -> None:
        self.variants, self.rounds, self.calls = variants, rounds, calls
        self.sink, self.provider = Sink().up(), Provider()
        self.root = tempfile.mkdtemp(prefix="stanchion-bench-")

    def close(self) -> None:
        self.sink.down()
        shutil.rmtree(self.root, ignore_errors=True)

    def command(self, command: str, variant: Variant, *more: str) -> list[str]:
        spool = f"{self.root}/{variant.name}"
        base = [python_of(variant.environment), str(APP), command, "--variant", variant.name]
        return [*base, "--sink", self.sink.url, "--spool", spool, *more]

    def run(self, command: str, variant: Variant, *more: str) -> subprocess.CompletedProcess[str]:
        line = self.command(command, variant, *more)
        try:
            return subprocess.run(line, capture_output=True, text=True, timeout=LIMIT_S, check=False, env=_environ())
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(line, -1, "", f"still running after {LIMIT_S} s")

    def resend(self, variant: Variant) -> None:
        """The application's next start, with the spool that it left. It is counted as one more call."""
        self.run("resend", variant)


def _environ() -> dict[str, str]:
    """Nothing of this shell's own tracing configuration; our SDK from the sources."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "STANCHION_"))}
    return {**kept, "PYTHONPATH": str(ROOT / "collectors" / "src"), "OTEL_SERVICE_NAME": "bench"}


def versions(variant: Variant) -> dict[str, str] | None:
    """None when the environment is missing: the peer cannot be run."""
    if not Path(python_of(variant.environment)).exists():
        return None
    code = "import sys,importlib.metadata as m; print(*(m.version(n) for n in sys.argv[1:]))"
    done = subprocess.run(
        [python_of(variant.environment), "-c", code, *variant.packages], capture_output=True, text=True, check=False
    )
    return dict(zip(variant.packages, done.stdout.split(), strict=False)) if done.returncode == 0 else None


def costs(bench: Bench) -> list[Row]:
    """CPU added to a call. Each round runs everyone once, the bare client first, so that drift hits all alike."""
    bares = [Variant("bare", name) for name in dict.fromkeys(variant.environment for variant in bench.variants)]
    everyone = [*bares, *bench.variants]
    found: dict[Variant, list[Row]] = {variant: [] for variant in everyone}
    failed: dict[str, str] = {}
    for number in range(bench.rounds):
        for variant in everyone[number % 2 :: 2] + everyone[1 - number % 2 :: 2]:
            done = bench.run("cost", variant, "--calls", str(bench.calls))
            if done.returncode:
                failed[variant.name] = done.stderr.strip().splitlines()[-1][-160:] if done.stderr else "no output"
                found[variant].append({})
            else:
                found[variant].append(json.loads(done.stdout.splitlines()[-1]))
    rows: list[Row] = [{"variant": name, "failed": why} for name, why in failed.items()]
    for bare in bares:
        rows.append({"variant": f"bare ({bare.environment})", **_totals(found[bare])})
    for variant in bench.variants:
        bare = next(one for one in bares if one.environment == variant.environment)
        pairs = [(mine, base) for mine, base in zip(found[variant], found[bare], strict=True) if mine and base]
        if pairs:
            rows.append({"variant": variant.name, **_added(pairs)})
    return rows


def _cpu(run: Row, mode: str) -> float:
    return float(run[mode]["caller_us"] + run[mode]["background_us"])


def _totals(runs: list[Row]) -> Row:
    known = [run for run in runs if run]
    return {f"{mode}_us": _spread([_cpu(run, mode) for run in known]) for mode in ("plain", "stream")}


def _least(runs: list[Row], mode: str) -> float:
    """The round that other work on the machine disturbed least; on a shared one the steadiest figure."""
    return min(_cpu(run, mode) for run in runs)


def _added(pairs: list[tuple[Row, Row]]) -> Row:
    row: Row = {}
    for mode in ("plain", "stream"):
        row[f"{mode}_added_us"] = _spread([_cpu(mine, mode) - _cpu(base, mode) for mine, base in pairs])
        least = [_least([pair[which] for pair in pairs], mode) for which in (0, 1)]
        row[f"{mode}_quietest_us"] = round(least[0] - least[1])
        row[f"{mode}_ratio"] = round(statistics.median(_cpu(mine, mode) / _cpu(base, mode) for mine, base in pairs), 2)
    row["chunk_quietest_us"] = round(row["stream_quietest_us"] / CHUNKS, 1)
    row["chunk_added_us"] = [round(value / CHUNKS, 1) for value in row["stream_added_us"]]
    row["background_us"] = round(statistics.median(mine["plain"]["background_us"] for mine, _ in pairs))
    row["import_cpu_s"] = statistics.median(mine["import_cpu_s"] for mine, _ in pairs)
    row["rss_mib"] = statistics.median(mine["rss_mib"] for mine, _ in pairs)
    return row


def _spread(values: list[float]) -> list[int]:
    """Median, least, greatest."""
    return [round(statistics.median(values)), round(min(values)), round(max(values))] if values else []


def walls(bench: Bench) -> list[Row]:
    """How much longer a call takes on the clock, over a loopback provider, in each state of the telemetry server."""
    bare, ours = Variant("bare", "many"), [one for one in bench.variants if one.name in ("stanchion", "masked")]
    rows = []
    for state in ("up", "stalled", "refusing", "down"):
        added: dict[tuple[str, str, str], list[float]] = {}
        with _state(bench, state):
            for _ in range(bench.rounds):
                base = _wall(bench, bare)
                for variant in ours:
                    mine = _wall(bench, variant)
                    for mode in ("plain", "stream"):
                        for place in ("p50", "p99"):
                            key = f"wall_{place}_us"
                            added.setdefault((variant.name, mode, place), []).append(mine[mode][key] - base[mode][key])
        rows += [
            {"server": state, "variant": name, "mode": mode, "at": place, "added_us": _spread(values)}
            for (name, mode, place), values in added.items()
        ]
    return rows


def _wall(bench: Bench, variant: Variant) -> Row:
    more = ("--calls", str(bench.calls * 2), "--provider", bench.provider.url, "--pause-s", "0.002")
    found: Row = json.loads(bench.run("cost", variant, *more).stdout.splitlines()[-1])
    return found


@contextmanager
def _state(bench: Bench, state: str) -> Iterator[None]:
    if state == "down":
        bench.sink.down()
    bench.sink.delay_s = 30.0 if state == "stalled" else 0.0
    bench.sink.status = 503 if state == "refusing" else 200
    try:
        yield
    finally:
        bench.sink.delay_s, bench.sink.status = 0.0, 200
        if state == "down":
            bench.sink.up()
        for spool in Path(bench.root).iterdir():
            shutil.rmtree(spool, ignore_errors=True)


def exits(bench: Bench) -> list[Row]:
    """200 calls and a way out. For ours also what the next process of the application brings home."""
    rows = []
    for variant in bench.variants:
        for how in WAYS_OUT:
            for pause_s in (0.0, 0.005) if how in ("os._exit", "SIGKILL") else (0.0,):
                bench.sink.forget()
                began = time.monotonic()
                done = bench.run("leave", variant, "--calls", "200", "--how", how, "--pause-s", str(pause_s))
                row: Row = {"variant": variant.name, "exit": how, "paced_ms": pause_s * 1000,
                            "lost": 200 - len(bench.sink.traces), "took_s": round(time.monotonic() - began, 1),
                            "exit_code": done.returncode}  # fmt: skip
                if variant.name in ("stanchion", "masked") and row["lost"]:
                    bench.resend(variant)
                    row["lost_after_next_start"] = 201 - len(bench.sink.traces)
                rows.append(row)
    return rows


def stalled(bench: Bench) -> list[Row]:
    """5,000 calls while the sink answers after 8 s each time."""
    rows = []
    for variant in bench.variants:
        bench.sink.forget()
        bench.sink.delay_s = 8.0
        began = time.monotonic()
        bench.run("leave", variant, "--calls", "5000")
        took = round(time.monotonic() - began, 1)
        while bench.sink.busy:
            time.sleep(0.1)
        row: Row = {"variant": variant.name, "calls": 5000, "took_s": took, "lost": 5000 - len(bench.sink.traces)}
        bench.sink.delay_s = 0.0
        if variant.name in ("stanchion", "masked") and row["lost"]:
            bench.resend(variant)
            row["lost_after_next_start"] = 5001 - len(bench.sink.traces)
        rows.append(row)
    return rows


def outages(bench: Bench, outage_s: float) -> list[Row]:
    """Every SDK at once, each with a server of its own that is gone for `outage_s` while the application goes on."""
    alone = [Bench([variant], 1, 1) for variant in bench.variants]
    processes = []
    for one in alone:
        one.sink.down()
        line = one.command("outlast", one.variants[0], "--pause-s", "0.1")
        processes.append(subprocess.Popen(
            line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=_environ()
        ))  # fmt: skip
    time.sleep(outage_s)
    spools = [_spooled(Path(one.root)) for one in alone]
    for one in alone:
        one.sink.up()
    time.sleep(40)  # longer than the longest wait between attempts
    rows = []
    for one, process, (files, size) in zip(alone, processes, spools, strict=True):
        calls = _ended(process)
        rows.append({
            "variant": one.variants[0].name, "outage_s": outage_s, "calls": calls,
            "lost": calls - len(one.sink.traces) if calls else None, "spool_files": files, "spool_bytes": size,
        })  # fmt: skip
        one.close()
    return rows


def _ended(process: subprocess.Popen[str]) -> int | None:
    try:
        output, _ = process.communicate("end\n", timeout=60)
        return int(json.loads(output.splitlines()[-1])["calls"])
    except (subprocess.TimeoutExpired, ValueError, IndexError):
        process.send_signal(signal.SIGKILL)
        return None


def _spooled(root: Path) -> tuple[int, int]:
    files = list(root.rglob("*.traces"))
    return len(files), sum(file.stat().st_size for file in files)


def machine() -> Row:
    load = os.getloadavg()[0]
    return {"python": sys.version.split()[0], "cores": os.cpu_count(), "load_1min": round(load, 1)}
