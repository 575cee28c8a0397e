"""Several questions in one prompt: what instructions cost that are sent with every short question of a burst."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from stanchion_server.costs.advice.prefixes import Beginning, Group, group_of, prefix_tokens
from stanchion_server.costs.advice.records import ZERO, CallFact, Finding, ModelName, Tariff
from stanchion_server.costs.advice.waste import is_watched

BURST_S = 60.0
"""Questions wait so long for others, which only those can that nobody waits for."""
SIZES = (2, 4, 6)
PROPOSED = 4
"""Questions in a prompt. Batch prompting (Cheng, Kasai and Yu 2023, arXiv 2301.08721) takes up to
six on the models and tasks of its authors."""
FEWEST_CALLS = 20
SHORTEST_PREFIX, LONGEST_QUESTION = 100, 200
"""Tokens: less to share is not worth a lost answer, and longer questions are tasks of their own."""


def total_ratio(questions: int, shared: float, question: float, answer: float, size: int) -> float:
    """How many times fewer tokens, in and out, `size` questions in a prompt take; lengths in tokens."""
    apart = questions * (shared + question + answer)
    return apart / (math.ceil(questions / size) * shared + questions * (question + answer))


@dataclass(frozen=True, slots=True)
class _Bursts:
    """Calls of one group, in bursts of the given numbers of questions. Lengths are mean tokens."""

    calls: Sequence[CallFact]
    numbers: Sequence[int]
    shared: int
    question: float
    answer: float
    cached: float

    def spared(self, size: int) -> int:
        """Prompts that need not be sent."""
        return sum(number - math.ceil(number / size) for number in self.numbers)

    def ratio(self, size: int) -> float:
        """Burst by burst: a burst of three is one prompt of three, not three quarters of one of four."""
        prompts = len(self.calls) - self.spared(size)
        own = len(self.calls) * (self.question + self.answer)
        return (len(self.calls) * self.shared + own) / (prompts * self.shared + own)

    def usd(self, size: int, tariff: Tariff) -> Decimal:
        """A shared token that the provider's cache told already costs what cached ones do."""
        cached = Decimal(repr(min(1.0, self.cached / self.shared)))
        per_prompt = self.shared * (cached * tariff.cached_usd + (1 - cached) * tariff.input_usd)
        return self.spared(size) * per_prompt


def find(
    calls: Iterable[CallFact], beginnings: Mapping[Group, Beginning], tariffs: Mapping[ModelName, Tariff | None]
) -> list[Finding]:
    """One for each feature, model and prompt whose unwatched calls come in bursts and ask little beside what they
    share."""
    groups: dict[Group, list[CallFact]] = defaultdict(list)
    for call in calls:
        if group_of(call) in beginnings and call.input_tokens and not call.is_failed and not is_watched(call):
            groups[group_of(call)].append(call)
    found = []
    for group, some in groups.items():
        tariff, bursts = tariffs.get(group[1]), _bursts(some, beginnings[group])
        if tariff is not None and bursts is not None and bursts.usd(PROPOSED, tariff) > 0:
            found.append(_finding(group, bursts, tariff))
    return found


def _bursts(calls: list[CallFact], beginning: Beginning) -> _Bursts | None:
    calls.sort(key=lambda call: call.start_time)
    mean = sum(call.input_tokens or 0 for call in calls) / len(calls)
    shared = prefix_tokens(calls, beginning)
    together = [burst for burst in _burst_by_burst(calls) if len(burst) > 1]
    some = [call for burst in together for call in burst]
    if len(some) < FEWEST_CALLS or shared < SHORTEST_PREFIX or mean - shared > min(LONGEST_QUESTION, shared):
        return None
    return _Bursts(
        some, [len(burst) for burst in together], shared, mean - shared,
        sum(call.output_tokens or 0 for call in some) / len(some),
        sum(min(call.cached_input_tokens or 0, shared) for call in some) / len(some),
    )  # fmt: skip


def _burst_by_burst(calls: Iterable[CallFact]) -> list[list[CallFact]]:
    """Of calls in order of time: each burst begins when the last has lasted BURST_S."""
    bursts: list[list[CallFact]] = []
    for call in calls:
        if bursts and (call.start_time - bursts[-1][0].start_time).total_seconds() < BURST_S:
            bursts[-1].append(call)
        else:
            bursts.append([call])
    return bursts


def _finding(group: Group, bursts: _Bursts, tariff: Tariff) -> Finding:
    feature, model, prompt = group
    return Finding(
        kind="several", feature=feature, subject=f"{prompt}, {model.name}", usd=bursts.usd(PROPOSED, tariff),
        spend_usd=sum((call.usd or ZERO for call in bursts.calls), ZERO), seconds=None, calls=len(bursts.calls),
        confidence="low",
        assumptions=(
            (f"Up to {PROPOSED} questions that come within {BURST_S:.0f} s share one prompt. Nobody waits: none of"
             " these calls names a user or a session, streams, or asks for tools."),
            "The shared beginning is sent once for each prompt; questions and answers stay as long as they are.",
            ("Answers may get worse, mixed up or lost: number them (Q[1], A[1]), ask alone what has no answer, and"
             " compare the scores of at least 50 questions asked both ways before you switch."),
            "Providers' caches and half-priced batches save of the same tokens.",
        ),
        figures=(
            ("Tokens that prompts begin with", f"{bursts.shared:,}"),
            ("Tokens of a question", f"{bursts.question:,.0f}"),
            ("Bursts of several questions", f"{len(bursts.numbers):,}, up to {max(bursts.numbers):,} questions"),
            *(
                (f"With {size} in a prompt", f"${bursts.usd(size, tariff):.4f}, tokens ÷ {bursts.ratio(size):.2f}")
                for size in SIZES
            ),
        ),
        where={
            "feature": feature or "(none)", "model": model.name, "prompt": prompt.name or "(none)",
            "prompt_version": prompt.version or "(none)",
        },
    )  # fmt: skip
