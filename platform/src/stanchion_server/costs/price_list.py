"""The public price list (genai-prices, offline) as plain rates per token.

The library takes 0.2 ms a call; a call's price depends only on provider, model, half hour and service tier, so that the
rates are resolved once and remembered. Its updater, which would go to the internet, is never started.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

_MILLION = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class Rates:
    """US dollars per token, every bucket filled in; None means that the list names no price for input or output at all.

    `has_1h_price` is False where a one-hour cache write costs what a five-minute one does, for want of a price of its
    own; `has_cache_price` is False where cached tokens are priced like fresh ones for the same reason.
    """

    input: Decimal | None
    output: Decimal | None
    cached_input: Decimal
    cache_write: Decimal
    cache_write_1h: Decimal
    reasoning: Decimal
    audio_input: Decimal
    audio_output: Decimal
    request: Decimal
    has_1h_price: bool = True
    has_cache_price: bool = True


@dataclass(frozen=True, slots=True)
class Listed:
    """The rates of one model at one time. `tiers` holds (tokens, rates), ascending: with more input tokens than that,
    the whole call is charged at those rates. `is_exact` is False when the model was found through an alias or a prefix,
    or when the service tier has no price of its own."""

    price: str
    rates: Rates
    tiers: tuple[tuple[int, Rates], ...]
    is_exact: bool
    is_tier_priced: bool

    def at(self, input_tokens: int) -> Rates:
        rates = self.rates
        for start, tier in self.tiers:
            if input_tokens > start:
                rates = tier
        return rates


# Our provider names (OTel GenAI) to the list's, where its own matching does not know them or knows them wrongly.
_PROVIDERS = {
    "azure.ai.openai": "azure",
    "azure.ai.inference": "azure",
    "azure": "azure",
    "aws.bedrock": "aws",
    "gcp.gemini": "google",
    "gcp.vertex_ai": "google",
    "gcp.gen_ai": "google",
    "x_ai": "x-ai",
    "mistral_ai": "mistral",
    "moonshot_ai": "moonshotai",
}
_DATE = re.compile(r"[-@:](20\d{2}-?\d{2}-?\d{2}|\d{4})$")
_BEDROCK = re.compile(
    r"^(?:arn:[^/]*/)?(?:(?:us|eu|apac|global|jp|au|us-gov)\.)?(?:anthropic|meta|amazon|cohere|mistral)\."
)
_BEDROCK_VERSION = re.compile(r"-v\d+(:\d+)?$")
_HOSTS = frozenset({
    "ollama", "vllm", "huggingface", "groq", "together", "fireworks", "ibm.watsonx.ai", "lm_studio", "lmstudio",
    "localai", "llamacpp", "llama_cpp", "llama.cpp", "sglang", "tgi", "nvidia_nim", "triton",
})  # fmt: skip
_STANDARD_TIERS = ("", "default", "auto", "standard", "on_demand")


@lru_cache(1)
def version() -> str:
    from importlib.metadata import version as installed

    return f"genai-prices {installed('genai-prices')}"


def look_up(provider: str, model: str, at: datetime, service_tier: str) -> Listed | None:
    """None when the list knows neither the model nor a name derived from it. Prices of the list change at most by the
    half hour, so `at` is rounded down to it."""
    slot = at.replace(minute=at.minute // 30 * 30, second=0, microsecond=0)
    return _look_up(provider, model, slot, service_tier)


@lru_cache(20_000)
def _look_up(provider: str, model: str, at: datetime, service_tier: str) -> Listed | None:
    found = _find(provider, model)
    if found is None:
        return None
    name, info, is_exact = found
    tier = "" if service_tier.lower() in _STANDARD_TIERS else service_tier.lower()
    prices = info.get_prices(at, _context(tier))
    is_tier_priced = not tier or prices != info.get_prices(at)
    starts = sorted({t.start for value in vars(prices).values() for t in getattr(value, "tiers", ())})
    return Listed(
        price=f"{version()} {name}{'@' + tier if tier and is_tier_priced else ''}",
        rates=_rates(prices, 0),
        tiers=tuple((start, _rates(prices, start + 1)) for start in starts),
        is_exact=is_exact and is_tier_priced,
        is_tier_priced=is_tier_priced,
    )


def _context(tier: str) -> dict[str, str] | None:
    if not tier:
        return None
    return {"processing": "batch"} if tier == "batch" else {"service_tier": tier}


@lru_cache(20_000)
def _find(provider: str, model: str) -> tuple[str, Any, bool] | None:
    from genai_prices import data_snapshot

    snapshot = data_snapshot.get_snapshot()
    for position, (listed_provider, name) in enumerate(_candidates(provider, model)):
        try:
            where, info = snapshot.find_provider_model(name, None, listed_provider, None)
        except LookupError:
            continue
        return f"{where.id}/{info.id}", info, position == 0
    return None


def _candidates(provider: str, model: str) -> list[tuple[str | None, str]]:
    """(provider of the list, model name) from the most to the least literal reading; the order is the promise."""
    own = _PROVIDERS.get(provider, provider) or None
    names = _names(model)
    pairs: list[tuple[str | None, str]] = [(own, name) for name in names]
    if "/" in model:
        prefix, _, rest = model.rpartition("/")
        vendor = prefix.rpartition("/")[2]
        if vendor not in ("models", "deployments"):
            pairs += [(_PROVIDERS.get(vendor, vendor), name) for name in _names(rest)]
    if not _is_priced_by_its_host(own):
        pairs += [(None, name) for name in names]
    return list(dict.fromkeys(pairs))


def _is_priced_by_its_host(provider: str | None) -> bool:
    """Open-weight and self-hosted models cost what their host asks: another host's price would be an invention."""
    return provider in _HOSTS


def _names(model: str) -> list[str]:
    name = model.strip().lower()
    names = [name]
    for shorter in (name.rpartition("/")[2], _BEDROCK.sub("", name), _BEDROCK_VERSION.sub("", _BEDROCK.sub("", name))):
        names += [shorter, _DATE.sub("", shorter)]
    return [text for text in dict.fromkeys(names) if text]


def _rates(prices: Any, input_tokens: int) -> Rates:
    def rate(key: str) -> Decimal | None:
        value = vars(prices).get(key)
        if hasattr(value, "tiers"):
            value = _tiered(value, input_tokens)
        return None if value is None else value / _MILLION

    fresh, output = rate("input_mtok"), rate("output_mtok")
    cached, write, write_1h = rate("cache_read_mtok"), rate("cache_write_mtok"), rate("cache_write_1h_mtok")
    requests = vars(prices).get("requests_kcount")
    zero = Decimal(0)
    filled = Rates(
        input=fresh,
        output=output,
        cached_input=_first(cached, fresh, zero),
        cache_write=_first(write, fresh, zero),
        cache_write_1h=_first(write_1h, write, fresh, zero),
        reasoning=_first(rate("output_reasoning_mtok"), output, zero),
        audio_input=_first(rate("input_audio_mtok"), fresh, zero),
        audio_output=_first(rate("output_audio_mtok"), output, zero),
        request=requests / 1000 if isinstance(requests, Decimal) else zero,
    )
    return replace(filled, has_1h_price=write_1h is not None, has_cache_price=cached is not None)


def _first(*values: Decimal | None) -> Decimal:
    return next(value for value in values if value is not None)


def _tiered(value: Any, input_tokens: int) -> Decimal:
    price: Decimal = value.base
    for tier in value.tiers:
        if input_tokens > tier.start:
            price = tier.price
    return price
