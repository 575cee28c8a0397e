"""Slack, by an incoming webhook. It answers 200 *and* `ok`; any other words with a 200 are a failure."""

from __future__ import annotations

from stanchion_server.alerts.channels import base, slack_blocks
from stanchion_server.alerts.channels.base import Kind, Message, Outcome, Reply, Request, Setting, Verdict

_OF_MESSAGE = ("invalid_payload", "invalid_blocks", "msg_blocks_too_long", "no_text", "too_many_attachments")
_OF_CHANNEL = (
    "invalid_token", "no_service", "no_team", "channel_not_found", "channel_is_archived", "action_prohibited",
    "user_not_found", "posting_to_general_channel_denied",
)  # fmt: skip


def render(message: Message) -> tuple[Request, ...]:
    return (base.posted(message.secrets["url"], slack_blocks.payload(message)),)


def classify(reply: Reply) -> Verdict:
    said = reply.body.strip()
    if reply.status == 200 and said == "ok":
        return Verdict(Outcome.DELIVERED, "ok")
    word = said[:60] or f"HTTP {reply.status}"
    if any(code in said for code in _OF_CHANNEL):
        return Verdict(Outcome.BROKEN, f"Slack says {word}")
    if any(code in said for code in _OF_MESSAGE):
        return Verdict(Outcome.BAD_MESSAGE, f"Slack says {word}")
    if 200 <= reply.status < 300:
        return Verdict(Outcome.TRANSIENT, f"HTTP {reply.status}, but Slack did not say ok")
    return base.classify(reply)


KIND = Kind(
    name="slack",
    label="Slack (incoming webhook)",
    help="In Slack: Apps, Incoming Webhooks, Add to channel. The address it shows is the secret.",
    settings=(Setting("url", "Webhook address", "https://hooks.slack.com/services/…", is_secret=True),),
    render=render, classify=classify, check=base.needs_address,
)  # fmt: skip
