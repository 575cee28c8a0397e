"""What can be told of a scorer before it is built, and how one is built."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from stanchion_guard.detectors import detector_class
from stanchion_server.quality.records import Evidence, Example, Lane, Result
from stanchion_server.quality.scorers import Direction, Scorer

Parameters = Mapping[str, Any]
NO_PARAMETERS: Parameters = {"type": "object", "properties": {}, "additionalProperties": False}
MOST_EVIDENCE = 20


def always() -> None:
    """The availability of a scorer that needs nothing beyond the engine."""


@dataclass(frozen=True, slots=True)
class Known:
    """`usual_ratio` is the share of calls it is meant for. `availability` says why it cannot run here and what helps,
    None where it can. `parameters` is the JSON Schema of what it takes. `detector` names the engine's detector behind
    it, "" where it is none alone: guards that run it in line say the same."""

    id: str
    title: str
    family: str
    lane: Lane
    direction: Direction
    threshold: float | None
    usual_ratio: float
    blind_to: str
    availability: Callable[[], str | None] = always
    parameters: Parameters = field(default_factory=lambda: NO_PARAMETERS)
    detector: str = ""


@dataclass(frozen=True, slots=True)
class Kind:
    """`make` raises Unavailable, and ValueError with a sentence for parameters that make no sense."""

    known: Known
    make: Callable[[Known, Parameters], Scorer]


def is_flagged(score: float, direction: Direction, threshold: float | None) -> bool | None:
    """At the threshold counts as flagged where low is good, as good where high is good."""
    if threshold is None:
        return None
    return score >= threshold if direction == "low_is_good" else score < threshold


class Single:
    """A scorer that looks at one call at a time: a subclass says how."""

    def __init__(self, known: Known, version: str) -> None:
        self.id, self.title, self.family, self.lane = known.id, known.title, known.family, known.lane
        self.direction, self.threshold, self.blind_to = known.direction, known.threshold, known.blind_to
        self.version = version

    def score(self, examples: Sequence[Example]) -> Sequence[Result | None]:
        return [self.judge(example) for example in examples]

    def judge(self, example: Example) -> Result | None:
        raise NotImplementedError

    def result(self, score: float, label: str = "", reason: str = "", evidence: Sequence[Evidence] = ()) -> Result:
        """Rounded to four places, flagged by the usual threshold, with the strongest evidence where there is much."""
        score = round(min(1.0, max(0.0, score)), 4)
        if len(evidence) > MOST_EVIDENCE:
            evidence = sorted(evidence, key=lambda one: -(one.score or 0.0))[:MOST_EVIDENCE]
        return Result(score, label, is_flagged(score, self.direction, self.threshold), reason, tuple(evidence))


def blind_to(detector: str, *more: str) -> str:
    """What the engine's detector says of itself, and what the scorer adds."""
    return " ".join((detector_class(detector).blind_to, *more))
