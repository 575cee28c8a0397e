"""Discord, by a channel's webhook. Nobody is ever mentioned."""

from __future__ import annotations

import json
from typing import Any

from stanchion_server.alerts.channels import base, words
from stanchion_server.alerts.channels.base import Kind, Message, Outcome, Reply, Request, Setting, Verdict


def render(message: Message) -> tuple[Request, ...]:
    facts = message.facts
    text = words.unlinked(words.headline(facts, 400))
    made: dict[str, Any] = {"content": text, "allowed_mentions": {"parse": []}}
    if not message.is_minimal:
        fields = [
            {"name": label, "value": words.clean(words.unlinked(value), 300), "inline": True}
            for label, value in words.details(facts)
        ]
        links = "\n".join(f"{label}: <{url}>" for label, url in words.links(message)[:3] if len(url) <= 300)
        body = "\n".join(words.unlinked(line) for line in (words.clean(facts.reason, 800), *words.members(facts)))
        embed = {
            "title": words.clean(words.unlinked(facts.title), 256) or "Alert", "color": words.colour(facts),
            "description": f"{words.clean(body, 1_900, is_one_line=False)}\n{links}".strip(), "fields": fields[:10],
            "footer": {"text": f"{words.number(facts)} · rule {words.unlinked(words.clean(facts.rule, 80))}"},
        }  # fmt: skip
        made["embeds"] = [embed]
    return (base.posted(message.secrets["url"], made),)


def classify(reply: Reply) -> Verdict:
    verdict = base.classify(reply)
    if verdict.outcome is not Outcome.THROTTLED or verdict.wait_s is not None:
        return verdict
    try:
        wait = json.loads(reply.body).get("retry_after")
    except (ValueError, AttributeError):
        wait = None
    seconds = int(wait) + 1 if isinstance(wait, (int, float)) and 0 <= wait < 1e6 else None
    return Verdict(verdict.outcome, verdict.text, seconds and min(seconds, base.MOST_HOLD_S))


KIND = Kind(
    name="discord",
    label="Discord",
    help="In the channel's settings: Integrations, Webhooks, New webhook, Copy address.",
    settings=(Setting("url", "Webhook address", "https://discord.com/api/webhooks/…", is_secret=True),),
    render=render, classify=classify, check=base.needs_address,
)  # fmt: skip
