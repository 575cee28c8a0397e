"""The shapes that travel through the engine. All are frozen; none knows a policy file, a clock or a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from stanchion_guard.quick_shapes import quickly_made

Stage = Literal["input", "output", "retrieved", "tool_call", "tool_result"]
STAGES: tuple[Stage, ...] = ("input", "output", "retrieved", "tool_call", "tool_result")
ROLES: tuple[str, ...] = ("system", "developer", "user", "assistant", "model", "tool", "function")
"""Roles that the clients we know send; a message may come with any other."""

Action = Literal["allow", "flag", "redact", "reask", "fallback", "block"]
ACTIONS: tuple[Action, ...] = ("allow", "flag", "redact", "reask", "fallback", "block")
"""In rising order: of several triggered rules the verdict takes the last."""

Outcome = Literal["ran", "skipped", "late", "failed", "unavailable"]
"""What became of one check. Only "ran" is evidence; "skipped" had nothing to look at and says why."""


@quickly_made
@dataclass(frozen=True, slots=True)
class Part:
    """One text of an exchange.

    `name` is the tool's or the document's name, `kind` the sort of document ("email", "table", "code", "prose") where
    the caller knows it, `role` the message role. Tool calls hold their arguments as JSON text.
    """

    stage: Stage
    text: str
    role: str | None = None
    name: str | None = None
    kind: str | None = None
    language: str | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """What an agent run has spent so far; None is not known, and a cap on it then is "unavailable"."""

    steps: int | None = None
    tool_calls: int | None = None
    tokens: int | None = None
    cost_usd: float | None = None


@quickly_made
@dataclass(frozen=True, slots=True)
class Subject:
    """One exchange to be judged: its parts in order, and what the agent has spent.

    Checks of an output read the input parts as the question and the retrieved and tool-result parts as the evidence.
    """

    parts: tuple[Part, ...]
    usage: Usage = field(default_factory=Usage)

    def texts(self, *stages: Stage) -> tuple[str, ...]:
        return tuple(part.text for part in self.parts if part.stage in stages)

    def refuse_nonsense(self, judged: Sequence[int] | None = None) -> None:
        """Raises TypeError for a part whose text is none, ValueError for a stage that is none and for an index in
        `judged` that no part has: what nobody looks at must not pass for clean."""
        for part in self.parts:
            if not isinstance(part.text, str):
                raise TypeError(f"the text is a {type(part.text).__name__}, not a str")
            if part.stage not in STAGES:
                raise ValueError(f"the stage {str(part.stage)[:40]!r} is none of {', '.join(STAGES)}")
        for index in judged or ():
            if not 0 <= index < len(self.parts):
                raise ValueError(f"there is no part {index} to be judged: the parts are 0 to {len(self.parts) - 1}")


@quickly_made
@dataclass(frozen=True, slots=True)
class Finding:
    """Something a detector saw. `start` and `end` count code points of the part's original text, whatever view the
    detector read; a finding about the whole part spans it all. `score` lies in 0..1. `reason` never quotes the text."""

    detector: str
    label: str
    score: float
    part: int
    start: int
    end: int
    reason: str
    view: str = "raw"


@dataclass(frozen=True, slots=True)
class Spent:
    """What asking someone else cost; None is not known."""

    input_tokens: int | None
    output_tokens: int | None
    cost_usd: float | None


@quickly_made
@dataclass(frozen=True, slots=True)
class Detection:
    """A detector's answer for one part.

    `score` is the largest evidence in 0..1 even where it stays under every threshold (so that it can be evaluated and
    shadowed), None when there was nothing to judge; then `skipped` says why. `replacements` maps an index of `findings`
    to a text that stands in better than the default mask. `limit` says for what of the text, all of which it read, the
    detector was not measured to work ("language de not covered").
    """

    score: float | None
    findings: tuple[Finding, ...] = ()
    skipped: str | None = None
    replacements: Mapping[int, str] = field(default_factory=dict)
    spent: Spent | None = None
    limit: str | None = None


@quickly_made
@dataclass(frozen=True, slots=True)
class Check:
    """One rule on one part: what ran, on how many characters, how long, and what it said. `reason` tells why it did not
    run or, where it ran, for what it was not measured to work."""

    rule: str
    detector: str
    version: str
    part: int
    outcome: Outcome
    characters: int
    elapsed_us: int
    score: float | None = None
    triggered: bool = False
    action: Action = "allow"
    reason: str | None = None
    spent: Spent | None = None


@quickly_made
@dataclass(frozen=True, slots=True)
class Coverage:
    """Proof that the checks ran. `total_characters` counts the parts to be judged; `guarded_characters` those of them
    on which every rule meant for them ran or was skipped for a stated reason. `not_run`: rule, reason. `limits`: rule
    and reason of what ran on a text that its detector was not measured to work on; that is still complete.
    `uncovered`: part and reason of the texts that no rule of the policy is meant for, `uncovered_characters` of them
    in all: nothing stopped there, and nothing looked at them either."""

    total_characters: int
    guarded_characters: int
    ran: int
    not_run: tuple[tuple[str, str], ...] = ()
    limits: tuple[tuple[str, str], ...] = ()
    uncovered: tuple[tuple[int, str], ...] = ()
    uncovered_characters: int = 0

    @property
    def complete(self) -> bool:
        """Every character that was to be judged was looked at by every rule meant for it, and by one at least."""
        return not self.not_run and self.guarded_characters == self.total_characters

    @property
    def all_ran(self) -> bool:
        """No rule missed anything that it is meant for, however little the policy's rules are meant for."""
        return not self.not_run and self.guarded_characters + self.uncovered_characters == self.total_characters


@quickly_made
@dataclass(frozen=True, slots=True)
class Redaction:
    """`text` stands in place of the characters `start` to `end` of the original text of part number `part`."""

    part: int
    start: int
    end: int
    text: str


@quickly_made
@dataclass(frozen=True, slots=True)
class Verdict:
    """`texts` are the parts' texts after redaction, in order, and `redactions` what was put where; a stream's verdict
    has neither. `message` is what the end user may be shown when the action is block, fallback or reask."""

    action: Action
    texts: tuple[str, ...]
    findings: tuple[Finding, ...]
    checks: tuple[Check, ...]
    coverage: Coverage
    policy: str
    policy_version: str
    message: str | None
    elapsed_us: int
    redactions: tuple[Redaction, ...] = ()

    @property
    def blocked(self) -> bool:
        return self.action in ("block", "fallback", "reask")
