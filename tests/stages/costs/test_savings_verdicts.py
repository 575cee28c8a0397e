"""What people say of sampled pairs, and what it does to the findings and the table of caches."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from kit import exchanges
from kit.exchanges import Exchange
from stanchion_server.costs import savings, verdicts
from stanchion_server.costs.caching import sweep
from stanchion_server.costs.models import PairVerdict
from stanchion_server.kernel import clock
from stanchion_server.kernel.errors import SenderError
from stanchion_server.reports import savings_told
from stanchion_server.reports.savings_told import Cache, Told
from stanchion_server.routes.savings import look_for_savings
from stanchion_server.tenants import services as tenants
from stanchion_server.tenants.models import Project

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
DEFAULT, EXACT = sweep.SETTINGS.index(sweep.DEFAULT), sweep.SETTINGS.index(sweep.EXACT)
LIKE = "I would like to know where the parcel with the number {} is, and when it comes to me, please"


@pytest.fixture
def project(monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    monkeypatch.setattr(clock, "now", lambda: NOW)
    yield tenants.create_project(tenants.create_organisation("Acme"), "Shop")


def ask(project: Project, *questions: str, feature: str = "support", after: timedelta = timedelta()) -> None:
    """A minute apart."""
    exchanges.store(project.pk, [Exchange(question) for question in questions], NOW - DAY + after, feature=feature)


def look(project: Project, feature: str | None = None) -> Told:
    savings.request(project.pk, "ada")
    look_for_savings()
    return read(project, feature)


def read(project: Project, feature: str | None = None) -> Told:
    report = savings.of(project.pk)
    assert report is not None
    return savings_told.told(project.pk, report.body, feature)


def cache_of(told: Told) -> Cache:
    assert told.cache is not None
    return told.cache


def judge(project: Project, told: Told, says: str) -> None:
    rows = [
        PairVerdict(project=project, pair=pair.row["id"], says=says, judged_at=NOW, judged_by="ann")
        for pair in cache_of(told).pairs
    ]
    PairVerdict.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["project", "pair"], update_fields=["says"]
    )


def by_likeness(told: Told) -> list[Any]:
    return [one for one in told.findings if one["kind"] == "semantic_cache"]


@pytest.fixture
def alike(project: Project) -> Told:
    """Questions that differ in a number."""
    ask(project, *(LIKE.format(number) for number in range(1000, 1150)))
    return look(project)


def test_before_a_verdict_the_finding_says_that_nobody_knows(alike: Told) -> None:
    (found,) = by_likeness(alike)
    assert (found["confidence"], found["subject"]) == ("low", "cosine 0.90")
    assert any("How many is not known" in text for text in found["assumptions"])
    assert all(one.right_usd is None and not one.is_proposed for one in cache_of(alike).settings)


def test_right_answers_propose_a_threshold_and_make_the_finding_surer(project: Project, alike: Told) -> None:
    judge(project, alike, "same")
    told = read(project)
    (found,) = by_likeness(told)
    (proposed,) = [one for one in cache_of(told).settings if one.is_proposed]
    assert proposed.wrong is not None and proposed.wrong.high < 0.05 and proposed.wrong.pairs >= 73
    assert found["confidence"] == "medium" and found["subject"] == f"cosine {proposed.row['threshold']:.2f}"
    assert Decimal(found["usd"]) == Decimal(proposed.row["net_usd"]) == proposed.right_usd
    assert "would be wrong (95 %" in found["assumptions"][0]
    assert not any("not known until" in text for text in found["assumptions"])


def test_no_threshold_is_proposed_that_costs_more_than_it_saves_or_saves_less_than_equal_questions(
    project: Project, alike: Told
) -> None:
    judge(project, alike, "same")
    report = savings.of(project.pk)
    assert report is not None
    for net, exact in (("-0.01", "-0.02"), ("0.01", "0.02")):
        for place, row in enumerate(report.body["cache"]["settings"]):
            row["net_usd"] = exact if place == EXACT else net
        told = savings_told.told(project.pk, report.body)
        assert not any(one.is_proposed for one in cache_of(told).settings) and by_likeness(told) == []


def test_wrong_answers_take_the_finding_away_and_an_unsure_one_changes_little(project: Project, alike: Told) -> None:
    judge(project, alike, "wrong")
    told = read(project)
    assert by_likeness(told) == [] and cache_of(told).is_withdrawn
    default = cache_of(told).settings[DEFAULT]
    assert default.wrong is not None and default.wrong.ratio == 1.0
    assert default.right_usd == pytest.approx(Decimal(default.row["net_usd"]) - Decimal(default.row["like_usd"]))
    judge(project, alike, "unsure")
    (found,) = by_likeness(read(project))
    assert found["confidence"] == "low" and not cache_of(read(project)).is_withdrawn


def test_approved_answers_are_withdrawn_with_the_cache_they_resemble(project: Project, alike: Told) -> None:
    report = savings.of(project.pk)
    assert report is not None
    (like,) = by_likeness(alike)
    body = {**report.body, "findings": [*report.body["findings"], {**like, "kind": "approved"}]}
    assert "approved" in {one["kind"] for one in savings_told.told(project.pk, body).findings}
    judge(project, alike, "wrong")
    assert "approved" not in {one["kind"] for one in savings_told.told(project.pk, body).findings}


def test_some_wrong_answers_lower_the_amount_and_leave_the_confidence_low(project: Project, alike: Told) -> None:
    judge(project, alike, "same")
    for pair in cache_of(alike).pairs[:3]:
        verdicts.give(project.pk, pair.row["id"], "wrong", "ann")
    told = read(project)
    (found,) = by_likeness(told)
    (before,) = by_likeness(alike)
    assert found["confidence"] == "low" and 0 < Decimal(found["usd"]) < Decimal(before["usd"])


def test_verdicts_of_one_feature_say_nothing_of_another(project: Project) -> None:
    """Half of the answers with other words go to each; only those of one are judged."""
    ask(project, *(LIKE.format(number) for number in range(1000, 1100)), feature="support")
    ask(project, *(LIKE.format(number) for number in range(1000, 1100)), feature="search", after=timedelta(hours=3))
    judge(project, look(project, "support"), "same")
    own, whole = read(project, "support"), read(project)
    told = {name: cache_of(one).settings[DEFAULT].wrong for name, one in (("own", own), ("whole", whole))}
    assert told["own"] is not None and told["own"].unseen_ratio == 0 and told["own"].high < 0.1
    assert told["whole"] is not None and told["whole"].unseen_ratio == pytest.approx(0.5, abs=0.02)
    assert told["whole"].high > 0.5 and told["whole"].low == 0
    assert cache_of(whole).unjudged == ["search"] and cache_of(own).unjudged == []
    assert not any(one.is_proposed for one in cache_of(whole).settings)
    judge(project, read(project, "search"), "wrong")
    after = cache_of(read(project)).settings[DEFAULT].wrong
    assert after is not None and after.ratio == pytest.approx(0.5, abs=0.02) and after.unseen_ratio < 0.02
    assert cache_of(read(project)).unjudged == []


def test_verdicts_are_kept_over_a_new_look_with_more_calls(project: Project, alike: Told) -> None:
    judged = cache_of(alike).pairs[0].row["id"]
    verdicts.give(project.pk, judged, "wrong", "ann")
    pair, verdict = verdicts.give(project.pk, judged, "same", "ada")
    assert (pair["id"], verdict.says) == (judged, "same")
    ask(project, "Something else entirely", "And another thing", after=timedelta(hours=3))
    again = {pair.row["id"]: pair.verdict for pair in cache_of(look(project)).pairs}
    kept = again[judged]
    assert kept is not None and (kept.says, kept.judged_by, kept.judged_at) == ("same", "ada", NOW)
    assert PairVerdict.objects.count() == 1


def test_a_pair_of_another_project_cannot_be_judged(project: Project, alike: Told) -> None:
    other = tenants.create_project(tenants.create_organisation("Elsewhere"), "Other")
    with pytest.raises(SenderError, match="no pair"):
        verdicts.give(other.pk, cache_of(alike).pairs[0].row["id"], "same", "bob")
    with pytest.raises(SenderError, match="Say one of same, wrong, unsure"):
        verdicts.give(project.pk, cache_of(alike).pairs[0].row["id"], "fine", "ann")


def test_features_share_out_what_the_whole_cache_served(project: Project) -> None:
    ask(project, *["Where is it?"] * 5, "Is it there yet?", feature="support")
    ask(project, *["Where is it?"] * 3, feature="search", after=timedelta(hours=1))
    ask(project, "Where is it?", feature="", after=timedelta(hours=2))
    whole = look(project)
    parts = {name: read(project, name) for name in ("support", "search", "")}
    assert whole.features == ["", "search", "support"]
    for place, setting in enumerate(cache_of(whole).settings):
        for column in ("hits", "equal_hits"):
            assert setting.row[column] == sum(cache_of(one).settings[place].row[column] for one in parts.values())
        nets = sum(Decimal(cache_of(one).settings[place].row["net_usd"]) for one in parts.values())
        assert float(nets) == pytest.approx(float(setting.row["net_usd"]), abs=1e-6)
    assert [cache_of(parts[name]).settings[EXACT].row["hits"] for name in ("support", "search", "")] == [4, 2, 0]
    (found,) = [one for one in parts["search"].findings if one["kind"] == "exact_cache"]
    assert (found["feature"], found["calls"], found["where"]) == ("search", 2, {"feature": "search"})
    assert {one["feature"] for one in parts["search"].findings} == {"search"}
    assert all(one["feature"] == "" for one in parts[""].findings)


def test_a_report_of_an_older_release_is_still_told(project: Project, alike: Told) -> None:
    report = savings.of(project.pk)
    assert report is not None
    body = report.body
    del body["cache"]["features"]
    for row in body["cache"]["settings"]:
        del row["like_hits"], row["like_usd"]
    body["cache"]["pairs"] = [{"similarity": 0.9, "asked": {}, "answered": {}}]
    told = savings_told.told(project.pk, body)
    assert cache_of(told).pairs == [] and all(one.wrong is None for one in cache_of(told).settings)
    assert by_likeness(told) and savings_told.told(project.pk, body, "support").cache is None
    assert savings_told.told(project.pk, {}) == Told([], None, [], [])
