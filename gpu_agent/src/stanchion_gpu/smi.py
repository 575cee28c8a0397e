"""Cards by `nvidia-smi`, where NVML cannot be loaded (a container with the tool and without the library).

The tool takes a tenth of a second of CPU and more a call, and knows no counters: energy is then integrated from power.
"""

from __future__ import annotations

import csv
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import replace

from stanchion_gpu.records import Card, GpuProcess, Sample, State

FIELDS = (
    "index",
    "uuid",
    "name",
    "driver_version",
    "memory.total",
    "memory.used",
    "utilization.gpu",
    "utilization.memory",
    "power.draw",
    "power.limit",
    "temperature.gpu",
    "clocks.gr",
    "clocks.sm",
    "clocks.mem",
    "pstate",
)
PROCESSES_COMMAND = ("--query-compute-apps=gpu_uuid,pid,used_memory", "--format=csv,noheader,nounits")
COMMAND = ("--query-gpu=" + ",".join(FIELDS), "--format=csv,noheader,nounits")
TIMEOUT_S = 10.0
# A call each second would take a tenth of a core and more.
EVERY_S = 10.0
MOST_BYTES = 1024 * 1024
MIB = 1024 * 1024
# What the tool writes for "not known", in brackets or without: by the versions from 390 to 580.
_NOTHING = ("", "n/a", "not supported", "unknown error", "insufficient permissions", "gpu is lost", "not available")


class NoTool(Exception):
    """nvidia-smi is not there or fails. The message says which, for people."""


def read() -> list[Sample]:
    """All cards, with the processes that compute on them; NoTool says why there are none."""
    done = _run(COMMAND)
    samples = parse(done.stdout[:MOST_BYTES])
    if done.returncode != 0 and not samples:
        raise NoTool(f"nvidia-smi failed: {(done.stdout or done.stderr).strip()[:200]}")
    told = _run(PROCESSES_COMMAND)
    return with_processes(samples, told.stdout[:MOST_BYTES]) if told.returncode == 0 else samples


def _run(arguments: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    program = shutil.which("nvidia-smi")
    if program is None:
        raise NoTool("nvidia-smi is not on the path")
    try:
        return subprocess.run(  # noqa: S603 (our own words and a tool of the driver)
            [program, *arguments], capture_output=True, text=True, errors="replace", timeout=TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoTool(f"nvidia-smi does not run: {type(error).__name__}") from error


def parse(text: str) -> list[Sample]:
    """One sample a line with as many fields as FIELDS; other lines are messages and left out."""
    rows = csv.reader(text.splitlines(), skipinitialspace=True)
    return [_sample(dict(zip(FIELDS, row, strict=True))) for row in rows if len(row) == len(FIELDS)]


def with_processes(samples: list[Sample], text: str) -> list[Sample]:
    """The samples, each with the processes of its card: lines of UUID, PID and MiB."""
    found: dict[str, list[GpuProcess]] = {sample.card.uuid: [] for sample in samples}
    for row in csv.reader(text.splitlines(), skipinitialspace=True):
        if len(row) == 3 and row[0] in found and row[1].isdecimal():
            used = _number(row[2], MIB)
            found[row[0]].append(GpuProcess(int(row[1]), None if used is None else int(used)))
    return [replace(sample, processes=tuple(found[sample.card.uuid])) for sample in samples]


def lost(sample: Sample) -> Sample:
    """What is left of a card when the tool fails."""
    return Sample(card=sample.card, state=State.FAILED)


def _sample(row: Mapping[str, str]) -> Sample:
    total = _number(row["memory.total"], MIB)
    used = _number(row["memory.used"], MIB)
    state = _text(row["pstate"])
    return Sample(
        card=Card(
            uuid=_text(row["uuid"]) or f"gpu{row['index']}",
            name=f"gpu{row['index']}",
            model=_text(row["name"]),
            driver_version=_text(row["driver_version"]),
            memory_bytes=None if total is None else int(total),
        ),
        utilization_ratio=_number(row["utilization.gpu"], 0.01),
        memory_busy_ratio=_number(row["utilization.memory"], 0.01),
        memory_used_bytes=None if used is None else int(used),
        power_w=_number(row["power.draw"], 1),
        power_limit_w=_number(row["power.limit"], 1),
        temperature_c=_number(row["temperature.gpu"], 1),
        graphics_hz=_number(row["clocks.gr"], 1e6),
        sm_hz=_number(row["clocks.sm"], 1e6),
        memory_hz=_number(row["clocks.mem"], 1e6),
        performance_state=int(state[1:]) if state and state[1:].isdigit() else None,
    )


def _text(value: str) -> str | None:
    bare = value.strip().strip("[]")
    return None if bare.lower() in _NOTHING else bare


def _number(value: str, factor: float) -> float | None:
    text = _text(value)
    try:
        return None if text is None else float(text) * factor
    except ValueError:
        return None
