from __future__ import annotations

from kit.client_envs import ROOT, run_app


def test_guardrails_ai_runs_our_policies_and_our_policies_run_its_validators_without_a_connection() -> None:
    run_app("guardrails", "guardrails_both_ways.py", str(ROOT / "guardrails" / "src"), variables={})
