"""What a call costs, and how we know. Pure: the price book comes in, the cost with its reason goes out.

Token counts are inclusive (`ingest.records`): cached and cache-write tokens belong to the input, reasoning tokens
to the output. An unknown price or count is never zero: the cost is None, `rule` is a code for what is missing and
`reason` a sentence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from stanchion_server.costs import price_list, serving
from stanchion_server.costs.price_list import Listed, Rates
from stanchion_server.costs.serving import Ran, Version
from stanchion_server.ingest.records import HOSTED_PRICE, CallCost, CostConfidence, SpanKind, TokenSource
from stanchion_server.kernel import money

_MILLION = Decimal(1_000_000)
_ZERO = Decimal(0)
ROLLUP_FALLBACK = "rollup_fallback"


class Priceable(Protocol):
    """What of a call its price depends on; `CallRecord` and the stored call both have it."""

    @property
    def kind(self) -> int: ...
    @property
    def start_time(self) -> datetime: ...
    @property
    def provider(self) -> str: ...
    @property
    def request_model(self) -> str: ...
    @property
    def response_model(self) -> str: ...
    @property
    def service_tier(self) -> str: ...
    @property
    def token_source(self) -> str | None: ...
    @property
    def tokens_ambiguous(self) -> bool: ...
    @property
    def input_tokens(self) -> int | None: ...
    @property
    def output_tokens(self) -> int | None: ...
    @property
    def cached_input_tokens(self) -> int | None: ...
    @property
    def cache_write_tokens(self) -> int | None: ...
    @property
    def cache_write_1h_tokens(self) -> int | None: ...
    @property
    def reasoning_tokens(self) -> int | None: ...
    @property
    def audio_input_tokens(self) -> int | None: ...
    @property
    def audio_output_tokens(self) -> int | None: ...


SMALLEST_CACHED_PROMPT_TOKENS = 1024
"""Providers cache no shorter prompt: the guides "Prompt caching" of OpenAI and Anthropic, 1,024 tokens, more for some
models."""


@dataclass(frozen=True, slots=True)
class Override:
    """What a project pays for a model from a date on, in US dollars per million tokens; None is charged like the
    bucket that contains it. An empty `provider` is any provider."""

    override_id: int
    provider: str
    model: str
    effective_from: datetime
    input_usd_per_mtok: Decimal
    output_usd_per_mtok: Decimal
    cached_input_usd_per_mtok: Decimal | None = None
    cache_write_usd_per_mtok: Decimal | None = None
    cache_write_1h_usd_per_mtok: Decimal | None = None
    reasoning_usd_per_mtok: Decimal | None = None
    request_usd: Decimal = _ZERO


@dataclass(frozen=True, slots=True)
class PriceBook:
    """A project's own prices, over the public list. `overrides` maps a lower-case model name to its overrides, newest
    first; `hosted` are all versions of its deployments, whose calls are paid by the hour."""

    overrides: Mapping[str, tuple[Override, ...]] = field(default_factory=dict)
    hosted: tuple[Version, ...] = ()

    @staticmethod
    def of(overrides: list[Override], hosted: Iterable[Version] = ()) -> PriceBook:
        by_model: dict[str, list[Override]] = {}
        for override in sorted(overrides, key=lambda o: (o.effective_from, o.override_id), reverse=True):
            by_model.setdefault(override.model.lower(), []).append(override)
        return PriceBook({model: tuple(found) for model, found in by_model.items()}, tuple(hosted))

    def override_for(self, provider: str, model: str, at: datetime) -> Override | None:
        if not self.overrides:
            return None
        for override in self.overrides.get(model.lower(), ()):
            if override.effective_from <= at and override.provider.lower() in ("", provider.lower()):
                return override
        return None


def charge(call: Priceable, ran: Ran, book: PriceBook) -> CallCost:
    """What the call adds to the bill: nothing where a deployment in force at its time served it, whose hours are paid
    for, else its price."""
    if book.hosted:
        server = serving.served_by(serving.in_force(book.hosted, call.start_time), ran)
        if server is not None:
            return CallCost(_ZERO, HOSTED_PRICE + server.name, "self_hosted", CostConfidence.HIGH, "")
    return price(call, book)


def price(call: Priceable, book: PriceBook) -> CallCost:
    """The price of one call at its own time, by its tokens."""
    if call.input_tokens is None and call.output_tokens is None:
        return _unknown("no_tokens", "The client reported no token counts for this call.")
    listed = _listed(call, book)
    if listed is None:
        return _no_price(call)
    problem = _problem(call, listed)
    if problem is not None:
        return problem
    rates = listed.at(call.input_tokens or 0)
    amount = _amount(call, rates)
    if not money.is_plausible_usd(amount):
        return _unknown("implausible_tokens", "The token counts give an amount that no call can cost.", listed.price)
    return CallCost(money.usd(amount), listed.price, _rule(call, listed, rates), _confidence(call, listed, rates), "")


def _listed(call: Priceable, book: PriceBook) -> Listed | None:
    """The response model is what was served, so it is asked first; the request model where that name has no price."""
    models = [model for model in (call.response_model, call.request_model) if model]
    for model in models:
        override = book.override_for(call.provider, model, call.start_time)
        if override is not None:
            return _from_override(override)
    for model in models:
        listed = price_list.look_up(call.provider, model, call.start_time, call.service_tier)
        if listed is not None:
            return listed if model is models[0] else replace(listed, is_exact=False)
    return None


def _from_override(override: Override) -> Listed:
    fresh, output = override.input_usd_per_mtok / _MILLION, override.output_usd_per_mtok / _MILLION

    def rate(value: Decimal | None, instead: Decimal) -> Decimal:
        return instead if value is None else value / _MILLION

    write = rate(override.cache_write_usd_per_mtok, fresh)
    rates = Rates(
        input=fresh,
        output=output,
        cached_input=rate(override.cached_input_usd_per_mtok, fresh),
        cache_write=write,
        cache_write_1h=rate(override.cache_write_1h_usd_per_mtok, write),
        reasoning=rate(override.reasoning_usd_per_mtok, output),
        audio_input=fresh,
        audio_output=output,
        request=override.request_usd,
    )
    return Listed(f"override {override.override_id}", rates, (), is_exact=True, is_tier_priced=True)


def _problem(call: Priceable, listed: Listed) -> CallCost | None:
    """Why these tokens cannot be charged at this price, if they cannot."""
    if call.input_tokens is None:
        return _unknown("no_input_tokens", "The client reported output tokens but no input tokens.", listed.price)
    if call.output_tokens is None and call.kind not in (SpanKind.EMBEDDING, SpanKind.RERANKER):
        return _unknown("no_output_tokens", "The client reported input tokens but no output tokens.", listed.price)
    if min(call.input_tokens, call.output_tokens or 0) < 0:
        return _unknown("negative_tokens", "The client reported a negative token count.", listed.price)
    if listed.rates.input is None or (listed.rates.output is None and call.output_tokens and _generates(call)):
        return _unknown("not_priced_by_token", "The price list charges this model by another unit.", listed.price)
    return None


def _generates(call: Priceable) -> bool:
    return call.kind not in (SpanKind.EMBEDDING, SpanKind.RERANKER)


def _amount(call: Priceable, rates: Rates) -> Decimal:
    """Each token once: a bucket never takes more than what is left of the count that contains it."""
    left = call.input_tokens or 0
    amount = rates.request
    cached = min(call.cached_input_tokens or 0, left)
    left -= cached
    written = min(call.cache_write_tokens or 0, left)
    left -= written
    written_1h = min(call.cache_write_1h_tokens or 0, written)
    audio = min(call.audio_input_tokens or 0, left)
    amount += cached * rates.cached_input + (written - written_1h) * rates.cache_write
    if written_1h:
        amount += written_1h * rates.cache_write_1h
    amount += audio * rates.audio_input + (left - audio) * (rates.input or _ZERO)
    return amount + _output_amount(call, rates)


def _output_amount(call: Priceable, rates: Rates) -> Decimal:
    left = call.output_tokens or 0
    if not left or rates.output is None:
        return _ZERO
    reasoning = min(call.reasoning_tokens or 0, left)
    audio = min(call.audio_output_tokens or 0, left - reasoning)
    return reasoning * rates.reasoning + audio * rates.audio_output + (left - reasoning - audio) * rates.output


def _rule(call: Priceable, listed: Listed, rates: Rates) -> str:
    """Names joined by `+`: how the tokens were counted."""
    names = []
    if call.cached_input_tokens or call.cache_write_tokens:
        names.append("cached_input_included")
    if _exceeds(call):
        names.append("cached_input_capped")
    if call.cache_write_1h_tokens:
        names.append("cache_write_1h" if rates.has_1h_price else "cache_write_1h_priced_as_5m")
    if call.cached_input_tokens and not rates.has_cache_price:
        names.append("cached_priced_as_input")
    if _cache_is_untold(call, rates):
        names.append("cached_input_unreported")
    if listed.tiers and rates is not listed.rates:
        names.append("long_context_tier")
    if not listed.is_tier_priced:
        names.append("service_tier_unpriced")
    if not _generates(call):
        names.append("input_only")
    return "+".join(names) or "input_and_output"


def _cache_is_untold(call: Priceable, rates: Rates) -> bool:
    """Whether part of the input may have been cheaper than charged: some clients leave cached tokens out."""
    is_long_enough = (call.input_tokens or 0) >= SMALLEST_CACHED_PROMPT_TOKENS
    is_cheaper = rates.input is not None and rates.cached_input < rates.input
    return is_long_enough and is_cheaper and call.cached_input_tokens is None and _generates(call)


def _exceeds(call: Priceable) -> bool:
    return (call.cached_input_tokens or 0) + (call.cache_write_tokens or 0) > (call.input_tokens or 0)


def _confidence(call: Priceable, listed: Listed, rates: Rates) -> CostConfidence:
    if call.tokens_ambiguous or call.token_source in (TokenSource.ESTIMATED, TokenSource.TOKENIZER) or _exceeds(call):
        return CostConfidence.LOW
    if not listed.is_tier_priced:  # half or twice as much, as likely as not
        return CostConfidence.LOW
    unnamed = (call.cache_write_1h_tokens and not rates.has_1h_price) or (
        call.cached_input_tokens and not rates.has_cache_price
    )
    is_open = unnamed or _cache_is_untold(call, rates) or not listed.is_exact
    return CostConfidence.MEDIUM if is_open else CostConfidence.HIGH


def _no_price(call: Priceable) -> CallCost:
    model = call.response_model or call.request_model
    if not model:
        return _unknown("no_model", "The client reported tokens but no model.")
    where = f"{call.provider}/{model}" if call.provider else model
    return _unknown("no_price", f"No price is known for {where}. Add one under Prices, then re-price.")


def _unknown(code: str, sentence: str, found: str = "") -> CallCost:
    return CallCost(None, found, code, CostConfidence.LOW, sentence)
