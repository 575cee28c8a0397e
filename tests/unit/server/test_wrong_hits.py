"""Pairs that people judge, and what their verdicts tell of all answers that a cache would have served."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stanchion_server.costs.caching import pairs
from stanchion_server.costs.caching.records import Served
from stanchion_server.reports.wrong_hits import SAME, UNSURE, WRONG, Judged, estimate

BANDS = len(pairs.EDGES)
VERDICTS = (SAME, WRONG, UNSURE)


def served(hits: list[tuple[int, int, float]], equal: frozenset[int] = frozenset()) -> Served:
    return Served(
        np.array([asked for asked, _answered, _likeness in hits], dtype=np.int64),
        np.array([answered for _asked, answered, _likeness in hits], dtype=np.int64),
        np.array([likeness for *_calls, likeness in hits], dtype=np.float64),
        np.array([place in equal for place in range(len(hits))], dtype=bool),
    )


def marks(*questions: str) -> list[bytes]:
    return [pairs.mark_of("support", 1, question) for question in questions]


def test_a_pair_is_its_content_whichever_calls_ask_and_counts_in_every_cache() -> None:
    asked = marks("where is it", "where is it?", "where is it?", "something else")
    wide, narrow = served([(1, 0, 0.93), (2, 0, 0.93), (3, 0, 0.81)]), served([(2, 0, 0.93)])
    far, near = pairs.sampled([wide, narrow], asked)
    assert (far.hits, far.band, near.hits, near.similarity) == ((1, 0), 0, (2, 1), 0.93)
    assert pairs.EDGES[near.band] <= 0.93 < pairs.EDGES[near.band + 1]
    (again,) = pairs.sampled([served([(0, 1, 0.93)])], marks("where is it?", "where is it"))
    assert again.id == near.id and (again.asked, again.answered) == (0, 1)
    elsewhere = [pairs.mark_of("search", 1, text) for text in ("where is it?", "where is it")]
    assert pairs.sampled([served([(0, 1, 0.93)])], elsewhere)[0].id != near.id


def test_equal_questions_and_questions_without_a_hit_are_nothing_to_judge() -> None:
    assert pairs.sampled([served([(1, 0, 1.0)], frozenset({0}))], marks("a", "a")) == []
    assert pairs.sampled([served([])], []) == []


def test_a_cosine_that_is_a_threshold_in_float32_is_in_its_band() -> None:
    hits = served([(1, 0, float(np.float32(0.9)))])
    counted = pairs.bands_of(hits, np.array([True, True]))
    assert counted == tuple(int(round(edge, 4) == 0.9) for edge in pairs.EDGES.tolist())


def test_a_band_has_at_most_eighty_pairs_and_the_rare_ones_stand_for_more() -> None:
    asked = marks(*(f"question {number}" for number in range(301)))
    hits = [(number, 300, 0.99) for number in range(300)] + [(7, 300, 0.99)] * 500
    found = pairs.sampled([served(hits)], asked)
    assert len(found) == pairs.MOST_OF_A_BAND and [one.order for one in found] == list(range(80))
    popular = next(one for one in found if one.asked == 7)
    assert popular.chance == pytest.approx(1.0) and all(0 < one.chance < 0.6 for one in found if one is not popular)


def test_drawn_pairs_stand_for_all_hits_on_the_average() -> None:
    totals = []
    for trial in range(40):
        asked = marks(*(f"{trial} {number}" for number in range(201)))
        hits = [(number, 200, 0.99) for number in range(200) for _time in range(1 + number % 7)]
        totals.append(math.fsum(one.hits[0] / one.chance for one in pairs.sampled([served(hits)], asked)))
    assert sum(totals) / 40 == pytest.approx(len(hits), rel=0.05)


def test_the_first_pairs_to_be_judged_are_no_likelier_often_served_ones() -> None:
    often = 0
    for trial in range(30):
        asked = marks(*(f"{trial} {number}" for number in range(61)))
        hits = [(number, 60, 0.99) for number in range(60) for _time in range(40 if number < 30 else 1)]
        often += sum(one.asked < 30 for one in pairs.sampled([served(hits)], asked) if one.order < 20)
    assert often / (30 * 20) == pytest.approx(0.5, abs=0.07)


def said(band: int, count: int, verdict: str, hits: int = 1, chance: float = 1.0) -> list[Judged]:
    return [Judged(band, chance, hits, verdict)] * count


def test_without_hits_nothing_is_asked_and_without_verdicts_nothing_is_known() -> None:
    assert estimate([0] * BANDS, []) is None
    unknown = estimate([5] * BANDS, [])
    assert unknown is not None
    assert (unknown.ratio, unknown.low, unknown.high, unknown.unseen_ratio, unknown.pairs) == (None, 0.0, 1.0, 1.0, 0)


def test_one_band_is_wilsons_interval() -> None:
    found = estimate([100], [*said(0, 38, SAME), *said(0, 2, WRONG)])
    assert found is not None and found.ratio == pytest.approx(0.05)
    # (0.05 + 1.92/40 ± 1.96 √(0.05 · 0.95/40 + 0.96/40²)) / (1 + 3.84/40)
    assert (found.low, found.high) == (pytest.approx(0.01382, abs=1e-4), pytest.approx(0.16503, abs=1e-4))


def test_a_threshold_is_tolerable_from_73_right_pairs_on() -> None:
    enough, few = estimate([100], said(0, 73, SAME)), estimate([100], said(0, 72, SAME))
    assert enough is not None and few is not None
    assert (enough.low, enough.is_tolerable, few.is_tolerable) == (0.0, True, False)


def test_bands_weigh_by_their_hits_and_not_by_how_many_were_judged() -> None:
    found = estimate([900, 100], [*said(0, 10, SAME), *said(1, 30, WRONG)])
    assert found is not None and found.ratio == pytest.approx(0.1)


def test_pairs_weigh_by_the_hits_they_stand_for() -> None:
    found = estimate([100], [*said(0, 1, WRONG, hits=30), *said(0, 7, SAME, hits=1, chance=0.1)])
    assert found is not None and found.ratio == pytest.approx(0.3)


def test_bands_of_which_no_pair_was_judged_may_be_all_wrong() -> None:
    found = estimate([50, 50], said(1, 200, SAME))
    assert found is not None
    assert found.ratio == 0 and 0.5 < found.high < 0.51 and found.unseen_ratio == 0.5 and not found.is_tolerable


def test_unsure_pairs_widen_the_interval_and_leave_the_estimate() -> None:
    sure, unsure = estimate([9], said(0, 50, SAME)), estimate([9], [*said(0, 50, SAME), *said(0, 10, UNSURE)])
    assert sure is not None and unsure is not None
    assert unsure.ratio == sure.ratio == 0 and unsure.high > sure.high and unsure.unsure == 10
    only = estimate([9], said(0, 3, UNSURE))
    assert only is not None and only.ratio is None and only.high > 0.9


@given(
    bands=st.lists(st.integers(0, 500), min_size=BANDS, max_size=BANDS),
    judged=st.lists(
        st.builds(Judged, st.integers(0, BANDS - 1), st.floats(1e-6, 1), st.integers(0, 50), st.sampled_from(VERDICTS)),
        max_size=60,
    ),
)
def test_the_estimate_lies_in_its_interval_and_all_are_shares(bands: list[int], judged: list[Judged]) -> None:
    found = estimate(bands, judged)
    if found is None:
        assert not sum(bands)
        return
    assert 0 <= found.low <= found.high <= 1 and -1e-9 <= found.unseen_ratio <= 1
    assert found.ratio is None or found.low - 1e-9 <= found.ratio <= found.high + 1e-9
    assert found.wrong + found.unsure <= found.pairs <= len(judged)


def test_the_interval_holds_the_truth_in_at_least_93_of_100_samples() -> None:
    """Drawn with ranks as `pairs` draws them; wrong answers are likelier the less alike a pair is."""
    draw = np.random.default_rng(5)
    held = [_holds_the_truth(draw) for _trial in range(400)]
    assert sum(held) / len(held) >= 0.93


def _holds_the_truth(draw: np.random.Generator) -> bool:
    bands, judged, wrong = [], [], 0
    for band, likely in enumerate((0.3, 0.2, 0.1, 0.05, 0.03, 0.02, 0.01, 0.0)):
        hits = draw.integers(1, 4, 300)
        is_wrong = draw.random(300) < likely
        ranks = draw.exponential(size=300) / hits
        order = np.argsort(ranks)
        limit = ranks[order[20]]
        judged += [
            Judged(band, -math.expm1(-hits[one] * limit), int(hits[one]), WRONG if is_wrong[one] else SAME)
            for one in order[:20].tolist()
        ]
        bands.append(int(hits.sum()))
        wrong += int((hits * is_wrong).sum())
    found = estimate(bands, judged)
    assert found is not None
    return found.low <= wrong / sum(bands) <= found.high
