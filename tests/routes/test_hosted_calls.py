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
from django.test import Client

from kit import fleet, otlp, traffic
from stanchion_server.costs import breakdown, selectors, services
from stanchion_server.costs.models import Allocation, PriceOverride
from stanchion_server.kernel import clock
from stanchion_server.reports import costs
from stanchion_server.reports.costs import CostQuery, CostRow
from stanchion_server.tenants import services as tenants
from stanchion_server.tenants.models import Project
from stanchion_server.traces import selectors as traces
from stanchion_server.traces.selectors import CallFilter
from stanchion_server.web.pages import formats

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


def a_mixed_hour(project: Project) -> None:
    """One call bought from a vendor, one served by an own card, both by the service bot for one feature."""
    fleet.deployment(project, TEN, match_model="", match_server="llm.internal")
    session = {"stanchion.session": "s", "stanchion.feature": "desk", "stanchion.user": "ann"}
    send(project, span("own", **OWN, **session), span("bought", "anthropic", **VENDOR, **session))
    fleet.settle()


def ratios(row: CostRow) -> tuple[Decimal | None, ...]:
    return row.usd_per_call, row.usd_per_1k_tokens, row.usd_per_session


def asked(project: Project, *group_by: str, limit: int = 100, **filters: str) -> costs.CostReport:
    wanted = CallFilter(**filters)  # type: ignore[arg-type]
    return costs.explore(project.pk, CostQuery(TEN, TEN + HOUR, group_by, filters=wanted, limit=limit))


def test_where_the_hours_dollars_are_in_ratios_are_told(project: Project) -> None:
    a_mixed_hour(project)
    for group_by in ((), ("feature",), ("model",), ("user",)):
        found = asked(project, *group_by, feature="desk")
        for row in (found.total, found.rows[0]):
            assert row.amounts.hosted_calls == 1
            assert row.untold == ""
            assert None not in ratios(row)
            assert row.usd_per_session == row.amounts.usd
    assert asked(project, "provider").total.untold == ""


@pytest.mark.parametrize("dimension", ["service", "environment", "release", "session", "attribute:server.port"])
def test_where_they_stand_elsewhere_no_ratio_is_told_and_the_reason_is(project: Project, dimension: str) -> None:
    a_mixed_hour(project)
    (row,) = [row for row in asked(project, dimension).rows if row.amounts.hosted_calls]
    assert ratios(row) == (None, None, None)
    assert row.usd_per_resolved is None
    assert f"not split by {dimension.removeprefix('attribute:')}" in row.untold
    assert row.is_estimated is None


def test_a_provider_without_own_calls_keeps_its_ratios(project: Project) -> None:
    a_mixed_hour(project)
    rows = {row.group["provider"]: row for row in asked(project, "provider").rows}
    assert rows["openai"].untold
    assert rows["anthropic"].untold == ""
    assert rows["anthropic"].usd_per_1k_tokens == Decimal("0.003")


def test_a_filter_that_hours_do_not_know_leaves_the_total_without_ratios(project: Project) -> None:
    a_mixed_hour(project)
    found = asked(project, service="bot")
    assert (found.total.amounts.calls, found.total.amounts.hosted_calls, found.total.amounts.gpu_usd) == (2, 1, None)
    assert ratios(found.total) == ratios(found.rows[0]) == (None, None, None)
    assert "not split by service" in found.total.untold


def test_hours_put_together_with_smaller_groups_tell_nothing_of_their_calls(project: Project) -> None:
    a_mixed_hour(project)
    (others,) = [row for row in asked(project, "provider", limit=1).rows if row.kind == breakdown.OTHERS]
    assert others.amounts.hosted_calls == 1
    assert ratios(others) == (None, None, None)


def test_by_deployment_own_calls_stand_where_their_dollars_are(project: Project) -> None:
    a_mixed_hour(project)
    rows = {row.group["deployment"]: row for row in asked(project, "deployment").rows if row.kind == breakdown.USE}
    assert (rows["llama"].amounts.hosted_calls, rows["llama"].untold) == (1, "")
    assert (rows[""].amounts.hosted_calls, rows[""].untold) == (0, "")


def test_an_hour_that_is_not_split_yet_is_no_free_call(project: Project) -> None:
    fleet.deployment(project, TEN, match_model="", match_server="llm.internal")
    send(project, span("own", **OWN))
    (row,) = asked(project, "feature").rows
    assert row.amounts.usd == 0
    assert ratios(row) == (None, None, None)
    assert "not yet" in row.untold


def pages(project: Project) -> Client:
    client = Client()
    client.force_login(tenants.create_owner(project.organisation, "ada", "x" * 12))
    return client


RANGE = {"from": TEN.isoformat(), "to": (TEN + HOUR).isoformat()}


def test_a_call_that_an_own_card_served_leads_to_its_hours_and_is_never_free(project: Project) -> None:
    a_mixed_hour(project)
    client = pages(project)
    found = {call.hosted_by: call for call in traces.calls(project.pk, CallFilter()).items}
    own, bought = found["llama"], found[""]
    for path in (f"traces/{own.trace_id}", f"traces/{own.trace_id}/{own.span_id}", "calls"):
        page = client.get(f"/p/{project.slug}/{path}", RANGE).content.decode()
        assert "in GPU hours" in page, path
        assert f"/p/{project.slug}/hosting" in page, path
        assert ">$0<" not in page, path
        assert "high confidence" not in page, path
    assert "in GPU hours" not in client.get(f"/p/{project.slug}/traces/{bought.trace_id}").content.decode()
    sessions = client.get(f"/p/{project.slug}/sessions", RANGE).content.decode()
    assert "$0.006" in sessions
    assert "+ 1 in GPU hours" in sessions


def test_the_overview_pays_for_own_hours_as_the_explorer_does(project: Project) -> None:
    a_mixed_hour(project)
    send(project, span("cheap", "anthropic", **VENDOR))
    page = pages(project).get(f"/p/{project.slug}/overview", RANGE).content.decode()
    whole = asked(project).total.amounts
    assert whole.gpu_usd == 1
    assert f"{formats.usd(whole.api_usd)} API, {formats.usd((whole.usd or 0) - (whole.api_usd or 0))} own hours" in page
    features = page.split('id="by-feature"')[1].split("</section>")[0]
    assert features.index(">desk<") < features.index(">cheap<")
    assert "Models by API cost" in page


def test_the_overview_of_a_project_without_cards_is_about_calls_alone(project: Project) -> None:
    send(project, span("cheap", "anthropic", **VENDOR))
    page = pages(project).get(f"/p/{project.slug}/overview", RANGE).content.decode()
    assert "Models by cost" in page
    assert "API cost" not in page
    assert "own hours" not in page
