"""The same tokens at another model's price."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from stanchion_server.costs.advice.records import ZERO, CallFact, Confidence, Finding, Graded, ModelName, Swap, Tariff

SHELF: Mapping[str, tuple[str, ...]] = {
    "openai": ("gpt-4.1-mini", "gpt-4o-mini"),
    "anthropic": ("claude-haiku-4-5",),
    "gcp.gemini": ("gemini-2.5-flash-lite",),
    "mistral_ai": ("mistral-small-latest",),
}
"""Smaller models of the same provider that are proposed where a project has used none; names of 2026-11."""
WORTHWHILE = Decimal("0.8")
"""Another model is proposed when it costs at most this share."""
FEWEST_CALLS = 20
FEWEST_SCORED = 50
Z_95 = 1.959963984540054
TOLERATED = 0.05
"""More of the calls flagged than this, and quality counts as not known well enough."""


@dataclass(frozen=True, slots=True)
class Used:
    """What one model did for one feature: calls that were answered and whose price and tokens are known."""

    feature: str
    model: ModelName
    calls: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    usd: Decimal
    seconds: float

    def at(self, tariff: Tariff, *, keeps_cache: bool) -> Decimal:
        """The same tokens at another price; another provider's cache has nothing to begin with."""
        cached = self.cached_tokens if keeps_cache else 0
        fresh = self.input_tokens - cached
        return cached * tariff.cached_usd + fresh * tariff.input_usd + self.output_tokens * tariff.output_usd


def used(calls: Iterable[CallFact]) -> list[Used]:
    groups: dict[tuple[str, ModelName], list[CallFact]] = defaultdict(list)
    for call in calls:
        if call.usd is not None and not call.is_failed and call.input_tokens is not None:
            groups[call.feature, call.model].append(call)
    return [
        Used(
            feature, model, len(some), sum(call.input_tokens or 0 for call in some),
            sum(min(call.cached_input_tokens or 0, call.input_tokens or 0) for call in some),
            sum(call.output_tokens or 0 for call in some), sum((call.usd or ZERO for call in some), ZERO),
            sum(call.duration_s for call in some),
        )
        for (feature, model), some in groups.items()
    ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Standing:
    """How a cheaper model did beside a dearer one on the same feature. `is_worse` is None where nobody knows; `most` is
    how much larger the flagged share may be by the least favourable scorer (95 %), as a ratio."""

    is_worse: bool | None
    most: float
    figures: tuple[tuple[str, str], ...]


def compare(cheap: ModelName, dear: ModelName, graded: Sequence[Graded]) -> Standing:
    """Worse: some scorer flags a larger share of its calls, beyond chance (two shares, 95 %). `graded` is of one
    feature."""
    by_scorer: dict[str, dict[ModelName, Graded]] = defaultdict(dict)
    for one in graded:
        if one.scored >= FEWEST_SCORED:
            by_scorer[one.scorer][one.model] = one
    pairs = [(pair[cheap], pair[dear]) for pair in by_scorer.values() if cheap in pair and dear in pair]
    if not pairs:
        return Standing(None, 1.0, ())
    pairs.sort(key=lambda pair: pair[1].flagged_ratio - pair[0].flagged_ratio)
    figures = tuple(
        (f"Flagged by {ours.scorer}", f"{ours.flagged_ratio:.1%} instead of {theirs.flagged_ratio:.1%}")
        for ours, theirs in pairs[:3]
    )
    most = max(_difference(*pair) + Z_95 * _deviation(*pair) for pair in pairs)
    return Standing(any(_is_worse(*pair) for pair in pairs), most, figures)


def _is_worse(ours: Graded, theirs: Graded) -> bool:
    return _difference(ours, theirs) > Z_95 * _deviation(ours, theirs)


def _difference(ours: Graded, theirs: Graded) -> float:
    return ours.flagged_ratio - theirs.flagged_ratio


def _deviation(ours: Graded, theirs: Graded) -> float:
    """With one more flagged and one more not flagged on each side, so that no flag at all is not certainty."""
    parts = ((one.flagged + 1, one.scored + 2) for one in (ours, theirs))
    return math.sqrt(sum(flagged / scored * (1 - flagged / scored) / scored for flagged, scored in parts))


def find(usages: Sequence[Used], tariffs: Mapping[ModelName, Tariff | None], graded: Sequence[Graded]) -> list[Finding]:
    """For each feature and model the best cheaper model."""
    found: list[Finding | None] = []
    for one in usages:
        if one.calls < FEWEST_CALLS or one.usd <= 0:
            continue
        of_feature = [each for each in graded if each.feature == one.feature]
        seconds = {each.model: each.seconds / each.calls for each in usages if each.feature == one.feature}
        options = _options(one, usages, tariffs, of_feature)
        found.append(_swap(one, options, seconds))
    return [finding for finding in found if finding is not None]


@dataclass(frozen=True, slots=True)
class _Option:
    model: ModelName
    usd: Decimal
    standing: Standing
    is_known_here: bool


def _options(
    one: Used, usages: Sequence[Used], tariffs: Mapping[ModelName, Tariff | None], graded: Sequence[Graded]
) -> list[_Option]:
    here = {each.model for each in usages if each.feature == one.feature}
    shelf = {ModelName(one.model.provider, name) for name in SHELF.get(one.model.provider, ())}
    found = []
    for model in sorted({each.model for each in usages} | shelf):
        tariff = tariffs.get(model)
        # What is hosted has no price per token: its cost is the deployment's, which more calls may raise.
        if model == one.model or tariff is None or not tariff.output_usd:
            continue
        usd = one.at(tariff, keeps_cache=model.provider == one.model.provider)
        if usd <= one.usd * WORTHWHILE:
            found.append(_Option(model, usd, compare(model, one.model, graded), model in here))
    return found


def _swap(one: Used, options: Sequence[_Option], seconds: Mapping[ModelName, float]) -> Finding | None:
    """Best is one that is known not to be worse, then one that the feature uses, then the cheapest."""
    able = [option for option in options if not option.standing.is_worse]
    if not able:
        return None
    best = min(able, key=lambda each: (each.standing.is_worse is None, not each.is_known_here, each.usd))
    is_known = best.standing.is_worse is False
    confidence: Confidence = "medium" if is_known and best.standing.most <= TOLERATED else "low"
    quality = (
        "The scorers flag no larger share of the cheaper model's recorded calls, beyond chance; the most that chance"
        f" may hide is {best.standing.most * 100:.1f} points more (95 %). The calls were not the same."
        if is_known
        else "Quality is not known: replay a sample with the cheaper model and let the scorers judge both."
    )
    faster = None
    if best.model in seconds:
        faster = (seconds[one.model] - seconds[best.model]) * one.calls
    return Finding(
        kind="cheaper_model", feature=one.feature, subject=f"{one.model.name} → {best.model.name}",
        usd=one.usd - best.usd, spend_usd=one.usd, seconds=faster, calls=one.calls, confidence=confidence,
        assumptions=(
            quality, "The same tokens at today's price: another model counts and answers a little differently.",
        ),
        figures=(
            ("Cost per 1,000 calls now", f"${one.usd / one.calls * 1000:.4f}"),
            (f"with {best.model.name}", f"${best.usd / one.calls * 1000:.4f}"), *best.standing.figures,
        ),
        where={"feature": one.feature or "(none)", "model": one.model.name}, effect=Swap(one.model, best.model),
    )  # fmt: skip
