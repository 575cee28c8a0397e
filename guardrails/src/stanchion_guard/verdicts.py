"""From an examination to a verdict: the action, the texts after redaction, and proof of what was checked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import attrgetter

from stanchion_guard.examine import NOT_RUN, RANK, SIZE, Examination, Hit, Watched
from stanchion_guard.policy import Policy
from stanchion_guard.records import Action, Check, Coverage, Finding, Part, Redaction, Verdict
from stanchion_guard.redaction import Hidden, Mask, apply, patches

NOT_CHECKED = "[NOT_CHECKED]"
_PLACE = attrgetter("part", "start", "end")


def verdict(examination: Examination, mask: Mask, started: int) -> Verdict:
    policy = examination.plan.policy
    if examination.calm and examination.subject is examination.original and not uncovered(examination):
        return _calm(examination, started)
    checks = [*examination.checks(), *_size_checks(examination)]
    action = strongest({check.action for check in checks})
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
    size = sum(watched.checked for watched in examination.parts)
    return Verdict(
        action="allow",
        texts=tuple(part.text for part in examination.original.parts),
        findings=(),
        checks=checks,
        coverage=Coverage(size, size, sum(check.outcome == "ran" for check in checks), limits=limits(checks)),
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
    return tuple(sorted(unique, key=_PLACE))


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
    ruled = (watched for watched in examination.parts if watched.steps)
    lengths = ((watched, len(examination.original.parts[watched.index].text)) for watched in ruled)
    return [(watched, length) for watched, length in lengths if length > watched.checked]


def uncovered(examination: Examination) -> list[Watched]:
    """The parts that no rule is meant for; a part without a text needs none."""
    return [watched for watched in examination.parts if not watched.done and watched.part.text]


def why_uncovered(part: Part, stages: Mapping[str, Sequence[object]]) -> str:
    """`stages`: the rules of each stage."""
    if not stages[part.stage]:
        return f"no rule is for the stage {part.stage}"
    return f"no rule for the stage {part.stage} is for the role {(part.role or '')[:100]}"


def _size_checks(examination: Examination) -> Iterable[Check]:
    action = examination.plan.policy.beyond
    for watched, length in oversize(examination):
        yield size_check(watched.index, watched.checked, length, action)


def size_check(part: int, checked: int, length: int, action: Action) -> Check:
    reason = f"{checked:,} of {length:,} characters were checked: the part is longer than the policy allows"
    return Check(SIZE, SIZE, "1", part, "ran", checked, 0, None, True, action, reason)


def _redactions(examination: Examination, mask: Mask) -> Iterator[Redaction]:
    """By part and place, without overlaps: nothing is found in what lies beyond the policy's size."""
    hidden: dict[int, list[Hidden]] = {}
    for hit in examination.hits:
        if hit.rule.action == "redact":
            hidden.setdefault(hit.finding.part, []).append((hit.finding, hit.replacement))
    lost = dict(_beyond(examination))
    for part in sorted(hidden.keys() | lost.keys()):
        original = examination.original.parts[part].text
        for start, end, text in patches(original, hidden.get(part, ()), mask):
            yield Redaction(part, start, end, text)
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
        texts[part] = apply(texts[part], [each for each in redactions if each.part == part])
    return tuple(texts)


def _coverage(examination: Examination, checks: Sequence[Check]) -> Coverage:
    missed = _not_run(checks)
    bad = {check.part for check in missed if check.outcome in NOT_RUN}
    originals, stages = examination.original.parts, examination.plan.stages
    total = sum(len(originals[watched.index].text) for watched in examination.parts)
    done = (watched for watched in examination.parts if watched.done)
    nobodys = uncovered(examination)
    return Coverage(
        total_characters=total,
        guarded_characters=sum(watched.checked for watched in done if watched.index not in bad),
        ran=sum(map(ran, checks)),
        not_run=tuple((check.rule, _missed(check)) for check in missed),
        limits=limits(checks),
        uncovered=tuple((watched.index, why_uncovered(watched.part, stages)) for watched in nobodys),
        uncovered_characters=sum(len(originals[watched.index].text) for watched in nobodys),
    )


def limits(checks: Iterable[Check]) -> tuple[tuple[str, str], ...]:
    """Rule and reason of what was checked by a detector that was not measured to work on such a text, each once."""
    found = [(check.rule, check.reason) for check in checks if check.reason is not None and ran(check)]
    return tuple(dict.fromkeys(found)) if found else ()


def ran(check: Check) -> bool:
    """Whether the check is evidence: a detector looked."""
    return check.outcome == "ran" and check.rule != SIZE


def not_run(checks: Iterable[Check]) -> tuple[tuple[str, str], ...]:
    """Rule and reason of what was not checked, wholly or in part."""
    return tuple((check.rule, _missed(check)) for check in _not_run(checks))


def _not_run(checks: Iterable[Check]) -> list[Check]:
    return [check for check in checks if check.outcome in NOT_RUN or check.rule == SIZE]


def _missed(check: Check) -> str:
    if check.rule == SIZE:
        return check.reason or ""
    return f"{check.outcome}: {check.reason}" if check.reason else check.outcome
