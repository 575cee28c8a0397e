"""Cheap scores beside heavier ones, inline verdicts and people: the shares that come out are those of all calls."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import uuid4

import pytest

from kit import scored
from kit.scorers import Fake, panel_of
from kit.stored import projects
from stanchion_server.feedback import services as feedback
from stanchion_server.feedback.ratings import Rating, Source
from stanchion_server.ingest.records import CallRecord, Status
from stanchion_server.kernel import clock
from stanchion_server.quality import services
from stanchion_server.quality.records import Example, Result
from stanchion_server.quality.sampling import Rule
from stanchion_server.reports import truth
from stanchion_server.reports.truth import Window
from stanchion_server.tenants import services as tenants

pytestmark = pytest.mark.django_db
SCORER, HEAVY = "toxicity_response", "detoxify_response"
BAD, LOUD, CALM = "bad and found", "harmless but loud", "harmless and calm"


@pytest.fixture
def project_id() -> int:
    return int(tenants.create_project(tenants.create_organisation("Acme"), "Shop").pk)


def cheap(example: Example) -> Result:
    score = {BAD: 0.9, LOUD: 0.7, CALM: 0.1}[example.response]
    return Result(score, is_flagged=score >= 0.5)


def heavy(example: Example) -> Result:
    return Result(0.95 if example.response == BAD else 0.05)


def judged(project_id: int, answers: Sequence[str], ratio: float, **values: object) -> list[CallRecord]:
    calls = [scored.asked(answer, **values) for answer in answers]
    scored.deliver(project_id, *calls)
    panel = panel_of(Fake(SCORER, cheap), Fake(HEAVY, heavy, lane="slow"), ratios={HEAVY: ratio})
    scored.score(panel, project_id)
    scored.score(panel, project_id, "slow")
    return calls


def found(project_id: int) -> truth.Truth:
    now = clock.now()
    told = truth.truth(Window(project_id, now - timedelta(hours=1), now + timedelta(hours=1)), SCORER, "1")
    assert told is not None
    return told


def test_shares_are_those_of_all_calls_though_failed_ones_are_judged_more_often(project_id: int) -> None:
    ratio = 0.5
    services.set_rule(project_id, HEAVY, "", Rule(sample_ratio=ratio), "ada")
    judged(project_id, [LOUD] * 100 + [CALM] * 900, ratio)
    judged(project_id, [BAD] * 40, ratio, status=Status.ERROR)
    told = found(project_id)
    assert told.against == HEAVY
    assert 400 < told.judged < 640  # 540 expected, with a deviation of 16
    assert told.quality.recall.value == 1.0
    # The drawn 500 of 1,000 have a deviation of 0.013 in the first share and 0.0012 in the second.
    assert told.quality.false_positive_rate.value == pytest.approx(0.1, abs=0.065)
    assert told.quality.prevalence.value == pytest.approx(40 / 1040, abs=0.006)


def test_people_are_counted_apart_where_nothing_heavier_judged(project_id: int) -> None:
    calls = judged(project_id, [BAD, LOUD, CALM], 0.0)
    now = clock.now()
    ratings = [
        Rating(uuid4().hex, SCORER, score, "", "", "", call.trace_id, call.span_id, "", "ada", Source.API, now)
        for call, score in zip(calls, (0.0, 1.0, 1.0), strict=True)
    ]
    feedback.keep(project_id, ratings)
    told = found(project_id)
    assert (told.against, told.judged, told.quality.left_out) == ("", 3, 3)
    assert told.people == truth.People(flagged=2, right=1, passed=1, missed=0)
    assert all(each.threshold is None and "not enough data" in each.reason for each in told.proposals)


def test_a_scorer_that_flags_nothing_has_nothing_to_be_right_about(project_id: int) -> None:
    now = clock.now()
    assert truth.truth(Window(project_id, now - timedelta(hours=1), now), "language_response", "1") is None


def test_another_projects_scores_say_nothing_here(project_id: int) -> None:
    judged(project_id, [BAD], 1.0)
    assert found(next(projects)).judged == 0
