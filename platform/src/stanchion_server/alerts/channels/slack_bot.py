"""Slack, by a bot's token: updates come as replies in a thread, and a resolve recolours the first message."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from stanchion_server.alerts.channels import base, slack_blocks
from stanchion_server.alerts.channels.base import Kind, Message, Outcome, Reply, Request, Setting, Verdict

API = "https://slack.com/api"
_PASSING = ("ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable", "request_timeout")
_OF_MESSAGE = ("invalid_blocks", "invalid_attachments", "msg_too_long", "msg_blocks_too_long", "no_text",
               "invalid_arguments", "too_many_attachments", "message_not_found", "cant_update_message")  # fmt: skip
_FIELD = re.compile(r'"(ts|channel)"\s*:\s*"([A-Za-z0-9.]{1,40})"')


def render(message: Message) -> tuple[Request, ...]:
    root = message.endpoints.get("slack_api", API)
    content = slack_blocks.payload(message)
    thread = {"thread_ts": message.thread["ts"]} if message.thread.get("ts") else {}
    reply = {"channel": message.thread.get("channel") or message.settings["channel"], **content, **thread}
    requests = [_call(message, f"{root}/chat.postMessage", reply)]
    if message.facts.kind == "resolve" and thread and not message.is_minimal:
        again = {"channel": reply["channel"], "ts": thread["thread_ts"], **content}
        requests.append(_call(message, f"{root}/chat.update", again))
    return tuple(requests)


def _call(message: Message, url: str, content: Mapping[str, object]) -> Request:
    return base.posted(url, content, {"Authorization": f"Bearer {message.secrets['token']}"})


def classify(reply: Reply) -> Verdict:
    """Slack's methods answer 200 and say `ok` or an `error` in the body."""
    if reply.status != 200:
        return base.classify(reply)
    try:
        said = json.loads(reply.body)
    except ValueError:
        said = None
    if not isinstance(said, dict):  # an answer that was cut still begins with what counts
        is_ok = re.match(r'\s*\{\s*"ok"\s*:\s*true', reply.body) is not None
        said = {"ok": is_ok, **dict(reversed(_FIELD.findall(reply.body)))}
    if said.get("ok") is True:
        receipt = {name: str(said[name]) for name in ("ts", "channel") if said.get(name)}
        return Verdict(Outcome.DELIVERED, "ok", receipt=receipt)
    error = str(said.get("error", "no reason"))[:60]
    if error in _PASSING or error == "no reason":
        return Verdict(Outcome.TRANSIENT, f"Slack says {error}")
    if error in _OF_MESSAGE:
        return Verdict(Outcome.BAD_MESSAGE, f"Slack says {error}")
    return Verdict(Outcome.BROKEN, f"Slack says {error}")


def check(values: Mapping[str, str]) -> str | None:
    if not values.get("token", "").startswith("xox"):
        return "The token begins with xoxb-."
    return (
        None
        if re.fullmatch(r"[#@]?[\w.-]{1,80}", values.get("channel", ""))
        else "The channel is an id such as C0123456."
    )


KIND = Kind(
    name="slack_bot",
    label="Slack (bot, with threads)",
    help="An app of yours with the scope chat:write, invited to the channel.",
    settings=(
        Setting("token", "Bot token", "xoxb-…", is_secret=True),
        Setting("channel", "Channel", "Its id, such as C0123456, or #name."),
    ),
    render=render, classify=classify, check=check,
)  # fmt: skip
