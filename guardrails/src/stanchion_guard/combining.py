"""Several policies on one exchange: the strongest action, with the masks, findings and gaps of them all.

And the verdict of a policy whose engine broke."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain

from stanchion_guard import verdicts
from stanchion_guard.examine import NOT_RUN, RANK, SIZE
from stanchion_guard.policy import Policy
from stanchion_guard.records import STAGES, Check, Coverage, Part, Redaction, Subject, Verdict
from stanchion_guard.redaction import apply


def combined(subject: Subject, told: Sequence[Verdict]) -> Verdict:
    """One verdict to obey of at least one. Action, message and policy are those of the strongest, of the first among
    equals; texts are masked as every one of them says. Where masks overlap, the longest stands for all of the place."""
    first = max(told, key=lambda verdict: RANK[verdict.action])
    if len(told) == 1:
        return first
    if not any(verdict.texts for verdict in told):
        return _streamed(first, told)
    texts, redactions = _masked(subject, (first, *(verdict for verdict in told if verdict is not first)))
    findings = dict.fromkeys(finding for verdict in told for finding in verdict.findings)
    return replace(
        first,
        texts=texts,
        findings=tuple(sorted(findings, key=lambda finding: (finding.part, finding.start, finding.end))),
        checks=tuple(check for verdict in told for check in verdict.checks),
        coverage=_coverage(subject, told),
        elapsed_us=sum(verdict.elapsed_us for verdict in told),
        redactions=redactions,
    )


def _streamed(first: Verdict, told: Sequence[Verdict]) -> Verdict:
    """Of streams that ran one behind the other: what a later one found, it found in what the one before let through."""
    coverages = [verdict.coverage for verdict in told]
    total = max(each.total_characters for each in coverages)
    nobodys = min(each.uncovered_characters for each in coverages)
    missed = max(each.total_characters - each.guarded_characters - each.uncovered_characters for each in coverages)
    coverage = Coverage(
        total_characters=total,
        guarded_characters=max(0, total - nobodys - missed),
        ran=sum(each.ran for each in coverages),
        not_run=tuple(dict.fromkeys(missed for each in coverages for missed in each.not_run)),
        limits=tuple(dict.fromkeys(told for each in coverages for told in each.limits)),
        uncovered=_uncovered(told),
        uncovered_characters=nobodys,
    )
    return replace(
        first,
        findings=tuple(finding for verdict in told for finding in verdict.findings),
        checks=tuple(check for verdict in told for check in verdict.checks),
        coverage=coverage,
        elapsed_us=sum(verdict.elapsed_us for verdict in told),
    )


def failed(policy: Policy, subject: Subject, judged: Sequence[int] | None, error: BaseException) -> Verdict:
    """What the policy says for a check that fails, of every rule meant for the judged parts: the engine itself broke,
    and nothing was looked at. The error is told by its type alone: its text may quote what was checked."""
    parts = [(index, part) for index, part in enumerate(subject.parts) if judged is None or index in judged]
    checks = tuple(_unrun(policy, parts, f"the engine raised {type(error).__name__}"))
    action = verdicts.strongest(check.action for check in checks)
    ruled = {check.part for check in checks}
    nobodys = [(index, part) for index, part in parts if index not in ruled and part.text]
    stages: dict[str, list[str]] = {
        stage: [rule.id for rule in policy.rules if stage in rule.stages] for stage in STAGES
    }
    coverage = Coverage(
        total_characters=sum(len(part.text) for _, part in parts),
        guarded_characters=0,
        ran=0,
        not_run=verdicts.not_run(checks),
        uncovered=tuple((index, verdicts.why_uncovered(part, stages)) for index, part in nobodys),
        uncovered_characters=sum(len(part.text) for _, part in nobodys),
    )
    return Verdict(
        action=action,
        texts=tuple(part.text for part in subject.parts),
        findings=(),
        checks=checks,
        coverage=coverage,
        policy=policy.name,
        policy_version=policy.version,
        message=verdicts.message(policy, checks, action),
        elapsed_us=0,
    )


def _unrun(policy: Policy, parts: Iterable[tuple[int, Part]], reason: str) -> Iterator[Check]:
    for index, part in parts:
        for rule in policy.rules:
            if part.stage in rule.stages and (not rule.roles or not part.role or part.role in rule.roles):
                probe = policy.probes[rule.probe]
                who = (rule.id, probe.name, probe.version, index)
                yield Check(*who, "failed", 0, 0, action=rule.when_failed, reason=reason)


def _masked(subject: Subject, told: Iterable[Verdict]) -> tuple[tuple[str, ...], tuple[Redaction, ...]]:
    """The texts under the masks of all verdicts, those of the first going before where two are as long."""
    texts, merged = [part.text for part in subject.parts], []
    wanted = list(chain.from_iterable(verdict.redactions for verdict in told))
    for part in sorted({each.part for each in wanted}):
        own = list(_merged([each for each in wanted if each.part == part]))
        texts[part] = apply(texts[part], own)
        merged += own
    return tuple(texts), tuple(merged)


def _merged(wanted: Sequence[Redaction]) -> Iterator[Redaction]:
    """Redactions of one part, in order and without overlaps."""
    group: list[Redaction] = []
    end = -1
    for each in sorted(wanted, key=lambda redaction: redaction.start):
        if group and each.start >= end:
            yield _as_one(group, end)
            group = []
        group.append(each)
        end = max(end, each.end) if len(group) > 1 else each.end
    if group:
        yield _as_one(group, end)


def _as_one(group: Sequence[Redaction], end: int) -> Redaction:
    longest = max(group, key=lambda each: each.end - each.start)
    return replace(longest, start=group[0].start, end=end)


def _coverage(subject: Subject, told: Sequence[Verdict]) -> Coverage:
    """A part counts as guarded where no policy missed anything on it."""
    checks = [check for verdict in told for check in verdict.checks]
    bad = {check.part for check in checks if check.outcome in NOT_RUN}
    sizes = {check.part: check.characters for check in checks if check.rule == SIZE}
    lengths = {index: len(subject.parts[index].text) for index in {check.part for check in checks}}
    guarded = sum(sizes.get(index, length) for index, length in lengths.items() if index not in bad)
    unjudged = [verdict.coverage for verdict in told if not verdict.checks]
    blind = [each.total_characters - each.uncovered_characters for each in unjudged]
    uncovered = _uncovered(told)
    nobodys = sum(len(subject.parts[index].text) for index, _ in uncovered)
    return Coverage(
        total_characters=max(sum(lengths.values()) + nobodys, *blind, 0),
        guarded_characters=0 if any(blind) else guarded,
        ran=sum(verdict.coverage.ran for verdict in told),
        not_run=tuple(dict.fromkeys(missed for verdict in told for missed in verdict.coverage.not_run)),
        limits=tuple(dict.fromkeys(one for verdict in told for one in verdict.coverage.limits)),
        uncovered=uncovered,
        uncovered_characters=nobodys,
    )


def _uncovered(told: Sequence[Verdict]) -> tuple[tuple[int, str], ...]:
    """The parts that none of the policies has a rule for, with the reason of the first."""
    inner = [{part for part, _ in verdict.coverage.uncovered} for verdict in told]
    return tuple(row for row in told[0].coverage.uncovered if all(row[0] in parts for parts in inner))
