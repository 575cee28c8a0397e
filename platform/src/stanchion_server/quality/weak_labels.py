"""How good a cheap detector is, from calls that a heavier scorer or a person judged too.

The heavier one sees a sample, often not the same share of all calls (every blocked call, one in fifty of the rest).
Each row therefore counts as often as one over its chance of being seen, which gives back the shares of all calls.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from stanchion_server.quality.intervals import Interval, wilson
from stanchion_server.quality.weighted_shares import Stratum, share_of_sums

FEWEST = 20
"""Judged rows a share must rest on: flagged ones for precision, true ones for recall, harmless ones for the
false-positive rate."""
FEWEST_FALSE = 3.0
"""For a threshold, so many false positives must be expected among the harmless rows: 300 rows for a rate of 1 %."""


@dataclass(frozen=True, slots=True)
class Joined:
    """One text with the cheap detector's score and what is known of the truth. `ratio` is the chance with which the
    call came to be judged by the heavier scorer or the person, None where nobody knows (a reviewer picked it)."""

    score: float
    heavy_score: float | None = None
    human: bool | None = None
    ratio: float | None = 1.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """`rows` are the judged rows it rests on; `value` and `interval` are None where they are too few."""

    rows: int
    value: float | None
    interval: Interval | None


@dataclass(frozen=True, slots=True)
class Quality:
    """Figures of a detector at one threshold, for all calls and not only those judged. `by_people` counts the rows
    whose truth a person told, `left_out` those whose chance is not known."""

    threshold: float
    rows: int
    by_people: int
    left_out: int
    precision: Estimate
    recall: Estimate
    false_positive_rate: Estimate
    prevalence: Estimate


@dataclass(frozen=True, slots=True)
class Proposal:
    """The lowest threshold whose false-positive rate is at most the wanted one, and what to expect there. `threshold`
    is None with the `reason` where there is none to propose."""

    wanted: float
    threshold: float | None
    reason: str
    harmless_rows: int
    quality: Quality | None


@dataclass(frozen=True, slots=True)
class _Seen:
    score: float
    truth: bool
    weight: float


def estimate(rows: Sequence[Joined], threshold: float, heavy_threshold: float, fewest: int = FEWEST) -> Quality:
    """A person's word goes before the heavier score. Rows that neither judged are left aside."""
    judged = [row for row in rows if row.human is not None or row.heavy_score is not None]
    seen = _seen(judged, heavy_threshold)
    by_people = sum(row.human is not None for row in judged if row.ratio is not None)
    return _quality(seen, threshold, by_people, len(judged) - len(seen), fewest)


def _seen(judged: Sequence[Joined], heavy_threshold: float) -> list[_Seen]:
    found = []
    for row in judged:
        if row.ratio is None:
            continue
        if not 0.0 < row.ratio <= 1.0:
            raise ValueError(f"a ratio of {row.ratio} is no chance of being judged")
        truth = row.human if row.human is not None else (row.heavy_score or 0.0) >= heavy_threshold
        found.append(_Seen(row.score, truth, 1.0 / row.ratio))
    return found


def _quality(seen: Sequence[_Seen], threshold: float, by_people: int, left_out: int, fewest: int) -> Quality:
    flagged = _strata([row for row in seen if row.score >= threshold])
    passed = _strata([row for row in seen if row.score < threshold])
    return Quality(
        threshold,
        len(seen),
        by_people,
        left_out,
        precision=_share(flagged.true, flagged.harmless, fewest),
        recall=_share(flagged.true, passed.true, fewest),
        false_positive_rate=_share(flagged.harmless, passed.harmless, fewest),
        prevalence=_share((*flagged.true, *passed.true), (*flagged.harmless, *passed.harmless), fewest),
    )


class _Strata(NamedTuple):
    true: tuple[Stratum, ...]
    harmless: tuple[Stratum, ...]


def _strata(rows: Sequence[_Seen]) -> _Strata:
    """Rows by their weight, in steps of two: rows of one stratum were seen with about the same chance."""
    levels: dict[int, list[_Seen]] = {}
    for row in rows:
        levels.setdefault(round(math.log2(row.weight)), []).append(row)
    return _Strata(*(tuple(_stratum(level, truth=truth) for level in levels.values()) for truth in (True, False)))


def _stratum(rows: Sequence[_Seen], *, truth: bool) -> Stratum:
    return Stratum(tuple(row.weight for row in rows if row.truth is truth), max(row.weight for row in rows))


def _share(some: Sequence[Stratum], others: Sequence[Stratum], fewest: int) -> Estimate:
    mine, all_weights = _weights(some), _weights((*some, *others))
    if len(all_weights) < max(1, fewest):
        return Estimate(len(all_weights), None, None)
    value = math.fsum(mine) / math.fsum(all_weights)
    if len({*all_weights, *(one.unseen for one in (*some, *others))}) == 1:
        return Estimate(len(all_weights), value, wilson(len(mine), len(all_weights)))
    return Estimate(len(all_weights), value, share_of_sums(some, others))


def _weights(strata: Sequence[Stratum]) -> list[float]:
    return [weight for one in strata for weight in one.weights]


def propose(rows: Sequence[Joined], wanted: float, heavy_threshold: float, fewest: int = FEWEST) -> Proposal:
    """A threshold for the wanted false-positive rate (0 < wanted < 1)."""
    if not 0.0 < wanted < 1.0:
        raise ValueError(f"a false-positive rate of {wanted} cannot be wanted: it lies between 0 and 1")
    judged = [row for row in rows if row.human is not None or row.heavy_score is not None]
    seen = _seen(judged, heavy_threshold)
    harmless = sorted((row for row in seen if not row.truth), key=lambda row: -row.score)
    needed = max(fewest, math.ceil(FEWEST_FALSE / wanted))
    if _effective(harmless) < needed:
        reason = (
            f"not enough data: {len(harmless)} harmless rows, worth {_effective(harmless):.0f}; {needed} are needed"
        )
        return Proposal(wanted, None, reason, len(harmless), None)
    threshold = _lowest(harmless, wanted)
    if threshold > 1.0:
        return Proposal(wanted, None, "too many harmless texts have the highest score there is", len(harmless), None)
    by_people = sum(row.human is not None for row in judged if row.ratio is not None)
    quality = _quality(seen, threshold, by_people, len(judged) - len(seen), fewest)
    return Proposal(wanted, threshold, "", len(harmless), quality)


def _effective(rows: Sequence[_Seen]) -> float:
    """Kish's effective number: what the rows are worth with their unequal weights."""
    squares = math.fsum(row.weight**2 for row in rows)
    return math.fsum(row.weight for row in rows) ** 2 / squares if rows else 0.0


def _lowest(harmless: Sequence[_Seen], wanted: float) -> float:
    """Just above the score at which the harmless rows, the loudest first, would pass the wanted share; in steps of
    0.0001, as scores are."""
    allowed, passed = wanted * math.fsum(row.weight for row in harmless), 0.0
    threshold = 0.0
    for row in harmless:
        passed += row.weight
        if passed > allowed:
            threshold = (math.floor(row.score * 10_000 + 1e-6) + 1) / 10_000
            break
    return threshold
