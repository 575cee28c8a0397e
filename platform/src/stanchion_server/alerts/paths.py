"""Where messages and pages link to. Pure; the web's addresses are checked against these by a test."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

CALL_FILTERS = ("feature", "model", "provider", "environment", "release", "service", "prompt_name", "prompt_version")


def incident(project: str, number: int) -> str:
    return f"/p/{project}/alerts/{number}"


def silence(project: str, number: int) -> str:
    """A page that asks before it does anything: mail scanners follow links."""
    return f"/p/{project}/alerts/silences/new?incident={number}"


def view(project: str, source: str, labels: Mapping[str, str]) -> str:
    """The page that shows what the incident is about, filtered as far as that page can."""
    pages = {
        "scores": "quality", "guard": "guardrails", "guard_gaps": "guardrails", "ingest": "intake", "drift": "drift",
        "watcher": "alerts/rules", "gpu": "gpus", "gpu_cards": "gpus", "gpu_engines": "gpus", "budgets": "budgets",
        "rate_limits": "rate-limits",
    }  # fmt: skip
    if source in pages:
        return f"/p/{project}/{pages[source]}"
    filters = {name: value for name, value in labels.items() if name in CALL_FILTERS and value}
    return f"/p/{project}/calls" + (f"?{urlencode(filters)}" if filters else "")


def force(project: str, labels: Mapping[str, str]) -> str:
    """Where a stricter policy, or the kill switch, is put in force."""
    policy = labels.get("policy", "")
    return f"/p/{project}/guardrails/policies/{policy}/force" if policy else f"/p/{project}/guardrails"
