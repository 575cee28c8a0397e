"""Scorers for tests: sure in what they say, and bad in ways that tests ask for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from stanchion_server.quality.panels import Panel
from stanchion_server.quality.records import Example, Lane, Result
from stanchion_server.quality.sampling import Offer
from stanchion_server.quality.scorers import Direction

Judge = Callable[[Example], Result | None]


class Fake:
    """A scorer that asks `judge` about each call and keeps the batches it was given."""

    title, family, blind_to = "Fake", "test", "everything"

    def __init__(
        self, name: str, judge: Judge, *, lane: Lane = "fast", version: str = "1", threshold: float | None = 0.5
    ) -> None:
        self.id, self.lane, self.version, self.threshold = name, lane, version, threshold
        self.direction: Direction = "low_is_good"
        self.batches: list[list[Example]] = []
        self._judge = judge

    def score(self, examples: Sequence[Example]) -> Sequence[Result | None]:
        self.batches.append(list(examples))
        return [self._judge(example) for example in examples]

    @property
    def seen(self) -> list[Example]:
        return [example for batch in self.batches for example in batch]


def length(example: Example) -> Result | None:
    """0.1 per character of the answer, at most 1; nothing without an answer."""
    if not example.response:
        return None
    score = min(1.0, len(example.response) / 10)
    return Result(score, is_flagged=score >= 0.5)


def panel_of(
    *scorers: Fake, ratios: Mapping[str, float] | None = None, absent: Mapping[str, Lane] | None = None
) -> Callable[[Mapping[str, Mapping[str, Any]]], Panel]:
    """What `scoring.step` asks for: these scorers whatever the parameters; `absent` ones are known and cannot run."""
    shares = ratios or {}
    offers = [Offer(scorer.id, scorer.lane, shares.get(scorer.id, 1.0)) for scorer in scorers]
    missing = absent or {}
    offers += [Offer(name, lane, shares.get(name, 1.0)) for name, lane in missing.items()]
    panel = Panel(tuple(offers), {scorer.id: scorer for scorer in scorers}, dict.fromkeys(missing, "not installed"))
    return lambda _parameters: panel
