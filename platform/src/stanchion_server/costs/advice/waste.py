"""Calls that fail, and calls that could wait."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from stanchion_server.costs.advice.records import ZERO, Batch, CallFact, Failures, Finding

BATCH_RATIO = Decimal("0.5")
BATCH_PROVIDERS = frozenset({"openai", "anthropic", "gcp.gemini"})
"""Whose batch interfaces charge half within 24 hours: Google (developers.googleblog.com, 2025-07-07), Anthropic (its
batch page as quoted in 2026), OpenAI (its forum); read 2026-11-26. Others may, too."""
FEWEST_CALLS = 20
MOST_WATCHED_RATIO = 0.05
"""Traffic counts as offline when at most this share of it has a user, a session, a stream or calls of tools."""


MOST_FAILING = 50
"""Features: a client may name one anew with every call."""


@dataclass(frozen=True, slots=True)
class Failing:
    """The features whose failed calls cost, or else took, most, and how much the others have."""

    findings: list[Finding]
    left_features: int = 0
    left_calls: int = 0
    left_usd: Decimal = ZERO


def failing(calls: Iterable[CallFact]) -> Failing:
    found = sorted(failures(calls), key=lambda one: (-one.usd, -(one.seconds or 0), one.feature))
    left = found[MOST_FAILING:]
    return Failing(
        found[:MOST_FAILING], len(left), sum(one.calls for one in left), sum((one.usd for one in left), ZERO)
    )


def failures(calls: Iterable[CallFact]) -> list[Finding]:
    """One for each feature with failed calls. Their dollars are often not known, as providers that fail report no
    tokens; the time is."""
    groups: dict[str, list[CallFact]] = defaultdict(list)
    for call in calls:
        groups[call.feature].append(call)
    found = []
    for feature, some in groups.items():
        failed = [call for call in some if call.is_failed]
        if len(failed) >= FEWEST_CALLS or any(call.usd for call in failed):
            found.append(_failed(feature, some, failed))
    return found


def _failed(feature: str, calls: list[CallFact], failed: list[CallFact]) -> Finding:
    unknown = sum(call.usd is None for call in failed)
    return Finding(
        kind="failures", feature=feature, subject="", usd=sum((call.usd or ZERO for call in failed), ZERO),
        spend_usd=sum((call.usd or ZERO for call in calls), ZERO), seconds=sum(call.duration_s for call in failed),
        calls=len(failed), confidence="medium" if unknown == 0 else "low",
        assumptions=(
            "None of these calls gave an answer; what was tried again counts as a call of its own.",
            *((f"The cost of {unknown:,} of them is not known, and not counted.",) if unknown else ()),
        ),
        figures=(("Failed calls", f"{len(failed):,} of {len(calls):,}, {len(failed) / len(calls):.1%}"),),
        where={"feature": feature or "(none)", "status": "error"}, effect=Failures(),
    )  # fmt: skip


def batchable(calls: Iterable[CallFact]) -> list[Finding]:
    """One for each feature and service nobody waits for."""
    groups: dict[tuple[str, str], list[CallFact]] = defaultdict(list)
    for call in calls:
        if not call.is_failed:
            groups[call.feature, call.service].append(call)
    return [
        _offline(feature, service, some)
        for (feature, service), some in groups.items()
        if len(some) >= FEWEST_CALLS and _watched_ratio(some) <= MOST_WATCHED_RATIO and _spend(some) > 0
    ]


def _watched_ratio(calls: list[CallFact]) -> float:
    return sum(is_watched(call) for call in calls) / len(calls)


def is_watched(call: CallFact) -> bool:
    """Agents count too: their next step waits."""
    return bool(call.has_user or call.session_id or call.is_streamed or call.tool_call_count)


def _spend(calls: Iterable[CallFact]) -> Decimal:
    return sum((call.usd or ZERO for call in calls if call.model.provider in BATCH_PROVIDERS), ZERO)


def _offline(feature: str, service: str, calls: list[CallFact]) -> Finding:
    spend = _spend(calls)
    untold = sum(call.is_streamed is None for call in calls)
    return Finding(
        kind="batch", feature=feature, subject=service, usd=spend * BATCH_RATIO, spend_usd=spend, seconds=None,
        calls=len(calls), confidence="low",
        assumptions=(
            "Nobody waits: hardly any of these calls names a user or a session, streams, or asks for tools. Check it.",
            *((f"Whether {untold:,} of them stream is not recorded.",) if untold else ()),
            ("OpenAI, Anthropic and Google charge half for batches, which may take up to 24 hours (as of"
            " November 2026)."),
            "Cached tokens may get no further discount in a batch.",
        ),
        figures=(("Calls with a user, a session, a stream or tools", f"{_watched_ratio(calls):.1%}"),),
        where={"feature": feature or "(none)", "service": service}, effect=Batch(service),
    )  # fmt: skip
