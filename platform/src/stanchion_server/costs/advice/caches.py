"""What replayed caches of answers come to. `caching` does the replaying."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from stanchion_server.costs.advice.records import ZERO, Finding
from stanchion_server.costs.caching.embedding import LONGEST
from stanchion_server.costs.caching.sweep import DEFAULT, EXACT, Worth

SAMPLED_PAIRS = 20


@dataclass(frozen=True, slots=True)
class Looked:
    """All calls of the time looked at: those that a cache was asked about, and what all of them cost. `embedder` is
    what texts are compared by, `weakness` what it cannot see."""

    worths: tuple[Worth, ...]
    questions: int
    calls: int
    spend_usd: Decimal
    embedder: str
    weakness: str


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
        kind=kind, feature="", subject="", usd=worth.net_usd, spend_usd=looked.spend_usd, seconds=worth.net_s,
        calls=outcome.hits, confidence="medium" if kind == "exact_cache" else "low",
        assumptions=(*(_EQUAL if kind == "exact_cache" else _like(looked)), *_SHARED),
        figures=(
            ("Would have been served", f"{outcome.hits:,} of {outcome.lookups:,} questions"),
            ("of them with the very same words", f"{outcome.equal_hits:,}"),
            ("Upkeep taken off (look-ups, embeddings)", f"${worth.upkeep_usd:.4f}"),
            ("Served calls without a known price", f"{outcome.unpriced_hits:,}"),
            ("Calls whose question is not recorded as text", f"{looked.calls - looked.questions:,}"),
        ),
    )  # fmt: skip


_EQUAL = (
    "Only the same words, instructions and earlier turns count as the same question; case and blanks do not matter.",
)
_SHARED = (
    "The newest 10,000 answers are kept, each for 7 days; models serve each other's answers within a feature.",
    "An answer may be the one of somebody else: questions about a person's own things must be kept out of a cache.",
    "Which calls would have been served is not listed: the link leads to all calls of the time looked at.",
)


def _like(looked: Looked) -> tuple[str, ...]:
    return (
        f"Questions are compared by {looked.embedder}; a cosine of 0.90 is served. {looked.weakness}",
        f"What follows a question's first {LONGEST:,} characters, its instructions and earlier turns must be equal.",
        "Some of these answers would be wrong. How many is not known until people read the pairs below.",
        "Includes what the exact cache saves.",
    )


def sampled(similarities: Sequence[float], is_equal: Sequence[bool]) -> list[int]:
    """Places of hits for people to read: of those that are not equal, spread evenly from the least alike on."""
    unequal = [place for place, equal in enumerate(is_equal) if not equal]
    unequal.sort(key=lambda place: (similarities[place], place))
    if len(unequal) <= SAMPLED_PAIRS:
        return unequal
    return [unequal[place * (len(unequal) - 1) // (SAMPLED_PAIRS - 1)] for place in range(SAMPLED_PAIRS)]
