from __future__ import annotations

from pathlib import Path

import pytest

from kit.client_envs import ROOT, run_app


@pytest.mark.slow
def test_detoxify_itself_loads_a_checkpoint_of_its_own_format_without_a_connection(tmp_path: Path) -> None:
    sources = (ROOT / "guardrails" / "src", ROOT / "platform" / "src")
    run_app("detoxify", "detoxify_real.py", *map(str, sources), str(tmp_path), variables={}, limit_s=240)
