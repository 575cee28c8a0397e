"""Slack's Block Kit: one attachment, because only attachments have a coloured bar.

Limits (slack-sdk 3.47's models, and bolt-js issue 2509 for the total, read 2026-11): header 150 characters, section
3,000, ten fields of 2,000; a message of more than about 13,000 characters over all blocks is refused.
"""

from __future__ import annotations

from typing import Any

from stanchion_server.alerts.channels import words
from stanchion_server.alerts.channels.base import Message

MOST_CHARACTERS = 8_000


def escape(text: str) -> str:
    """Without these three nothing pings a channel or hides an address."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def payload(message: Message) -> dict[str, Any]:
    facts = message.facts
    text = words.fitted(words.headline(facts), 400, escape)
    if message.is_minimal:
        link = message.url(facts.incident_path)
        return {"text": f"{text}\n{link}".strip(), "unfurl_links": False, "unfurl_media": False}
    attachment = {"color": f"#{words.colour(facts):06X}", "fallback": text, "blocks": _blocks(message)}
    return {"text": text, "attachments": [attachment], "unfurl_links": False, "unfurl_media": False}


def _blocks(message: Message) -> list[dict[str, Any]]:
    facts = message.facts
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": words.clean(facts.title, 150) or "Alert",
                                    "emoji": False}}
    ]  # fmt: skip
    if reason := words.fitted(facts.reason, 1_500, escape):
        blocks.append({"type": "section", "text": _text(reason)})
    fields = [_text(f"*{label}*\n{words.fitted(value, 350, escape)}") for label, value in words.details(facts)[:10]]
    blocks.append({"type": "section", "fields": fields})
    listed = [*words.members(facts), *(f"Changed: {words.clean(one, 160)}" for one in facts.changes[:3])]
    if listed:
        blocks.append({"type": "section", "text": _text(words.fitted("\n".join(listed), 1_500, escape))})
    buttons = [
        {"type": "button", "text": {"type": "plain_text", "text": label}, "url": url, "action_id": f"link-{index}"}
        for index, (label, url) in enumerate(words.links(message))
    ]
    if buttons:
        blocks.append({"type": "actions", "elements": buttons})
    foot = f"{words.number(facts)} · rule {words.clean(facts.rule, 80)} v{facts.rule_version} · {facts.project}"
    blocks.append({"type": "context", "elements": [_text(words.fitted(foot, 300, escape))]})
    return blocks


def _text(text: str) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": text, "verbatim": True}
