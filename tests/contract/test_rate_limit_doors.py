"""Rate limits over REST and on pages: who may do what, what stands where, and what strangers' text does."""

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

from kit import stored, traffic
from kit.calls import NOON, call
from stanchion_server.costs import rate_limits
from stanchion_server.costs.models import RateLimit
from stanchion_server.ingest.records import Status
from stanchion_server.kernel import clock
from stanchion_server.tenants import access
from stanchion_server.tenants import services as tenants
from stanchion_server.tenants.models import Membership, Project, Role, Scope, User

pytestmark = pytest.mark.django_db

BAD = traffic.HOSTILE.replace("\u202e", "").replace("\u202c", "")
NEW = {"provider": "openai", "rpm": "10"}


@dataclass(frozen=True)
class Shop:
    """ada owns, vera looks, bob is a stranger. Three calls began in one minute, one was refused."""

    project: Project
    other: Project


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    monkeypatch.setattr(clock, "now", lambda: NOON)
    access.forget_everything()
    organisation = tenants.create_organisation("Acme")
    project = tenants.create_project(organisation, "Shop")
    tenants.create_owner(organisation, "ada", "x" * 12)
    vera = User.objects.create_user("vera", password="x" * 12)
    Membership.objects.create(user=vera, organisation=organisation, role=Role.VIEWER)
    elsewhere = tenants.create_organisation("Elsewhere")
    other = tenants.create_project(elsewhere, "Other")
    tenants.create_owner(elsewhere, "bob", "x" * 12)
    stored.deliver(
        project.pk, call(after_s=-60), call(after_s=-50), call(after_s=-40, status=Status.ERROR, error_type="429")
    )
    traffic.settle_all(NOON)
    yield Shop(project, other)
    access.forget_everything()


def api(project: Project, *scopes: Scope) -> Client:
    key = tenants.create_key(project, "k", scopes or (Scope.READ_METRICS, Scope.ADMIN))
    return Client(headers={"authorization": f"Bearer {key}"})


def client_of(name: str) -> Client:
    client = Client()
    client.force_login(User.objects.get(username=name))
    return client


def sent(client: Client, method: str, path: str, body: Any = None) -> Any:
    return getattr(client, method)(f"/api/v1/{path}", body, content_type="application/json")


def made(project: Project, **more: Any) -> RateLimit:
    row = rate_limits.add(project, {"provider": "openai", "rpm": Decimal(10), **more}, "ann")
    traffic.count_peaks(NOON)
    return row


def test_limits_are_said_read_with_their_headroom_changed_and_deleted(shop: Shop) -> None:
    door = api(shop.project)
    answer = sent(door, "post", "rate-limits", {**NEW, "concurrency": 2})
    assert answer.status_code == 201
    waiting = answer.json()
    assert (waiting["counted_from"], waiting["throttled_calls_24h"], waiting["limiting_24h"]) == (None, None, "")
    traffic.count_peaks(NOON)
    told = sent(door, "get", f"rate-limits/{waiting['id']}").json()
    parts = {part["dimension"]: part for part in told["dimensions"]}
    assert (parts["rpm"]["limit"], parts["rpm"]["peak_24h"], parts["rpm"]["used_24h_ratio"]) == ("10", 3, 0.3)
    assert (parts["rpm"]["outlook"], parts["rpm"]["throttled_on"]) == ("not_predictable", None)
    assert (parts["tps"]["limit"], parts["tps"]["outlook"]) == (None, "no_limit")
    assert (told["limiting_24h"], told["throttled_calls_24h"], told["model"]) == ("concurrency", 1, "")
    here = f"rate-limits/{told['id']}"
    assert sent(door, "get", here).json() == told
    changed = sent(door, "patch", here, {"concurrency": None, "rpm": 3}).json()
    parts = {part["dimension"]: part for part in changed["dimensions"]}
    assert (changed["limiting_24h"], parts["concurrency"]["limit"], parts["rpm"]["outlook"]) == ("rpm", None, "reached")
    assert sent(door, "delete", here).status_code == 204
    assert sent(door, "get", here).status_code == 404
    assert sent(door, "get", "rate-limits").json() == {"items": []}


