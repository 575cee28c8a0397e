"""The compiled scan, where it is installed: see scan.c. Without it the same is worked out in Python, more slowly."""

from __future__ import annotations

import hashlib
import importlib
import os
from pathlib import Path
from typing import Any

API = 4
"""What scan.c and its callers agree on. A scan built for another number is not used."""
OFF = "STANCHION_GUARD_NATIVE"
"""Set to 0, this environment variable keeps the compiled scan from being used."""


def _found() -> tuple[Any, str]:
    if os.environ.get(OFF) == "0":
        return None, f"not used: {OFF}=0"
    try:
        module = importlib.import_module("stanchion_guard.native._scan")
    except ImportError as error:
        missing = isinstance(error, ModuleNotFoundError)
        return None, "not installed" if missing else f"cannot be loaded: {error}"
    against = against_using(module, Path(__file__).with_name("scan.c"))
    return (None, f"not used: {against}") if against else (module, "used")


def against_using(module: Any, source: Path) -> str:
    """Why not to use a scan, empty where nothing speaks against it. It is of the source beside it, if there is one: a
    checkout that moved on keeps the scan that was built before, and its verdicts."""
    if module.API != API:
        return f"built for {module.API}, not {API}"
    if source.is_file() and hashlib.sha256(source.read_bytes()).hexdigest() != module.SOURCE:
        return "built from another scan.c; build it anew"
    return ""


scan, status = _found()
