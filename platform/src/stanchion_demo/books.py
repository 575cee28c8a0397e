"""The shop's bookkeeping: what it may spend, what providers allow it, and what one of them billed. Pure.

All of it follows from the story, so that amounts fit whatever day of the month the demo is started on. List prices are
those of genai-prices 0.0.71 (November 2026), in US dollars per million tokens.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from stanchion_demo import cards, catalogue, storyline
from stanchion_demo.steps import Conversation, Embedding, ModelCall, Usage
from stanchion_demo.storyline import HISTORY_DAYS, Story
from stanchion_demo.words import tokens

DAY = timedelta(days=1)
MILLION = Decimal(1_000_000)
_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Price:
    """Dollars per million tokens: fresh, read from the cache, written into it, and answered."""

    fresh: Decimal
    cached: Decimal
    written: Decimal
    output: Decimal

    def of(self, usage: Usage) -> Decimal:
        parts = (
            (usage.fresh_tokens, self.fresh), (usage.cached_tokens, self.cached), (usage.written_tokens, self.written),
            (usage.output_tokens, self.output),
        )  # fmt: skip
        return sum((count * price for count, price in parts), Decimal(0)) / MILLION


def _price(fresh: str, cached: str, output: str, written: str = "0") -> Price:
    return Price(Decimal(fresh), Decimal(cached), Decimal(written), Decimal(output))


PRICES = {
    "gpt-4.1": _price("2", "0.5", "8"),
    "gpt-4o-mini": _price("0.15", "0.075", "0.6"),
    "gpt-5-mini": _price("0.25", "0.025", "2"),
    "text-embedding-3-small": _price("0.02", "0.02", "0"),
    "claude-sonnet-4-5": _price("3", "0.3", "15", "3.75"),
    "claude-haiku-4-5": _price("1", "0.1", "5", "1.25"),
    "gemini-2.5-flash": _price("0.3", "0.03", "2.5"),
    "mistral-small-latest": _price("0.1", "0.1", "0.3"),
}
"""Of every model that a provider bills; the shop's own is not among them."""
CARDS_USD_A_DAY = Decimal("0.38") * 24 * len(cards.CARDS)

LIMITS: tuple[dict[str, Any], ...] = (
    {"provider": "gcp.gemini", "model": "gemini-2.5-flash", "rpm": 24, "input_tpm": 4_000, "concurrency": 10},
    {"provider": "anthropic", "model": "claude-sonnet-4-5", "rpm": 50, "input_tpm": 60_000, "output_tpm": 8_000},
    {"provider": "openai", "rps": 10, "rpm": 60, "input_tpm": 200_000, "output_tpm": 10_000, "concurrency": 20},
)
"""Made up, for a small customer. The catalogue import grows towards the first, by a request a minute each day."""

BILLED_DAYS = 7
DEARER, DEARER_BY = "gpt-4.1", Decimal("1.25")
UNSEEN = ("gpt-4.1-nano", 1_200_000, 90_000, Decimal("0.156"))
_UNSEEN_DAY, _LEFT_OUT_DAY = 2, 4


def budgets(story: Story) -> tuple[dict[str, Any], ...]:
    """Bodies of requests. The first is nearly spent and, unless the month is about to end, will not last; the second
    is ample; the third is overrun and stops guard checks of staging."""
    month = story.anchor.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    spent = [(conversation, usd_of(conversation)) for conversation in storyline.history(story)]
    tickets = [(each.at, usd) for each, usd in spent if each.app is catalogue.SUMMARIES]
    staging = [(each.at, usd) for each, usd in spent if each.environment == "staging"]
    near = max(_sum(tickets, month) * Decimal("1.12"), _sum(tickets) / HISTORY_DAYS / 2)
    overrun = max(_sum(staging, month) * Decimal("0.6"), _sum(staging) / HISTORY_DAYS / 20)
    ample = (sum((usd for _each, usd in spent), _ZERO) / HISTORY_DAYS + CARDS_USD_A_DAY) * 60
    return (
        {"name": "Ticket summaries", "scope": "feature", "scope_value": catalogue.SUMMARIES.feature,
         "limit_usd": _cents(near), "owner": "Jonas Brandt, back office", "notify_percents": [80, 100]},
        {"name": "Everything", "scope": "project", "limit_usd": _cents(ample), "owner": "Mira Olsen, finance"},
        {"name": "Staging", "scope": "environment", "scope_value": "staging", "limit_usd": _cents(overrun),
         "owner": "Ines Duarte, platform", "notify_percents": [100], "is_hard_stop": True},
    )  # fmt: skip


def _sum(spent: Sequence[tuple[datetime, Decimal]], since: datetime | None = None) -> Decimal:
    return sum((usd for at, usd in spent if since is None or at >= since), _ZERO)


def _cents(usd: Decimal) -> str:
    return str(max(Decimal("0.01"), usd.quantize(Decimal("0.01"))))


def usd_of(conversation: Conversation) -> Decimal:
    """By the list; the shop's own model costs nothing here."""
    return sum(
        (PRICES[model].of(usage) for _at, _provider, model, usage in uses(conversation) if model in PRICES), _ZERO
    )


def uses(conversation: Conversation) -> Iterator[tuple[datetime, str, str, Usage]]:
    """Provider, model and tokens of every call that was answered, and when it began."""
    at = conversation.at
    for turn in conversation.turns:
        at += timedelta(seconds=turn.pause_s)
        for step in turn.steps:
            if isinstance(step, ModelCall) and not step.failure:
                yield at, step.provider, step.model, step.usage
            elif isinstance(step, Embedding):
                yield at, "openai", step.model, Usage(sum(tokens(text) for text in step.texts), 0)
            at += timedelta(seconds=step.latency_s)


def first_billed_day(story: Story) -> date:
    return story.anchor.astimezone(UTC).date() - BILLED_DAYS * DAY


def bill(story: Story) -> str:
    """OpenAI's invoice of the last seven complete days as CSV. Another price than the list's for one model, a model of
    which nothing was recorded, and a day that is not on it are planted."""
    first = first_billed_day(story)
    usages: dict[tuple[date, str], list[Usage]] = defaultdict(list)
    for conversation in storyline.history(story):
        for at, provider, model, usage in uses(conversation):
            if provider == "openai" and model in PRICES:
                usages[at.astimezone(UTC).date(), model].append(usage)
    days = [first + place * DAY for place in range(BILLED_DAYS) if place != _LEFT_OUT_DAY]
    rows = [_row(day, model, used) for (day, model), used in sorted(usages.items()) if day in days]
    model, inputs, outputs, usd = UNSEEN
    rows.append(f"{first + _UNSEEN_DAY * DAY},{model},{usd},{inputs},0,{outputs}")
    return "\n".join(["day,model,usd,input_tokens,cached_input_tokens,output_tokens", *rows, ""])


def _row(day: date, model: str, used: list[Usage]) -> str:
    usd = sum((PRICES[model].of(one) for one in used), _ZERO) * (DEARER_BY if model == DEARER else 1)
    inputs, cached = sum(one.input_tokens for one in used), sum(one.cached_tokens for one in used)
    return f"{day},{model},{usd:.6f},{inputs},{cached},{sum(one.output_tokens for one in used)}"
