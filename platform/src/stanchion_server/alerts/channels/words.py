"""The words of a message, made safe: no control characters, no tricks with direction, no more than fits."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import urlsplit

from stanchion_server.alerts.channels.base import Message
from stanchion_server.alerts.facts import Facts

STATES = {
    "trigger": "FIRING", "update": "STILL FIRING", "acknowledge": "ACKNOWLEDGED", "resolve": "RESOLVED", "test": "TEST",
}  # fmt: skip
COLOURS = {"critical": 0xD92D20, "error": 0xE8590C, "warning": 0xE0A100, "info": 0x2F6FEB}
RESOLVED_COLOUR = 0x2E9E5B
MOST_MEMBERS = 10
_BAD = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2028\u2029\u2066-\u2069\ufeff\ud800-\udfff]"
)


def clean(text: str, most: int, is_one_line: bool = True) -> str:
    """At most `most` characters; what was cut ends in an ellipsis."""
    told = _BAD.sub("", text)
    told = " ".join(told.split()) if is_one_line else told.strip()
    return told if len(told) <= most else told[: most - 1] + "…"


def fitted(text: str, most: int, escape: Callable[[str], str]) -> str:
    """Escaped, and at most `most` characters afterwards; no escape is cut in two."""
    size = most
    while len(escaped := escape(clean(text, size, is_one_line=False))) > most:
        size = min(size - 1, size * most // len(escaped))
    return escaped


def unlinked(text: str) -> str:
    """For receivers that read Markdown: a label can no longer stand before an address that it hides."""
    return text.replace("](", "] (").replace("```", "ʼʼʼ").replace("<", "‹").replace(">", "›")


def headline(facts: Facts, most: int = 300) -> str:
    return clean(f"[{STATES[facts.kind]}] {facts.project_name}: {facts.title}", most)


def number(facts: Facts) -> str:
    return f"INC-{facts.incident}" if facts.incident else "test message"


def colour(facts: Facts) -> int:
    return RESOLVED_COLOUR if facts.kind == "resolve" else COLOURS.get(facts.severity, COLOURS["warning"])


def details(facts: Facts) -> list[tuple[str, str]]:
    """Pairs of label and value, the most important first; at most ten."""
    limit = facts.shown.get("threshold", "")
    value = facts.shown.get("value", "")
    labels = ", ".join(f"{name}={text}" for name, text in facts.labels.items())
    found = [
        ("Severity", facts.severity),
        ("Value", f"{value} (limit {limit})" if value and limit else value),
        ("Peak", facts.shown.get("peak", "") if facts.kind == "resolve" else ""),
        ("Of", labels),
        ("Since", f"{facts.started_at:%Y-%m-%d %H:%M} UTC"),
        ("Resolved", f"{facts.resolved_at:%Y-%m-%d %H:%M} UTC" if facts.resolved_at else ""),
        ("Samples", "" if facts.samples is None else f"{facts.samples}"),
        ("Acknowledged by", facts.acknowledged_by),
        ("Owner", facts.owner),
        ("Note", facts.note),
    ]
    return [(label, clean(text, 400)) for label, text in found if text]


def members(facts: Facts) -> list[str]:
    """A line for each group inside, and one that counts those left out."""
    lines = [
        clean(", ".join(f"{name}={text}" for name, text in one.items() if name != "shown") + _told(one), 160)
        for one in facts.members[:MOST_MEMBERS]
    ]
    left = facts.more_members + max(0, len(facts.members) - MOST_MEMBERS)
    return [*lines, f"and {left} more"] if left else lines


def _told(member: object) -> str:
    shown = member.get("shown", "") if hasattr(member, "get") else ""
    return f": {shown}" if shown else ""


def links(message: Message) -> list[tuple[str, str]]:
    """Pairs of label and address. All of them open pages; nothing changes before a person confirms it there."""
    facts = message.facts
    found = [
        ("Open incident", message.url(facts.incident_path)),
        ("View data", message.url(facts.view_path)),
        ("Acknowledge", message.url(facts.incident_path) if facts.kind in ("trigger", "update") else ""),
        ("Silence", message.url(facts.silence_path) if facts.kind in ("trigger", "update") else ""),
        ("Force the guard", message.url(facts.force_path) if facts.kind in ("trigger", "update") else ""),
        ("Runbook", web_address(facts.runbook_url)),
    ]
    return [(label, url) for label, url in found if url and len(url) <= 2_000]


def web_address(url: str) -> str:
    """The address if a browser may be sent there, else nothing."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    is_fine = parts.scheme in ("http", "https") and parts.hostname and not re.search(r"[\s<>|\x00-\x1f]", url)
    return url if is_fine else ""


def plain_text(message: Message, most: int = 8_000) -> str:
    """The whole message as text, for e-mail and for receivers that took nothing else."""
    facts = message.facts
    lines = [headline(facts), "", clean(facts.reason, 1_000), ""]
    lines += [f"{label}: {text}" for label, text in details(facts)]
    if inside := members(facts):
        lines += ["", *inside]
    if facts.changes:
        lines += ["", "Changed shortly before:", *(clean(change, 200) for change in facts.changes[:5])]
    lines += ["", *(f"{label}: {url}" for label, url in links(message))]
    lines += ["", f"{number(facts)} · rule {clean(facts.rule, 80)} v{facts.rule_version}"]
    return clean("\n".join(lines), most, is_one_line=False)
