"""What replayed caches of answers come to. `caching` does the replaying."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from stanchion_server.costs.advice.records import ZERO, Finding, Served
from stanchion_server.costs.caching.embedding import LONGEST
from stanchion_server.costs.caching.sweep import DEFAULT, DEFAULT_THRESHOLD, EXACT, Worth

KINDS = ("exact_cache", "semantic_cache")


@dataclass(frozen=True, slots=True)
class Looked:
    """All calls of the time looked at: those that a cache was asked about, and what all of them cost. `embedder` is
    what texts are compared by, `weakness` what it cannot see. `feature` is None for all features together."""

    worths: tuple[Worth, ...]
    questions: int
    calls: int
    spend_usd: Decimal
    embedder: str
    weakness: str
    feature: str | None = None


def find(looked: Looked) -> list[Finding]:
    """Caches that are worth their upkeep: of equal questions, and of like ones where these bring more."""
    by_setting = {worth.outcome.setting: worth for worth in looked.worths}
    equal, like = by_setting[EXACT], by_setting[DEFAULT]
    found = [_finding("exact_cache", equal, looked)] if equal.net_usd > 0 else []
    if like.net_usd > max(equal.net_usd, ZERO) and like.outcome.hits > like.outcome.equal_hits:
        found.append(_finding("semantic_cache", like, looked))
    return found


def _finding(kind: str, worth: Worth, looked: Looked) -> Finding:
    outcome = worth.outcome
    return Finding(
        kind=kind, feature=looked.feature or "",
        subject="" if kind == "exact_cache" else f"cosine {DEFAULT_THRESHOLD:.2f}",
        usd=worth.net_usd, spend_usd=looked.spend_usd, seconds=worth.net_s,
        calls=outcome.hits, effect=Served(), confidence="medium" if kind == "exact_cache" else "low",
        assumptions=(*(_EQUAL if kind == "exact_cache" else _like(looked)), *_SHARED),
        figures=(
            ("Would have been served", f"{outcome.hits:,} of {outcome.lookups:,} questions"),
            ("of them with the very same words", f"{outcome.equal_hits:,}"),
            ("Upkeep taken off (look-ups, embeddings)", f"${worth.upkeep_usd:.4f}"),
            ("Served calls without a known price", f"{outcome.unpriced_hits:,}"),
            ("Calls whose question is not recorded as text", f"{looked.calls - looked.questions:,}"),
        ),
        where={} if looked.feature is None else {"feature": looked.feature or "(none)"},
    )  # fmt: skip


_EQUAL = (
    "Only the same words, instructions and earlier turns count as the same question; case and blanks do not matter.",
)
_SHARED = (
    "The newest 10,000 answers are kept, each for 7 days; models serve each other's answers within a feature.",
    "An answer may be the one of somebody else: questions about a person's own things must be kept out of a cache.",
    "Which calls would have been served is not listed: the link leads to all calls that were looked at.",
)


NOT_JUDGED = "Some of these answers would be wrong. How many is not known until people judge the pairs below."


def _like(looked: Looked) -> tuple[str, ...]:
    return (
        f"Questions are compared by {looked.embedder}. {looked.weakness}",
        f"What follows a question's first {LONGEST:,} characters, its instructions and earlier turns must be equal.",
        NOT_JUDGED,
        "Includes what the exact cache saves.",
    )
