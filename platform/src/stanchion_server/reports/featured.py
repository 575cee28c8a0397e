"""What a feature costs in a month and what would halve that, as a report keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any

from stanchion_server.costs.models import SavingsReport


@dataclass(frozen=True, slots=True)
class HalvingStep:
    """`alone_usd` a month by itself, `usd` after the steps before it; `left_usd` is then left to pay. `id` is that of
    the finding."""

    id: str
    kind: str
    title: str
    subject: str
    confidence: str
    alone_usd: Decimal
    usd: Decimal
    left_usd: Decimal


@dataclass(frozen=True, slots=True)
class HalvingView:
    """`steps` are the smallest set of compatible changes that takes `usd` to half or less where `is_half`, else the set
    that saves most, without what adds less than 0.5 %. `left_out` changes were too small to be combined or told."""

    usd: Decimal
    is_half: bool
    left_usd: Decimal
    saved_ratio: float
    left_out: int
    steps: tuple[HalvingStep, ...]


@dataclass(frozen=True, slots=True)
class FeatureView:
    """Dollars a month; `spent_usd` is what the cost explorer has for the feature in the time looked at. `usd` is API,
    GPU and electricity together. `idle_usd` is beside it: the feature's part, by its part of their work, of what own
    cards cost without work. `not_combined` are titles of findings about it that nobody can combine with others."""

    feature: str
    calls: int
    spent_usd: Decimal
    usd: Decimal
    api_usd: Decimal
    gpu_usd: Decimal
    energy_usd: Decimal
    idle_usd: Decimal
    not_combined: tuple[str, ...]
    halving: HalvingView | None
    halving_with_idle: HalvingView | None


@dataclass(frozen=True, slots=True)
class Looked:
    """Calls of language models that were looked at, and what they cost with their provider. `known_calls` are all there
    are; None of one feature where only a part of the calls was read."""

    calls: int
    known_calls: int | None
    spend_usd: Decimal
    unpriced_calls: int


def looked(report: SavingsReport, feature: str | None) -> Looked | None:
    """Of all features, or of one; None where the report, an older release's, does not tell of features or has too many
    of them."""
    body, is_whole = report.body, report.calls == report.known_calls
    if feature is None:
        spend = Decimal(body.get("spend_usd", "0"))
        return Looked(report.calls, report.known_calls, spend, body.get("unpriced_calls", 0))
    of_each = {one["feature"]: one for one in body.get("by_feature", [])}
    if feature in of_each:
        one = of_each[feature]
        known = one["calls"] if is_whole else None
        return Looked(one["calls"], known, Decimal(one["spend_usd"]), one["unpriced_calls"])
    is_told = sum(one["calls"] for one in of_each.values()) == report.calls
    return Looked(0, 0 if is_whole else None, Decimal(0), 0) if is_told else None


def feature_costs(body: Mapping[str, Any], feature: str | None) -> tuple[FeatureView, ...] | None:
    """Of a report, or of one feature of it. Reports of an older release know none."""
    found = body.get("feature_costs", [])
    if found is None:
        return None
    return tuple(_feature(one) for one in found if feature in (None, one["feature"]))


def _feature(one: Mapping[str, Any]) -> FeatureView:
    plans = {name: _halving(one[name]) for name in ("halving", "halving_with_idle")}
    return FeatureView(**{**one, **_money(one, FeatureView), **plans, "not_combined": tuple(one["not_combined"])})


def _halving(one: Mapping[str, Any] | None) -> HalvingView | None:
    if one is None:
        return None
    steps = tuple(HalvingStep(**{**step, **_money(step, HalvingStep)}) for step in one["steps"])
    return HalvingView(**{**one, **_money(one, HalvingView), "steps": steps})


def _money(one: Mapping[str, Any], kind: type) -> dict[str, Decimal]:
    return {field.name: Decimal(one[field.name]) for field in fields(kind) if field.name.endswith("usd")}
