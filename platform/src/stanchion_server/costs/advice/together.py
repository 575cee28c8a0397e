"""What several changes do to the same calls: each call is priced once, with all of them in force.

So nothing is counted twice: an answer from a cache is not also shortened, and a hit is worth what the call would cost
at the cheaper model. What a set of changes saves does not depend on the order in which they are told.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_DOWN, Decimal

import numpy as np
from numpy.typing import NDArray

from stanchion_server.costs.advice.prefixes import CACHE_LIFETIME_S
from stanchion_server.costs.advice.records import (
    ZERO,
    Batch,
    CallFact,
    Cap,
    Confidence,
    Effect,
    Failures,
    Finding,
    History,
    Idle,
    ModelName,
    Prefix,
    Replicas,
    Served,
    Swap,
    Tariff,
)  # fmt: skip
from stanchion_server.costs.advice.waste import BATCH_PROVIDERS, BATCH_RATIO

Floats = NDArray[np.float64]
Truths = NDArray[np.bool_]
Numbers = NDArray[np.int64]
INPUT, OUTPUT, CACHED, WRITE = range(4)
_PLACES = 9
_STEP = Decimal(1).scaleb(-_PLACES)


@dataclass(frozen=True, slots=True)
class Change:
    """A finding, by its id, as something that can be done."""

    id: str
    kind: str
    subject: str
    confidence: Confidence
    effect: Effect


def changes_of(findings: Sequence[Finding], feature: str) -> list[Change]:
    """Those that touch the feature: its own, and what is about own cards and has a share for it. Caches are not among
    them: what people say of their answers is not in a finding."""
    return [
        Change(one.id, one.kind, one.subject, one.confidence, one.effect)
        for one in findings
        if one.effect is not None
        and not isinstance(one.effect, Served)
        and (feature in one.shares if isinstance(one.effect, Replicas | Idle) else one.feature == feature)
    ]


def clash(one: Change, other: Change) -> bool:
    """Two caches of answers are alternatives, and calls in a batch do not come soon after one another, so that the
    provider's cache of beginnings is nothing to count on."""
    effects = {type(one.effect), type(other.effect)}
    return effects == {Served} or effects == {Batch, Prefix}


@dataclass(frozen=True, slots=True)
class Cached:
    """Places of a bill's calls that a cache would have served, and what asking it costs. `paid_ratio` of what these
    calls cost is paid all the same: of answers that people found wrong nothing is saved."""

    places: tuple[int, ...]
    upkeep_usd: Decimal
    paid_ratio: float = 0.0


NOTHING_CACHED = Cached((), ZERO)


@dataclass(frozen=True, slots=True)
class Standing:
    """The feature's part, by its part of the work, of what a deployment costs without work, in a month: all of it, and
    what fewer instances and stopped hours save of it, each alone. `kept_ratio` of the instances stay."""

    idle_usd: Decimal
    replicas_usd: Decimal = ZERO
    stopped_usd: Decimal = ZERO
    kept_ratio: Decimal = Decimal(1)

    def left(self, *, with_fewer: bool, with_stops: bool) -> Decimal:
        saved = self.replicas_usd if with_fewer else ZERO
        if with_stops:
            saved += self.stopped_usd * (self.kept_ratio if with_fewer else 1)
        return max(ZERO, self.idle_usd - saved)


@dataclass(frozen=True, slots=True)
class Bill:
    """What a feature costs in a month. `calls` are those looked at, in order of time, in which a month is `month_ratio`
    times; `older_tokens` are those of old exchanges by the place of a call, `cached` the caches by kind of finding.
    `api_usd`, `gpu_usd` and `energy_usd` are all that the feature costs, whoever looked at which calls."""

    calls: tuple[CallFact, ...]
    tariffs: Mapping[ModelName, Tariff | None]
    month_ratio: Decimal
    api_usd: Decimal = ZERO
    gpu_usd: Decimal = ZERO
    energy_usd: Decimal = ZERO
    older_tokens: Mapping[int, int] = field(default_factory=dict)
    cached: Mapping[str, Cached] = field(default_factory=dict)
    standing: Mapping[str, Standing] = field(default_factory=dict)

    @property
    def idle_usd(self) -> Decimal:
        return sum((one.idle_usd for one in self.standing.values()), ZERO)

    @property
    def usd(self) -> Decimal:
        return self.api_usd + self.gpu_usd + self.energy_usd + self.idle_usd


