"""Where guarding stopped: stretches of time in which a policy judged far less than there was to judge, or in which one
of its rules did not run. Pure.

What there was to judge is reckoned from the calls beside the decisions and the usual number of decisions a call, so a
quiet night is no gap. Where no calls are recorded beside them, from the decisions of the same time a day before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

SILENT_SHARE = 0.1
"""A step is silent when it holds at most this share of the decisions that were to be expected."""
MIN_EXPECTED = 15.0
"""A silent stretch counts when at least so many decisions were to be expected: else chance could do it."""
NOT_RUN_SHARE = 0.1
"""A step is thin for a rule that did not run on at least this share of the decisions."""
MIN_NOT_RUN = 10
NEAR_STEPS = 3
"""Stretches in which a rule did not run are one when at most so many steps lie between them."""
DAY = timedelta(days=1)
MAX_REASONS = 3


@dataclass(frozen=True, slots=True)
class Step:
    """What happened from `at` on, for one step: how many times there was something to judge, and how many decisions."""

    at: datetime
    calls: int
    decisions: int


@dataclass(frozen=True, slots=True)
class RuleStep:
    """Of so many decisions in a step, on how many the rule did not run, and why."""

    at: datetime
    decisions: int
    not_run: int
    reasons: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch without guarding. `rule` is empty where the policy made no decisions at all for calls of `feature`;
    else that rule did not run, whatever the feature. `is_open` says that it lasts as far as the steps reach.

    `expected` decisions were to be made and `missed` of them were not, or not whole. `usual_ratio` is the share that is
    missed outside of the stretch, None where nothing lies outside.
    """

    policy: str
    feature: str
    rule: str
    start: datetime
    end: datetime
    is_open: bool
    expected: float
    missed: float
    usual_ratio: float | None
    reasons: tuple[tuple[str, int], ...] = ()

    @property
    def missed_ratio(self) -> float:
        return min(1.0, self.missed / self.expected) if self.expected else 0.0


@dataclass(slots=True)
class _Stretch:
    first: int
    last: int


def silences(policy: str, feature: str, steps: Sequence[Step], length: timedelta) -> tuple[Gap, ...]:
    """Stretches in which the policy judged (almost) nothing of a feature, the oldest first. `steps` follow each other
    without holes, each `length` long."""
    seen = [place for place, step in enumerate(steps) if step.decisions]
    if not seen:
        return ()
    expected = _expected(steps, length)
    quiet: list[bool | None] = [
        None if not expected[place] else steps[place].decisions <= SILENT_SHARE * expected[place]
        for place in range(len(steps))
    ]
    found = []
    for stretch in _stretches(quiet, seen[0], near_steps=0):
        inside = range(stretch.first, stretch.last + 1)
        wanted = sum(expected[place] for place in inside)
        made = sum(steps[place].decisions for place in inside)
        if wanted >= MIN_EXPECTED and made <= SILENT_SHARE * wanted:
            found.append(
                Gap(
                    policy, feature, "", steps[stretch.first].at, steps[stretch.last].at + length,
                    is_open=not any(state is False for state in quiet[stretch.last + 1 :]),
                    expected=wanted, missed=wanted - made, usual_ratio=0.0,
                )
            )  # fmt: skip
    return tuple(found)


def idle_rules(policy: str, rule: str, steps: Sequence[RuleStep], length: timedelta) -> tuple[Gap, ...]:
    """Stretches in which the rule did not run on a tenth of the decisions or more, the oldest first."""
    thin: list[bool | None] = [
        None if not step.decisions else step.not_run >= NOT_RUN_SHARE * step.decisions for step in steps
    ]
    found = []
    for stretch in _stretches(thin, 0, near_steps=NEAR_STEPS):
        inside = steps[stretch.first : stretch.last + 1]
        missed = sum(step.not_run for step in inside)
        if missed < MIN_NOT_RUN:
            continue
        outside = [*steps[: stretch.first], *steps[stretch.last + 1 :]]
        found.append(
            Gap(
                policy, "", rule, inside[0].at, inside[-1].at + length,
                is_open=not any(state is False for state in thin[stretch.last + 1 :]),
                expected=sum(step.decisions for step in inside), missed=missed, usual_ratio=_ratio(outside),
                reasons=_reasons(inside),
            )
        )  # fmt: skip
    return tuple(found)


def together(found: Sequence[Gap]) -> tuple[tuple[Gap, ...], ...]:
    """The gaps in their order, with those of several rules of a policy at the same time as one group, the worst first:
    they mostly have one cause."""
    groups: list[list[Gap]] = []
    for gap in found:
        beside = next((group for group in groups if _is_beside(gap, group[0])), None)
        if beside is None:
            groups.append([gap])
        else:
            beside.append(gap)
    return tuple(tuple(sorted(group, key=lambda gap: -gap.missed_ratio)) for group in groups)


def _is_beside(gap: Gap, other: Gap) -> bool:
    return (
        bool(gap.rule and other.rule)
        and (gap.policy, gap.is_open) == (other.policy, other.is_open)
        and gap.start < other.end
        and other.start < gap.end
    )


def _expected(steps: Sequence[Step], length: timedelta) -> list[float]:
    """Decisions to be expected in each step; 0 before the first, and where nothing can be said."""
    judged = [step for step in steps if step.decisions]
    calls = sum(step.calls for step in judged)
    if calls:
        ratio = sum(step.decisions for step in judged) / calls
        return [step.calls * ratio for step in steps]
    by_time = {step.at: step.decisions for step in steps}
    return [float(by_time.get(step.at - DAY, 0)) for step in steps]


def _stretches(states: Sequence[bool | None], start: int, *, near_steps: int) -> list[_Stretch]:
    """Runs of True from `start` on. None goes with either side; runs with at most `near_steps` between them are one."""
    found: list[_Stretch] = []
    between = 0
    for place in range(start, len(states)):
        if states[place]:
            if found and between <= near_steps:
                found[-1].last = place
            else:
                found.append(_Stretch(place, place))
            between = 0
        elif states[place] is False:
            between += 1
    return found


def _ratio(steps: Sequence[RuleStep]) -> float | None:
    decisions = sum(step.decisions for step in steps)
    return min(1.0, sum(step.not_run for step in steps) / decisions) if decisions else None


def _reasons(steps: Sequence[RuleStep]) -> tuple[tuple[str, int], ...]:
    total: Counter[str] = Counter()
    for step in steps:
        total.update(step.reasons)
    return tuple(total.most_common(MAX_REASONS))
