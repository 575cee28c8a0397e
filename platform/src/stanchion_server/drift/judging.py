"""From two windows of calls to findings, column by column, and one verdict for all. Pure: chance comes from a seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from stanchion_server.drift import explaining, shuffling, statistics
from stanchion_server.drift.records import Column, Finding, Kind, Sample
from stanchion_server.kernel.ids import digest64

FEWEST_ROWS = 50
FEWEST_UNITS = 20
LEAST_ALPHA, MOST_ALPHA = 0.01, 0.2
MOST_SHUFFLES = 9_999
STATISTICS: dict[Kind, str] = {
    "number": "Kolmogorov-Smirnov",
    "category": "Jensen-Shannon distance",
    "text": "centroid shift",
}
SMALLEST: dict[Kind, float] = {"number": 0.08, "category": 0.05, "text": 0.04}
"""Smaller values never count as drift, however many calls prove them. 0.08 is a move of a normal number by a fifth of
its standard deviation; 0.05 one of a share from 50 to 57 % or from 1 to 2.5 %; for texts see docs/drift.md."""


@dataclass(frozen=True, slots=True)
class Rules:
    alpha: float = 0.05
    seed: int = 0


def judge(
    columns: Sequence[Column],
    sample: Sample | None,
    rules: Rules,
    words: Mapping[str, Mapping[str, Sequence[str]]] | None = None,
) -> tuple[Finding, ...]:
    """Worst first. `words` are what columns' topics or changes are about; they stay with those that drifted.

    A column with too few rows or too few independent units on a side says so and takes no part in the correction for
    the number of columns.
    """
    told = [_measured(column, sample, rules, _shuffles(len(columns), rules.alpha)) for column in columns]
    known = [finding for finding in told if finding.p is not None]
    limits = dict(
        zip((f.column for f in known), shuffling.adjusted([f.p for f in known if f.p is not None]), strict=True)
    )
    findings = [_decided(finding, limits.get(finding.column), rules.alpha) for finding in told]
    by_name = {column.name: column for column in columns}
    if sample is not None:
        findings = [explaining.explained(one, by_name[one.column], sample, words or {}) for one in findings]
    return tuple(sorted(findings, key=severity))


def severity(finding: Finding) -> tuple[int, float, float]:
    order = {"drift": 0, "no_drift": 1, "not_enough_data": 2}[finding.verdict]
    ratio = (finding.value or 0.0) / (finding.threshold or 1.0)
    return order, -ratio if order == 0 else finding.p_adjusted or 1.0, -ratio


def verdict_of(findings: Sequence[Finding]) -> str:
    """Of a run: drift where any column drifted; not enough data where no column could be judged."""
    verdicts = {finding.verdict for finding in findings}
    for verdict in ("drift", "no_drift"):
        if verdict in verdicts:
            return verdict
    return "not_enough_data"


def _shuffles(columns: int, alpha: float) -> int:
    """So many that the smallest p-value still counts after the correction for this number of columns."""
    return min(max(999, int(2 * columns / alpha)), MOST_SHUFFLES)


def too_few(column: Column) -> str:
    """Why this column cannot be judged; empty when it can."""
    now = int(column.is_current.sum())
    before = len(column.is_current) - now
    for rows, window in ((before, "reference"), (now, "current window")):
        if rows < FEWEST_ROWS:
            return f"{rows} values in the {window}; at least {FEWEST_ROWS} are needed"
    sides = shuffling.sides_of(column.blocks, column.is_current)
    for units, window in ((int((~sides).sum()), "reference"), (int(sides.sum()), "current window")):
        if units < FEWEST_UNITS:
            return f"the {window}'s values come from {units} sessions; at least {FEWEST_UNITS} are needed"
    return ""


def _measured(column: Column, sample: Sample | None, rules: Rules, shuffles: int) -> Finding:
    now = int(column.is_current.sum())
    blank = Finding(
        column.name, column.kind, STATISTICS[column.kind], "not_enough_data", too_few(column),
        len(column.is_current) - now, now, threshold=SMALLEST[column.kind], unit=column.unit,
    )  # fmt: skip
    if blank.reason:
        return blank
    statistic, sides = statistics.of_column(column), shuffling.sides_of(column.blocks, column.is_current)
    observed = float(statistic(sides[None, :])[0])
    random = np.random.Generator(np.random.PCG64(_seed(rules.seed, column.name)))
    chance = shuffling.judge(statistic, sides, observed, shuffles, random)
    return replace(
        blank,
        value=_beyond_chance(column.kind, observed, chance),
        p=chance.p,
        second_figures=explaining.second_figures(column),
        bars=explaining.bars(column),
        new_values=explaining.new_values(column),
    )


def _seed(seed: int, name: str) -> int:
    return digest64(f"{seed} {name}".encode()) & 0xFFFFFFFFFFFFFFFF


def _beyond_chance(kind: Kind, observed: float, chance: shuffling.Chance) -> float:
    """Distances of many shares or dimensions are far from zero by chance alone in small samples: that part is taken
    off, so that the smallest value that counts means the same for any number of rows."""
    if kind == "number":
        return observed
    return float(np.sqrt(max(observed**2 - chance.square_mean, 0.0)))


def _decided(finding: Finding, p_adjusted: float | None, alpha: float) -> Finding:
    if p_adjusted is None or finding.value is None or finding.threshold is None:
        return finding
    is_sure, is_large = p_adjusted <= alpha, finding.value >= finding.threshold
    if is_sure and is_large:
        reason = ""
    elif is_sure:
        reason = "sure, but too small to count"
    else:
        reason = "no further apart than chance makes two windows like these"
    return replace(
        finding, verdict="drift" if is_sure and is_large else "no_drift", reason=reason, p_adjusted=p_adjusted
    )
