"""Every variable that the code reads is described, and nothing else is."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAME = re.compile(r"\bSTANCHION_[A-Z][A-Z0-9_]*[A-Z0-9]\b")
SERVER = ROOT / "platform" / "src" / "stanchion_server"
READS = re.compile(r"""(?:env(?:\.\w+)?\(|environ(?:\.get)?[\[(])\s*["'](STANCHION_[A-Z0-9_]+|DATABASE_URL)["']""")


def test_the_page_and_the_code_name_the_same_variables_of_the_server() -> None:
    read = {name for path in SERVER.rglob("*.py") for name in READS.findall(path.read_text())}
    page = (ROOT / "docs" / "configuration.md").read_text()
    documented = set(re.findall(r"^\| `(STANCHION_[A-Z0-9_]+|DATABASE_URL)` \|", page, re.MULTILINE))
    assert read - documented == set(), "read by the server but not in docs/configuration.md"
    assert documented - read == set(), "in docs/configuration.md but read nowhere"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("STANCHION_SECRET_KEY", "change-me-please-change-me-please-change-me", "placeholder"),
        ("STANCHION_SECRET_KEY", "short", "placeholder or shorter"),
        ("STANCHION_SECRET_KEY", "", "is not set"),
        ("STANCHION_BROKER_URL", "kafka://somewhere", "kafka"),
        ("STANCHION_LOG_FORMAT", "fancy", "fancy"),
    ],
)
def test_a_wrong_value_ends_the_start_with_a_sentence(variable: str, value: str, sentence: str) -> None:
    hidden = ("DJANGO_SETTINGS_MODULE", "PYTHONPATH")
    env = {name: text for name, text in os.environ.items() if not NAME.fullmatch(name) and name not in hidden}
    env |= {"STANCHION_SECRET_KEY": "k" * 50, variable: value}
    done = subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "migrate", "--plan"],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert sentence in done.stderr.splitlines()[-1]
