"""Published example V18: judges beside people. The ratings themselves are not published, so they are made here so that
they correlate as was reported, and the badge goes by that."""

from __future__ import annotations

import math

import pytest

from stanchion_server.quality.calibration import correlation, pearson

REPORTED = {
    "Prometheus-13B": (0.897, "calibrated"), "GPT-4": (0.882, "calibrated"), "GPT-3.5": (0.392, "not calibrated"),
    "Llama 2 13B": (0.44, "not calibrated"),
}  # fmt: skip
RUBRICS = 45
"""One rating of each."""


def ratings(r: float, count: int = RUBRICS) -> tuple[list[float], list[float]]:
    """People's ratings, and a judge's that correlate with them by exactly `r`: both are sums of two waves that are
    orthogonal over `count` places."""
    turns = [2 * math.pi * place / count for place in range(count)]
    people = [math.sin(turn) for turn in turns]
    judge = [r * math.sin(turn) + math.sqrt(1 - r * r) * math.cos(turn) for turn in turns]
    return judge, people


@pytest.mark.parametrize(("r", "badge"), REPORTED.values(), ids=REPORTED)
def test_v18_a_judge_that_agrees_as_was_reported_gets_its_badge(r: float, badge: str) -> None:
    judge, people = ratings(r)
    assert pearson(judge, people) == pytest.approx(r, abs=1e-12)
    found = correlation(judge, people)
    assert (round(found.r or 0, 3), found.badge) == (r, badge)


def test_v18_of_two_judges_the_one_nearer_to_people_is_so_on_any_scale() -> None:
    judge, people = ratings(0.897)
    stretched = [5 * one + 3 for one in judge]
    assert pearson(stretched, people) == pytest.approx(0.897)
    assert pearson([-one for one in judge], people) == pytest.approx(-0.897)
