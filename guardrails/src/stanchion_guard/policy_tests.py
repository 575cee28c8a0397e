"""Runs the test cases that a policy carries and says in what the verdicts differ from what was expected."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from stanchion_guard.engine import Guard
from stanchion_guard.policy import Case
from stanchion_guard.records import Verdict


@dataclass(frozen=True, slots=True)
class Difference:
    what: str
    expected: str
    got: str


@dataclass(frozen=True, slots=True)
class Result:
    case: Case
    differences: tuple[Difference, ...]
    not_run: tuple[tuple[str, str], ...]

    @property
    def passed(self) -> bool:
        return not self.differences


def run(guard: Guard) -> Iterator[Result]:
    """One result a case, in the policy's order. `not_run` tells of checks whose absence may explain a difference."""
    for case in guard.policy.cases:
        verdict = guard.judge(case.subject, judged=case.judged)
        yield Result(case, tuple(_differences(case, verdict)), verdict.coverage.not_run)


def _differences(case: Case, verdict: Verdict) -> Iterator[Difference]:
    if verdict.action != case.action:
        yield Difference("action", case.action, verdict.action)
    labels = tuple(sorted({finding.label for finding in verdict.findings}))
    rules = tuple(sorted({check.rule for check in verdict.checks if check.triggered}))
    if case.labels is not None and labels != tuple(sorted(set(case.labels))):
        yield Difference("labels", _listed(case.labels), _listed(labels))
    if case.rules is not None and rules != tuple(sorted(set(case.rules))):
        yield Difference("rules", _listed(case.rules), _listed(rules))
    if case.texts is not None and verdict.texts[: len(case.texts)] != case.texts:
        yield Difference("text", "\n".join(case.texts), "\n".join(verdict.texts[: len(case.texts)]))


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names) or "none"
