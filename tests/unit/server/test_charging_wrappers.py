"""Frameworks record the method the application called around the one that asks the provider: one call."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from kit.calls import NOON, trace
from stanchion_server.costs import charging
from stanchion_server.ingest.records import Charge


def facts(span_id: int, **values: Any) -> charging.CallFacts:
    start = NOON + timedelta(seconds=values.pop("after_s", 0))
    defaults: dict[str, Any] = {
        "trace_id": trace(1), "span_id": span_id, "start_time": start, "parent_span_id": None,
        "duration_ns": 1_000_000_000, "kind": 1, "scope": "a", "is_rollup": False, "response_id": "", "pair_key": None,
        "model": "gpt-4o", "request_model": "gpt-4o", "token_source": "reported", "tokens_ambiguous": False,
        "provider": "openai", "input_tokens": 100, "output_tokens": 20,
    }  # fmt: skip
    return charging.CallFacts(**(defaults | values))


def charged(*calls: charging.CallFacts) -> list[int]:
    return sorted(key[1] for key, found in charging.decide(calls, {}).items() if found.charge is Charge.CHARGED)


def test_wrappers_without_usage_around_a_call_are_no_calls_of_their_own() -> None:
    empty = {"input_tokens": None, "output_tokens": None, "token_source": ""}
    found = charged(
        facts(1, **empty), facts(2, parent_span_id=1, after_s=0.1, **empty), facts(3, parent_span_id=2, after_s=0.2)
    )
    assert found == [3]
    assert charged(facts(1, **empty), facts(2, parent_span_id=1, kind=2, after_s=0.1)) == [1, 2]
    assert charged(facts(1, **empty), facts(2, parent_span_id=1, model="o3", request_model="o3")) == [1, 2]
