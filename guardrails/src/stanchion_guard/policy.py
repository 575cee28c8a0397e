"""A guard policy: which detector looks at what, what happens when it finds something, and what when it could not look.

A policy is read, checked and compiled once, by `load` or `named`, and never changes afterwards. `Guard` runs it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any, Literal, cast

from stanchion_guard.detectors import Detector
from stanchion_guard.policy_yaml import PolicyError, Problem
from stanchion_guard.records import Action, Part, Stage, Subject

__all__ = ["BUILT_IN", "Case", "Policy", "PolicyError", "Probe", "Problem", "Rule", "load", "named", "schema"]

BUILT_IN = ("default", "observe", "strict")
RedactMode = Literal["label", "token", "partial", "hash"]
Registry = Mapping[str, Callable[..., Detector]]


@dataclass(frozen=True, slots=True)
class Probe:
    """One detector with one set of parameters. Rules that agree on both share it, so it runs once for them all.

    `detector` is None where it cannot run here; `unavailable` then says why and what would help.
    """

    name: str
    version: str
    heavy: bool
    detector: Detector | None
    unavailable: str | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule as compiled. `probe` and `after` index the policy's probes and rules; `level` counts how many rounds of
    expensive checks must be over before this rule can be decided."""

    id: str
    stages: tuple[Stage, ...]
    probe: int
    action: Action
    threshold: float
    by_kind: Mapping[str, float]
    by_language: Mapping[str, float]
    labels: frozenset[str] | None
    roles: frozenset[str] | None
    message: str | None
    when_late: Action
    when_failed: Action
    after: int | None
    band: tuple[float, float]
    level: int
    lowest_threshold: float

    def threshold_for(self, part: Part) -> float:
        """The larger of the thresholds for the part's kind and language, else the rule's own."""
        if not self.by_kind and not self.by_language:
            return self.threshold
        stated = (self.by_kind.get(part.kind or ""), self.by_language.get(part.language or ""))
        return max((value for value in stated if value is not None), default=self.threshold)


@dataclass(frozen=True, slots=True)
class Case:
    """A test that the policy carries. `judged` are the parts under test, None for all; an expectation that is None is
    not stated."""

    name: str
    subject: Subject
    judged: tuple[int, ...] | None
    action: Action
    labels: tuple[str, ...] | None
    rules: tuple[str, ...] | None
    texts: tuple[str, ...] | None
    line: int | None


@dataclass(frozen=True, slots=True)
class Policy:
    """`content_hash` is the SHA-256 of what was written, as canonical JSON, tests and all: equal hash, equal policy.
    `dead` are the places of rules that look at nothing there, and of labels in tests that no rule finds. A policy in
    use goes on with them, whoever writes one should be told."""

    name: str
    version: str
    description: str | None
    content_hash: str
    rules: tuple[Rule, ...]
    probes: tuple[Probe, ...]
    cases: tuple[Case, ...]
    deadline_ms: float | None
    max_characters: int | None
    beyond: Action
    redact: RedactMode
    holds_everything: bool
    message: str | None
    written: str
    dead: tuple[Problem, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The policy as it was written, without comments: `load` makes the same policy of it."""
        return cast(dict[str, Any], json.loads(self.written))

    @property
    def unavailable(self) -> tuple[tuple[str, str], ...]:
        """Rule and reason of every check that cannot run here."""
        absent = ((rule.id, self.probes[rule.probe].unavailable) for rule in self.rules)
        return tuple((rule, reason) for rule, reason in absent if reason is not None)


def load(source: str | bytes | Mapping[str, Any], detectors: Registry | None = None) -> Policy:
    """The policy in a YAML or JSON text, or in data that is parsed already.

    `detectors` adds detectors of the caller's own: name to a class or function that takes the rule's parameters.
    Raises PolicyError with every problem found. A detector that is not installed is no problem: its checks report
    "unavailable" and the rule's `when_failed` decides.
    """
    from stanchion_guard.policy_compile import compile_document  # it imports this module's shapes

    return compile_document(source, detectors or {})


def named(name: str) -> Policy:
    """One of the policies that come with the engine: `BUILT_IN`."""
    if name not in BUILT_IN:
        raise PolicyError([Problem(None, None, "", f"no built-in policy '{name}'; there are {', '.join(BUILT_IN)}")])
    return load(resources.files("stanchion_guard").joinpath("policies", f"{name}.yaml").read_text("utf-8"))


def schema() -> dict[str, Any]:
    """The published JSON Schema of a policy."""
    text = resources.files("stanchion_guard").joinpath("schema.json").read_text("utf-8")
    return cast(dict[str, Any], json.loads(text))


def digest(data: Mapping[str, Any]) -> tuple[str, str]:
    """The canonical JSON of a policy's data and its SHA-256."""
    written = json.dumps(data, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return written, hashlib.sha256(written.encode("utf-8", "surrogatepass")).hexdigest()
