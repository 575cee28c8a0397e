"""Savings over REST and on the page: who may look and ask, what strangers' text does there, and whose it is."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils.html import escape

from kit import drifting, traffic
from kit.drifting import Traffic
from stanchion_server.costs import savings
from stanchion_server.kernel import clock
from stanchion_server.routes.savings import look_for_savings
from stanchion_server.tenants import access
from stanchion_server.tenants import services as tenants
from stanchion_server.tenants.models import Membership, Project, Role, Scope, User

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
BAD = traffic.HOSTILE.replace("\u202e", "").replace("\u202c", "")[:150]
FORMULA = "=cmd()"
"""A service, which the entry on batches names in a cell of its own."""
ADDRESS = "/api/v1/savings"


@dataclass(frozen=True)
class Shop:
    """ada owns, ann analyses, vera looks, bob is a stranger. The shop has been looked at."""

    project: Project
    other: Project


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    access.forget_everything()
    monkeypatch.setattr(clock, "now", lambda: NOW)
    organisation = tenants.create_organisation("Acme")
    project = tenants.create_project(organisation, "Shop")
    tenants.create_owner(organisation, "ada", "x" * 12)
    for name, role in (("vera", Role.VIEWER), ("ann", Role.ANALYST)):
        user = User.objects.create_user(name, password="x" * 12)
        Membership.objects.create(user=user, organisation=organisation, role=role)
    elsewhere = tenants.create_organisation("Elsewhere")
    other = tenants.create_project(elsewhere, "Other")
    tenants.create_owner(elsewhere, "bob", "x" * 12)
    like = Traffic(models=("gpt-4o",), feature=BAD, error_ratio=0.4)
    calls = drifting.calls(NOW - timedelta(days=2), NOW, 80, 1, like)
    unwatched = {"user_id": "", "session_id": "", "is_streamed": False, "tool_call_count": 0}
    drifting.store(project.pk, [replace(one, service=FORMULA, **unwatched) for one in calls])
    savings.request(project.pk, "ada")
    look_for_savings()
    yield Shop(project, other)
    access.forget_everything()


def api(project: Project, *scopes: Scope) -> Client:
    return Client(headers={"authorization": f"Bearer {tenants.create_key(project, 'k', scopes)}"})


def client_of(name: str) -> Client:
    client = Client()
    client.force_login(User.objects.get(username=name))
    return client


def read(client: Client, address: str = ADDRESS) -> Any:
    answer = client.get(address)
    assert answer.status_code == 200, answer.content
    return answer.json()


def test_findings_come_largest_first_with_what_they_rest_on(shop: Shop) -> None:
    told = read(api(shop.project, Scope.READ_METRICS))
    assert (told["state"], told["calls"], told["known_calls"]) == ("done", 80, 80)
    amounts = [float(one["usd"]) for one in told["findings"]]
    assert amounts == sorted(amounts, reverse=True) and len(amounts) >= 2
    assert all(one["assumptions"] and one["how"] and one["confidence"] for one in told["findings"])
    assert len(told["cache"]["settings"]) == 17 and "spelling" in told["cache"]["weakness"]


def test_the_same_findings_come_as_a_spreadsheet_in_which_nothing_is_a_formula(shop: Shop) -> None:
    client = api(shop.project, Scope.READ_METRICS)
    answer = client.get(f"{ADDRESS}?as=csv")
    assert answer["Content-Type"].startswith("text/csv")
    head, *rows = list(csv.reader(io.StringIO(answer.content.decode())))
    assert head[0] == "usd_per_month" and len(rows) == len(read(client)["findings"])
    assert not any(cell.startswith(("=", "+", "@")) for row in rows for cell in row)
    subjects = {row[head.index("kind")]: row[head.index("subject")] for row in rows}
    assert subjects["batch"] == f"'{FORMULA}"
    assert client_of("vera").get(f"{ADDRESS}?project=shop&as=csv").content == answer.content


def test_before_anybody_looked_there_is_an_answer_too(shop: Shop) -> None:
    client = api(shop.other, Scope.READ_METRICS)
    assert read(client)["state"] == "none" and read(client)["spend_usd"] is None
    assert client.get(f"{ADDRESS}?as=csv").content.decode().splitlines()[0].startswith("usd_per_month")
    assert "Nobody has looked yet" in client_of("bob").get("/p/other/savings").content.decode()


def test_only_admins_ask_for_a_new_look(shop: Shop) -> None:
    assert api(shop.project, Scope.READ_METRICS).post(ADDRESS).status_code == 403
    answer = api(shop.project, Scope.ADMIN).post(ADDRESS)
    assert (answer.status_code, answer.json()["state"], answer.json()["calls"]) == (202, "queued", 80)
    assert client_of("ann").post("/p/shop/savings/look").status_code == 403
    assert client_of("bob").post("/p/shop/savings/look").status_code == 404
    assert client_of("ada").post("/p/shop/savings/look").status_code == 302
    assert client_of("ada").get("/p/shop/savings/look").status_code == 405


def test_a_stranger_sees_nothing_and_wrong_questions_name_what_is_wrong(shop: Shop) -> None:
    assert client_of("bob").get("/p/shop/savings").status_code == 404
    assert Client().get(ADDRESS).status_code == 401
    assert read(api(shop.other, Scope.READ_METRICS))["findings"] == []
    answer = api(shop.project, Scope.READ_METRICS).get(f"{ADDRESS}?as=xml")
    assert answer.status_code == 400 and "'xml'" in answer.json()["error"]["message"]


def test_every_member_sees_the_page_and_strangers_text_stays_text(shop: Shop) -> None:
    for name in ("ada", "ann", "vera"):
        body = client_of(name).get("/p/shop/savings").content.decode()
        assert "&lt;script&gt;" in body and "<script>alert" not in body and "<img src=x" not in body
        assert ("Look again" in body) == (name == "ada")


def test_the_calls_behind_a_finding_are_listed_where_its_link_leads(shop: Shop) -> None:
    page = client_of("ada").get("/p/shop/savings")
    shown = page.context["found"]
    assert shown
    assert {bool(one.finding["where"]) for one in shown} == {True, False}
    for one in shown:
        label = "Calls behind it" if one.finding["where"] else "All calls looked at"
        assert f'<a href="{escape(one.calls_href)}">{label}<' in page.content.decode()
        listed = client_of("ada").get(one.calls_href)
        assert listed.status_code == 200, one.calls_href
        assert "/traces/" in listed.content.decode(), one.calls_href
