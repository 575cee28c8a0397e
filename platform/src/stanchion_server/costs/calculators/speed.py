"""How fast a model answered: tokens per second and first tokens, over repeated runs of growing length. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

SLOWEST = (50, 90, 95, 99)
"""Percentiles of times, towards the slow end."""
LOWEST = (50, 10, 5, 1)
"""Percentiles of speeds, towards the slow end."""


@dataclass(frozen=True, slots=True)
class Run:
    """One answer. `output_tokens` as the provider counted them, or the pieces of the stream where `is_estimated`."""

    length: int
    first_token_s: float
    total_s: float
    output_tokens: int
    input_tokens: int | None = None
    is_estimated: bool = False

    @property
    def tokens_per_s(self) -> float:
        """Of the whole answer, waiting included: what a user's patience meets."""
        return self.output_tokens / self.total_s if self.total_s > 0 else 0.0

    @property
    def decode_tokens_per_s(self) -> float | None:
        """After the first token; None where nothing followed it."""
        passed = self.total_s - self.first_token_s
        return (self.output_tokens - 1) / passed if passed > 0 and self.output_tokens > 1 else None


@dataclass(frozen=True, slots=True)
class Case:
    """All runs of one length. `wall_s` is how long they took together; `failed` counts those without an answer."""

    length: int
    runs: tuple[Run, ...]
    failed: int
    wall_s: float

    @property
    def speeds(self) -> tuple[float, ...]:
        return tuple(sorted(run.tokens_per_s for run in self.runs))

    @property
    def best(self) -> float | None:
        return max(self.speeds, default=None)

    @property
    def worst(self) -> float | None:
        return min(self.speeds, default=None)

    @property
    def mean(self) -> float | None:
        return sum(self.speeds) / len(self.speeds) if self.speeds else None

    @property
    def together_tokens_per_s(self) -> float | None:
        """What all requests under way got together."""
        return sum(run.output_tokens for run in self.runs) / self.wall_s if self.runs and self.wall_s > 0 else None


@dataclass(frozen=True, slots=True)
class Spread:
    """Best and worst of several cases: the means, and the lowest and highest of the worst."""

    mean_best: float
    mean_worst: float
    mean: float
    lowest: float
    highest_worst: float


def spread(best_and_worst: Sequence[tuple[float, float]]) -> Spread:
    """Of at least one case."""
    best, worst = [pair[0] for pair in best_and_worst], [pair[1] for pair in best_and_worst]
    count = len(best_and_worst)
    return Spread(sum(best) / count, sum(worst) / count, sum(best + worst) / (2 * count), min(worst), max(worst))


def percentile(values: Sequence[float], rank: int) -> float | None:
    """By nearest rank: a value that occurred."""
    if not values:
        return None
    return sorted(values)[max(0, math.ceil(rank / 100 * len(values)) - 1)]
