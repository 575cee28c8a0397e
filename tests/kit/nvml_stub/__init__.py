"""Builds a libnvidia-ml.so.1 of eight made-up cards, for the true path from pynvml down."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("stub.c")
ROOT = SOURCE.parents[3]


def build(folder: Path) -> Path:
    """The folder to put on LD_LIBRARY_PATH. Skips, saying so, where there is no C compiler."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler: the NVML stub cannot be built (apt-get install gcc)")
    library = folder / "libnvidia-ml.so.1"
    command = [
        compiler,
        "-shared",
        "-fPIC",
        "-O1",
        "-w",
        "-Wl,-soname,libnvidia-ml.so.1",
        "-o",
        str(library),
        str(SOURCE),
    ]
    subprocess.run(command, check=True)
    return folder


def environment(library: Path | None, **variables: str) -> dict[str, str]:
    """For a process that is to find the stub (or, with None, no driver at all) and nothing of this host's settings."""
    path = os.pathsep.join(str(ROOT / part / "src") for part in ("gpu_agent", "collectors"))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("STANCHION_")}
    found = {} if library is None else {"LD_LIBRARY_PATH": str(library)}
    return {**kept, **found, "PYTHONPATH": path, **variables}


def python(code: str, library: Path | None, **variables: str) -> str:
    """What a program prints that runs beside the stub: pynvml keeps the library for the life of a process."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        env=environment(library, **variables),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
