"""PagerDuty, Events API v2. 202 means "queued". An event is at most 512 KB (vendor's documentation, read 2026-11)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from stanchion_server.alerts.channels import base, words
from stanchion_server.alerts.channels.base import Kind, Message, Outcome, Reply, Request, Setting, Verdict

ENDPOINTS = {"us": "https://events.pagerduty.com/v2/enqueue", "eu": "https://events.eu.pagerduty.com/v2/enqueue"}
ACTIONS = {"trigger": "trigger", "update": "trigger", "acknowledge": "acknowledge", "resolve": "resolve"}
MOST_BYTES = 512_000


def render(message: Message) -> tuple[Request, ...]:
    """A test is triggered and resolved under a key of its own."""
    region = str(message.settings.get("region") or "us")
    url = message.endpoints.get(f"pagerduty_{region}", ENDPOINTS[region])
    if message.facts.kind == "test":
        key = f"test:{message.id}"
        return tuple(base.posted(url, event(message, action, key)) for action in ("trigger", "resolve"))
    return (base.posted(url, event(message, ACTIONS[message.facts.kind], message.facts.dedup_key)),)


def event(message: Message, action: str, key: str) -> dict[str, Any]:
    routed = {"routing_key": message.secrets["routing_key"], "event_action": action, "dedup_key": key[:255]}
    if action != "trigger":
        return routed
    made: dict[str, Any] = {**routed, "client": "Stanchion", "payload": _payload(message)}
    if message.is_minimal:
        return made
    if page := message.url(message.facts.incident_path):
        made["client_url"] = page
    made["links"] = [{"href": url, "text": label} for label, url in words.links(message)]
    made["payload"]["custom_details"] = _details(message)
    if len(base.as_json(made)) > MOST_BYTES:
        made["payload"]["custom_details"] = {"left out": "The event was larger than PagerDuty takes."}
    return made


def _payload(message: Message) -> dict[str, Any]:
    facts = message.facts
    feature = facts.labels.get("feature", "")
    kept = {
        "component": words.clean(facts.labels.get("component", ""), 200),
        "group": words.clean(feature, 200),
        "class": words.clean(facts.rule, 200),
    }
    return {
        "summary": words.headline(facts, 1_024),
        "source": words.clean(f"{facts.project}/{feature}" if feature else facts.project, 200),
        "severity": facts.severity if facts.severity in words.COLOURS else "warning",
        "timestamp": facts.started_at.isoformat(),
        **{name: text for name, text in kept.items() if text},
    }


def _details(message: Message) -> dict[str, Any]:
    facts = message.facts
    return {
        "incident": words.number(facts),
        "reason": words.clean(facts.reason, 2_000),
        "value": facts.value,
        "threshold": facts.threshold,
        "unit": facts.unit,
        "window_s": facts.window_s,
        "samples": facts.samples,
        "labels": {words.clean(name, 80): words.clean(text, 400) for name, text in facts.labels.items()},
        "groups": words.members(facts),
        "changes": [words.clean(change, 300) for change in facts.changes[:10]],
        "note": words.clean(facts.note, 400),
    }


def classify(reply: Reply) -> Verdict:
    if reply.status == 400 and re.search(r"routing.?key|integration.?key|service.?key", reply.body, re.IGNORECASE):
        return Verdict(Outcome.BROKEN, "PagerDuty does not know the integration key")
    return base.classify(reply)


def check(values: Mapping[str, str]) -> str | None:
    is_key = re.fullmatch(r"[A-Za-z0-9]{32}", values.get("routing_key", ""))
    return None if is_key else "An integration key has 32 letters and digits."


KIND = Kind(
    name="pagerduty",
    label="PagerDuty",
    help="In the service: Integrations, Add integration, Events API v2. Copy the integration key.",
    settings=(
        Setting("routing_key", "Integration key", "32 letters and digits.", is_secret=True),
        Setting("region", "Region", "Where your account is.", is_required=False,
                options=(("us", "United States"), ("eu", "Europe")), default="us"),
    ),
    render=render, classify=classify, check=check,
)  # fmt: skip
