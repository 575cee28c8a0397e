"""Budgets against the real database: what is spent, what is remembered, what is stopped."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from kit import calls, fleet, otlp, stored, traffic
from stanchion_server.alerts import sources
from stanchion_server.alerts.records import Ask, Window
from stanchion_server.costs import budgets, selectors_budgets, services, stops
from stanchion_server.costs.models import Budget, BudgetHour, PriceOverride
from stanchion_server.kernel import clock
from stanchion_server.kernel.errors import SenderError
from stanchion_server.routes import spending
from stanchion_server.tenants import services as tenants
from stanchion_server.tenants.models import Project

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
NOON = calls.NOON
MEGA = 1_000_000
"""Input tokens that cost 15 cents with gpt-4o-mini ($0.15 per million)."""


@pytest.fixture(autouse=True)
def at_noon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOON)
    stops.forget()


@pytest.fixture
def project() -> Project:
    return tenants.create_project(tenants.create_organisation("Acme"), "Shop")


def made(project: Project, **more: Any) -> Budget:
    return budgets.add(project, {"name": "all", "limit_usd": Decimal(3), "owner": "ann", **more}, "ann")


def spend(project: Project, days_ago: float, dimes: int, **more: Any) -> None:
    """`dimes` times 15 cents."""
    at = -days_ago * 86_400
    stored.deliver(project.pk, calls.call(after_s=at, input_tokens=dimes * MEGA, output_tokens=0, **more))
    traffic.settle_all(NOON)


def readings(project: Project) -> Mapping[str, selectors_budgets.BudgetReading]:
    return {one.name: one for one in selectors_budgets.readings(project.pk, NOON)}


def test_scopes_see_their_own_calls_of_their_own_period(project: Project) -> None:
    for name, more in {
        "all": {}, "bot": {"scope": "feature", "scope_value": "bot"}, "none": {"scope": "feature"},
        "live": {"scope": "environment", "scope_value": "live"}, "week": {"period": "week"}, "day": {"period": "day"},
    }.items():  # fmt: skip
        made(project, name=name, **more)
    spend(project, 0.01, 1, feature="bot")
    spend(project, 1, 2, environment="live")
    spend(project, 10, 4, feature="bot")
    spend(project, 30, 8, feature="bot")
    found = {name: one.spent_usd for name, one in readings(project).items()}
    assert found == {
        "all": Decimal("1.05"), "bot": Decimal("0.75"), "none": Decimal("0.3"), "live": Decimal("0.3"),
        "week": Decimal("0.45"), "day": Decimal("0.15"),
    }  # fmt: skip


def test_unsettled_calls_count_at_once_and_unpriced_ones_are_told(project: Project) -> None:
    made(project)
    stored.deliver(
        project.pk,
        calls.call(input_tokens=MEGA, output_tokens=0, after_s=-60),
        calls.call(request_model="mystery", model="mystery", after_s=-60),
    )
    found = readings(project)["all"]
    assert found.spent_usd == Decimal("0.15") and found.unpriced_calls == 1


def test_self_hosted_models_count_for_the_project_and_their_feature(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = datetime(2026, 11, 25, 10, tzinfo=UTC)
    monkeypatch.setattr(clock, "now", lambda: at + timedelta(hours=2))
    made(project)
    made(project, name="bot", scope="feature", scope_value="bot")
    fleet.deployment(project, at)
    fleet.send(project.pk, fleet.hour_of_samples(at, busy=0.5))
    stored.deliver(project.pk, fleet.served(at + timedelta(minutes=5), 1, feature="bot", input_tokens=99))
    traffic.settle_all(at + timedelta(hours=2))
    fleet.settle()
    found = {one.name: one for one in selectors_budgets.readings(project.pk, at + timedelta(minutes=70))}
    assert found["all"].spent_usd == Decimal("1.018")  # a dollar an hour and 60 Wh at 30 cents, idling included
    assert found["bot"].spent_usd == Decimal("0.509")


def test_a_budget_reads_its_thresholds_forecast_and_overrun(project: Project) -> None:
    made(project, limit_usd=Decimal("2"), notify_percents=[50, 80, 100])
    for day in range(1, 13):
        spend(project, day, 1)
    found = readings(project)["all"]
    assert found.spent_usd == Decimal("1.8") and found.reached_percent == 80
    assert found.forecast_usd is not None and Decimal("3.2") < found.forecast_usd < Decimal("3.5")
    assert found.overruns_at is not None and NOON < found.overruns_at < NOON + 3 * DAY
    assert found.burn_ratio == pytest.approx(0.9 / (19.5 / 30))


def test_alerts_read_every_threshold_as_a_reading_of_its_own(project: Project) -> None:
    made(project, limit_usd=Decimal(1), notify_percents=[50, 100])
    spend(project, 1, 5)
    asks = [
        Ask("budgets", "threshold_ratio", Window(NOON - DAY, NOON), by=("budget", "threshold")),
        Ask("budgets", "spent_ratio", Window(NOON - DAY, NOON)),
        Ask("budgets", "spent_ratio", Window(NOON - DAY, NOON), by=("budget",), where=(("budget", "other"),)),
    ]
    found = sources.answers(sources.READERS, project.pk, asks, NOON)
    by_threshold = {labels[1][1]: sample.value for labels, sample in found[asks[0]].items()}  # type: ignore[union-attr]
    assert by_threshold == {"50 %": 1.5, "100 %": 0.75}
    assert found[asks[1]][()].value == 0.75  # type: ignore[index]
    assert found[asks[2]] == {}


def tagged(project: Project, at: datetime, team: str, number: int, dimes: int = 1) -> None:
    span = otlp.llm_span(
        start_ns=traffic.nanoseconds(at), trace_id=f"{number:032x}",
        attributes={"team": team, "gen_ai.usage.input_tokens": dimes * MEGA, "gen_ai.usage.output_tokens": 0,
                    "gen_ai.usage.cache_read.input_tokens": 0, "gen_ai.usage.reasoning.output_tokens": 0},
    )  # fmt: skip
    traffic.send(project.pk, 1, otlp.traces([span]), NOON)
    traffic.settle_all(NOON)


def test_spend_by_attribute_is_remembered_and_read_again_only_where_it_changed(project: Project) -> None:
    row = made(project, name="red", scope="attribute", scope_key="team", scope_value="red")
    tagged(project, NOON - DAY, "red", 1, dimes=2)
    tagged(project, NOON - 2 * DAY, "blue", 2, dimes=4)
    assert readings(project)["red"].spent_usd == 0
    spending.remember()
    assert readings(project)["red"].spent_usd == Decimal("0.3")
    before = {one.hour: one.pk for one in BudgetHour.objects.all()}
    assert len(before) == 2
    tagged(project, NOON - 2 * DAY, "red", 3)
    BudgetHour.objects.filter(hour=NOON - DAY).update(usd=7)
    spending.remember()
    assert readings(project)["red"].spent_usd == 7 + Decimal("0.15")
    PriceOverride.objects.create(
        project=project, provider="openai", model="gpt-4o-mini", effective_from=NOON - 9 * DAY,
        input_usd_per_mtok=Decimal(1), output_usd_per_mtok=Decimal(1),
    )  # fmt: skip
    services.reprice(project.pk, NOON - 5 * DAY, NOON)
    traffic.settle_all(NOON)
    spending.remember()
    assert readings(project)["red"].spent_usd == 3
    budgets.change(project.pk, row.pk, {"scope_value": "blue"}, "ann")
    spending.remember()
    assert readings(project)["red"].spent_usd == 4


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"owner": " "}, "owner: "),
        ({"limit_usd": Decimal(0)}, "limit_usd: 0 is no amount"),
        ({"limit_usd": Decimal("1e20")}, "limit_usd: "),
        ({"name": ""}, "name: "),
        ({"name": "a\0b"}, "NUL"),
        ({"scope": "planet"}, "scope: "),
        ({"scope_value": "bot"}, "takes no value"),
        ({"scope": "attribute", "scope_value": "red"}, "is not an attribute key"),
        ({"scope": "attribute", "scope_key": "team"}, "which value"),
        ({"scope": "feature", "scope_key": "team"}, "Only a budget by attribute"),
        ({"scope": "service", "scope_value": "web", "is_hard_stop": True}, "do not tell this scope"),
        ({"scope": "feature", "is_hard_stop": True}, "checks without a feature"),
        ({"notify_percents": [0]}, "0 is not between"),
        ({"notify_percents": list(range(1, 20))}, "At most 10"),
    ],
)
def test_a_budget_that_cannot_be_is_refused_with_a_remedy(
    project: Project, values: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(SenderError, match=sentence):
        made(project, **values)
    assert not Budget.objects.exists()


def test_a_name_is_free_again_once_its_budget_is_gone(project: Project) -> None:
    row = made(project)
    with pytest.raises(SenderError, match="already"):
        made(project)
    budgets.archive(project.pk, row.pk, "ann")
    made(project)
    assert list(readings(project)) == ["all"]


def test_another_project_sees_no_budget(project: Project) -> None:
    other = tenants.create_project(tenants.create_organisation("Other"), "Other")
    row = made(project)
    with pytest.raises(SenderError) as caught:
        budgets.change(other.pk, row.pk, {"owner": "eve"}, "eve")
    assert caught.value.http_status == 404 and selectors_budgets.readings(other.pk, NOON) == []


def stopped(project: Project, feature: str = "bot", at: datetime = NOON) -> bool:
    stops.forget()
    return stops.stop_of(project.pk, feature, "", at) is not None


def test_a_spent_budget_stops_its_feature_until_it_is_raised_or_its_month_is_over(project: Project) -> None:
    row = made(project, limit_usd=Decimal("0.1"), scope="feature", scope_value="bot", is_hard_stop=True)
    spending.stop_spent()
    assert not stopped(project)
    spend(project, 1, 1, feature="bot")
    assert not stopped(project)
    spending.stop_spent()
    assert stopped(project) and not stopped(project, "search") and not stopped(project, "")
    budgets.change(project.pk, row.pk, {"limit_usd": Decimal(5)}, "ann")
    assert not stopped(project)
    spending.stop_spent()
    assert not stopped(project)
    budgets.change(project.pk, row.pk, {"limit_usd": Decimal("0.1")}, "ann")
    spending.stop_spent()
    assert stopped(project)
    Budget.objects.update(looked_at=datetime(2026, 12, 1, tzinfo=UTC))
    assert not stopped(project, at=datetime(2026, 12, 1, tzinfo=UTC))


def test_a_stop_that_no_worker_confirms_is_not_obeyed(project: Project) -> None:
    made(project, limit_usd=Decimal("0.1"), is_hard_stop=True)
    spend(project, 1, 1)
    spending.stop_spent()
    assert stopped(project, at=NOON + stops.TRUSTED - timedelta(seconds=1))
    assert not stopped(project, at=NOON + stops.TRUSTED)


def test_nothing_is_stopped_without_being_asked_for(project: Project) -> None:
    made(project, limit_usd=Decimal("0.1"))
    spend(project, 1, 1)
    spending.stop_spent()
    assert not stopped(project) and not Budget.objects.exclude(stopped_until=None).exists()
