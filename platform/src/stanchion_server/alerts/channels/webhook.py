"""A webhook of one's own, signed after Standard Webhooks; in our form, or in the one Alertmanager sends (version 4)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from stanchion_server.alerts.channels import alertmanager, base, signing, words
from stanchion_server.alerts.channels.base import Kind, Message, Request, Setting

TYPES = {
    "trigger": "alert.fired", "update": "alert.updated", "acknowledge": "alert.acknowledged",
    "resolve": "alert.resolved", "test": "alert.test",
}  # fmt: skip


def render(message: Message) -> tuple[Request, ...]:
    is_foreign = message.settings.get("format") == "alertmanager"
    body = base.as_json(alertmanager.webhook_body(message) if is_foreign else content(message))
    headers = signing.headers(message.id, message.now, body, _secrets(message))
    return (Request(message.secrets["url"], body, {"Content-Type": "application/json; charset=utf-8", **headers}),)


def _secrets(message: Message) -> list[str]:
    """The old one signs beside the new one until `previous_until`."""
    found = [message.secrets["secret"]]
    until = message.secrets.get("previous_until", "")
    if until and message.secrets.get("previous") and message.now < datetime.fromisoformat(until):
        found.append(message.secrets["previous"])
    return found


def content(message: Message) -> dict[str, Any]:
    """Under 20 kB: ids and numbers, and no text of a prompt."""
    facts = message.facts
    data: dict[str, Any] = {
        "incident": facts.incident, "project": facts.project, "rule": words.clean(facts.rule, 80),
        "rule_id": facts.rule_id, "rule_version": facts.rule_version, "severity": facts.severity,
        "title": words.clean(facts.title, 300), "dedup_key": words.clean(facts.dedup_key, 255),
        "started_at": facts.started_at.isoformat(), "at": facts.at.isoformat(),
        "resolved_at": facts.resolved_at.isoformat() if facts.resolved_at else None,
        "url": message.url(facts.incident_path),
    }  # fmt: skip
    if not message.is_minimal:
        data |= {
            "reason": words.clean(facts.reason, 1_000), "unit": facts.unit, "value": facts.value,
            "threshold": facts.threshold, "peak": facts.peak, "samples": facts.samples, "window_s": facts.window_s,
            "labels": alertmanager.labels(facts.labels), "groups": words.members(facts),
            "changes": [words.clean(change, 200) for change in facts.changes[:5]],
            "acknowledged_by": words.clean(facts.acknowledged_by, 150), "note": words.clean(facts.note, 400),
            "runbook_url": words.web_address(facts.runbook_url)[:500],
        }  # fmt: skip
    return {"type": TYPES[facts.kind], "timestamp": facts.at.isoformat(), "data": data}


def check(values: Mapping[str, str]) -> str | None:
    if values.get("secret"):
        try:
            signing.key_of(values["secret"])
        except ValueError as error:
            return str(error)
    return base.needs_address(values)


KIND = Kind(
    name="webhook",
    label="Webhook, signed",
    help="A POST to an address of yours, signed after Standard Webhooks.",
    settings=(
        Setting("url", "Address", "https://…", is_secret=True),
        Setting("secret", "Signing secret", "Left empty, one is made and shown once.", is_secret=True,
                is_required=False),
        Setting("format", "Body", "Receivers made for Alertmanager take the second.", is_required=False,
                options=(("standard", "Stanchion"), ("alertmanager", "Alertmanager, version 4")), default="standard"),
    ),
    render=render, classify=base.classify, check=check,
)  # fmt: skip