class Together:
    """A bill that is asked again and again with other changes."""

    def __init__(self, bill: Bill) -> None:
        calls, models = bill.calls, _models(bill)
        self._bill, self._place = bill, {model: place for place, model in enumerate(models)}
        self._rates = np.array([_rates(bill.tariffs.get(model)) for model in models]).reshape(-1, 4)
        providers = sorted({model.provider for model in models})
        self._provider: Numbers = np.array([providers.index(model.provider) for model in models], dtype=np.int64)
        self._is_batched = np.array([model.provider in BATCH_PROVIDERS for model in models], dtype=bool)
        self._model: Numbers = np.array([self._place[call.model] for call in calls], dtype=np.int64)
        self._own: Floats = self._rates[self._model].T
        self._usd: Floats = np.array([float(call.usd or 0) for call in calls])
        self._at_s: Floats = np.array([call.start_time.timestamp() for call in calls])
        self._input = _tokens([call.input_tokens for call in calls])
        self._cached = np.minimum(_tokens([call.cached_input_tokens for call in calls]), self._input)
        self._output = _tokens([call.output_tokens for call in calls])
        self._older = np.minimum(_tokens([bill.older_tokens.get(place) for place in range(len(calls))]), self._input)
        self._is_failed = _which(calls, lambda call: call.is_failed)
        self._masks: dict[Change, Truths] = {}
        self._singles: dict[Change, Decimal] = {}

    def saved(self, changes: Collection[Change]) -> Decimal:
        """Dollars a month, at most what they save one by one: two changes that make each other worth more (an answer
        cut short, at a model with cheap prompts and dear answers) are not counted for it."""
        if not changes:
            return ZERO
        alone = sum((self._alone(one) for one in changes), ZERO)
        return alone if len(changes) == 1 else min(self._raw(changes), alone)

    def _alone(self, one: Change) -> Decimal:
        if one not in self._singles:
            self._singles[one] = self._raw([one])
        return self._singles[one]

    def _raw(self, changes: Collection[Change]) -> Decimal:
        after = min(self._usd_after(changes), float(self._usd.sum()))
        api = Decimal(repr(round(float(self._usd.sum()) - after, _PLACES))) * self._bill.month_ratio
        saved = min(max(ZERO, api), self._bill.api_usd) + self._stood_saved(changes)
        return saved.quantize(_STEP, ROUND_DOWN)

    def _stood_saved(self, changes: Collection[Change]) -> Decimal:
        fewer = {one.effect.deployment for one in changes if isinstance(one.effect, Replicas)}
        stops = {one.effect.deployment for one in changes if isinstance(one.effect, Idle)}
        standing = self._bill.standing
        left = (
            one.left(with_fewer=name in fewer, with_stops=name in stops) for name, one in standing.items()
        )  # fmt: skip
        return self._bill.idle_usd - sum(left, ZERO)

    def _usd_after(self, changes: Collection[Change]) -> float:
        fresh, cached, output = self._shorter(changes)
        model = self._model.copy()
        for one in changes:
            if isinstance(one.effect, Swap):
                model[self._mask(one)] = self._place[one.effect.to]
        usd = self._priced(fresh, cached, output, model)
        for one in changes:
            if isinstance(one.effect, Batch):
                usd = np.where(self._mask(one) & self._is_batched[model], usd * float(BATCH_RATIO), usd)
        is_made = np.ones(len(usd), dtype=bool)
        for one in changes:
            if isinstance(one.effect, Served | Failures):
                paid_ratio = self._cache(one).paid_ratio if isinstance(one.effect, Served) else 0.0
                usd = np.where(self._mask(one), usd * paid_ratio, usd)
                is_made &= ~self._mask(one)
        begun = sum(self._begun(one, is_made, model, cached, usd) for one in changes if isinstance(one.effect, Prefix))
        return float(usd.sum()) - begun + self._upkeep(changes)

    def _shorter(self, changes: Collection[Change]) -> tuple[Floats, Floats, Floats]:
        """Tokens by what they are paid for."""
        cached, fresh, output = self._cached.copy(), self._input - self._cached, self._output.copy()
        for one in changes:
            if isinstance(one.effect, History):
                of_cached = np.minimum(self._older, cached)
                cached, fresh = cached - of_cached, fresh - (self._older - of_cached)
            elif isinstance(one.effect, Cap):
                output = np.where(self._mask(one), np.minimum(output, one.effect.tokens), output)
        return fresh, cached, output

    def _priced(self, fresh: Floats, cached: Floats, output: Floats, model: Numbers) -> Floats:
        """A call that stays with its model costs what it did, less what is left out; one that goes costs its tokens at
        the other's price, where another provider's cache holds nothing."""
        less = (
            (self._input - self._cached - fresh) * self._own[INPUT]
            + (self._cached - cached) * self._own[CACHED]
            + (self._output - output) * self._own[OUTPUT]
        )
        usd: Floats = np.maximum(0.0, self._usd - less)
        gone = np.flatnonzero(model != self._model)
        if len(gone):
            to, own = model[gone], self._model[gone]
            rates = self._rates[to].T
            is_near = self._provider[to] == self._provider[own]
            cached_rate = np.where(is_near, rates[CACHED], rates[INPUT])
            usd[gone] = fresh[gone] * rates[INPUT] + cached[gone] * cached_rate + output[gone] * rates[OUTPUT]
        return usd

    def _begun(self, one: Change, is_made: Truths, model: Numbers, cached: Floats, usd: Floats) -> float:
        """As `prefixes.find` tells it, of the calls that are still made, at the model that they go to."""
        effect = one.effect
        assert isinstance(effect, Prefix)
        mine = self._mask(one) & is_made & (self._provider[model] == self._provider[self._place[effect.model]])
        if not mine.any():
            return 0.0
        rates = self._rates[model[mine]][0]
        warm = int((np.diff(self._at_s[mine]) <= CACHE_LIFETIME_S).sum())
        used = float(np.minimum(cached[mine], effect.tokens).sum())
        more = max(0.0, warm * effect.tokens - used)
        written = (int(mine.sum()) - warm) * effect.tokens * max(0.0, rates[WRITE] - rates[INPUT])
        return float(min(max(0.0, more * (rates[INPUT] - rates[CACHED]) - written), usd[mine].sum()))

    def _upkeep(self, changes: Collection[Change]) -> float:
        return float(sum((self._cache(one).upkeep_usd for one in changes if isinstance(one.effect, Served)), ZERO))

    def _cache(self, one: Change) -> Cached:
        return self._bill.cached.get(one.kind, NOTHING_CACHED)

    def _mask(self, one: Change) -> Truths:
        """The calls that a change touches."""
        if one not in self._masks:
            self._masks[one] = self._touched(one)
        return self._masks[one]

    def _touched(self, one: Change) -> Truths:
        if isinstance(one.effect, Served):
            found = np.zeros(len(self._usd), dtype=bool)
            found[list(self._cache(one).places)] = True
            return found
        if isinstance(one.effect, Failures):
            return self._is_failed
        return _which(self._bill.calls, _touches(one.effect, self._bill.tariffs)) & ~self._is_failed


