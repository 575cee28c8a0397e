"""The settings that are replayed, and what each is worth once its upkeep is paid. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal

from stanchion_server.costs.caching.records import Outcome, Setting

DEFAULT_THRESHOLD = 0.90
THRESHOLDS = (0.80, 0.85, 0.88, 0.90, 0.92, 0.94, 0.96, 0.98)
HOUR_S, DAY_S = 3_600.0, 86_400.0
DEFAULT_TTL_S = 7 * DAY_S
TTLS_S = (HOUR_S, 6 * HOUR_S, DAY_S, 3 * DAY_S, DEFAULT_TTL_S, None)
CAPACITY = 10_000
SMALL_CAPACITY = 1_000

DEFAULT = Setting(DEFAULT_THRESHOLD, DEFAULT_TTL_S, CAPACITY)
EXACT = Setting(None, DEFAULT_TTL_S, CAPACITY)
PER_MODEL = Setting(DEFAULT_THRESHOLD, DEFAULT_TTL_S, CAPACITY, is_shared=False)
SETTINGS = tuple(
    dict.fromkeys((
        DEFAULT, EXACT, PER_MODEL,
        Setting(None, DEFAULT_TTL_S, CAPACITY, is_shared=False),
        *(Setting(threshold, DEFAULT_TTL_S, CAPACITY) for threshold in THRESHOLDS),
        *(Setting(DEFAULT_THRESHOLD, ttl_s, CAPACITY) for ttl_s in TTLS_S),
        Setting(DEFAULT_THRESHOLD, DEFAULT_TTL_S, SMALL_CAPACITY),
    ))
)  # fmt: skip
JUDGED = tuple(SETTINGS.index(Setting(threshold, DEFAULT_TTL_S, CAPACITY)) for threshold in THRESHOLDS)
"""Places of the settings whose hits people judge: one for each threshold, all else as in DEFAULT."""

EMBEDDING_USD_PER_MTOK = Decimal("0.02")
"""text-embedding-3-small of OpenAI, its price list of 2026-11; a model of one's own costs compute instead."""
LOOKUP_USD = Decimal("0.0000005")
"""A read of a vector index: an assumption, 0.50 dollars a million."""
LOOKUP_S, EMBEDDING_S = 0.005, 0.02
"""Assumptions: what a call waits for the index, and for its embedding where texts are compared by meaning."""
CHARACTERS_PER_TOKEN = 4


@dataclass(frozen=True, slots=True)
class Worth:
    """Over the calls of the replay. `net_*` may be negative: then the cache costs more than it saves."""

    outcome: Outcome
    saved_usd: Decimal
    upkeep_usd: Decimal
    saved_s: float
    upkeep_s: float

    @property
    def net_usd(self) -> Decimal:
        return self.saved_usd - self.upkeep_usd

    @property
    def net_s(self) -> float:
        return self.saved_s - self.upkeep_s


def worth(outcome: Outcome, characters: int) -> Worth:
    """`characters` of all looked-up prompts together, at full length: each is embedded once, unless only equal texts
    are served."""
    is_semantic = outcome.setting.threshold is not None
    tokens = math.ceil(characters / CHARACTERS_PER_TOKEN) if is_semantic else 0
    return Worth(
        outcome=outcome,
        saved_usd=Decimal(repr(outcome.saved_usd)),
        upkeep_usd=outcome.lookups * LOOKUP_USD + tokens * EMBEDDING_USD_PER_MTOK / 1_000_000,
        saved_s=outcome.saved_s,
        upkeep_s=outcome.lookups * (LOOKUP_S + (EMBEDDING_S if is_semantic else 0.0)),
    )
