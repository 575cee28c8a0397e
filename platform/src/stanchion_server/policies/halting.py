"""A check that is blocked whatever its texts say, because a budget is spent. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from stanchion_guard.records import Check, Coverage, Subject, Verdict
from stanchion_server.policies.engine import Checked, Judgement

MESSAGE = "This assistant cannot answer at the moment: its budget is used up."
"""What the end user is shown: no name and no amount."""
RULE = "budget"
PREFIX = "budget:"
"""Under which stops are recorded; no policy can have a name that begins so."""


def precedes_a_call(subject: Subject, judged: Sequence[int] | None) -> bool:
    """Whether a model is still to be asked: what it answered is paid for, and blocking it would save nothing."""
    numbers = range(len(subject.parts)) if judged is None else judged
    stages = [subject.parts[number].stage for number in numbers]
    return bool(stages) and stages[-1] != "output"


def halted(checked: Checked, subject: Subject, budget: str, reason: str) -> Checked:
    """The same, blocked. What policies found, masked and covered stays; one that blocks by itself decides."""
    stop = Check(RULE, RULE, "", 0, "ran", 0, 0, triggered=True, action="block", reason=reason)
    verdict = Verdict(
        action="block", texts=tuple(part.text for part in subject.parts), findings=(), checks=(stop,),
        coverage=Coverage(0, 0, 1), policy=policy_name(budget), policy_version="", message=MESSAGE, elapsed_us=0,
    )  # fmt: skip
    judgement = Judgement(verdict.policy, None, "live", verdict)
    judged = (*checked.judged, judgement)
    whole = replace(checked.verdict, checks=(*checked.verdict.checks, stop))
    if whole.action == "block":
        return replace(checked, verdict=whole, judged=judged)
    blocked = replace(whole, action="block", message=MESSAGE, policy=verdict.policy, policy_version="")
    return replace(checked, verdict=blocked, decided=judgement, judged=judged)


def policy_name(budget: str) -> str:
    return PREFIX + budget


def is_stop(policy: str) -> bool:
    return policy.startswith(PREFIX)
