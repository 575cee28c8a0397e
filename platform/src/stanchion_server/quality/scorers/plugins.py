"""Scorers from other packages, by the entry point group `stanchion.scorers`.

An entry point names a class with the attributes of `Scorer`, all but `version` readable on the class; it may also carry
`usual_ratio` (else 1) and `parameters`, the JSON Schema of its keyword arguments (else none are taken). One that breaks
the contract is known, never built, and says why.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Collection, Sequence
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from stanchion_server.quality.records import LANES, Evidence, Example, Result
from stanchion_server.quality.scorers import Scorer, Unavailable
from stanchion_server.quality.scorers.known import NO_PARAMETERS, Kind, Known, Parameters

GROUP = "stanchion.scorers"
_ID = re.compile(r"[a-z][a-z0-9_]{1,79}")


def kinds(taken: Collection[str]) -> tuple[Kind, ...]:
    """What is installed, in the order of the names. `taken` are ids that a plugin may not use."""
    return _kinds(tuple(sys.path), tuple(sorted(taken)))


@lru_cache(maxsize=1)
def _kinds(path: tuple[str, ...], taken: tuple[str, ...]) -> tuple[Kind, ...]:
    found: dict[str, Kind] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda one: (one.name, one.value)):
        kind = _kind(point, {*taken, *found})
        found.setdefault(kind.known.id, kind)
    return tuple(found.values())


def _kind(point: EntryPoint, taken: Collection[str]) -> Kind:
    try:
        made = point.load()
    except Exception as problem:
        return _broken(point, f"it cannot be imported: {type(problem).__name__}: {problem}")
    fault = _fault(made, taken)
    return _broken(point, fault) if fault else Kind(_known(made), lambda known, given: Checked(made(**given), known))


def _known(made: Any) -> Known:
    return Known(
        id=made.id,
        title=made.title,
        family=made.family,
        lane=made.lane,
        direction=made.direction,
        threshold=made.threshold,
        usual_ratio=float(getattr(made, "usual_ratio", 1.0)),
        blind_to=made.blind_to,
        parameters=getattr(made, "parameters", NO_PARAMETERS),
    )


def _broken(point: EntryPoint, fault: str) -> Kind:
    why = f"the scorer '{point.name}' ({point.value}) cannot be used: {fault}"
    identity = re.sub(r"[^a-z0-9_]", "_", point.name.lower())

    def make(known: Known, given: Parameters) -> Scorer:
        raise Unavailable(why)

    known = Known(
        identity, point.name, "other", "slow", "high_is_good", None, 0.0, "Everything: it does not run.", lambda: why
    )
    return Kind(known, make)


def _fault(made: Any, taken: Collection[str]) -> str | None:
    """What of the contract a class breaks, with the remedy."""
    for name in ("id", "title", "family", "blind_to"):
        if not isinstance(getattr(made, name, None), str) or not getattr(made, name).strip():
            return f"'{name}' must be a text that is not empty"
    if not _ID.fullmatch(made.id):
        return f"its id '{made.id}' must be snake_case of 2 to 80 characters"
    if made.id in taken:
        return f"its id '{made.id}' is taken: choose another"
    choices = {"lane": LANES, "direction": ("low_is_good", "high_is_good")}
    for name, allowed in choices.items():
        if getattr(made, name, None) not in allowed:
            return f"'{name}' must be one of {', '.join(allowed)}"
    if not hasattr(made, "threshold") or not (made.threshold is None or _is_share(made.threshold)):
        return "'threshold' must be None or a number from 0 to 1"
    if not _is_share(getattr(made, "usual_ratio", 1.0)):
        return "'usual_ratio' must be a number from 0 to 1"
    if not callable(made) or not callable(getattr(made, "score", None)):
        return "it must be a class with a method score(examples)"
    return None


def _is_share(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


class Checked:
    """A foreign scorer whose answers are looked at before anybody uses them: ValueError for one that breaks the
    contract."""

    def __init__(self, scorer: Scorer, known: Known) -> None:
        self.id, self.title, self.family, self.lane = known.id, known.title, known.family, known.lane
        self.direction, self.threshold, self.blind_to = known.direction, known.threshold, known.blind_to
        self.version = str(getattr(scorer, "version", "") or "")
        self._scorer = scorer
        if not self.version:
            raise Unavailable(f"the scorer '{known.id}' cannot be used: 'version' must be a text that is not empty")

    def score(self, examples: Sequence[Example]) -> Sequence[Result | None]:
        results = list(self._scorer.score(examples))
        if len(results) != len(examples):
            raise ValueError(f"{self.id} gave {len(results)} answers for {len(examples)} calls")
        for example, result in zip(examples, results, strict=True):
            if result is not None:
                self._check(example, result)
        return results

    def _check(self, example: Example, result: Result) -> None:
        if not isinstance(result, Result) or not math.isfinite(result.score) or not 0.0 <= result.score <= 1.0:
            raise ValueError(f"{self.id} gave something else than a Result with a score from 0 to 1")
        for one in result.evidence:
            if not 0 <= one.start <= one.end <= _length(example, one):
                raise ValueError(f"{self.id} gave evidence outside the text")


def _length(example: Example, one: Evidence) -> int:
    if one.place == "context":
        return len(example.contexts[one.place_index]) if one.place_index < len(example.contexts) else -1
    return len(example.prompt if one.place == "prompt" else example.response)
