"""Every example of docs/guardrails-sdk.md runs and prints what stands behind it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from kit.sdk_sink import Sink
from stanchion_server.commands.fake_llm.server import FakeLlm

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "guardrails-sdk.md").read_text("utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
[POLICY] = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
BUNDLE = {
    "id": 1, "name": "support", "live": 1, "shadow": None, "shadow_until": None, "canary": None, "canary_percent": 0,
    "canary_until": None, "switch": "on", "switch_reason": "", "documents": {"1": POLICY},
}  # fmt: skip


@pytest.mark.parametrize("code", EXAMPLES, ids=[str(number) for number in range(len(EXAMPLES))])
def test_an_example_of_the_page_prints_what_it_says(code: str, tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(POLICY)
    with Sink() as sink, FakeLlm(latency_ms=1, chunk_ms=1) as fake:
        sink.answers_to_get["/api/v1/policies/support/bundle"] = (200, {"policies": [BUNDLE]})
        variables = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{ROOT / 'collectors' / 'src'}:{ROOT / 'guardrails' / 'src'}",
            "STANCHION_ENDPOINT": sink.url,
            "STANCHION_API_KEY": "stn_k",
            "STANCHION_SPOOL_DIR": str(tmp_path / "spool"),
            "OPENAI_BASE_URL": fake.url + "/v1",
            "OPENAI_API_KEY": "x",
            "ANTHROPIC_BASE_URL": fake.url,
            "ANTHROPIC_API_KEY": "x",
        }
        command = [sys.executable, "-W", "ignore", "-c", code]
        done = subprocess.run(command, capture_output=True, text=True, env=variables, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    expected = re.findall(r"# → (.*)", code)
    assert expected
    assert done.stdout.splitlines() == expected
