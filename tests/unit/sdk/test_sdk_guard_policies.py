"""What the policies of a bundle say together, and what is said where the engine breaks."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kit.guarding import CANARY, document
from stanchion_guard import Guard, load
from stanchion_sdk.guarding import bundles, guards, sources

KEY = bytes(32)


def row(name: str, *documents: str, **state: Any) -> dict[str, Any]:
    """A policy of a bundle as the server writes it, its first version live."""
    known = {
        "id": len(name), "name": name, "live": 1, "shadow": None, "shadow_until": None, "canary": None,
        "canary_percent": 0, "canary_until": None, "switch": "on", "switch_reason": "",
        "documents": {str(number): text for number, text in enumerate(documents, 1)},
    }  # fmt: skip
    return {**known, **state}


def app_guard(*rows: dict[str, Any]) -> guards.AppGuard:
    entries = bundles.read(json.dumps({"policies": rows}).encode(), KEY)
    return guards.AppGuard(sources.Local(entries), "chat", "allow")


def test_the_masks_of_the_named_and_of_the_enforced_policy_are_both_put_on() -> None:
    guard = app_guard(row("chat", document("word-one", "redact")), row("house", document(action="redact")))
    verdict = guard.check(f"{CANARY} and word-one")
    assert (verdict.action, verdict.texts) == ("redact", ("[CANARY] and [CANARY]",))
    assert verdict.coverage.complete


def test_a_block_of_one_policy_keeps_the_masks_of_the_other() -> None:
    guard = app_guard(row("chat", document("word-one", "redact")), row("house", document()))
    verdict = guard.check(f"{CANARY} and word-one")
    assert (verdict.action, verdict.policy) == ("block", "house")
    assert verdict.texts == (f"{CANARY} and [CANARY]",)


@pytest.mark.parametrize("action", ["flag", "block"])
def test_where_the_engine_breaks_the_policys_own_when_failed_decides(action: str) -> None:
    def broken_clock() -> int:
        raise RuntimeError("no time")

    policy = load(document().replace("when_failed: block", f"when_failed: {action}"))
    entry = bundles.Entry(None, {0: Guard(policy, clock=broken_clock)})
    verdict = guards.AppGuard(sources.Local((entry,)), "chat", "allow").check("good morning")
    assert verdict.action == action
    assert verdict.coverage.not_run == (("canary", "failed: the engine raised RuntimeError"),)
