"""The shapes of a check where stanchion-guard is not installed: the same fields, so that a verdict reads the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

STAGES = ("input", "output", "retrieved", "tool_call", "tool_result")


@dataclass(frozen=True)
class Part:
    stage: str
    text: str
    role: str | None = None
    name: str | None = None
    kind: str | None = None
    language: str | None = None


@dataclass(frozen=True)
class Usage:
    steps: int | None = None
    tool_calls: int | None = None
    tokens: int | None = None
    cost_usd: float | None = None


@dataclass(frozen=True)
class Subject:
    parts: tuple[Part, ...]
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True)
class Finding:
    detector: str
    label: str
    score: float
    part: int
    start: int
    end: int
    reason: str
    view: str = "raw"


@dataclass(frozen=True)
class Check:
    rule: str
    detector: str
    version: str
    part: int
    outcome: str
    characters: int
    elapsed_us: int
    score: float | None = None
    triggered: bool = False
    action: str = "allow"
    reason: str | None = None
    spent: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Coverage:
    total_characters: int
    guarded_characters: int
    ran: int
    not_run: tuple[tuple[str, str], ...] = ()
    limits: tuple[tuple[str, str], ...] = ()
    uncovered: tuple[tuple[int, str], ...] = ()
    uncovered_characters: int = 0

    @property
    def complete(self) -> bool:
        return not self.not_run and self.guarded_characters == self.total_characters


@dataclass(frozen=True)
class Verdict:
    action: str
    texts: tuple[str, ...]
    findings: tuple[Finding, ...]
    checks: tuple[Check, ...]
    coverage: Coverage
    policy: str
    policy_version: str
    message: str | None
    elapsed_us: int
    redactions: tuple[Any, ...] = ()

    @property
    def blocked(self) -> bool:
        return self.action in ("block", "fallback", "reask")
