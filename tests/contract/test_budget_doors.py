"""Budgets over REST and on pages: who may do what, what stands where, and what strangers' text does."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from kit import fleet, stored, traffic
from kit.calls import NOON, call
from stanchion_server.costs import budgets, services, stops
from stanchion_server.costs.models import Budget
from stanchion_server.kernel import clock
from stanchion_server.routes import spending
from stanchion_server.tenants import access
from stanchion_server.tenants import services as tenants
from stanchion_server.tenants.models import Membership, Project, Role, Scope, User

pytestmark = pytest.mark.django_db

BAD = traffic.HOSTILE.replace("\u202e", "").replace("\u202c", "")
MEGA = 1_000_000
"""Input tokens that cost 15 cents with gpt-4o-mini ($0.15 per million)."""
NEW = {"name": "all", "limit_usd": "3", "owner": "ann"}
FORM = {"name": "all", "scope": "project", "period": "month", "limit_usd": "3", "owner": "ann", "notify_percents": "50"}


@dataclass(frozen=True)
class Shop:
    """ada owns, vera looks, bob is a stranger. The bot spent 30 cents on the first days of the month."""

    project: Project
    other: Project


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    monkeypatch.setattr(clock, "now", lambda: NOON)
    for forget in (access.forget_everything, stops.forget):
        forget()
    organisation = tenants.create_organisation("Acme")
    project = tenants.create_project(organisation, "Shop")
    tenants.create_owner(organisation, "ada", "x" * 12)
    vera = User.objects.create_user("vera", password="x" * 12)
    Membership.objects.create(user=vera, organisation=organisation, role=Role.VIEWER)
    elsewhere = tenants.create_organisation("Elsewhere")
    other = tenants.create_project(elsewhere, "Other")
    tenants.create_owner(elsewhere, "bob", "x" * 12)
    for days in (1, 2):
        stored.deliver(project.pk, call(feature="bot", input_tokens=MEGA, output_tokens=0, after_s=-days * 86_400))
    traffic.settle_all(NOON)
    yield Shop(project, other)
    for forget in (access.forget_everything, stops.forget):
        forget()


def api(project: Project, *scopes: Scope) -> Client:
    key = tenants.create_key(project, "k", scopes or (Scope.READ_METRICS, Scope.ADMIN))
    return Client(headers={"authorization": f"Bearer {key}"})


def client_of(name: str) -> Client:
    client = Client()
    client.force_login(User.objects.get(username=name))
    return client


def sent(client: Client, method: str, path: str, body: Any = None) -> Any:
    return getattr(client, method)(f"/api/v1/{path}", body, content_type="application/json")


def made(project: Project, **more: Any) -> Budget:
    return budgets.add(project, {"name": "all", "limit_usd": Decimal(3), "owner": "ann", **more}, "ann")


def test_a_budget_is_made_read_changed_and_deleted(shop: Shop) -> None:
    door = api(shop.project)
    answer = sent(door, "post", "budgets", {**NEW, "scope": "feature", "scope_value": "bot", "notify_percents": [50]})
    assert answer.status_code == 201
    number = answer.json()["budget"]["id"]
    answer = sent(door, "patch", f"budgets/{number}", {"limit_usd": "0.20"})
    told = answer.json()["budget"]
    assert (told["name"], told["limit_usd"], told["spent_usd"], told["spent_ratio"]) == ("all", "0.2", "0.3", 1.5)
    assert told["scope_value"] == "bot" and told["reached_percent"] == 50 and told["overruns_at"] is not None
    assert told["created_by"] == told["changed_by"] != ""
    assert sent(door, "get", f"budgets/{number}").json()["budget"] == told
    assert sent(door, "delete", f"budgets/{number}").status_code == 204
    assert sent(door, "get", f"budgets/{number}").status_code == 404
    assert sent(door, "get", "budgets").json() == {"items": []}


def test_a_budget_tells_burn_rate_forecast_and_the_day_of_the_overrun(shop: Shop) -> None:
    row = made(shop.project, limit_usd=Decimal("0.50"))
    answer = sent(api(shop.project), "get", f"budgets/{row.pk}").json()
    told = answer["budget"]
    assert Decimal(told["spent_usd"]) == Decimal("0.30")
    elapsed = (NOON - NOON.replace(day=1, hour=0)) / timedelta(days=30)
    assert told["burn_ratio"] == pytest.approx(0.6 / elapsed)
    assert told["forecast_method"] == "linear" and Decimal(told["forecast_usd"]) > Decimal("0.50")
    assert told["period_start"] < told["overruns_at"] < told["period_end"]
    totals = [Decimal(point["total_usd"]) for point in answer["points"]]
    assert totals == sorted(totals) and totals[-1] == pytest.approx(Decimal(told["forecast_usd"]))
    assert {point["is_expected"] for point in answer["points"]} == {False, True}


def test_the_list_is_a_table_for_spreadsheets_that_starts_no_formula(shop: Shop) -> None:
    made(shop.project, name="=cmd|' /C calc'!A0")
    made(shop.project, name="plain", notify_percents=[50, 80])
    answer = api(shop.project).get("/api/v1/budgets", {"as": "csv"})
    assert answer["Content-Disposition"] == 'attachment; filename="stanchion-budgets.csv"'
    rows = {row["name"]: row for row in csv.DictReader(io.StringIO(answer.content.decode()))}
    assert set(rows) == {"'=cmd|' /C calc'!A0", "plain"}
    assert (rows["plain"]["spent_usd"], rows["plain"]["notify_percents"]) == ("0.3", "50 80")


def test_a_budgets_steps_are_a_table_for_spreadsheets(shop: Shop) -> None:
    row = made(shop.project)
    answer = api(shop.project).get(f"/api/v1/budgets/{row.pk}", {"as": "csv"})
    rows = list(csv.DictReader(io.StringIO(answer.content.decode())))
    assert rows[0]["at"].endswith("-01T00:00:00Z") and rows[0]["total_usd"] == "0"
    assert [row["is_expected"] for row in rows][-1] == "True"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({**NEW, "limit_usd": "0"}, "limit_usd is '0': "),
        ({**NEW, "limit_usd": "NaN"}, "limit_usd is 'NaN': "),
        ({**NEW, "period": "year"}, "period is 'year': "),
        ({**NEW, "colour": "red"}, "'colour' is not a field. Known: name, scope,"),
        ({"name": "all"}, "limit_usd: This field is required"),
        ({**NEW, "owner": " "}, "owner is ' ': "),
        ({**NEW, "name": "a\0b"}, "name is 'a\\x00b': "),
        ({**NEW, "notify_percents": [0]}, "notify_percents is [0]: "),
        ({**NEW, "notify_percents": list(range(1, 12))}, "notify_percents is [1, 2"),
        ({**NEW, "scope": "attribute", "scope_value": "x"}, "attribute"),
        ({**NEW, "scope_value": "bot"}, "scope_value: A budget for the whole project takes no value."),
        ({**NEW, "scope": "service", "scope_value": "x", "is_hard_stop": True}, "is_hard_stop: Guard checks"),
        ({**NEW, "limit_usd": {"a": 1}}, "limit_usd is {'a': 1}: "),
        ([NEW], "The body must be a JSON object."),
        ("budget", "not readable JSON"),
    ],
)
def test_what_cannot_be_a_budget_is_told_with_its_value(shop: Shop, body: Any, told: str) -> None:
    answer = sent(api(shop.project), "post", "budgets", body)
    assert answer.status_code == 400
    assert told in answer.json()["error"]["message"]
    assert not Budget.objects.exists()


def test_a_second_budget_of_the_same_name_is_a_conflict(shop: Shop) -> None:
    made(shop.project)
    answer = sent(api(shop.project), "post", "budgets", NEW)
    assert answer.status_code == 409 and "“all”" in answer.json()["error"]["message"]


def test_others_projects_keys_and_readers_change_nothing(shop: Shop) -> None:
    row = made(shop.project)
    stranger, reader = api(shop.other), api(shop.project, Scope.READ_METRICS)
    for method in ("get", "patch", "delete"):
        body = {"limit_usd": "9"} if method == "patch" else None
        answer = sent(stranger, method, f"budgets/{row.pk}", body)
        assert answer.status_code == 404 and f"no budget {row.pk}" in answer.json()["error"]["message"]
    assert sent(stranger, "get", "budgets").json() == {"items": []}
    assert sent(reader, "get", f"budgets/{row.pk}").status_code == 200
    for method, path in (("post", "budgets"), ("patch", f"budgets/{row.pk}"), ("delete", f"budgets/{row.pk}")):
        assert sent(reader, method, path, NEW).status_code == 403
    assert Client().get("/api/v1/budgets").status_code == 401
    row.refresh_from_db()
    assert (row.limit_usd, row.archived_at) == (Decimal(3), None)


def test_a_number_beyond_all_budgets_is_not_found(shop: Shop) -> None:
    for number in (0, 2**40, 10**30):
        assert sent(api(shop.project), "get", f"budgets/{number}").status_code == 404
        assert client_of("ada").get(f"/p/shop/budgets/{number}").status_code == 404


def test_what_a_stop_does_is_told_in_words(shop: Shop) -> None:
    row = made(shop.project, limit_usd=Decimal("0.10"), scope="feature", scope_value="bot", is_hard_stop=True)
    door, ada = api(shop.project), client_of("ada")

    def state() -> tuple[str, str]:
        told = sent(door, "get", f"budgets/{row.pk}").json()["budget"]["stop_state"]
        return told, " ".join(ada.get(f"/p/shop/budgets/{row.pk}").content.decode().split())

    told, page = state()
    assert told == "unconfirmed" and "no worker has looked yet" in page
    spending.stop_spent()
    told, page = state()
    assert told == "stopping" and "Guard checks of feature bot are blocked before a model is asked" in page
    assert "policy=budget%3Aall" in page
    sent(door, "patch", f"budgets/{row.pk}", {"limit_usd": "50"})
    told, page = state()
    assert told == "armed" and "Nothing is stopped now" in page
    assert "stops when spent" in ada.get("/p/shop/budgets").content.decode()
    sent(door, "patch", f"budgets/{row.pk}", {"is_hard_stop": False})
    told, page = state()
    assert told == "off" and "stops when spent" not in page


def test_calls_without_a_price_are_told_and_never_a_zero(shop: Shop) -> None:
    stored.deliver(shop.project.pk, call(feature="odd", request_model="mystery", model="mystery", after_s=-60))
    row = made(shop.project, scope="feature", scope_value="odd")
    told = sent(api(shop.project), "get", f"budgets/{row.pk}").json()["budget"]
    assert told["unpriced_calls"] == 1
    ada = client_of("ada")
    page, table = (ada.get(f"/p/shop/budgets{path}").content.decode() for path in (f"/{row.pk}", ""))
    assert "1 call has no known price" in page and "$0.00" not in page
    assert "no price known" in table and "and 1 call without a price" in table and "$0 " not in table


def test_hours_that_a_budget_does_not_know_are_told_by_their_calls(shop: Shop) -> None:
    """The bot's two calls turn out to have run on a card of one's own."""
    fleet.deployment(shop.project, NOON - timedelta(days=9), match_model="", match_service="shop")
    services.reprice(shop.project.pk, NOON - timedelta(days=9), NOON)
    traffic.settle_all(NOON)
    scopes = {"project": "", "feature": "bot", "service": "shop", "environment": ""}
    for scope, value in scopes.items():
        made(shop.project, name=scope, scope=scope, scope_value=value)
    made(shop.project, name="attribute", scope="attribute", scope_key="gen_ai.request.model", scope_value="gpt-4o-mini")
    spending.remember()
    items = sent(api(shop.project), "get", "budgets").json()["items"]
    left_out = {one["name"]: one["hosted_calls_left_out"] for one in items}
    assert left_out == {"project": 0, "feature": 0, "service": 2, "environment": 2, "attribute": 2}
    ada, numbers = client_of("ada"), {one["name"]: one["id"] for one in items}
    pages = {name: ada.get(f"/p/shop/budgets/{number}").content.decode() for name, number in numbers.items()}
    assert {name: "2 calls ran on deployments of your own" in page for name, page in pages.items()} == {
        name: bool(calls) for name, calls in left_out.items()
    }
    listed = ada.get("/p/shop/budgets").content.decode()
    assert listed.count("without the hours of 2 self-hosted calls") == 3
    assert "an environment’s stop does not see them" in listed


def test_a_new_stop_needs_a_second_word(shop: Shop) -> None:
    ada = client_of("ada")
    wanted = {**FORM, "scope": "feature", "scope_value": "bot", "is_hard_stop": "on"}
    answer = ada.post("/p/shop/budgets", wanted)
    assert answer.status_code == 400 and "tick the box" in answer.content.decode()
    assert not Budget.objects.exists()
    assert ada.post("/p/shop/budgets", {**wanted, "sure": "on"}).status_code == 302
    row = Budget.objects.get()
    assert row.is_hard_stop and row.notify_percents == [50] and row.created_by == "ada"
    here = f"/p/shop/budgets/{row.pk}"
    assert ada.post(here, {**wanted, "limit_usd": "4"}).status_code == 302
    assert ada.post(here, {**wanted, "scope_value": "search"}).status_code == 400
    row.refresh_from_db()
    assert (row.limit_usd, row.scope_value) == (Decimal(4), "bot")


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("limit_usd", "much", "Amount, $: Enter a number"),
        ("limit_usd", "-1", "Amount, $: "),
        ("scope_value", "bot", "Which one: A budget for the whole project takes no value."),
        ("notify_percents", "a, b", "Tell at, percent: "),
        ("name", "a" * 81, "Name: "),
        ("owner", "", "Owner: "),
        ("scope", "moon", "For: "),
    ],
)
def test_a_form_that_cannot_be_a_budget_comes_back_as_it_was(shop: Shop, field: str, value: str, told: str) -> None:
    answer = client_of("ada").post("/p/shop/budgets", {**FORM, field: value})
    page = answer.content.decode()
    assert answer.status_code == 400
    assert told in page
    assert f'value="{"ann" if field != "owner" else "all"}"' in page
    assert not Budget.objects.exists()


def test_an_empty_form_is_refused_in_words(shop: Shop) -> None:
    row = made(shop.project)
    for path in ("/p/shop/budgets", f"/p/shop/budgets/{row.pk}"):
        answer = client_of("ada").post(path, {})
        assert answer.status_code == 400 and "Name: This field is required." in answer.content.decode()


def test_members_look_strangers_find_nothing_and_only_admins_change(shop: Shop) -> None:
    row = made(shop.project)
    vera, bob = client_of("vera"), client_of("bob")
    for path in ("/p/shop/budgets", f"/p/shop/budgets/{row.pk}"):
        page = vera.get(path)
        assert page.status_code == 200 and '<h2 id="change">' not in page.content.decode()
        assert vera.post(path, FORM).status_code == 403
        assert bob.get(path).status_code == bob.post(path, FORM).status_code == 404
    assert vera.post(f"/p/shop/budgets/{row.pk}/delete").status_code == 403
    assert bob.post(f"/p/shop/budgets/{row.pk}/delete").status_code == 404
    assert bob.post(f"/p/other/budgets/{row.pk}/delete").status_code == 404
    assert client_of("ada").post(f"/p/shop/budgets/{row.pk}/delete").status_code == 302
    row.refresh_from_db()
    assert row.archived_at is not None


def test_strangers_text_stays_text(shop: Shop) -> None:
    row = made(shop.project, name=BAD[:70], owner=BAD[:100], scope="feature", scope_value=BAD[:150])
    ada = client_of("ada")
    for path in ("/p/shop/budgets", f"/p/shop/budgets/{row.pk}"):
        page = ada.get(path).content.decode()
        assert "<script>alert" not in page and "<img src=x" not in page
