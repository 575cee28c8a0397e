"""What happens to a message after an attempt. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from stanchion_server.alerts.channels.base import Outcome, Verdict

WAITS_S = (5, 15, 60, 120, 300, 600)
GIVE_UP_AFTER = timedelta(hours=1)
HOLD_S = 60
"""For a receiver that says "too many" and not how long."""


@dataclass(frozen=True, slots=True)
class Decision:
    """`state` is delivered, waiting or failed. `hold_until` holds the whole channel."""

    state: str
    text: str
    next_attempt_at: datetime | None = None
    hold_until: datetime | None = None
    is_minimal: bool = False
    breaks_channel: bool = False


def decide(
    verdict: Verdict, attempts: int, first_attempt_at: datetime, now: datetime, jitter: float, *, is_minimal: bool
) -> Decision:
    """`attempts` counts the one just made; `jitter` is in [-1, 1] and moves a wait by up to a fifth."""
    if verdict.outcome is Outcome.DELIVERED:
        return Decision("delivered", verdict.text)
    if verdict.outcome in (Outcome.BROKEN, Outcome.REFUSED):
        return Decision("failed", verdict.text, breaks_channel=True)
    if verdict.outcome is Outcome.BAD_MESSAGE:
        if is_minimal:
            return Decision("failed", verdict.text)
        return Decision("waiting", verdict.text, next_attempt_at=now, is_minimal=True)
    if now - first_attempt_at >= GIVE_UP_AFTER:
        return Decision("failed", f"given up after an hour: {verdict.text}", is_minimal=is_minimal)
    wait_s = verdict.wait_s or 0
    if verdict.outcome is Outcome.THROTTLED:
        until = now + timedelta(seconds=wait_s or HOLD_S)
        return Decision("waiting", verdict.text, next_attempt_at=until, hold_until=until, is_minimal=is_minimal)
    planned_s = WAITS_S[min(attempts, len(WAITS_S)) - 1] * (1 + 0.2 * jitter)
    due = now + timedelta(seconds=max(planned_s, wait_s))
    return Decision("waiting", verdict.text, next_attempt_at=due, is_minimal=is_minimal)
