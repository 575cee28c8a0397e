"""For each of the dearest features: what it costs in a month, and what would halve that."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from stanchion_server.costs import breakdown
from stanchion_server.costs.advice import halving, together
from stanchion_server.costs.advice.hosted import Hosted
from stanchion_server.costs.advice.kinds import KINDS
from stanchion_server.costs.advice.records import ZERO, CallFact, Finding, Idle, ModelName, Replicas, Served, Tariff
from stanchion_server.costs.advice.together import Bill, Cached, Change, Standing
from stanchion_server.costs.breakdown import Amounts
from stanchion_server.costs.caching import sweep
from stanchion_server.kernel.errors import SenderError
from stanchion_server.reports import costs, savings_caches, savings_told
from stanchion_server.reports.costs import CostQuery
from stanchion_server.reports.savings_scaled import Months

MOST_FEATURES = 30
MONTH_DAYS = Decimal(30)
_TOO_MUCH = ("too_many_rows", "query_too_slow")


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look knows of single calls. `older_tokens` and `cached.places` are by place among `calls`; `cache` is what
    the report keeps of caches. `months` scales the calls to a month, `hosted_ratios` by feature what its work on own
    cards cost in the same time."""

    project_id: int
    calls: Sequence[CallFact]
    tariffs: Mapping[ModelName, Tariff | None]
    older_tokens: Mapping[int, int]
    cached: savings_caches.Cached
    cache: Mapping[str, Any]
    hosted: Sequence[Hosted]
    months: Months
    hosted_ratios: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class _Caches:
    """Of one feature, by kind of finding: which of all calls are served, and what a person is told of it."""

    cached: Mapping[str, Cached]
    changes: Sequence[Change]


def by_feature(
    looked: Looked, findings: Sequence[Finding], start: datetime, end: datetime
) -> list[dict[str, Any]] | None:
    """The MOST_FEATURES dearest, dearest first; None where what they cost is too much to read."""
    spent = _spent(looked.project_id, start, end)
    if spent is None:
        return None
    places: dict[str, list[int]] = defaultdict(list)
    for place, call in enumerate(looked.calls):
        places[call.feature].append(place)
    bills = {feature: _bill(looked, places[feature], feature, findings, spent[feature]) for feature in spent}
    ranked = sorted((name for name in bills if bills[name].usd > 0), key=lambda name: (-bills[name].usd, name))
    return [_told(looked, places[name], name, bills[name], findings, spent[name]) for name in ranked[:MOST_FEATURES]]


def _spent(project_id: int, start: datetime, end: datetime) -> dict[str, Amounts] | None:
    """As the cost explorer tells it. By steps, as then no single call is read."""
    try:
        found = costs.explore(project_id, CostQuery(start, end, ("feature",), "week", limit=costs.MOST_GROUPS))
    except SenderError as error:
        if error.code not in _TOO_MUCH:
            raise
        return None
    sums: dict[str, Amounts] = {}
    for row in found.rows:
        feature = row.group.get("feature")
        if row.kind == breakdown.USE and feature is not None:
            sums[feature] = sums.get(feature, breakdown.NOTHING).plus(row.amounts)
    return sums


def _bill(looked: Looked, places: Sequence[int], feature: str, findings: Sequence[Finding], spent: Amounts) -> Bill:
    """Without caches, which are read for the dearest features alone."""
    numbers = {place: number for number, place in enumerate(places)}
    calls = tuple(looked.calls[place] for place in places)
    ratio, hosted_ratio = looked.months.of_feature(feature), looked.hosted_ratios.get(feature, Decimal(1))
    priced = sum((call.usd or ZERO for call in calls), ZERO) * ratio
    return Bill(
        calls=calls, tariffs=looked.tariffs, month_ratio=ratio,
        # Rollups may lag behind the calls by some seconds.
        api_usd=max((spent.api_usd or ZERO) * _ratio(looked.months.days), priced),
        gpu_usd=(spent.gpu_usd or ZERO) * hosted_ratio,
        energy_usd=(spent.energy_usd or ZERO) * hosted_ratio,
        older_tokens={numbers[one]: looked.older_tokens[one] for one in places if one in looked.older_tokens},
        standing=_standing(looked.hosted, feature, findings),
    )  # fmt: skip


def _ratio(days: float) -> Decimal:
    return MONTH_DAYS / Decimal(repr(days))


