"""Environments of third-party clients: made from a lock on first use, kept under .venvs until the lock changes."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ROOT / "requirements" / "clients"
APPS = ROOT / "tests" / "contract" / "clients"
INSTALL_LIMIT_S = 300
APP_LIMIT_S = 90


def python_of(name: str) -> Path:
    """The interpreter of the environment `name`; makes it when it is missing or its lock changed.

    Skips the test when nothing can be installed here. In CI a failing installation fails: there it is a broken promise.
    """
    folder = ROOT / ".venvs" / name
    folder.parent.mkdir(exist_ok=True)
    lock = LOCKS / f"{name}.lock"
    digest = hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()
    stamp = folder / "lock.sha256"
    with (folder.parent / f"{name}.guard").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)  # parallel test workers want the same environment
        if not (stamp.exists() and stamp.read_text() == digest):
            _install(folder, lock)
            stamp.write_text(digest)
    return folder / "bin" / "python"


def _install(folder: Path, lock: Path) -> None:
    beside = Path(sys.executable).with_name("uv")
    uv = str(beside) if beside.exists() else shutil.which("uv")
    if uv is None:
        _give_up(lock, "uv is not installed")
        return
    python = folder / "bin" / "python"
    # uv does not read pip's setting for wheels that lie in a folder.
    where = {"UV_FIND_LINKS": os.environ["PIP_FIND_LINKS"]} if "PIP_FIND_LINKS" in os.environ else {}
    for command in (
        [uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)],
        [uv, "pip", "install", "--quiet", "--python", str(python), "-r", str(lock)],
    ):
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=INSTALL_LIMIT_S, check=False, env=where | os.environ
        )
        if done.returncode:
            _give_up(lock, done.stderr[-1500:])


def _give_up(lock: Path, why: str) -> None:
    text = f"the clients of {lock.relative_to(ROOT)} cannot be installed: {why}"
    if os.environ.get("CI") == "true":
        pytest.fail(text)
    pytest.skip(text)


def run_app(
    environment: str, script: str, *arguments: str, variables: dict[str, str], limit_s: float = APP_LIMIT_S
) -> str:
    """Runs tests/contract/clients/`script` to its end in `environment` and returns its output; fails when it fails.

    The app sees nothing of our own configuration: a fresh environment with `variables`, and no way out but loopback.
    """
    base = {
        "PATH": "/usr/bin:/bin",
        "HOME": "/nonexistent",
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(APPS),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "NO_PROXY": "127.0.0.1,localhost",
    }
    command = [str(python_of(environment)), str(APPS / script), *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=limit_s, check=False, env=base | variables, cwd="/tmp"
    )
    output = done.stdout + done.stderr
    assert done.returncode == 0, f"{script} ended with {done.returncode}:\n{output[-4000:]}"
    return output
