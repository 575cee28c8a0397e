"""Every call is paid once: by the hours of the deployment that served it, or by its tokens."""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection

from kit import fleet, otlp, traffic
from stanchion_server.costs import selectors, services
from stanchion_server.costs.models import Allocation, PriceOverride
from stanchion_server.kernel import clock
from stanchion_server.tenants import services as tenants
from stanchion_server.tenants.models import Project

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)
TEN = datetime(2026, 11, 25, 10, tzinfo=UTC)
NOW = TEN + HOUR + timedelta(minutes=5)
MODEL = "claude-haiku-4-5"


@pytest.fixture
def project(monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    monkeypatch.setattr(clock, "now", lambda: NOW)
    yield tenants.create_project(tenants.create_organisation("Acme"), "Shop")


def span(name: str, provider: str = "openai", after_minutes: int = 7, **attributes: object) -> otlp.Json:
    told = {
        "gen_ai.operation.name": "chat", "gen_ai.provider.name": provider, "gen_ai.request.model": MODEL,
        "gen_ai.usage.input_tokens": 1_000, "gen_ai.usage.output_tokens": 1_000, "stanchion.feature": name,
        "gen_ai.usage.cache_read.input_tokens": 0,
    }  # fmt: skip
    start_ns = fleet.nanoseconds(TEN + timedelta(minutes=after_minutes))
    return otlp.span(name, start_ns=start_ns, attributes=told | attributes)


OWN = {"server.address": "llm.internal", "server.port": 8000}
VENDOR = {"server.address": "api.anthropic.com", "server.port": 443}


def send(project: Project, *spans: otlp.Json, **resource: str) -> None:
    traffic.send(project.pk, 1, otlp.traces(list(spans), resource={"service.name": "bot", **resource}), NOW)
    traffic.settle_all(NOW)


def prices(project: Project) -> dict[str, tuple[Decimal | None, str]]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT feature, cost_usd, cost_price FROM llm_calls WHERE project_id = %s", [project.pk])
        return {feature: (usd, price) for feature, usd, price in cursor.fetchall()}


def own_price(project: Project) -> None:
    PriceOverride.objects.create(
        project=project, provider="", model=MODEL, effective_from=TEN - HOUR, input_usd_per_mtok=Decimal(1),
        output_usd_per_mtok=Decimal(1),
    )  # fmt: skip
    selectors.forget()


def test_a_vendors_call_of_a_model_that_is_also_hosted_keeps_its_price(project: Project) -> None:
    fleet.deployment(project, TEN, match_model=MODEL, match_server="llm.internal:8000")
    send(project, span("bought", "anthropic", **VENDOR), span("own", "anthropic", **OWN))
    found = prices(project)
    assert found["bought"][0] == Decimal("0.006")
    assert found["bought"][1].startswith("genai-prices")
    assert found["own"] == (0, "deployment llama")
    fleet.settle()
    assert Allocation.objects.get(hour=TEN).calls == 1


@pytest.mark.parametrize(
    "match",
    [
        {"match_server": "llm.internal:8000"},
        {"match_server": "llm.internal"},
        {"match_provider": "VLLM"},
        {"match_model": MODEL.upper(), "match_provider": "vllm"},
        {"match_service": "bot"},
        {"match_attribute": "pool", "match_value": "7"},
        {"match_attribute": "ratio", "match_value": "0.5"},
        {"match_attribute": "is_own", "match_value": "true"},
        {"match_attribute": "list", "match_value": '["a"]'},
        {"match_attribute": "pool", "match_value": "7", "match_server": "llm.internal:8000"},
    ],
)
@pytest.mark.parametrize("is_priced", [False, True])
def test_the_calls_without_a_price_of_their_own_are_those_of_the_hours(
    project: Project, match: dict[str, str], *, is_priced: bool
) -> None:
    if is_priced:
        own_price(project)
    fleet.deployment(project, TEN, **{"match_model": "", **match})
    send(
        project, span("a", **OWN), span("b", **VENDOR), span("c", "vllm"), span("d", pool=7), span("e", pool="7"),
        span("f", ratio=0.5), span("g", is_own=True), span("h", list=["a"]), span("i", pool=7, **OWN),
    )  # fmt: skip
    fleet.settle()
    charged = Counter(price == "deployment llama" for _usd, price in prices(project).values())
    assert Allocation.objects.get(hour=TEN).calls == charged[True]
    assert (charged[True] == 0) == (match.get("match_attribute") == "list")
    assert all((usd == 0) == (price == "deployment llama") for usd, price in prices(project).values())


def test_before_it_began_and_after_its_end_calls_are_bought(project: Project) -> None:
    fleet.deployment(project, TEN - HOUR, match_model=MODEL)
    fleet.deployment(project, TEN, is_retired=True)
    send(project, span("before", after_minutes=-61), span("in", after_minutes=-1), span("after", after_minutes=0))
    assert {name: bool(usd) for name, (usd, _price) in prices(project).items()} == {
        "before": True, "in": False, "after": True,
    }  # fmt: skip


def test_a_call_that_told_no_tokens_but_was_served_is_not_without_a_price(project: Project) -> None:
    fleet.deployment(project, TEN, match_model=MODEL)
    send(project, span("own", **{"gen_ai.usage.input_tokens": None, "gen_ai.usage.output_tokens": None}))
    assert prices(project)["own"] == (0, "deployment llama")


def test_stored_calls_follow_a_deployment_when_they_are_priced_anew(project: Project) -> None:
    send(project, span("own", **OWN), span("bought", **VENDOR))
    fleet.deployment(project, TEN, match_model="", match_server="llm.internal")
    report = services.reprice(project.pk, TEN, NOW)
    assert (report.calls, report.changed) == (2, 1)
    assert prices(project)["own"] == (0, "deployment llama")
    assert prices(project)["bought"][0]


def test_another_projects_deployment_serves_nobody_else(project: Project) -> None:
    other = tenants.create_project(tenants.create_organisation("Else"), "Other")
    fleet.deployment(other, TEN, match_model=MODEL)
    send(project, span("bought"))
    assert prices(project)["bought"][0]


def test_a_project_without_deployments_asks_nothing_more_for_a_call(
    project: Project, django_assert_num_queries: Any
) -> None:
    selectors.book(project.pk)
    with django_assert_num_queries(0):
        assert selectors.book(project.pk).hosted == ()


def test_prices_that_deployments_made_are_taken_away_and_peoples_own_stay(project: Project) -> None:
    fleet.deployment(project, TEN, match_model=MODEL)
    zero = {"project": project, "input_usd_per_mtok": 0, "output_usd_per_mtok": 0, "effective_from": TEN}
    note = "Hosted as llama: its cost is split by use"
    made = PriceOverride.objects.create(provider="", model=MODEL.upper(), note=note, **zero)
    kept = [
        PriceOverride.objects.create(provider="", model=MODEL, note="ours", **zero),
        PriceOverride.objects.create(provider="x", model=MODEL, note=note, **zero | {"output_usd_per_mtok": 2}),
        PriceOverride.objects.create(provider="", model="another", note=note, **zero),
    ]
    migration = importlib.import_module("stanchion_server.costs.migrations.0010_prices_of_deployments")
    with connection.cursor() as cursor:
        cursor.execute(migration._FORGET)
    assert set(PriceOverride.objects.values_list("pk", flat=True)) == {one.pk for one in kept}
    assert made.pk
