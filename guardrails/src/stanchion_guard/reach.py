"""How much of a text a detector must see: characters around a finding, or all of it. Decides what can be checked while
a text still arrives, and how much of it is held back.

A detector may carry `reach`: a number of characters, or None where it needs the whole text. Without it REACH is taken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stanchion_guard.examine import Plan
from stanchion_guard.policy import Policy, Probe, Rule
from stanchion_guard.records import Stage

if TYPE_CHECKING:
    from stanchion_guard.engine import Guard

REACH = 128

_CLAIMS = ("relevance", "groundedness", "topic", "refusal", "advice", "language", "llm_judge", "embedding_topic")
_FORM = ("json_schema", "format", "code", "length", "repetition", "tool_allow_list", "agent_cap", "guardrails_ai")
_WHOLE = frozenset((*_CLAIMS, *_FORM))


def reach_of(probe: Probe) -> int | None:
    stated: int | None = getattr(probe.detector, "reach", None if probe.name in _WHOLE else REACH)
    return stated


def rules_at_end(policy: Policy, stage: Stage) -> tuple[Rule, ...]:
    """The rules of a stage that can only be judged on the whole text, themselves or by the rule they come after."""
    late: list[Rule] = []
    for rule in policy.rules:
        waits = rule.after is not None and policy.rules[rule.after] in late
        if stage in rule.stages and (waits or reach_of(policy.probes[rule.probe]) is None):
            late.append(rule)
    return tuple(late)


def plans(guard: Guard, at_end: tuple[Rule, ...]) -> tuple[Plan, Plan]:
    """What runs while the text arrives, and what at its end; the second holds the rules it comes after as well."""
    policy = guard.policy
    if policy.holds_everything:
        return Plan.of(policy, lambda rule: False), guard.plan
    last = {rule.id for rule in at_end}
    for rule in reversed(policy.rules):
        if rule.id in last and rule.after is not None:
            last.add(policy.rules[rule.after].id)
    own = {rule.id for rule in at_end}
    return Plan.of(policy, lambda rule: rule.id not in own), Plan.of(policy, lambda rule: rule.id in last)


def longest_reach(plan: Plan, stage: Stage) -> int:
    return max((reach_of(probe) or 0 for _, _, probe in plan.stages[stage]), default=0)
