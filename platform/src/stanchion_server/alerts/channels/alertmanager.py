"""Prometheus Alertmanager: POST /api/v2/alerts of one's own, and the body (version 4) that it sends to webhooks."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from stanchion_server.alerts.channels import base, words
from stanchion_server.alerts.channels.base import Kind, Message, Request, Setting
from stanchion_server.alerts.facts import Facts

NEVER = "0001-01-01T00:00:00Z"
KEEPS = timedelta(minutes=15)
"""What Alertmanager is told that an alert lasts; it is repeated well before."""
MOST_LABELS = 20


def render(message: Message) -> tuple[Request, ...]:
    facts = message.facts
    is_over = facts.kind in ("resolve", "test")
    ends = (facts.resolved_at or message.now) if is_over else message.now + KEEPS
    alert = {
        "labels": _labels(facts), "annotations": _annotations(message),
        "generatorURL": message.url(facts.incident_path), "startsAt": facts.started_at.isoformat(),
        "endsAt": ends.isoformat(),
    }  # fmt: skip
    key = message.secrets.get("token")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return (base.posted(message.secrets["url"].rstrip("/") + "/api/v2/alerts", [alert], headers),)


def webhook_body(message: Message) -> dict[str, Any]:
    facts = message.facts
    all_labels, annotations = _labels(facts), _annotations(message)
    state = "resolved" if facts.kind == "resolve" else "firing"
    alert = {
        "status": state, "labels": all_labels, "annotations": annotations, "startsAt": facts.started_at.isoformat(),
        "endsAt": facts.resolved_at.isoformat() if facts.resolved_at else NEVER,
        "generatorURL": message.url(facts.incident_path),
        "fingerprint": hashlib.sha256(facts.dedup_key.encode("utf-8", "replace")).hexdigest()[:16],
    }  # fmt: skip
    return {
        "version": "4", "groupKey": words.clean(facts.dedup_key, 255), "truncatedAlerts": 0, "status": state,
        "receiver": "stanchion", "groupLabels": {"alertname": all_labels["alertname"]}, "commonLabels": all_labels,
        "commonAnnotations": annotations, "externalURL": message.public_url, "alerts": [alert],
    }  # fmt: skip


def labels(given: Mapping[str, str]) -> dict[str, str]:
    """Names as Prometheus takes them; an empty value means there that the label is not set."""
    found: dict[str, str] = {}
    for name, text in list(given.items())[:MOST_LABELS]:
        told = re.sub(r"[^A-Za-z0-9_]", "_", name)[:80] or "_"
        value = words.clean(text, 300)
        if value:
            found[told if not told[0].isdigit() else f"_{told}"] = value
    return found


def _labels(facts: Facts) -> dict[str, str]:
    own = {"alertname": facts.rule or "alert", "severity": facts.severity, "project": facts.project}
    return {**labels(facts.labels), **labels(own)}


def _annotations(message: Message) -> dict[str, str]:
    facts = message.facts
    found = {"summary": words.headline(facts)}
    if not message.is_minimal:
        found |= {"description": words.clean(facts.reason, 1_000), "incident": words.number(facts),
                  "runbook_url": words.web_address(facts.runbook_url)[:500]}  # fmt: skip
    return {name: text for name, text in found.items() if text}


KIND = Kind(
    name="alertmanager",
    label="Prometheus Alertmanager",
    help="Alerts go to its API and are repeated while they fire. Its own routes tell people.",
    settings=(
        Setting("url", "Address", "https://alertmanager.example.org, without /api/v2/alerts", is_secret=True),
        Setting("token", "Bearer token", "If a proxy before it asks for one.", is_secret=True, is_required=False),
    ),
    render=render, classify=base.classify, check=base.needs_address,
)  # fmt: skip
