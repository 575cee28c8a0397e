"""Later questions that an answer which people approved would have answered: a list of good answers, asked first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from stanchion_server.costs.advice.records import ZERO, CallFact, Finding
from stanchion_server.costs.caching.records import Floats, Numbers, Rows, Traffic
from stanchion_server.costs.caching.sweep import (
    CHARACTERS_PER_TOKEN,
    DEFAULT_THRESHOLD,
    EMBEDDING_S,
    EMBEDDING_USD_PER_MTOK,
    LOOKUP_S,
    LOOKUP_USD,
    THRESHOLDS,
)

MOST_ANSWERS = 1_000
"""The newest ones are kept."""
FEWEST_ANSWERED = 5
TILE = 4_096
NEAR = THRESHOLDS[0]


@dataclass(frozen=True, slots=True)
class Approved:
    """An answered call by its place, since when people hold its answer for good, and whether they wrote it anew."""

    place: int
    at_s: float
    is_corrected: bool


@dataclass(frozen=True, slots=True)
class Matches:
    """For each call the approved answer whose question is most alike among those that were there, -1 without one, and
    how alike; 2 for the same words. A call's own answer does not answer it."""

    answer: Numbers
    likeness: Floats


def match(traffic: Traffic, rows: Rows, approved: Sequence[Approved]) -> Matches:
    """Instructions and turns before must be equal (`Traffic.key`)."""
    found = Matches(np.full(len(traffic), -1, dtype=np.int64), np.full(len(traffic), -1.0))
    by_key: dict[int, list[Approved]] = defaultdict(list)
    for one in sorted(approved, key=lambda one: -one.at_s)[:MOST_ANSWERS]:
        by_key[int(traffic.key[one.place])].append(one)
    for key, some in by_key.items():
        places = np.flatnonzero(traffic.key == key)
        for first in range(0, len(places), TILE):
            _match(found, traffic, rows, places[first : first + TILE], some)
    return found


def _match(found: Matches, traffic: Traffic, rows: Rows, places: Numbers, some: Sequence[Approved]) -> None:
    answers = np.array([one.place for one in some], dtype=np.int64)
    since_s = np.array([one.at_s for one in some])
    likeness = (rows[traffic.text[places]] @ rows[traffic.text[answers]].T).astype(np.float64)
    likeness[traffic.text[places][:, None] == traffic.text[answers][None, :]] = 2.0
    likeness[(traffic.at_s[places][:, None] < since_s[None, :]) | (places[:, None] == answers[None, :])] = -1.0
    best = likeness.argmax(axis=1)
    found.likeness[places] = likeness[np.arange(len(places)), best]
    found.answer[places] = np.where(found.likeness[places] >= np.float32(NEAR), answers[best], -1)


def find(
    calls: Sequence[CallFact], characters: Sequence[int], approved: Sequence[Approved], matches: Matches
) -> list[Finding]:
    """One for each feature where approved answers would have answered enough. All by the same places; `characters` of
    the questions."""
    places: dict[str, list[int]] = defaultdict(list)
    for place, call in enumerate(calls):
        places[call.feature].append(place)
    good: dict[str, list[Approved]] = defaultdict(list)
    for one in approved:
        good[calls[one.place].feature].append(one)
    found = [_finding(feature, calls, characters, good[feature], matches, places[feature]) for feature in good]
    return [finding for finding in found if finding is not None]


def _finding(
    feature: str, calls: Sequence[CallFact], characters: Sequence[int], good: Sequence[Approved], matches: Matches,
    places: Sequence[int],
) -> Finding | None:  # fmt: skip
    likeness = {place: float(matches.likeness[place]) for place in places if matches.answer[place] >= 0}
    served = [calls[place] for place, like in likeness.items() if like >= np.float32(DEFAULT_THRESHOLD)]
    saved = sum((call.usd or ZERO for call in served), ZERO)
    upkeep = _upkeep_usd(len(places), sum(characters[place] for place in places))
    if len(served) < FEWEST_ANSWERED or saved <= upkeep:
        return None
    seconds = sum(call.duration_s for call in served) - len(places) * (LOOKUP_S + EMBEDDING_S)
    return Finding(
        kind="approved", feature=feature, subject="", usd=saved - upkeep,
        spend_usd=sum((calls[place].usd or ZERO for place in places), ZERO), seconds=seconds, calls=len(served),
        confidence="low",
        assumptions=(
            ("An answer is approved from its first good rating on where it has no bad one, or from its first correction"
             " on, which then is the answer. It is kept for ever, before any cache is asked."),
            (f"It answers questions from a cosine of {DEFAULT_THRESHOLD:.2f} on, under the same instructions and"
             " earlier turns. Some of these would be another question: judge the pairs of caches below."),
            "Somebody must take answers off the list that are true no longer. That work is not counted.",
            "A cache saves of the same dollars.",
        ),
        figures=_figures(good, likeness, upkeep),
        where={"feature": feature or "(none)"},
    )  # fmt: skip


def _figures(good: Sequence[Approved], likeness: Mapping[int, float], upkeep: Decimal) -> tuple[tuple[str, str], ...]:
    served = [like for like in likeness.values() if like >= np.float32(DEFAULT_THRESHOLD)]
    corrected = sum(one.is_corrected for one in good)
    return (
        ("Approved answers", f"{len(good):,}, {corrected:,} of them written anew by people"),
        ("Later questions they would have answered", f"{len(served):,}"),
        ("of them with the very same words", f"{sum(like == 2.0 for like in served):,}"),
        (f"Further ones with a cosine of {NEAR:.2f} or more: the answer may serve as an example in the prompt",
         f"{len(likeness) - len(served):,}"),
        ("Upkeep taken off (look-ups, embeddings)", f"${upkeep:.4f}"),
    )  # fmt: skip


def _upkeep_usd(lookups: int, characters: int) -> Decimal:
    tokens = -(-characters // CHARACTERS_PER_TOKEN)
    return lookups * LOOKUP_USD + tokens * EMBEDDING_USD_PER_MTOK / 1_000_000
