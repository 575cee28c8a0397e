"""The checks of a stream's many windows, summed up to one check a rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from stanchion_guard.examine import NOT_RUN, RANK, Hit
from stanchion_guard.policy import Policy
from stanchion_guard.records import Check, Coverage, Finding, Outcome, Verdict
from stanchion_guard.verdicts import limits, message, not_run, ran, strongest

MOST_FINDINGS = 1_000

_WORSE: Mapping[Outcome, int] = {"skipped": 0, "ran": 1, "late": 2, "unavailable": 3, "failed": 4}


@dataclass(slots=True)
class Sum:
    check: Check
    windows: int = 1
    missed: int = 0


class Tally:
    """`guarded` counts the characters of segments on which every check ran."""

    def __init__(self) -> None:
        self.sums: dict[str, Sum] = {}
        self.findings: list[Finding] = []
        self.guarded = 0
        self._latest: dict[tuple[str, str], int] = {}

    def add_segment(self, checks: Sequence[Check], characters: int) -> None:
        """The checks of one window, counted for the characters of its segment."""
        for check in checks:
            self.add(replace(check, characters=characters if check.outcome == "ran" else 0))
        if not any(check.outcome in NOT_RUN for check in checks):
            self.guarded += characters

    def add(self, check: Check) -> None:
        missed = int(check.outcome in NOT_RUN)
        known = self.sums.get(check.rule)
        if known is None:
            self.sums[check.rule] = Sum(check, missed=missed)
            return
        known.windows += 1
        known.missed += missed
        before = known.check
        worse = check if _WORSE[check.outcome] > _WORSE[before.outcome] else before
        known.check = replace(
            before,
            outcome=worse.outcome,
            reason=worse.reason or (check.reason if check.outcome == before.outcome else None),
            characters=before.characters + check.characters,
            elapsed_us=before.elapsed_us + check.elapsed_us,
            score=max((score for score in (before.score, check.score) if score is not None), default=None),
            triggered=before.triggered or check.triggered,
            action=max(before.action, check.action, key=RANK.__getitem__),
        )

    def note(self, hits: Sequence[Hit], since: int) -> None:
        """Findings with offsets in the whole text. One that began before `since` goes on from an earlier window and is
        told once. The first MOST_FINDINGS are told."""
        for finding in {id(hit.finding): hit.finding for hit in hits}.values():
            latest = self._latest.get((finding.detector, finding.label))
            if latest is not None and finding.start < min(since, self.findings[latest].end):
                known = self.findings[latest]
                end, score = max(known.end, finding.end), max(known.score, finding.score)
                self.findings[latest] = replace(known, start=min(known.start, finding.start), end=end, score=score)
            elif len(self.findings) < MOST_FINDINGS:
                self._latest[finding.detector, finding.label] = len(self.findings)
                self.findings.append(finding)

    def verdict(self, policy: Policy, received: int, guarded: int) -> Verdict:
        """`received` and `guarded` are characters of the whole text."""
        checks = tuple(_told(each) for each in self.sums.values())
        coverage = Coverage(received, guarded, sum(ran(check) for check in checks), not_run(checks), limits(checks))
        return self._verdict(policy, checks, coverage)

    def uncovered(self, policy: Policy, received: int, reason: str) -> Verdict:
        """Where no rule is meant for the text: all of it was let through, and looked at by nobody."""
        uncovered = ((0, reason),) if received else ()
        return self._verdict(policy, (), Coverage(received, 0, 0, uncovered=uncovered, uncovered_characters=received))

    def _verdict(self, policy: Policy, checks: tuple[Check, ...], coverage: Coverage) -> Verdict:
        action = strongest(check.action for check in checks)
        return Verdict(
            action=action,
            texts=(),
            findings=tuple(sorted(self.findings, key=lambda finding: (finding.start, finding.end))),
            checks=checks,
            coverage=coverage,
            policy=policy.name,
            policy_version=policy.version,
            message=message(policy, checks, action),
            elapsed_us=sum(check.elapsed_us for check in checks),
        )


def _told(summed: Sum) -> Check:
    if not summed.missed:
        return summed.check
    return replace(summed.check, reason=f"{summed.check.reason} ({summed.missed} of {summed.windows} windows)")
