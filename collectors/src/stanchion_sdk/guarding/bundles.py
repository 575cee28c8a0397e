"""The server's bundle as compiled policies, and what of it judges a check."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any

from stanchion_guard import Guard, Policy, load, named
from stanchion_guard.combining import failed
from stanchion_guard.rollout import BLOCKED, State, choose

from .. import safety
from .judging import Ask, Judgement, unjudged
from .shapes import Subject, Verdict

_SWITCHES = ("on", "off", "block_all")


@dataclass(frozen=True)
class Turn:
    """What judges one check for one policy: a guard, or nobody (`guard` is None), and then `action` and why.

    `name` and `version` stand in the verdict; None are those of the guard's own policy.
    """

    mode: str
    guard: Guard | None
    name: str | None = None
    version: str | None = None
    action: str = "allow"
    reason: str = ""

    def judge(self, ask: Ask) -> Judgement:
        if self.guard is None:
            return Judgement(self.mode, self.nobody(ask.subject))
        return Judgement(self.mode, self.named(_run(self.guard, ask)))

    def nobody(self, subject: Subject) -> Verdict:
        verdict = unjudged(subject, self.name or "", self.action, self.reason)
        return replace(verdict, message=BLOCKED) if verdict.blocked else verdict

    def named(self, verdict: Verdict) -> Verdict:
        return replace(
            verdict, policy=self.name or verdict.policy, policy_version=self.version or verdict.policy_version
        )


@dataclass(frozen=True)
class Entry:
    """One policy. `state` is None for one without versions: a built-in one or the application's own."""

    state: State | None
    guards: Mapping[int, Guard]

    def turns(self, key: str) -> list[Turn]:
        """The one to obey first, then a shadow."""
        if self.state is None:
            return [Turn("live", self.guards[0])]
        name = self.state.name
        choice = choose(self.state, key, datetime.now(timezone.utc))  # noqa: UP017 - as in Python 3.10
        if choice.judge is None:
            action = "block" if self.state.switch == "block_all" else "allow"
            return [Turn("live", None, name, action=action, reason=choice.reason)]
        turns = [Turn(choice.mode, self.guards[choice.judge], name, str(choice.judge))]
        if choice.shadow is not None and choice.shadow != choice.judge:
            turns.append(Turn("shadow", self.guards[choice.shadow], name, str(choice.shadow)))
        return turns


def _run(guard: Guard, ask: Ask) -> Verdict:
    """Where the engine itself breaks, the policy's own `when_failed` decides, as where one of its checks fails."""
    try:
        return guard.judge(ask.subject, judged=ask.judged, deadline_ms=ask.deadline_ms)
    except Exception as error:
        safety.note("guard engine", error)
        return failed(guard.policy, ask.subject, ask.judged, error)


def own(policy: Policy, hash_key: bytes) -> tuple[Entry, ...]:
    return (Entry(None, {0: Guard(policy, hash_key=hash_key)}),)


def read(body: bytes, hash_key: bytes) -> tuple[Entry, ...]:
    """Raises for anything that is no bundle, and PolicyError for a policy that this engine cannot compile."""
    return tuple(_entry(row, hash_key) for row in json.loads(body)["policies"])


def _entry(row: Mapping[str, Any], hash_key: bytes) -> Entry:
    if row.get("built_in"):
        return Entry(None, {0: Guard(named(row["name"]), hash_key=hash_key)})
    state = State(
        row["id"], row["name"], row["live"], row["shadow"], _moment(row["shadow_until"]), row["canary"],
        row["canary_percent"], _moment(row["canary_until"]), row["switch"], row["switch_reason"],
    )  # fmt: skip
    guards = {int(number): Guard(load(text), hash_key=hash_key) for number, text in row["documents"].items()}
    if state.switch not in _SWITCHES or not {state.live, state.shadow, state.canary} <= {None, *guards}:
        raise ValueError("what is in force is nothing that this version understands")
    return Entry(state, guards)


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
