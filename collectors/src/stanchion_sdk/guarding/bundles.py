"""The server's bundle as compiled policies, and what of it judges a check."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any

from stanchion_guard import Guard, Policy, Subject, Verdict, load, named
from stanchion_guard.combining import combined, failed
from stanchion_guard.records import Coverage
from stanchion_guard.rollout import State, choose

from .. import safety


@dataclass(frozen=True)
class Judgement:
    mode: str
    verdict: Verdict


@dataclass(frozen=True)
class Entry:
    """One policy. `state` is None for one without versions: a built-in one or the application's own."""

    state: State | None
    guards: Mapping[int, Guard]

    def judge(self, subject: Subject, judged: tuple[int, ...] | None, key: str) -> list[Judgement]:
        """The verdict to obey first, then that of a shadow."""
        if self.state is None:
            return [Judgement("live", _run(self.guards[0], subject, judged))]
        choice = choose(self.state, key, datetime.now(timezone.utc))  # noqa: UP017 - as in Python 3.10
        if choice.judge is None:
            action = "block" if self.state.switch == "block_all" else "allow"
            return [Judgement("live", unjudged(subject, self.state.name, action, choice.reason))]
        told = [Judgement(choice.mode, self._version(choice.judge, subject, judged))]
        if choice.shadow is not None and choice.shadow != choice.judge:
            told.append(Judgement("shadow", self._version(choice.shadow, subject, judged)))
        return told

    def _version(self, number: int, subject: Subject, judged: tuple[int, ...] | None) -> Verdict:
        assert self.state is not None
        verdict = _run(self.guards[number], subject, judged)
        return replace(verdict, policy=self.state.name, policy_version=str(number))


def _run(guard: Guard, subject: Subject, judged: tuple[int, ...] | None) -> Verdict:
    """Where the engine itself breaks, the policy's own `when_failed` decides, as where one of its checks fails."""
    try:
        return guard.judge(subject, judged=judged)
    except Exception as error:
        safety.note("guard engine", error)
        return failed(guard.policy, subject, judged, error)


def unjudged(subject: Subject, policy: str, action: str, reason: str) -> Verdict:
    """A verdict that no check stands behind, and that says so."""
    texts = tuple(part.text for part in subject.parts)
    coverage = Coverage(sum(map(len, texts)), 0, 0, (("policy", reason),))
    message = reason if action == "block" else None
    return Verdict("block" if action == "block" else "allow", texts, (), (), coverage, policy, "", message, 0)


def obeyed(subject: Subject, told: list[Judgement]) -> Verdict:
    return combined(subject, [one.verdict for one in told if one.mode != "shadow"])


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
    documents = row["documents"].items()
    return Entry(state, {int(number): Guard(load(text), hash_key=hash_key) for number, text in documents})


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