def test_a_queue_that_is_stuck_is_told_on_the_page_and_over_rest(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    row = made(shop.project)
    warning = "Peaks are counted until 2"
    assert warning not in client_of("vera").get("/p/shop/rate-limits").content.decode()
    stored.deliver(shop.project.pk, call(after_s=-90))
    traffic.settle_all(NOON)
    told = sent(api(shop.project), "get", f"rate-limits/{row.pk}").json()
    since = NOON - timedelta(minutes=2)
    assert (told["settled_until"], told["waiting_minutes"]) == (since.isoformat().replace("+00:00", "Z"), 1)
    assert warning not in client_of("vera").get("/p/shop/rate-limits").content.decode()
    monkeypatch.setattr(clock, "now", lambda: NOON + timedelta(minutes=5))
    for path in ("/p/shop/rate-limits", f"/p/shop/rate-limits/{row.pk}"):
        page = client_of("ada").get(path).content.decode()
        assert f"Peaks are counted until {since:%Y-%m-%d %H:%M} UTC; 1 minute is waiting" in page


def test_the_list_is_a_table_for_spreadsheets_that_starts_no_formula(shop: Shop) -> None:
    made(shop.project)
    made(shop.project, provider="=cmd|' /C calc'!A0")
    answer = api(shop.project).get("/api/v1/rate-limits", {"as": "csv"})
    assert answer["Content-Disposition"] == 'attachment; filename="stanchion-rate-limits.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.content.decode())))
    assert len(rows) == 12 and rows[0]["provider"] == "'=cmd|' /C calc'!A0"
    (rpm,) = [row for row in rows if (row["provider"], row["dimension"]) == ("openai", "rpm")]
    assert (rpm["limit"], rpm["peak_7d"], rpm["left_24h"], rpm["throttled_on"]) == ("10", "3", "7", "")


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"rpm": 3}, "provider: This field is required"),
        ({**NEW, "rpm": "0"}, "rpm is '0': "),
        ({**NEW, "rpm": "many"}, "rpm is 'many': "),
        ({**NEW, "rpm": "1e99"}, "rpm is '1e99': "),
        ({**NEW, "provider": " "}, "provider is ' ': "),
        ({**NEW, "day": 5}, "'day' is not a field. Known: provider, model, rps"),
        ({"provider": "openai"}, "Say at least one limit of rps, rpm"),
        ([NEW], "The body must be a JSON object."),
    ],
)
def test_what_limits_nothing_is_told_with_its_value(shop: Shop, body: Any, told: str) -> None:
    answer = sent(api(shop.project), "post", "rate-limits", body)
    assert answer.status_code == 400 and told in answer.json()["error"]["message"]
    assert not RateLimit.objects.exists()


def test_limits_that_are_known_already_are_a_conflict(shop: Shop) -> None:
    made(shop.project)
    answer = sent(api(shop.project), "post", "rate-limits", NEW)
    assert answer.status_code == 409 and "openai/all models" in answer.json()["error"]["message"]


def test_others_projects_keys_and_readers_change_nothing(shop: Shop) -> None:
    row = made(shop.project)
    stranger, reader = api(shop.other), api(shop.project, Scope.READ_METRICS)
    for method in ("get", "patch", "delete"):
        answer = sent(stranger, method, f"rate-limits/{row.pk}", {"rpm": 9} if method == "patch" else None)
        assert answer.status_code == 404
    assert sent(reader, "get", "rate-limits").status_code == 200
    for method, path in (("post", "rate-limits"), ("patch", f"rate-limits/{row.pk}"),
                         ("delete", f"rate-limits/{row.pk}")):  # fmt: skip
        assert sent(reader, method, path, NEW).status_code == 403
    assert sent(api(shop.project), "get", f"rate-limits/{10**30}").status_code == 404
    row.refresh_from_db()
    assert row.rpm == 10


def test_a_person_says_changes_and_deletes_limits_on_the_pages(shop: Shop) -> None:
    ada = client_of("ada")
    page = ada.get("/p/shop/rate-limits").content.decode()
    assert "No rate limit yet" in page
    assert ada.post("/p/shop/rate-limits", NEW).status_code == 302
    row = RateLimit.objects.get()
    assert "are being counted, newest first" in ada.get("/p/shop/rate-limits").content.decode()
    traffic.count_peaks(NOON)
    page = " ".join(ada.get("/p/shop/rate-limits").content.decode().split())
    assert "1 recorded call was refused for the rate (429)" in page
    assert "not predictable" in page and "30 %" in page and "not known" in page
    here = f"/p/shop/rate-limits/{row.pk}"
    refused = ada.post(here, {"provider": "openai", "rpm": "-5"})
    assert refused.status_code == 400 and "Requests a minute: -5 is no limit" in refused.content.decode()
    assert ada.post(here, {}).status_code == 400
    assert ada.post(here, {"provider": "openai", "rpm": "2.5"}).status_code == 302
    row.refresh_from_db()
    assert (row.rpm, row.changed_by) == (Decimal("2.5"), "ada")
    assert ada.post(f"{here}/delete").status_code == 302
    assert not RateLimit.objects.exists()


def test_members_look_strangers_find_nothing_and_only_admins_change(shop: Shop) -> None:
    row = made(shop.project)
    vera, bob = client_of("vera"), client_of("bob")
    for path in ("/p/shop/rate-limits", f"/p/shop/rate-limits/{row.pk}"):
        page = vera.get(path)
        assert page.status_code == 200 and "csrfmiddlewaretoken" not in page.content.decode().partition("<main")[2]
        assert vera.post(path, NEW).status_code == 403
        assert bob.get(path).status_code == bob.post(path, NEW).status_code == 404
    assert vera.post(f"/p/shop/rate-limits/{row.pk}/delete").status_code == 403
    assert bob.post(f"/p/other/rate-limits/{row.pk}/delete").status_code == 404
    assert RateLimit.objects.filter(pk=row.pk).exists()


def test_strangers_text_stays_text(shop: Shop) -> None:
    row = made(shop.project, provider=BAD[:60], model=BAD[:190])
    for path in ("/p/shop/rate-limits", f"/p/shop/rate-limits/{row.pk}"):
        page = client_of("ada").get(path).content.decode()
        assert "<script>alert" not in page and "<img src=x" not in page
