"""Which version of a policy judges a check: the switch first, then the canary's share, then the live one. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Mode = Literal["live", "canary"]
SwitchName = Literal["on", "off", "block_all"]

BLOCKED = "This assistant cannot answer at the moment."
"""What an end user is shown while the switch blocks everything: no name of a policy and no operator's reason."""


@dataclass(frozen=True, slots=True)
class State:
    """What is in force, as the policy's row says it."""

    policy_id: int
    name: str
    live: int | None
    shadow: int | None
    shadow_until: datetime | None
    canary: int | None
    canary_percent: int
    canary_until: datetime | None
    switch: SwitchName
    switch_reason: str


@dataclass(frozen=True, slots=True)
class Choice:
    """The version that decides, as what, and the one that judges beside it without effect. `judge` is None when no
    version may decide, and `reason` then says why."""

    judge: int | None
    mode: Mode
    shadow: int | None
    reason: str


def choose(state: State, key: str, now: datetime) -> Choice:
    """`key` (a session, else a check id) decides whether a check falls to the canary: the same key, the same side."""
    if state.switch != "on":
        why = f": {state.switch_reason}" if state.switch_reason else ""
        return Choice(None, "live", None, f"policy “{state.name}” is switched to {state.switch}{why}")
    shadow = state.shadow if _runs(state.shadow_until, now) else None
    if state.canary is not None and _runs(state.canary_until, now) and _share(state, key) < state.canary_percent:
        return Choice(state.canary, "canary", shadow, "")
    reason = "" if state.live is not None else f"policy “{state.name}” has no live version"
    return Choice(state.live, "live", shadow, reason)


def _runs(until: datetime | None, now: datetime) -> bool:
    return until is None or now < until


def _share(state: State, key: str) -> float:
    """A number in 0..100, evenly spread over keys and independent between policies and canaries."""
    digest = hashlib.blake2b(f"{state.policy_id}:{state.canary}:{key}".encode("utf-8", "replace"), digest_size=8)
    return int.from_bytes(digest.digest(), "big") / 2**64 * 100
