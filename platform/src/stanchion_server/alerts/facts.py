"""What a message says, as plain data: the one thing that the engine hands to channels. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal

Kind = Literal["trigger", "update", "acknowledge", "resolve", "test"]


@dataclass(frozen=True, slots=True)
class Facts:
    """One message about one incident; a test message has the incident 0.

    `dedup_key` is the same for all incidents of a rule and group, so that a receiver heals itself. `value`, `threshold`
    and `peak` are in `unit` (ratio, ms, usd, calls, tokens, score, s, samples, or empty); `shown` has them as people
    read them. `window_s` is the time that the value is of. `members` are the groups inside, worst first, with their
    values; `more_members` counts those left out. `note` says why an update is sent (repeat, groups changed, flapping,
    no data). Paths begin with a slash and belong behind the product's public address.
    """

    kind: Kind
    incident: int
    project: str
    project_name: str
    rule: str
    rule_id: int
    rule_version: int
    severity: str
    title: str
    reason: str
    dedup_key: str
    labels: Mapping[str, str]
    unit: str
    value: float | None
    threshold: float | None
    peak: float | None
    samples: int | None
    window_s: int | None
    shown: Mapping[str, str]
    started_at: datetime
    at: datetime
    resolved_at: datetime | None = None
    acknowledged_by: str = ""
    is_flapping: bool = False
    is_no_data: bool = False
    members: tuple[Mapping[str, str], ...] = ()
    more_members: int = 0
    changes: tuple[str, ...] = ()
    owner: str = ""
    runbook_url: str = ""
    note: str = ""
    incident_path: str = ""
    view_path: str = ""
    silence_path: str = ""
    force_path: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)


_TIMES = ("started_at", "at", "resolved_at")


def to_json(facts: Facts) -> dict[str, Any]:
    plain = asdict(facts)
    for name in _TIMES:
        plain[name] = None if plain[name] is None else plain[name].isoformat()
    return plain


def from_json(plain: Mapping[str, Any]) -> Facts:
    """Inverse of `to_json`; names that this version does not know are left out."""
    known = {name: value for name, value in plain.items() if name in Facts.__slots__}
    for name in _TIMES:
        known[name] = None if known.get(name) is None else datetime.fromisoformat(known[name])
    return Facts(**{**known, "members": tuple(known.get("members", ())), "changes": tuple(known.get("changes", ()))})
