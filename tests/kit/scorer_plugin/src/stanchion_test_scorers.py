"""Scorers as another package brings them: each answers for every call, so that a missing score is a lost one."""

from __future__ import annotations

from collections.abc import Sequence

from stanchion_server.quality.records import Example, Lane, Result


class Every:
    """Looks at every call."""

    id, title, family, version = "test_every", "Every call", "test", "1"
    lane: Lane = "fast"
    direction, threshold, blind_to = "low_is_good", 0.5, "everything"
    usual_ratio = 1.0

    def score(self, examples: Sequence[Example]) -> Sequence[Result | None]:
        return [Result(0.25, is_flagged=False) for _ in examples]


class Some(Every):
    """Looks at three calls in ten."""

    id, usual_ratio = "test_some", 0.3


class Heavy(Every):
    """Looks at half the calls in the slow lane."""

    id, usual_ratio, lane = "test_heavy", 0.5, "slow"
