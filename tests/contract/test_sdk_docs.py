"""Every example of docs/instrument.md runs, and the server gets a call from it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kit.client_envs import ROOT, run_app
from kit.fake_bedrock import FakeBedrock
from kit.sdk_sink import Sink
from stanchion_server.commands.fake_llm.server import FakeLlm

pytestmark = [pytest.mark.clients, pytest.mark.slow]
PAGE = (ROOT / "docs" / "instrument.md").read_text()
EXAMPLES = re.findall(r"<!-- run: (\S+) -->\n```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize(
    ("environment", "code"), EXAMPLES, ids=[f"{number}-{example[0]}" for number, example in enumerate(EXAMPLES)]
)
def test_an_example_of_the_page_records_a_call(environment: str, code: str, tmp_path: Path) -> None:
    script = tmp_path / "example.py"
    script.write_text(code)
    with Sink() as sink, FakeLlm(latency_ms=1, chunk_ms=1) as fake, FakeBedrock() as bedrock:
        variables = {
            "PYTHONPATH": str(ROOT / "collectors" / "src"),
            "STANCHION_ENDPOINT": sink.url,
            "STANCHION_API_KEY": "stn_k",
            "STANCHION_SPOOL_DIR": str(tmp_path / "spool"),
            "OPENAI_BASE_URL": fake.url + "/v1",
            "OPENAI_API_KEY": "x",
            "ANTHROPIC_BASE_URL": fake.url,
            "ANTHROPIC_API_KEY": "x",
            "GEMINI_BASE_URL": fake.url,
            "BEDROCK_URL": bedrock.url,
            "AWS_ACCESS_KEY_ID": "x",
            "AWS_SECRET_ACCESS_KEY": "x",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        }
        run_app(environment, str(script), variables=variables)
        calls = [span for span in sink.spans if "gen_ai.request.model" in span.attributes]
    assert len(calls) == 1
    assert calls[0].attributes["gen_ai.usage.input_tokens"] > 0


def test_the_page_has_an_example_of_every_hook() -> None:
    assert len(EXAMPLES) == PAGE.count("```python") >= 11
