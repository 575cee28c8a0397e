"""What guards cost inside an application: ours beside llm-guard, presidio, guardrails-ai and nemoguardrails.

    script/bench guard [--tokens 100,1000,8000] [--rounds 3] [--seconds 2] [--variants NAMES] [--json FILE]

Each variant is a process of its own in an environment of its own, made from `requirements/clients/*.lock` under
`.venvs`; variants take turns, and of the rounds the medians count. CPU milliseconds of the thread a check, seconds of
CPU to import and build, MiB that the process grew by. A peer whose environment cannot be made is named and left out.
What each one checks differs: see `guard_parts/app.py`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from guard_texts import texts

from kit.client_envs import ROOT, python_of

APP = Path(__file__).resolve().parent / "guard_parts" / "app.py"
TEXTS = 40
LIMIT_S = 300
FIGURES = ("build_cpu_s", "grown_mib")


@dataclass(frozen=True)
class Variant:
    """`environment` is the name of a lock in requirements/clients, empty for the project's own."""

    name: str
    environment: str
    packages: tuple[str, ...]


VARIANTS = (
    Variant("stanchion", "", ()),
    Variant("stanchion-patterns", "", ()),
    Variant("llm-guard", "guard-llm-guard", ("llm-guard", "torch")),
    Variant("presidio", "guard-presidio", ("presidio-analyzer", "spacy")),
    Variant("guardrails-ai", "guardrails", ("guardrails-ai",)),
    Variant("nemoguardrails", "guard-nemo", ("nemoguardrails",)),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", default="100,1000,8000", help="sizes of the texts, with commas")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2, help="CPU time for each size in each round")
    parser.add_argument("--variants", default=",".join(one.name for one in VARIANTS))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    sizes = [int(size) for size in options.tokens.split(",")]
    wanted = [one for one in VARIANTS if one.name in options.variants.split(",")]
    pythons = {one.name: python for one in wanted if (python := interpreter(one)) is not None}
    with tempfile.TemporaryDirectory(prefix="stanchion-guard-") as folder:
        given = Path(folder) / "texts.json"
        given.write_text(json.dumps({str(size): texts(size, TEXTS if size < 4_000 else 10) for size in sizes}))
        rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in pythons}
        for _round in range(options.rounds):
            for name, python in pythons.items():
                rounds[name].append(run(python, name, given, options.seconds))
    found = {name: medians(told) for name, told in rounds.items()}
    versions = {one.name: version_of(pythons[one.name], one.packages) for one in wanted if one.name in pythons}
    print(table(found, sizes, versions))
    if options.json:
        told = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "versions": versions, "variants": found}
        options.json.write_text(json.dumps(told, indent=2))


def interpreter(variant: Variant) -> str | None:
    if not variant.environment:
        return sys.executable
    try:
        return str(python_of(variant.environment))
    except (pytest.skip.Exception, subprocess.TimeoutExpired) as error:
        print(f"{variant.name} is left out: {str(error)[:300]}", file=sys.stderr)
        return None


def run(python: str, name: str, given: Path, seconds: float) -> dict[str, Any]:
    """One round of one variant: {"build_cpu_s", "grown_mib", "sizes": {tokens: {"p50_ms", "p99_ms", "checks"}}}."""
    env = {
        "PATH": os.environ.get("PATH", ""), "HOME": str(given.parent), "LANG": "C.UTF-8",
        "PYTHONPATH": str(ROOT / "guardrails" / "src"), "HTTPS_PROXY": "http://127.0.0.1:9",
        "HTTP_PROXY": "http://127.0.0.1:9", "HF_HUB_OFFLINE": "1", "OTEL_SDK_DISABLED": "true",
        "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1",
    }  # fmt: skip
    done = subprocess.run(
        [python, str(APP), name, str(given), str(seconds)],
        capture_output=True, text=True, timeout=LIMIT_S, check=False, env=env, cwd=given.parent,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{name} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def medians(rounds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    sizes = {
        size: {name: statistics.median(told["sizes"][size][name] for told in rounds) for name in ("p50_ms", "p99_ms")}
        for size in rounds[0]["sizes"]
    }
    return {**{name: statistics.median(told[name] for told in rounds) for name in FIGURES}, "sizes": sizes}


def version_of(python: str, packages: Sequence[str]) -> str:
    code = "import sys; from importlib.metadata import version; print(*(f'{n} {version(n)}' for n in sys.argv[1:]))"
    done = subprocess.run([python, "-c", code, *packages], capture_output=True, text=True, check=False)
    return done.stdout.strip().replace(" ", " ")


def table(found: dict[str, dict[str, Any]], sizes: Sequence[int], versions: dict[str, str]) -> str:
    columns = [f"{size:,} tokens" for size in sizes]
    lines = ["| | " + " | ".join(columns) + " | s to build | MiB |", "| --- " * (len(sizes) + 3) + "|"]
    for name, told in found.items():
        cells = [
            f"{told['sizes'][str(size)]['p50_ms']:.2f}, {told['sizes'][str(size)]['p99_ms']:.2f}" for size in sizes
        ]
        figures = f"{told['build_cpu_s']:.2f} | {told['grown_mib']:.0f}"
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {figures} |")
    return "\n".join([*lines, "", *(f"{name}: {version}" for name, version in versions.items() if version)])


if __name__ == "__main__":
    main()
