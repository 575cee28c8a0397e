"""What a scorer is. Each module beside this one holds a family of them; `registry` knows them all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from stanchion_server.quality.records import Example, Lane, Result

Direction = Literal["low_is_good", "high_is_good"]


class Unavailable(Exception):
    """The scorer cannot run here: an extra is not installed, a model file is missing. The text names the remedy."""


class Scorer(Protocol):
    """Built once from its parameters, called from one thread at a time with a batch.

    `id` is snake_case and stable; one that looks at one side of the call ends in `_prompt` or `_response`. `version`
    changes whenever the same call may get another score. `threshold` is the usual one for a flag, None for scorers that
    only measure. `blind_to` says in a sentence what it cannot see.
    """

    id: str
    version: str
    title: str
    family: str
    lane: Lane
    direction: Direction
    threshold: float | None
    blind_to: str

    def score(self, examples: Sequence[Example]) -> Sequence[Result | None]:
        """One answer for each example, in order; None where there is nothing to judge (no answer, no context, ...).
        May raise: the whole batch counts as failed and is tried again one by one."""
        ...
