"""Answers that are longer than most: what a limit would save."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from stanchion_server.costs.advice.records import ZERO, CallFact, Cap, Finding, ModelName, PromptName, Tariff

PERCENTILES = (75, 90, 95, 99)
PROPOSED = 95
FEWEST_CALLS = 100


def percentile(ascending: Sequence[int], percent: int) -> int:
    """The nearest rank."""
    return ascending[max(0, math.ceil(percent / 100 * len(ascending)) - 1)]


def find(calls: Iterable[CallFact], tariffs: Mapping[ModelName, Tariff | None]) -> list[Finding]:
    """One for each feature and prompt version with enough answered calls."""
    groups: dict[tuple[str, PromptName], list[CallFact]] = defaultdict(list)
    for call in calls:
        if call.output_tokens is not None and not call.is_failed and tariffs.get(call.model) is not None:
            groups[call.feature, call.prompt].append(call)
    found = [_finding(*names, some, tariffs) for names, some in groups.items() if len(some) >= FEWEST_CALLS]
    return [finding for finding in found if finding.usd > 0]


def _finding(
    feature: str, prompt: PromptName, calls: list[CallFact], tariffs: Mapping[ModelName, Tariff | None]
) -> Finding:
    ranked = sorted(call.output_tokens or 0 for call in calls)
    caps = {percent: percentile(ranked, percent) for percent in PERCENTILES}
    saved = {percent: _saved(calls, cap, tariffs) for percent, cap in caps.items()}
    return Finding(
        kind="output_cap", feature=feature, subject=str(prompt), usd=saved[PROPOSED],
        spend_usd=sum((call.usd or ZERO for call in calls), ZERO), seconds=_seconds(calls, caps[PROPOSED]),
        calls=sum((call.output_tokens or 0) > caps[PROPOSED] for call in calls), confidence="low",
        assumptions=(
            (f"Answers end at {caps[PROPOSED]:,} tokens, the {PROPOSED}th percentile: asked for in the prompt, not cut"
            " off in the middle."),
            "Scores of the shorter answers must not fall: compare them before and after.",
            "Reasoning tokens count as output here and may not follow a wish for brevity.",
        ),
        figures=tuple(
            (f"Capped at p{percent}, {caps[percent]:,} tokens", f"{_share(saved[percent], calls)} of the spend")
            for percent in PERCENTILES
        ),
        where={
            "feature": feature or "(none)", "prompt": prompt.name or "(none)",
            "prompt_version": prompt.version or "(none)",
        },
        effect=Cap(prompt, caps[PROPOSED]),
    )  # fmt: skip


def _saved(calls: list[CallFact], cap: int, tariffs: Mapping[ModelName, Tariff | None]) -> Decimal:
    total = ZERO
    for call in calls:
        tariff = tariffs[call.model]
        if tariff is not None:
            total += max(0, (call.output_tokens or 0) - cap) * tariff.output_usd
    return total


def _seconds(calls: list[CallFact], cap: int) -> float:
    """An answer's time is taken to grow with its length."""
    return sum(
        call.duration_s * (1 - cap / call.output_tokens)
        for call in calls
        if call.output_tokens and call.output_tokens > cap
    )


def _share(usd: Decimal, calls: list[CallFact]) -> str:
    spend = sum((call.usd or ZERO for call in calls), ZERO)
    return f"{float(usd / spend) * 100:.1f} %" if spend else "unknown share"
