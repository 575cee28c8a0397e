"""Savings of own cards and of single features, over stored calls and closed hours."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from kit import drifting, fleet, traffic
from kit.drifting import Traffic
from stanchion_server.costs import selectors_allocation, selectors_hosted, sizing, verdicts
from stanchion_server.costs.models import Allocation, SavingsReport
from stanchion_server.kernel import clock
from stanchion_server.reports import costs, featured, savings_told
from stanchion_server.reports import savings as looking
from stanchion_server.reports.costs import CostQuery
from stanchion_server.tenants import services as tenants
from stanchion_server.tenants.models import Project

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


@pytest.fixture
def project() -> Project:
    return tenants.create_project(tenants.create_organisation("Acme"), "Shop")


@pytest.fixture
def other() -> Project:
    return tenants.create_project(tenants.create_organisation("Elsewhere"), "Other")


@pytest.fixture(autouse=True)
def _noon(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(clock, "now", lambda: NOW)
    yield


def seed(project: Project, count: int = 60, like: Traffic | None = None) -> None:
    drifting.store(project.pk, drifting.calls(NOW - 2 * DAY, NOW, count, 1, like))


def findings(project: Project) -> dict[str, dict[str, Any]]:
    return {one["kind"]: one for one in looking.look(project.pk, NOW).body["findings"]}


def test_cards_without_work_are_found_also_where_no_call_was_recorded(project: Project, other: Project) -> None:
    fleet.idle_nights(project, NOW, chat="0.75", search="0.25")
    found = findings(project)
    assert found.keys() == {"replicas", "idle_hours"}
    assert found["idle_hours"]["subject"] == "llama: 22:00-06:00 every day (UTC)"
    assert [(one["feature"], Decimal(one["usd_per_month"])) for one in found["replicas"]["shares"]] == [
        (name, Decimal(found["replicas"]["usd_per_month"]) * Decimal(part))
        for name, part in (("chat", "0.75"), ("search", "0.25"))
    ]
    assert looking.look(other.pk, NOW).body == {}


def test_what_fewer_cards_save_is_what_the_page_on_sizes_says(project: Project) -> None:
    row = fleet.idle_nights(project, NOW, chat="1")
    (did,) = selectors_allocation.by_version(project.pk, NOW - 15 * DAY, NOW)
    size = sizing.size(did.busy, row.count, row.usd_per_hour)
    assert size is not None and size.surplus_usd_per_day == 48
    told = dict(map(tuple, findings(project)["replicas"]["figures"]))  # type: ignore[arg-type]
    assert told["Hosting too much"] == "$48.00 a day" and told["Would do"] == "1 of 3"
    month = Decimal(findings(project)["replicas"]["usd_per_month"])
    assert month == 48 * 30 + Decimal("0.02") * 720


def test_hours_of_a_version_that_is_no_longer_in_force_are_not_advised_on(project: Project) -> None:
    fleet.idle_nights(project, NOW, chat="1")
    fleet.deployment(project, NOW - DAY, count=1)
    assert looking.look(project.pk, NOW).body == {}
    fleet.deployment(project, NOW - HOUR, is_retired=True)
    assert selectors_hosted.read(project.pk, NOW) == []


@pytest.mark.slow
def test_a_feature_costs_a_month_what_the_explorer_says_and_its_part_of_idling(project: Project) -> None:
    fleet.idle_nights(project, NOW, support="0.5", search="0.5")
    seed(project)
    traffic.settle_all(NOW)
    made = looking.look(project.pk, NOW)
    told = featured.feature_costs(made.body, "support")
    assert told is not None
    (view,) = told
    report = costs.explore(project.pk, CostQuery(made.start, made.end))
    (row,) = [one for one in report.rows if one.group.get("feature") == "support"]
    assert view.spent_usd == round(row.amounts.usd or 0, 6)
    ratio = Decimal(30) / Decimal(repr(made.body["days"]))
    for name, amount in (
        ("api_usd", (row.amounts.api_usd or 0) * ratio),
        ("gpu_usd", (row.amounts.gpu_usd or 0) * 2), ("energy_usd", (row.amounts.energy_usd or 0) * 2),
    ):  # fmt: skip
        assert amount and abs(getattr(view, name) - amount) < Decimal("0.00001")
    # Half of the work for half of a month, so the idle hours of all are its part of a month.
    (cards,) = selectors_hosted.read(project.pk, NOW)
    assert abs(view.idle_usd - cards.idle_usd) < Decimal("0.0001")
    assert view.halving_with_idle is not None and view.halving_with_idle.is_half
    assert view.halving_with_idle.usd == view.usd + view.idle_usd


def test_what_cards_cost_that_run_since_some_hours_is_told_as_that_of_a_day(project: Project) -> None:
    """Work and idle time alike, so that one is not thirtyfold beside the other."""
    fleet.idle_nights(project, NOW, days=1, support="1")
    Allocation.objects.filter(hour__lt=NOW - 2 * HOUR).delete()
    (view,) = featured.feature_costs(looking.look(project.pk, NOW).body, "support") or ()
    assert view.gpu_usd == Decimal("0.6") * 2 * 30
    assert view.idle_usd == (view.gpu_usd + view.energy_usd) * 4


def test_a_young_deployments_month_is_told_by_its_own_days_beside_an_older_one(project: Project) -> None:
    """Four days of the same work a day make the same month as fifteen, also with two versions."""
    fleet.idle_nights(project, NOW, chat="1")
    young = fleet.idle_nights(project, NOW, name="young", days=4, search="1")
    told = {one.feature: one for one in featured.feature_costs(looking.look(project.pk, NOW).body, None) or ()}
    assert told["search"].gpu_usd == told["chat"].gpu_usd > 0
    assert told["search"].energy_usd == told["chat"].energy_usd > 0
    newer = fleet.deployment(project, NOW - 2 * DAY, name="young", count=3)
    Allocation.objects.filter(deployment=young, hour__gte=NOW - 2 * DAY).update(deployment=newer)
    again = {one.feature: one for one in featured.feature_costs(looking.look(project.pk, NOW).body, None) or ()}
    assert again["search"].gpu_usd == told["search"].gpu_usd


def test_what_a_deployment_cost_that_has_ended_is_not_told_as_going_on(project: Project) -> None:
    fleet.idle_nights(project, NOW, chat="1")
    fleet.idle_nights(project, NOW - 11 * DAY, name="ended", days=4, search="1")
    fleet.deployment(project, NOW - 11 * DAY, name="ended", is_retired=True)
    told = {one.feature: one for one in featured.feature_costs(looking.look(project.pk, NOW).body, None) or ()}
    assert abs(told["search"].gpu_usd - told["chat"].gpu_usd * 4 / 15) < Decimal("0.001")


def test_halving_steps_lead_to_findings_and_add_up(project: Project) -> None:
    seed(project, 120, Traffic(models=("gpt-4o",), error_ratio=0.2))
    traffic.settle_all(NOW)
    body = looking.look(project.pk, NOW).body
    (view,) = featured.feature_costs(body, None) or ()
    plan = view.halving
    assert plan is not None and plan.is_half and view.halving_with_idle is None
    by_id = {one["id"]: one for one in savings_told.told(project.pk, body, view.feature).findings}
    assert all(step.title == by_id[step.id]["title"] for step in plan.steps)
    assert abs(sum((step.usd for step in plan.steps), plan.left_usd) - plan.usd) < Decimal("0.00001")
    first = by_id[plan.steps[0].id]
    assert abs(plan.steps[0].alone_usd - Decimal(first["usd_per_month"])) < Decimal("0.0001")


def test_one_feature_has_its_share_of_what_is_about_cards_and_no_other_features_findings(project: Project) -> None:
    fleet.idle_nights(project, NOW, support="0.5", search="0.25", idle="0.25")
    for feature in ("support", "search"):
        seed(project, 60, Traffic(feature=feature, models=("gpt-4o",)))
    body = looking.look(project.pk, NOW).body
    whole, told = (savings_told.told(project.pk, body, feature) for feature in (None, "search"))
    assert set(told.features) == set(whole.features) == {"idle", "search", "support"}
    assert {one["feature"] for one in told.findings} == {"search", ""}
    cards = {one["kind"]: one for one in told.findings if one["page"] == "hosting"}
    for one in whole.findings:
        if one["page"] == "hosting":
            part = cards[one["kind"]]
            assert part["of_usd_per_month"] == one["usd_per_month"]
            assert abs(Decimal(part["usd_per_month"]) - Decimal(one["usd_per_month"]) / 4) < Decimal("0.00001")
    months = [Decimal(one["usd_per_month"]) for one in told.findings]
    assert months == sorted(months, reverse=True)


def kept(project: Project) -> Decimal:
    """What keeping answers for like questions saves alone, in the set that the new look tells; the look is stored."""
    made = looking.look(project.pk, NOW)
    values = {"body": made.body, "requested_at": NOW, "state": "done"}
    SavingsReport.objects.update_or_create(project=project, defaults=values)
    (view,) = featured.feature_costs(made.body, None) or ()
    steps = view.halving.steps if view.halving else ()
    return sum((step.alone_usd for step in steps if step.kind == "semantic_cache"), Decimal(0))


@pytest.mark.slow
def test_of_a_cache_by_likeness_a_set_counts_what_people_found_right(project: Project) -> None:
    topics = [f"please tell me where the parcel with the number {number} is at this moment" for number in range(900)]
    seed(project, 150, Traffic(topics=topics, models=("gpt-4o-mini",), error_ratio=0))
    traffic.settle_all(NOW)
    before = kept(project)
    pairs = [one["id"] for one in verdicts.drawn(project.pk)]
    for place, pair in enumerate(pairs):
        verdicts.give(project.pk, pair, "wrong" if place % 4 == 0 else "unsure" if place % 2 else "same", "ada")
    assert len(pairs) >= 8 and kept(project) < before
    for pair in pairs:
        verdicts.give(project.pk, pair, "wrong", "ada")
    assert kept(project) == 0


def test_a_cost_that_takes_too_long_to_read_is_unknown_and_the_rest_is_told(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed(project)
    monkeypatch.setattr(costs, "MOST_ROWS", 0)
    traffic.settle_all(NOW)
    body = looking.look(project.pk, NOW).body
    assert body["feature_costs"] is None and featured.feature_costs(body, "support") is None and body["findings"]
