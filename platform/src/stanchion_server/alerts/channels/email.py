"""E-mail, by the server that the operator configured."""

from __future__ import annotations

from collections.abc import Mapping

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from stanchion_server.alerts.channels import base, words
from stanchion_server.alerts.channels.base import Kind, Mail, Message, Setting

MOST_RECIPIENTS = 20


def render(message: Message) -> Mail:
    text = words.headline(message.facts) if message.is_minimal else words.plain_text(message)
    return Mail(words.headline(message.facts, 180), text, recipients(str(message.settings.get("to", ""))))


def recipients(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text.replace(",", " ").replace(";", " ").split()))


def check(values: Mapping[str, str]) -> str | None:
    found = recipients(values.get("to", ""))
    if not 1 <= len(found) <= MOST_RECIPIENTS:
        return f"Name between 1 and {MOST_RECIPIENTS} addresses."
    for one in found:
        try:
            validate_email(one)
        except ValidationError:
            return f"{one[:100]!r} is no e-mail address."
    return None


KIND = Kind(
    name="email",
    label="E-mail",
    help="Sent by the server's own mail settings (STANCHION_EMAIL_URL).",
    settings=(Setting("to", "Recipients", "Addresses, separated by commas or blanks."),),
    render=render, classify=base.classify, check=check,
)  # fmt: skip