def _standing(hosted: Sequence[Hosted], feature: str, findings: Sequence[Finding]) -> dict[str, Standing]:
    effects = [one.effect for one in findings if one.page == "hosting"]
    fewer = {one.deployment: one for one in effects if isinstance(one, Replicas)}
    stops = {one.deployment: one.usd for one in effects if isinstance(one, Idle)}
    found = {}
    for one in hosted:
        # At least a day, as with all else that is told by the month: an hour says nothing of 720.
        ratio = one.shares.get(feature, ZERO) * _ratio(max(1.0, one.days))
        less = fewer.get(one.name)
        if ratio:
            found[one.name] = Standing(
                one.idle_usd * ratio, less.usd * ratio if less else ZERO, stops.get(one.name, ZERO) * ratio,
                Decimal(less.needed) / less.count if less else Decimal(1),
            )  # fmt: skip
    return found


def _caches(looked: Looked, places: Sequence[int], feature: str) -> _Caches:
    """As the page tells them: at the threshold that people's verdicts propose, without what wrong answers saved, and
    not at all where too many are wrong."""
    told = savings_told.told(looked.project_id, {"cache": looked.cache, "days": looked.months.days}, feature)
    numbers = {place: number for number, place in enumerate(places)}
    cached, changes = {}, []
    for one in told.findings:
        assert told.cache is not None
        place = _setting_of(told.cache, one["kind"])
        setting = told.cache.settings[place]
        asked = (looked.cached.places[int(row)] for row in looked.cached.served[place].asked)
        upkeep, saved = Decimal(setting.row["upkeep_usd"]), Decimal(setting.row["saved_usd"])
        left = ZERO if setting.right_usd is None else saved - upkeep - setting.right_usd
        cached[one["kind"]] = Cached(
            tuple(numbers[call] for call in asked if call in numbers), upkeep, float(left / saved) if saved else 0.0
        )
        changes.append(Change(one["id"], one["kind"], one["subject"], one["confidence"], Served()))
    return _Caches(cached, changes)


def _setting_of(cache: savings_told.Cache, kind: str) -> int:
    if kind == "exact_cache":
        return sweep.SETTINGS.index(sweep.EXACT)
    proposed = [place for place, setting in enumerate(cache.settings) if setting.is_proposed]
    return proposed[0] if proposed else sweep.SETTINGS.index(sweep.DEFAULT)


def _told(
    looked: Looked, places: Sequence[int], feature: str, bill: Bill, findings: Sequence[Finding], spent: Amounts
) -> dict[str, Any]:
    """Halved twice: what the cost explorer has in the feature's row, and that with its part of idle time."""
    caches = _caches(looked, places, feature)
    changes = [*together.changes_of(findings, feature), *caches.changes]
    whole = replace(bill, cached=caches.cached)
    own = replace(whole, standing={})
    return {
        "feature": feature, "calls": len(bill.calls), "spent_usd": _text(spent.usd or ZERO), "usd": _text(own.usd),
        "api_usd": _text(bill.api_usd), "gpu_usd": _text(bill.gpu_usd), "energy_usd": _text(bill.energy_usd),
        "idle_usd": _text(bill.idle_usd),
        "not_combined": sorted({
            KINDS[one.kind][0] for one in findings if one.effect is None and feature in (one.feature, *one.shares)
        }),
        "halving": _plan(halving.plan(own, changes)),
        "halving_with_idle": _plan(halving.plan(whole, changes)) if bill.idle_usd else None,
    }  # fmt: skip


def _plan(plan: halving.Plan | None) -> dict[str, Any] | None:
    if plan is None:
        return None
    return {
        "usd": _text(plan.usd), "is_half": plan.is_half, "left_usd": _text(plan.left_usd),
        "saved_ratio": float(plan.saved_ratio), "left_out": plan.left_out,
        "steps": [_step(step) for step in plan.steps],
    }  # fmt: skip


def _step(step: halving.Step) -> dict[str, Any]:
    change = step.change
    return {
        "id": change.id, "kind": change.kind, "title": KINDS[change.kind][0], "subject": change.subject,
        "confidence": change.confidence, "alone_usd": _text(step.alone_usd), "usd": _text(step.usd),
        "left_usd": _text(step.left_usd),
    }  # fmt: skip


def _text(usd: Decimal) -> str:
    return str(round(usd, 6))
