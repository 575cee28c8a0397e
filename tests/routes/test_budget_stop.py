"""A spent budget with a hard stop blocks guard checks of its feature, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from kit import stored, traffic
from kit.calls import NOON, call
from stanchion_server.costs import budgets, stops
from stanchion_server.costs.models import Budget
from stanchion_server.kernel import clock
from stanchion_server.policies import engine
from stanchion_server.policies.recording import recorder
from stanchion_server.routes import spending
from stanchion_server.tenants import access
from stanchion_server.tenants import services as tenants
from stanchion_server.tenants.models import Project, Scope
from stanchion_server.traces.models import GuardDecision

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _empty_caches(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(clock, "now", lambda: NOON)
    for forget in (access.forget_everything, engine.forget_everything, stops.forget):
        forget()
    yield
    recorder.flush()
    for forget in (access.forget_everything, engine.forget_everything, stops.forget):
        forget()


@pytest.fixture
def project() -> Project:
    project = tenants.create_project(tenants.create_organisation("Acme"), "Shop")
    stored.deliver(project.pk, call(feature="bot", input_tokens=1_000_000, after_s=-3600))
    traffic.settle_all(NOON)
    return project


def budget(project: Project, **more: Any) -> Budget:
    wanted = {
        "name": "bot a month", "limit_usd": Decimal("0.10"), "owner": "ann", "scope": "feature", "scope_value": "bot",
        "is_hard_stop": True, **more,
    }  # fmt: skip
    row = budgets.add(project, wanted, "ann")
    spending.stop_spent()
    stops.forget()
    return row


def post(project: Project, path: str = "guard/check", **body: Any) -> Any:
    key = tenants.create_key(project, "app", [Scope.GUARD])
    client = Client(headers={"authorization": f"Bearer {key}"})
    return client.post(f"/api/v1/{path}", {"text": "Good morning", **body}, content_type="application/json").json()


def test_the_spent_feature_is_blocked_with_a_reason_and_the_decision_is_kept(project: Project) -> None:
    budget(project)
    answer = post(project, feature="bot")
    assert (answer["action"], answer["policy"], answer["rules"]) == ("block", "budget:bot a month", ["budget"])
    assert "budget is used up" in answer["message"] and "0.10" not in answer["message"]
    [stop] = [check for check in answer["checks"] if check["rule"] == "budget"]
    assert "“bot a month” of $0.10 is spent; ann can raise it" in stop["reason"] and "2026-12-01" in stop["reason"]
    assert answer["coverage"]["complete"]
    assert recorder.flush()
    kept = {row.policy: row for row in GuardDecision.objects.all()}
    assert set(kept) == {"default", "budget:bot a month"} and kept["budget:bot a month"].rules == ["budget"]


@pytest.mark.parametrize("body", [{"feature": "search"}, {}, {"feature": "bot", "stage": "output"},
                                  {"feature": "bot", "response": "It is on its way."}])  # fmt: skip
def test_other_features_and_answers_that_are_paid_for_go_on(project: Project, body: dict[str, str]) -> None:
    budget(project)
    assert post(project, **body)["action"] == "allow"


def test_raising_the_budget_lets_checks_through_at_once(project: Project) -> None:
    row = budget(project)
    assert post(project, feature="bot")["action"] == "block"
    budgets.change(project.pk, row.pk, {"limit_usd": Decimal(50)}, "ann")
    assert post(project, feature="bot")["action"] == "allow"


def test_a_budget_without_the_stop_blocks_nothing(project: Project) -> None:
    budget(project, is_hard_stop=False)
    assert post(project, feature="bot")["action"] == "allow"


def test_the_turn_of_the_month_ends_the_stop(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    budget(project)
    Budget.objects.update(looked_at=NOON + timedelta(days=11))
    monkeypatch.setattr(clock, "now", lambda: NOON + timedelta(days=11))
    stops.forget()
    assert post(project, feature="bot")["action"] == "allow"
    spending.stop_spent()
    assert Budget.objects.get().stopped_until is None


def test_another_projects_checks_go_on(project: Project) -> None:
    budget(project, scope="project", scope_value="")
    other = tenants.create_project(tenants.create_organisation("Other"), "Other")
    assert post(project)["action"] == "block"
    assert post(other, feature="bot")["action"] == "allow"


def test_a_database_that_is_away_stops_nobody_who_was_not_stopped(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    budget(project)

    def away(project_id: int) -> list[Budget]:
        from django.db import OperationalError

        raise OperationalError("gone")

    monkeypatch.setattr(stops, "_rows", away)
    assert stops.stop_of(project.pk, "bot", "", NOON) is None
