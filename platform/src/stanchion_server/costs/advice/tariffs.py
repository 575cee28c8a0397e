"""Prices per token, read off the price book by asking it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from stanchion_server.costs import pricing
from stanchion_server.costs.advice.records import ModelName, Tariff
from stanchion_server.costs.pricing import PriceBook
from stanchion_server.ingest.records import SpanKind, TokenSource

_TOKENS = 1_000
"""Few enough for the lowest tier of any price."""


@dataclass(frozen=True, slots=True)
class _Probe:
    """A call of so many tokens, to be priced."""

    provider: str
    response_model: str
    start_time: datetime
    input_tokens: int
    output_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    reasoning_tokens: int = 0
    audio_input_tokens: int = 0
    audio_output_tokens: int = 0
    kind: int = SpanKind.LLM
    request_model: str = ""
    service_tier: str = ""
    token_source: str = TokenSource.REPORTED
    tokens_ambiguous: bool = False


def of(model: ModelName, book: PriceBook, at: datetime) -> Tariff | None:
    """What a token of this model costs now; None where the price book does not know it. Prices per request, tiers of
    long prompts and of service are left out."""

    def usd(given: int, answered: int = 0, *, cached: int = 0, written: int = 0) -> Decimal | None:
        probe = _Probe(model.provider, model.name, at, given, answered, cached, written)
        return pricing.price(probe, book).usd

    nothing, fresh, answered = usd(0), usd(_TOKENS), usd(0, _TOKENS)
    cached, written = usd(_TOKENS, cached=_TOKENS), usd(_TOKENS, written=_TOKENS)
    if nothing is None or fresh is None or answered is None or cached is None or written is None:
        return None
    rates = [(amount - nothing) / _TOKENS for amount in (fresh, answered, cached, written)]
    return Tariff(*rates)
