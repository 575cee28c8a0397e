"""Costs over REST and on the page: who may ask, what is refused, and what strangers' text does."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from kit import fleet, otlp, traffic
from kit.stored import deliver
from stanchion_server.kernel import clock
from stanchion_server.reports import costs
from stanchion_server.tenants import access
from stanchion_server.tenants import services as tenants
from stanchion_server.tenants.models import ApiKey, Membership, Project, Role, Scope, User

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)
TEN = datetime(2026, 11, 25, 10, tzinfo=UTC)
NOW = TEN + HOUR + timedelta(minutes=5)
BAD = traffic.HOSTILE.replace("\u202e", "").replace("\u202c", "")[:150]
FORMULA = "=cmd|' /C calc'!A0"
RANGE = {"start": TEN.isoformat(), "end": (TEN + HOUR).isoformat()}
PAGE = {"from": "2026-11-25T10:00", "to": "2026-11-25T11:00"}


@dataclass(frozen=True)
class Shop:
    """ada owns, vera looks, bob is a stranger. A card served two features for an hour, an API a third."""

    project: Project
    other: Project


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    access.forget_everything()
    monkeypatch.setattr(clock, "now", lambda: NOW)
    organisation = tenants.create_organisation("Acme")
    project = tenants.create_project(organisation, "Shop")
    tenants.create_owner(organisation, "ada", "x" * 12)
    vera = User.objects.create_user("vera", password="x" * 12)
    Membership.objects.create(user=vera, organisation=organisation, role=Role.VIEWER)
    elsewhere = tenants.create_organisation("Elsewhere")
    other = tenants.create_project(elsewhere, "Other")
    tenants.create_owner(elsewhere, "bob", "x" * 12)
    fleet.deployment(project, TEN)
    fleet.send(project.pk, fleet.hour_of_samples(TEN, busy=0.5))
    paid = {"provider": "openai", "request_model": "gpt-4o-mini", "model": "gpt-4o-mini", "output_tokens": 0}
    deliver(
        project.pk,
        fleet.served(TEN + timedelta(minutes=5), 1, session_id="s1"),
        fleet.served(TEN + timedelta(minutes=6), 2, feature=FORMULA),
        fleet.served(TEN + timedelta(minutes=7), 3, feature=BAD, input_tokens=1_000_000, **paid),
    )
    traffic.settle_all(NOW)
    fleet.settle()
    yield Shop(project, other)
    access.forget_everything()


def api(project: Project, *scopes: Scope) -> Client:
    key = tenants.create_key(project, "k", scopes or (Scope.READ_METRICS,))
    return Client(headers={"authorization": f"Bearer {key}"})


def client_of(name: str) -> Client:
    client = Client()
    client.force_login(User.objects.get(username=name))
    return client


def get(client: Client, **query: str) -> Any:
    return client.get("/api/v1/costs", query)


def test_lines_add_up_to_the_total_with_every_sort_of_money(shop: Shop) -> None:
    found = get(api(shop.project), **RANGE).json()
    assert {line["kind"] for line in found["items"]} == {"use", "idle"}
    for name in ("api_usd", "gpu_usd", "energy_usd", "usd"):
        assert sum(Decimal(line[name]) for line in found["items"] if line[name] is not None) == Decimal(
            found["total"][name]
        )
    assert (Decimal(found["total"]["gpu_usd"]), Decimal(found["total"]["api_usd"])) == (1, Decimal("0.15"))
    assert found["total"]["calls"] == 3
    (idle,) = [line for line in found["items"] if line["kind"] == "idle"]
    assert (idle["api_usd"], idle["usd_per_call"], idle["sessions"]) == (None, None, None)
    (bot,) = [line for line in found["items"] if line["group"]["feature"] == "support-bot"]
    assert (bot["unpriced_calls"], bot["api_usd"], bot["sessions"], bot["usd_per_resolved"]) == (1, None, 1, None)


def test_a_table_for_spreadsheets_ends_with_the_total_and_starts_no_formula(shop: Shop) -> None:
    answer = get(api(shop.project), **RANGE, group_by="feature,model", **{"as": "csv"})
    assert answer["Content-Type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.content.decode())))
    assert f"'{FORMULA}" in {row["feature"] for row in rows}
    assert rows[-1]["row_kind"] == "total"
    assert sum(Decimal(row["usd"]) for row in rows[:-1] if row["usd"]) == Decimal(rows[-1]["usd"])
    assert {row["api_usd"] for row in rows if row["row_kind"] == "idle"} == {""}


def test_no_two_columns_of_a_table_have_one_name(shop: Shop) -> None:
    answer = get(api(shop.project), **RANGE, group_by="kind", **{"as": "csv"})
    head = next(csv.reader(io.StringIO(answer.content.decode())))
    assert len(set(head)) == len(head)
    rows = list(csv.DictReader(io.StringIO(answer.content.decode())))
    assert {(row["kind"], row["row_kind"]) for row in rows if row["calls"] == "3"} == {("llm", "use"), ("", "total")}


def test_by_deployment_counts_that_hours_do_not_keep_are_null_and_those_of_the_total_are_not(shop: Shop) -> None:
    found = get(api(shop.project), **RANGE, group_by="deployment").json()
    lines = {(line["kind"], line["group"]["deployment"]): line for line in found["items"]}
    hosted, nobody = lines["use", "llama"], lines["use", ""]
    for name in ("unpriced_calls", "untokened_calls", "cached_input_tokens"):
        assert hosted[name] is None, name
    assert (hosted["calls"], nobody["calls"], nobody["unpriced_calls"]) == (2, 1, None)
    assert found["total"]["unpriced_calls"] == 2
    page = client_of("ada").get("/p/shop/costs", {**PAGE, "by": "deployment"}).content.decode()
    assert 'title="how many of them have no price is not known by deployment">1</td>' in page
    assert "(2 without a price)" in page


def test_attributes_need_the_scope_for_content(shop: Shop) -> None:
    for query in ({"group_by": "attribute:team"}, {"attribute": "team=search"}):
        assert get(api(shop.project), **RANGE, **query).status_code == 403
        answer = get(api(shop.project, Scope.READ_METRICS, Scope.READ_CONTENT), **RANGE, **query)
        assert answer.status_code == 200


REFUSED: tuple[dict[str, str], ...] = (
    {"group_by": "colour"}, {"group_by": "user,model,feature"}, {"group_by": "model,model"}, {"step": "year"},
    {"as": "xml"}, {"start": "now", "end": "now-1h"}, {"start": "yesterday"}, {"colour": "red"}, {"limit": "0"},
    {"group_by": "deployment,release"}, {"group_by": "user", "start": "now-90d"}, {"group_by": "attribute:"},
    {"start": "2000-01-01T00:00:00Z"}, {"step": "hour", "start": "now-300d"},
)  # fmt: skip


def test_what_cannot_be_answered_is_refused_by_name(shop: Shop) -> None:
    client = api(shop.project, Scope.READ_METRICS, Scope.READ_CONTENT)
    for query in REFUSED:
        answer = get(client, **query)
        assert answer.status_code == 400, query
        assert answer.json()["error"]["message"]


def test_strangers_find_nothing(shop: Shop) -> None:
    theirs = get(api(shop.other), **RANGE).json()
    assert (theirs["items"], theirs["total"]["usd"], theirs["total"]["calls"]) == ([], None, 0)
    assert get(client_of("bob"), project=shop.project.slug).status_code == 404
    assert Client().get("/api/v1/costs").status_code == 401


def test_every_member_sees_the_page_and_a_stranger_none(shop: Shop) -> None:
    for name, status in (("ada", 200), ("vera", 200), ("bob", 404)):
        assert client_of(name).get("/p/shop/costs", PAGE).status_code == status
    by_team = {**PAGE, "by": "attribute", "key": "team"}
    assert client_of("vera").get("/p/shop/costs", by_team).status_code == 403
    assert client_of("ada").get("/p/shop/costs", by_team).status_code == 200


def test_strangers_text_is_shown_and_not_run(shop: Shop) -> None:
    page = client_of("ada").get("/p/shop/costs", PAGE).content.decode()
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert "alert(&#x27;stanchion&#x27;)" in page


def test_a_row_leads_to_its_calls(shop: Shop) -> None:
    page = client_of("ada").get("/p/shop/costs", {**PAGE, "by2": "model"}).content.decode()
    link = (
        "from=2026-11-25T10%3A00%3A00Z&amp;to=2026-11-25T11%3A00%3A00Z&amp;feature=support-bot&amp;model=llama-3.1-8b"
    )
    assert f"/p/shop/calls?{link}" in page
    assert '<a href="/p/shop/savings">What would make it cheaper</a>' in page
    assert "not known" in page
    assert "Idle" in page


def test_steps_that_are_too_much_to_read_leave_the_table_without_a_chart(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(shop.project.pk, fleet.served(TEN - HOUR + timedelta(minutes=5), 4))
    traffic.settle_all(NOW)
    monkeypatch.setattr(costs, "MOST_ROWS", 3)
    two_hours = {**PAGE, "from": "2026-11-25T09:00"}
    answer = client_of("ada").get("/p/shop/costs", two_hours)
    page = answer.content.decode()
    assert answer.status_code == 200
    assert "There is no chart: That are more than 3 rows." in page
    assert "chart-costs" not in page
    assert 'aria-label="Cost by group"' in page
    assert "chart-costs" in client_of("ada").get("/p/shop/costs", {**two_hours, "step": "day"}).content.decode()
    for refused in ({"step": "year"}, {"step": "hour", "from": "now-300d", "to": "now"}):
        assert client_of("ada").get("/p/shop/costs", {**two_hours, **refused}).status_code == 400, refused


UNSHOWN: tuple[dict[str, str], ...] = (
    {"by": "colour"}, {"by": "attribute"}, {"by": "attribute", "key": "\0"}, {"rating": "negative"},
    {"step": "year"}, {"by": "deployment", "by2": "release"}, {"by": "user", "from": "now-90d"}, {"min_cost": "dear"},
    {"trace": "0" * 32},
)  # fmt: skip


def test_a_page_that_cannot_be_answers_400_and_says_why(shop: Shop) -> None:
    client = client_of("ada")
    for query in UNSHOWN:
        answer = client.get("/p/shop/costs", {**PAGE, **query})
        assert answer.status_code == 400, query
        assert "That does not work" in answer.content.decode()


SHOWN: tuple[dict[str, str], ...] = (
    {}, {"by": "none"}, {"by": "user", "by2": "session"}, {"by": "deployment"}, {"by": "feature", "by2": "feature"},
    {"release": "v1"}, {"feature": "(none)"}, {"priced": "no"}, {"step": "day"}, {"from": "now-700d", "to": "now"},
    {"from": "2026-11-20T00:00", "to": "2026-11-20T01:00"}, {"records": "all"}, {"prompt": "p", "by": "kind"},
    {"min_cost": "$0.01"}, {"status": "unset", "by2": "status"}, {"attribute": "team=search"}, {"user": "(none)"},
)  # fmt: skip


def test_every_sort_of_question_has_a_page_and_a_table(shop: Shop) -> None:
    client = client_of("ada")
    for query in SHOWN:
        page = client.get("/p/shop/costs", {**PAGE, **query}).content.decode()
        assert "Cost explorer" in page, page
        if "As CSV" in page:
            link = page.split('<a href="/api/v1/costs?')[1].split('"')[0].replace("&amp;", "&")
            assert client.get(f"/api/v1/costs?{link}").status_code == 200, link


def test_a_call_of_a_tier_without_a_listed_price_says_so(shop: Shop) -> None:
    now = NOW - timedelta(minutes=3)
    model = dict.fromkeys(("gen_ai.request.model", "gen_ai.response.model"), "gpt-4.1")
    asked = {**model, "openai.response.service_tier": "flex"}
    sent = traffic.chat(now, trace_id="ab" * 16, span_id="cd" * 8, attributes=asked)
    tenants.create_key(shop.project, "sender", (Scope.INGEST,))
    traffic.send(shop.project.pk, ApiKey.objects.get(name="sender").pk, otlp.traces([sent]), NOW)
    page = client_of("vera").get(f"/p/shop/traces/{'ab' * 16}/{'cd' * 8}").content.decode()
    assert "list price; that of tier flex is not known" in page and "low confidence" in page
