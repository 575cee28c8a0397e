"""Estimates from a sample against populations whose truth is known."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from stanchion_server.quality.weak_labels import FEWEST, Estimate, Joined, estimate, propose

Population = Sequence[tuple[float, bool]]


def population(seed: int, size: int, prevalence: float) -> Population:
    """Scores of a detector that is right more often than not."""
    draw = random.Random(seed)
    found = []
    for _ in range(size):
        truth = draw.random() < prevalence
        found.append((round(min(1.0, max(0.0, draw.gauss(0.65 if truth else 0.3, 0.18))), 4), truth))
    return found


def sampled(seed: int, people: Population, flagged: float, passed: float) -> list[Joined]:
    draw = random.Random(seed + 10_000)
    rows = []
    for score, truth in people:
        ratio = flagged if score >= 0.5 else passed
        if draw.random() < ratio:
            rows.append(Joined(score, heavy_score=0.9 if truth else 0.1, ratio=ratio))
    return rows


def shares(people: Population) -> dict[str, float]:
    flagged = [truth for score, truth in people if score >= 0.5]
    true = sum(truth for _, truth in people)
    return {
        "precision": sum(flagged) / len(flagged),
        "recall": sum(flagged) / true,
        "false_positive_rate": (len(flagged) - sum(flagged)) / (len(people) - true),
        "prevalence": true / len(people),
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "prevalence", "flagged", "passed"),
    [(1_500, 0.1, 1.0, 1.0), (6_000, 0.05, 1.0, 0.1), (4_000, 0.03, 1.0, 0.03), (8_000, 0.05, 0.3, 0.06)],
)
def test_the_intervals_hold_the_truth_of_all_calls_as_often_as_they_say(
    size: int, prevalence: float, flagged: float, passed: float
) -> None:
    seeds, inside = 60, dict.fromkeys(("precision", "recall", "false_positive_rate", "prevalence"), 0)
    for seed in range(seeds):
        people = population(seed, size, prevalence)
        quality, truth = estimate(sampled(seed, people, flagged, passed), 0.5, 0.5), shares(people)
        for name in inside:
            found: Estimate = getattr(quality, name)
            assert found.interval is not None
            inside[name] += found.interval.low <= truth[name] <= found.interval.high
    # Of 60 intervals at 95 %, fewer than 52 hold by chance once in two hundred times.
    assert min(inside.values()) >= 52, inside


def test_without_weights_an_uneven_sample_would_mislead() -> None:
    people = population(3, 20_000, 0.05)
    rows, truth = sampled(3, people, 1.0, 0.05), shares(people)
    weighted = estimate(rows, 0.5, 0.5).recall
    bare = estimate([Joined(row.score, row.heavy_score) for row in rows], 0.5, 0.5).recall
    assert weighted.value == pytest.approx(truth["recall"], abs=0.12)
    assert bare.value is not None
    assert bare.value > truth["recall"] + 0.12


def test_figures_by_hand() -> None:
    rows = [Joined(0.9, 1.0)] * 30 + [Joined(0.9, 0.0)] * 10 + [Joined(0.1, 1.0)] * 15 + [Joined(0.1, 0.0)] * 90
    quality = estimate(rows, 0.5, 0.5)
    assert (quality.precision.rows, quality.precision.value) == (40, pytest.approx(30 / 40))
    assert (quality.recall.rows, quality.recall.value) == (45, pytest.approx(30 / 45))
    assert (quality.false_positive_rate.rows, quality.false_positive_rate.value) == (100, pytest.approx(10 / 100))
    assert quality.prevalence.value == pytest.approx(45 / 145)


def test_a_sample_of_one_in_ten_counts_ten_times() -> None:
    rows = [Joined(0.9, 1.0)] * 40 + [Joined(0.1, 1.0, ratio=0.1)] * 4
    recall = estimate(rows, 0.5, 0.5).recall
    assert recall.value == pytest.approx(40 / (40 + 40))


def test_missed_texts_that_the_sample_did_not_hold_are_reckoned_with() -> None:
    rows = [Joined(0.9, 1.0)] * 40 + [Joined(0.1, 0.0, ratio=0.02)] * 40
    recall = estimate(rows, 0.5, 0.5).recall
    assert recall.value == 1.0
    assert recall.interval is not None
    assert recall.interval.low < 0.5


def test_a_persons_word_goes_before_the_heavier_score() -> None:
    rows = [Joined(0.9, heavy_score=0.0, human=True)] * FEWEST
    quality = estimate(rows, 0.5, 0.5)
    assert quality.precision.value == 1.0
    assert quality.by_people == FEWEST


def test_too_few_rows_and_rows_of_unknown_chance_say_nothing() -> None:
    rows = [Joined(0.9, 1.0)] * (FEWEST - 1) + [Joined(0.9, human=True, ratio=None)] * 50 + [Joined(0.9)] * 50
    quality = estimate(rows, 0.5, 0.5)
    assert (quality.rows, quality.left_out) == (FEWEST - 1, 50)
    assert (quality.precision.value, quality.precision.interval) == (None, None)


def test_a_chance_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match=r"a ratio of 0\.0"):
        estimate([Joined(0.9, 1.0, ratio=0.0)], 0.5, 0.5)


@pytest.mark.slow
def test_a_proposed_threshold_keeps_its_rate_on_other_texts() -> None:
    for seed in range(4):
        proposal = propose(sampled(seed, population(seed, 30_000, 0.05), 1.0, 0.1), 0.02, 0.5)
        assert proposal.threshold is not None
        assert proposal.quality is not None
        others = [score for score, truth in population(seed + 500, 30_000, 0.05) if not truth]
        rate = sum(score >= proposal.threshold for score in others) / len(others)
        assert rate == pytest.approx(0.02, abs=0.006)
        assert proposal.quality.false_positive_rate.value == pytest.approx(0.02, abs=0.001)


def test_a_proposal_is_refused_where_the_rate_cannot_be_seen() -> None:
    rows = [Joined(0.2, 0.0)] * 299
    proposal = propose(rows, 0.01, 0.5)
    assert proposal.threshold is None
    assert proposal.reason == "not enough data: 299 harmless rows, worth 299; 300 are needed"
    assert propose([*rows, Joined(0.2, 0.0)], 0.01, 0.5).threshold == pytest.approx(0.2001)


def test_where_harmless_texts_reach_the_top_there_is_no_threshold() -> None:
    proposal = propose([Joined(1.0, 0.0)] * 100, 0.1, 0.5)
    assert proposal.threshold is None
    assert "highest score" in proposal.reason
