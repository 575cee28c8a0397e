"""Microsoft Teams: an Adaptive Card to the address of a workflow, at most about 28 KB."""

from __future__ import annotations

from typing import Any

from stanchion_server.alerts.channels import base, words
from stanchion_server.alerts.channels.base import Kind, Message, Request, Setting

MOST_BYTES = 26_000


def render(message: Message) -> tuple[Request, ...]:
    made = card(message)
    if len(base.as_json(made)) > MOST_BYTES:
        made["body"] = made["body"][:1]
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": made}
    return (base.posted(message.secrets["url"], {"type": "message", "attachments": [attachment]}),)


def card(message: Message) -> dict[str, Any]:
    facts = message.facts
    body: list[dict[str, Any]] = [_block(words.headline(facts), weight="Bolder", size="Medium", color=_tone(message))]
    actions: list[dict[str, Any]] = []
    if not message.is_minimal:
        if facts.reason:
            body.append(_block(words.clean(facts.reason, 1_000)))
        pairs = [{"title": label, "value": words.unlinked(text)} for label, text in words.details(facts)]
        body.append({"type": "FactSet", "facts": pairs})
        body += [_block(line, isSubtle=True, spacing="None") for line in words.members(facts)]
        body.append(_block(f"{words.number(facts)} · rule {words.clean(facts.rule, 80)}", isSubtle=True, size="Small"))
        actions = [{"type": "Action.OpenUrl", "title": label, "url": url} for label, url in words.links(message)]
    return {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.4",
        "body": body, "actions": actions,
    }  # fmt: skip


def _block(text: str, **more: Any) -> dict[str, Any]:
    return {"type": "TextBlock", "text": words.unlinked(text), "wrap": True, **more}


def _tone(message: Message) -> str:
    if message.facts.kind == "resolve":
        return "Good"
    return "Attention" if message.facts.severity in ("critical", "error") else "Warning"


KIND = Kind(
    name="teams",
    label="Microsoft Teams",
    help="In the Teams channel: Workflows, “Post to a channel when a webhook request is received”. Copy its address.",
    settings=(Setting("url", "Workflow address", "One secret; it is used as it is.", is_secret=True),),
    render=render, classify=base.classify, check=base.needs_address,
)  # fmt: skip
