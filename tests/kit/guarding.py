"""Policies for tests: short, and sure in what they find."""

from __future__ import annotations

import itertools
from datetime import datetime
from typing import Any
from uuid import uuid4

from stanchion_guard import records
from stanchion_server.ingest.ledger import LedgerEntry
from stanchion_server.ingest.records import Batch
from stanchion_server.policies import decisions, engine, services
from stanchion_server.policies.models import Policy
from stanchion_server.tenants.models import Project
from stanchion_server.traces import store

CANARY = "zebra-42-canary"
_span_ids = itertools.count(1)


def document(word: str = CANARY, action: str = "block", tests: str = "") -> str:
    return f"""policy: chat
version: 1
defaults: {{when_late: block, when_failed: block}}
rules:
  - id: canary
    stages: [input, output, retrieved, tool_call, tool_result]
    detector: canary
    parameters: {{words: [{word}]}}
    action: {action}
    message: That cannot be said here.
{tests}"""


def policy_in_force(project: Project, name: str = "chat", *documents: str) -> Policy:
    """A policy whose versions are the documents, the first of them live."""
    engine.forget_everything()
    policy = services.create(project, name, "", "tester")
    for text in documents or (document(),):
        services.save_draft(project.pk, policy.pk, text, "tester")
        services.publish(project.pk, policy.pk, "tester")
    return services.set_live(project.pk, policy.pk, 1, "tester")


def decided(at: datetime, **values: Any) -> decisions.Recorded:
    """One decision of the policy `chat`, version 1, at a moment: it ran the rule `canary` and found nothing, unless
    `action`, `triggered`, `not_run` and `limits` (both rule to reason) say otherwise."""
    given: dict[str, Any] = {
        "policy": "chat", "version": "1", "mode": "live", "action": "allow", "triggered": False, "not_run": {},
        "elapsed_us": 200, "check_id": uuid4().hex, "trace_id": uuid4(), "feature": "support",
        "limits": {}, **values,
    }  # fmt: skip
    ran = records.Check(
        "canary", "canary", "1", 0, "ran", 5, given["elapsed_us"], 0.9, given["triggered"], given["action"]
    )
    missed = [
        records.Check(rule, "slow", "1", 0, "late", 0, 0, None, False, "flag", reason)
        for rule, reason in given["not_run"].items()
    ]
    verdict = records.Verdict(
        action=given["action"], texts=("hello",), findings=(), checks=(ran, *missed),
        coverage=records.Coverage(
            5, 0 if missed else 5, 1, tuple(given["not_run"].items()), tuple(given["limits"].items())
        ),
        policy=given["policy"], policy_version=given["version"], message=None, elapsed_us=given["elapsed_us"],
    )  # fmt: skip
    judgement = engine.Judgement(given["policy"], 1, given["mode"], verdict)
    origin = decisions.Origin(given["check_id"], "sdk", given["trace_id"], feature=given["feature"])
    subject = records.Subject((records.Part("input", "hello"),))
    start_ns = int(at.timestamp() * 1_000_000) * 1000
    return decisions.record(judgement, subject, origin, next(_span_ids), start_ns)


def store_decisions(project_id: int, *found: decisions.Recorded) -> None:
    spans, rows = tuple(one.span for one in found), tuple(one.decision for one in found)
    entry = LedgerEntry(api_key_id=1, signal="traces", client="kit", body_bytes=1, sent=len(spans))
    store.store(project_id, Batch(spans=spans, decisions=rows), entry)