def _touches(effect: Effect, tariffs: Mapping[ModelName, Tariff | None]) -> Callable[[CallFact], bool]:
    """Of calls that did not fail; the same ones as the finding counts."""
    match effect:
        case Swap(model=model):
            return lambda call: call.model == model and call.usd is not None and call.input_tokens is not None
        case Cap(prompt=prompt):
            return lambda call: call.prompt == prompt and tariffs.get(call.model) is not None
        case Prefix(model=model, prompt=prompt):
            return lambda call: call.model == model and call.prompt == prompt and bool(call.input_tokens)
        case Batch(service=service):
            return lambda call: call.service == service
    return lambda call: False


def _which(calls: Sequence[CallFact], is_one: Callable[[CallFact], bool]) -> Truths:
    return np.array([is_one(call) for call in calls], dtype=bool)


def _tokens(counts: Sequence[int | None]) -> Floats:
    return np.array([float(max(0, count or 0)) for count in counts])


def _models(bill: Bill) -> list[ModelName]:
    return sorted({call.model for call in bill.calls} | bill.tariffs.keys())


def _rates(tariff: Tariff | None) -> list[float]:
    """Nothing is known to be saved at a model without a price."""
    if tariff is None:
        return [0.0] * 4
    return [float(rate) for rate in (tariff.input_usd, tariff.output_usd, tariff.cached_usd, tariff.write_usd)]
