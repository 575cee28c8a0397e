"""From an examination to a verdict: the action, the texts after redaction, and proof of what was checked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from stanchion_guard.examine import NOT_RUN, RANK, SIZE, Examination, Hit, Watched
from stanchion_guard.policy import Policy
from stanchion_guard.records import Action, Check, Coverage, Finding, Redaction, Verdict
from stanchion_guard.redaction import Mask, Patch, apply, patches

NOT_CHECKED = "[NOT_CHECKED]"


def verdict(examination: Examination, mask: Mask, started: int) -> Verdict:
    policy = examination.plan.policy
    if examination.calm and examination.subject is examination.original:
        return _calm(examination, started)
    checks = [*examination.checks(), *_size_checks(examination)]
    action = strongest(check.action for check in checks)
    redactions = tuple(_redactions(examination, mask))
    return Verdict(
        action=action,
        texts=_texts(examination, redactions),
        findings=findings(examination.hits),
        checks=tuple(checks),
        coverage=_coverage(examination, checks),
        policy=policy.name,
        policy_version=policy.version,
        message=message(policy, checks, action),
        elapsed_us=(examination.clock() - started) // 1000,
        redactions=redactions,
    )


def _calm(examination: Examination, started: int) -> Verdict:
    """The verdict where everything was checked and nothing found, which is the commonest and so has a short way."""
    policy, checks = examination.plan.policy, tuple(examination.checks())
    size = sum(watched.checked for watched in examination.parts if watched.done)
    return Verdict(
        action="allow",
        texts=tuple(part.text for part in examination.original.parts),
        findings=(),
        checks=checks,
        coverage=Coverage(size, size, sum(check.outcome == "ran" for check in checks)),
        policy=policy.name,
        policy_version=policy.version,
        message=None,
        elapsed_us=(examination.clock() - started) // 1000,
    )


def strongest(actions: Iterable[Action]) -> Action:
    return max(actions, key=RANK.__getitem__, default="allow")


def findings(hits: Sequence[Hit]) -> tuple[Finding, ...]:
    """What triggered some rule, once each, in the order of the texts."""
    if not hits:
        return ()
    unique = {id(hit.finding): hit.finding for hit in hits}.values()
    return tuple(sorted(unique, key=lambda finding: (finding.part, finding.start, finding.end)))


def message(policy: Policy, checks: Iterable[Check], action: Action) -> str | None:
    """What the end user may be shown: of the first rule that asked for the verdict's action, else the policy's."""
    if RANK[action] < RANK["reask"]:
        return None
    asked = {check.rule for check in checks if check.action == action}
    said = (rule.message for rule in policy.rules if rule.id in asked and rule.message is not None)
    return next(said, policy.message)


def oversize(examination: Examination) -> list[tuple[Watched, int]]:
    """The parts that are longer than the policy allows, and their real length."""
    if examination.subject is examination.original:
        return []
    lengths = ((watched, len(examination.original.parts[watched.index].text)) for watched in examination.parts)
    return [(watched, length) for watched, length in lengths if length > watched.checked]


def _size_checks(examination: Examination) -> Iterable[Check]:
    action = examination.plan.policy.beyond
    for watched, length in oversize(examination):
        yield size_check(watched.index, watched.checked, length, action)


def size_check(part: int, checked: int, length: int, action: Action) -> Check:
    reason = f"{checked:,} of {length:,} characters were checked: the part is longer than the policy allows"
    return Check(SIZE, SIZE, "1", part, "ran", checked, 0, None, True, action, reason)


def _redactions(examination: Examination, mask: Mask) -> Iterator[Redaction]:
    """By part and place, without overlaps: nothing is found in what lies beyond the policy's size."""
    hidden = [hit for hit in examination.hits if hit.rule.action == "redact"]
    lost = dict(_beyond(examination))
    for part in sorted({hit.finding.part for hit in hidden} | lost.keys()):
        own = [(hit.finding, hit.replacement) for hit in hidden if hit.finding.part == part]
        original = examination.original.parts[part].text
        for patch in patches(original, own, mask):
            yield Redaction(part, patch.start, patch.end, patch.text)
        if part in lost:
            yield Redaction(part, lost[part], len(original), NOT_CHECKED)


def _beyond(examination: Examination) -> Iterator[tuple[int, int]]:
    """The parts to be cut, and where."""
    if examination.plan.policy.beyond == "redact":
        for watched, _ in oversize(examination):
            yield watched.index, watched.checked


def _texts(examination: Examination, redactions: Sequence[Redaction]) -> tuple[str, ...]:
    texts = [part.text for part in examination.original.parts]
    for part in {redaction.part for redaction in redactions}:
        own = [Patch(each.start, each.end, each.text) for each in redactions if each.part == part]
        texts[part] = apply(texts[part], own)
    return tuple(texts)


def _coverage(examination: Examination, checks: Sequence[Check]) -> Coverage:
    bad = {check.part for check in checks if check.outcome in NOT_RUN}
    meant = [watched for watched in examination.parts if watched.done]
    originals = examination.original.parts
    return Coverage(
        total_characters=sum(len(originals[watched.index].text) for watched in meant),
        guarded_characters=sum(watched.checked for watched in meant if watched.index not in bad),
        ran=sum(ran(check) for check in checks),
        not_run=not_run(checks),
    )


def ran(check: Check) -> bool:
    """Whether the check is evidence: a detector looked."""
    return check.outcome == "ran" and check.rule != SIZE


def not_run(checks: Iterable[Check]) -> tuple[tuple[str, str], ...]:
    """Rule and reason of what was not checked, wholly or in part."""
    missed = [check for check in checks if check.outcome in NOT_RUN or check.rule == SIZE]
    return tuple((check.rule, _missed(check)) for check in missed)


def _missed(check: Check) -> str:
    if check.rule == SIZE:
        return check.reason or ""
    return f"{check.outcome}: {check.reason}" if check.reason else check.outcome
