from __future__ import annotations

import pytest

from stanchion_server.quality.calibration import agreement, correlation, fisher, pearson


def test_pearson_by_hand() -> None:
    # Anscombe 1973, first quartet: r = 0.816
    xs = [10, 8, 13, 9, 11, 14, 6, 4, 12, 7, 5]
    ys = [8.04, 6.95, 7.58, 8.81, 8.33, 9.96, 7.24, 4.26, 10.84, 4.82, 5.68]
    assert pearson(xs, ys) == pytest.approx(0.8164, abs=1e-4)
    assert pearson([1, 2, 3], [6, 4, 2]) == pytest.approx(-1.0)
    assert pearson([1, 1, 1], [1, 2, 3]) is None
    assert pearson([1], [2]) is None


@pytest.mark.parametrize(("spoilt", "badge"), [(0, "calibrated"), (3, "calibrated"), (15, "not calibrated")])
def test_the_badge_goes_by_pearsons_r(spoilt: int, badge: str) -> None:
    people = [number % 5 + 1.0 for number in range(40)]
    scores = [6.0 - one if place < spoilt else one for place, one in enumerate(people)]
    found = correlation(scores, people)
    assert found.badge == badge
    assert found.r is not None
    assert (found.r >= 0.85) == (badge == "calibrated")


def test_few_pairs_or_a_judge_that_says_one_thing_are_not_calibrated() -> None:
    assert correlation([1.0] * 29, [1.0] * 29).badge == "not enough data"
    assert correlation([3.0] * 40, [number % 5 for number in range(40)]).badge == "not calibrated"


def test_fishers_interval_at_thirty_pairs_is_the_stated_one() -> None:
    found = fisher(0.85, 30)
    assert found is not None
    assert (round(found.low, 2), round(found.high, 2)) == (0.71, 0.93)


def test_kappa_by_hand() -> None:
    # 50 grants read by two people, 20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no: kappa 0.4
    mine = ["yes"] * 25 + ["no"] * 25
    theirs = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    found = agreement(mine, theirs)
    assert found.rate == pytest.approx(0.7)
    assert found.kappa == pytest.approx(0.4)
    assert found.interval is not None
    assert found.interval.low < 0.7 < found.interval.high


def test_kappa_says_nothing_where_only_one_label_is_used() -> None:
    found = agreement(["yes"] * 5, ["yes"] * 5)
    assert (found.rate, found.kappa) == (1.0, None)
    assert agreement([], []).rate is None


def test_lists_that_do_not_pair_are_refused() -> None:
    with pytest.raises(ValueError, match="2 scores and 1 ratings"):
        correlation([1, 2], [1])
    with pytest.raises(ValueError, match="1 labels and 0 judgements"):
        agreement(["a"], [])
