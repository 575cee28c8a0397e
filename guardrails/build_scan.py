"""Compiles the guards' scan (src/stanchion_guard/native/scan.c) beside its source: `python guardrails/build_scan.py`.

Without a C compiler or Python's headers nothing is made: the guards then work the same out in Python, more slowly. Does
nothing where the scan is built from today's source already. `CC` and `CFLAGS` are honoured.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

NATIVE = Path(__file__).resolve().parent / "src" / "stanchion_guard" / "native"
SOURCE, BUILT = NATIVE / "scan.c", NATIVE / "_scan.abi3.so"
LIMIT_S = 120
FLAGS = ("-O3", "-std=c11", "-fPIC", "-fvisibility=hidden", "-ffp-contract=off", "-Wall", "-Wextra")
"""No contraction: the sums are to the last bit those of numpy."""


class NotBuilt(RuntimeError):
    """Why there is no compiled scan, for people."""


def build() -> bool:
    """Whether anything had to be made. Raises NotBuilt."""
    digest = hashlib.sha256(SOURCE.read_bytes()).hexdigest()
    if BUILT.is_file() and digest.encode() in BUILT.read_bytes():
        return False
    compiler = shlex.split(os.environ.get("CC", "")) or _compilers()[:1]
    headers = Path(sysconfig.get_paths()["include"])
    if os.name != "posix" or not compiler:
        raise NotBuilt("there is no C compiler")
    if not (headers / "Python.h").is_file():
        raise NotBuilt(f"Python's headers are not installed: {headers}/Python.h")
    unfinished = BUILT.with_name(f".scan-{os.getpid()}.so")
    try:
        given = [f'-DSOURCE="{digest}"', f"-I{headers}", str(SOURCE)]
        _compile([*compiler, *FLAGS, *given, *_linking(), "-o", str(unfinished)])
        unfinished.replace(BUILT)
    finally:
        unfinished.unlink(missing_ok=True)
    return True


def _compilers() -> list[str]:
    return [found for name in ("cc", "gcc", "clang") if (found := shutil.which(name))]


def _linking() -> list[str]:
    shared = ["-bundle", "-undefined", "dynamic_lookup"] if sys.platform == "darwin" else ["-shared"]
    return [*shared, *shlex.split(os.environ.get("CFLAGS", "")), "-lm"]


def _compile(command: list[str]) -> None:
    try:
        done = subprocess.run(  # noqa: S603 - the compiler
            command, capture_output=True, text=True, timeout=LIMIT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotBuilt(f"{command[0]}: {error}") from error
    if done.returncode:
        raise NotBuilt(f"{command[0]} ended with {done.returncode}: {done.stderr.strip()[-400:]}")


def main() -> int:
    try:
        made = build()
    except (NotBuilt, OSError) as error:
        print(f"the guards' compiled scan is not built, checks will take longer: {error}", file=sys.stderr)  # noqa: T201
        return 1
    if made:
        print(f"built {BUILT.name} for the guards", file=sys.stderr)  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
