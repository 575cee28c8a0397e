"""What every kind of channel shares: the message, the requests it becomes, and what an answer means."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any

from stanchion_server.alerts.facts import Facts

MOST_HOLD_S = 900
"""A receiver may ask for more; alerts do not wait longer."""


class Outcome(StrEnum):
    DELIVERED = "delivered"
    THROTTLED = "throttled"
    TRANSIENT = "transient"
    BAD_MESSAGE = "bad_message"
    BROKEN = "broken"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`wait_s` is what the receiver asked for, at most MOST_HOLD_S. `receipt` is kept with the message (a thread)."""

    outcome: Outcome
    text: str
    wait_s: int | None = None
    receipt: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Message:
    """One message to one channel. `id` is the same over all its attempts, holds no dot and nothing users choose. `now`
    is the time of this attempt; `thread` the receipt of the incident's first message in this channel."""

    id: str
    facts: Facts
    settings: Mapping[str, Any]
    secrets: Mapping[str, str]
    public_url: str
    now: datetime
    endpoints: Mapping[str, str] = field(default_factory=dict)
    thread: Mapping[str, str] = field(default_factory=dict)
    is_minimal: bool = False

    def url(self, path: str) -> str:
        return f"{self.public_url}{path}" if path else ""


@dataclass(frozen=True, slots=True)
class Request:
    url: str
    body: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Mail:
    subject: str
    text: str
    to: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reply:
    """Header names in lower case."""

    status: int
    body: str
    headers: Mapping[str, str]
    now: datetime


@dataclass(frozen=True, slots=True)
class Setting:
    """One thing that a person fills in. Secrets are written and never read back. `options` None: free text."""

    name: str
    label: str
    help: str
    is_secret: bool = False
    is_required: bool = True
    options: tuple[tuple[str, str], ...] | None = None
    default: str = ""


@dataclass(frozen=True, slots=True)
class Kind:
    """`check` takes all values and returns what is wrong with them, or None."""

    name: str
    label: str
    help: str
    settings: tuple[Setting, ...]
    render: Callable[[Message], tuple[Request, ...] | Mail]
    classify: Callable[[Reply], Verdict]
    check: Callable[[Mapping[str, str]], str | None]


def as_json(value: Any) -> bytes:
    """Half characters, which JSON can carry and UTF-8 cannot, become question marks."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def posted(url: str, value: Any, headers: Mapping[str, str] | None = None) -> Request:
    return Request(url, as_json(value), {"Content-Type": "application/json; charset=utf-8", **(headers or {})})


def classify(reply: Reply) -> Verdict:
    """The meaning that a status has where a vendor says nothing else."""
    status, wait_s = reply.status, retry_after_s(reply.headers.get("retry-after", ""), reply.now)
    said = f"HTTP {status}"
    if 200 <= status < 300:
        return Verdict(Outcome.DELIVERED, said)
    if status == 429:
        return Verdict(Outcome.THROTTLED, f"{said}: too many messages", wait_s)
    if 300 <= status < 400:
        return Verdict(Outcome.BROKEN, f"{said}: the address redirects, and redirects are never followed")
    if status in (401, 403, 404, 405, 410):
        return Verdict(Outcome.BROKEN, f"{said}: the receiver does not take messages with this address or key")
    if status in (408, 425) or status >= 500 or status < 200:
        return Verdict(Outcome.TRANSIENT, said, wait_s)
    return Verdict(Outcome.BAD_MESSAGE, f"{said}: the receiver does not take this message")


def retry_after_s(text: str, now: datetime) -> int | None:
    """Seconds, or a date as HTTP writes it; between 1 and MOST_HOLD_S. None where nothing readable is said."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        return max(1, min(MOST_HOLD_S, int(text[:9])))
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(1, min(MOST_HOLD_S, round((moment - now).total_seconds())))


def needs_address(values: Mapping[str, str]) -> str | None:
    """For kinds with the one secret `url`."""
    url = values.get("url", "")
    return None if url.startswith(("https://", "http://")) else "The address begins with https://."
