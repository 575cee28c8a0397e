"""Invoices over REST and on pages: imported whole or not at all, by admins, and seen by their project alone."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from kit import stored, traffic
from kit.calls import NOON, call
from stanchion_server.costs.models import Invoice, InvoiceLine
from stanchion_server.ingest.records import SpanKind
from stanchion_server.kernel import clock
from stanchion_server.tenants import access
from stanchion_server.tenants import services as tenants
from stanchion_server.tenants.models import Membership, Project, Role, Scope, User

pytestmark = pytest.mark.django_db

MEGA = 1_000_000
DAY = f"{NOON:%Y-%m-%d}"
HEAD = "day,model,usd,input_tokens,output_tokens\n"
BILL = f"{HEAD}{DAY},gpt-4o-mini-2024-07-18,0.50,2000000,0\n{DAY},whisper-1,0.10,,\n"
"""A million tokens more than recorded at 15 cents, and 20 cents dearer; and a model that nobody called."""
BAD = traffic.HOSTILE.replace("\u202e", "").replace("\u202c", "")[:110]
PARTS = ("price_usd", "volume_usd", "unseen_usd", "unbilled_usd", "unexplained_usd")


@dataclass(frozen=True)
class Shop:
    """ada owns, vera looks, bob is a stranger. A million input tokens were recorded, and a call of another provider."""

    project: Project
    other: Project


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    access.forget_everything()
    monkeypatch.setattr(clock, "now", lambda: NOON)
    organisation = tenants.create_organisation("Acme")
    project = tenants.create_project(organisation, "Shop")
    tenants.create_owner(organisation, "ada", "x" * 12)
    vera = User.objects.create_user("vera", password="x" * 12)
    Membership.objects.create(user=vera, organisation=organisation, role=Role.VIEWER)
    elsewhere = tenants.create_organisation("Elsewhere")
    other = tenants.create_project(elsewhere, "Other")
    tenants.create_owner(elsewhere, "bob", "x" * 12)
    stored.deliver(
        project.pk,
        call(input_tokens=MEGA, output_tokens=0, after_s=-60),
        call(provider="anthropic", request_model="claude-sonnet-4-5", model="claude-sonnet-4-5", after_s=-60),
    )
    traffic.settle_all(NOON)
    yield Shop(project, other)
    access.forget_everything()


def api(project: Project, *scopes: Scope) -> Client:
    key = tenants.create_key(project, "k", scopes or (Scope.READ_METRICS,))
    return Client(headers={"authorization": f"Bearer {key}"})


def client_of(name: str) -> Client:
    client = Client()
    client.force_login(User.objects.get(username=name))
    return client


def post(client: Client, text: str = BILL, query: str = "name=November&provider=openai") -> Any:
    return client.post(f"/api/v1/invoices?{query}", text, content_type="text/csv")


def upload(client: Client, text: str = BILL, **more: str) -> Any:
    file = SimpleUploadedFile("bill.csv", text.encode())
    return client.post("/p/shop/costs/invoices", {"name": "November", "provider": "openai", "file": file, **more})


def test_a_difference_is_explained_by_model_and_day_and_adds_up(shop: Shop) -> None:
    admin = api(shop.project, Scope.ADMIN)
    answer = post(admin)
    assert answer.status_code == 201, answer.content
    made = answer.json()
    assert (made["usd"], made["start_day"], made["line_count"]) == ("0.6", DAY, 2)
    found = api(shop.project).get(f"/api/v1/invoices/{made['id']}").json()
    lines = {line["model"]: line for line in found["items"]}
    assert set(lines) == {"gpt-4o-mini", "whisper-1"}
    mini = {name: Decimal(lines["gpt-4o-mini"][name]) for name in ("difference_usd", *PARTS)}
    assert (mini["difference_usd"], mini["price_usd"], mini["volume_usd"]) == (
        Decimal("0.35"),
        Decimal("0.20"),
        Decimal("0.15"),
    )
    assert lines["whisper-1"]["unseen_usd"] == "0.1"
    assert (lines["gpt-4o-mini"]["is_within"], found["totals"]["lines_outside"]) == (False, 2)
    assert sum(Decimal(found["totals"][name]) for name in PARTS) == Decimal(found["totals"]["difference_usd"])
    loose = api(shop.project).get(f"/api/v1/invoices/{made['id']}", {"tolerance_ratio": "0.8", "tolerance_usd": "1"})
    assert loose.json()["totals"]["is_within"] is True


def test_without_a_provider_all_calls_are_held_against_the_bill(shop: Shop) -> None:
    made = post(api(shop.project, Scope.ADMIN), query="name=all").json()
    found = api(shop.project).get(f"/api/v1/invoices/{made['id']}").json()
    (claude,) = [line for line in found["items"] if line["model"] == "claude-sonnet-4-5"]
    assert claude["billed_usd"] is None
    assert Decimal(claude["unbilled_usd"]) == -Decimal(claude["computed_usd"]) < 0


def page_of(shop: Shop, text: str) -> str:
    address = upload(client_of("ada"), text)["Location"]
    return str(client_of("ada").get(address, {"show": "all"}).content.decode())


def test_a_line_leads_to_its_calls_where_they_were_recorded_under_one_name(shop: Shop) -> None:
    seen = {"input_tokens": MEGA, "output_tokens": 0, "after_s": -60}
    stored.deliver(
        shop.project.pk,
        call(request_model="gpt-4o", model="gpt-4o", **seen),
        call(request_model="gpt-4o-2024-08-06", model="gpt-4o-2024-08-06", **seen),
        call(request_model="", response_model="", model="", **seen),
    )
    traffic.settle_all(NOON)
    page = page_of(shop, f"{HEAD}{DAY},gpt-4o,9,,\n{DAY},gpt-4o-mini,9,,\n")
    links = [one.split('"')[0] for one in page.split('<th scope="row"><a href="/p/shop/calls?')[1:]]
    models = {link.split("model=")[1].split("&")[0] for link in links}
    assert models == {"gpt-4o-mini", "%28none%29"}
    for link in links:
        listed = client_of("ada").get(f"/p/shop/calls?{link.replace('&amp;', '&')}").content.decode()
        assert listed.count("<tr data-href") == 1, link


def test_a_bill_of_embeddings_without_answers_is_cut_into_price_and_volume(shop: Shop) -> None:
    name = "text-embedding-3-small"
    stored.deliver(
        shop.project.pk,
        call(kind=SpanKind.EMBEDDING, request_model=name, response_model="", model=name, input_tokens=MEGA,
             output_tokens=None, after_s=-60),
    )  # fmt: skip
    traffic.settle_all(NOON)
    made = post(api(shop.project, Scope.ADMIN), f"{HEAD}{DAY},{name},0.05,2000000,\n{DAY},gpt-4o-mini,1,5,\n").json()
    found = api(shop.project).get(f"/api/v1/invoices/{made['id']}").json()
    lines = {line["model"]: line for line in found["items"]}
    parts = {part: Decimal(lines[name][part]) for part in PARTS if Decimal(lines[name][part])}
    assert parts == {"price_usd": Decimal("0.01"), "volume_usd": Decimal("0.02")}
    assert Decimal(lines["gpt-4o-mini"]["unexplained_usd"]) == Decimal("0.85")


def test_a_bill_with_a_bad_row_leaves_nothing_behind(shop: Shop) -> None:
    answer = post(api(shop.project, Scope.ADMIN), f"{BILL}{DAY},gpt-4o,dear,,\n")
    assert answer.status_code == 400
    assert "Line 4: the amount 'dear'" in answer.json()["error"]["message"]
    assert (Invoice.objects.count(), InvoiceLine.objects.count()) == (0, 0)


def test_a_file_is_imported_once_until_it_is_deleted(shop: Shop) -> None:
    admin = api(shop.project, Scope.ADMIN)
    number = post(admin).json()["id"]
    assert post(admin).status_code == 409
    assert admin.delete(f"/api/v1/invoices/{number}").status_code == 204
    assert InvoiceLine.objects.count() == 0
    assert post(admin).status_code == 201


def test_a_provider_that_no_call_names_is_refused_with_those_that_are(shop: Shop) -> None:
    for name in ("nosuch", "OpenAI"):
        answer = post(api(shop.project, Scope.ADMIN), query=f"name=x&provider={name}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "unknown_provider")
        assert f"“{name}”" in answer.json()["error"]["message"] and "“openai”" in answer.json()["error"]["message"]
    page = upload(client_of("ada"), provider="nosuch")
    assert page.status_code == 400 and "no call of your project names “nosuch”" in page.content.decode()
    early = post(api(shop.other, Scope.ADMIN), query="name=x&provider=nosuch")
    assert early.status_code == 201 and "all of it counts as unseen" in early.json()["notes"][0]


def test_a_row_of_totals_is_no_model_and_both_doors_say_so(shop: Shop) -> None:
    text = f"{HEAD}{DAY},gpt-4o-mini,-0.50,,\nTotal,,-0.50,,\n"
    made = post(api(shop.project, Scope.ADMIN), text).json()
    assert made["usd"] == "-0.5" and "Line 3 (Total, -0.50)" in made["notes"][0]
    answer = client_of("ada")
    page = answer.get(upload(answer, text, provider="")["Location"]).content.decode()
    assert "Line 3 (Total, -0.50)" in page
    assert "−\u2060$0.50" in page and "$-" not in page


def test_only_admins_import_and_strangers_find_nothing(shop: Shop) -> None:
    number = post(api(shop.project, Scope.ADMIN)).json()["id"]
    assert post(api(shop.project)).status_code == 403
    assert post(Client()).status_code == 401
    assert api(shop.project).delete(f"/api/v1/invoices/{number}").status_code == 403
    theirs = api(shop.other, Scope.ADMIN)
    assert theirs.get("/api/v1/invoices").json() == {"items": []}
    assert theirs.get(f"/api/v1/invoices/{number}").status_code == 404
    assert theirs.delete(f"/api/v1/invoices/{number}").status_code == 404
    assert [one["id"] for one in api(shop.project).get("/api/v1/invoices").json()["items"]] == [number]
    for name, status in (("ada", 200), ("vera", 200), ("bob", 404)):
        for address in ("/p/shop/costs/invoices", f"/p/shop/costs/invoices/{number}"):
            assert client_of(name).get(address).status_code == status, (name, address)
    assert client_of("bob").get(f"/p/other/costs/invoices/{number}").status_code == 404
    assert client_of("vera").post(f"/p/shop/costs/invoices/{number}/delete").status_code == 403
    assert client_of("bob").post(f"/p/other/costs/invoices/{number}/delete").status_code == 404
    assert upload(client_of("vera")).status_code == 403
    assert Invoice.objects.count() == 1


def test_what_cannot_be_is_refused_by_name(shop: Shop) -> None:
    admin = api(shop.project, Scope.ADMIN)
    number = post(admin).json()["id"]
    assert "name" in post(admin, query="provider=openai").json()["error"]["message"]
    for query in ("name=%20", f"name={'x' * 200}", f"name=x&provider={'y' * 80}", "name=x&colour=red"):
        assert post(admin, f"{HEAD}{DAY},m,1,,\n", query).status_code == 400, query
    assert "400 at once" in post(admin, f"{HEAD}2024-01-01,m,1,,\n{DAY},m,1,,\n").json()["error"]["message"]
    assert admin.post("/api/v1/invoices?name=x", "{}", content_type="application/json").status_code == 415
    assert post(admin, "x" * (5 << 20)).status_code == 413
    for query in ({"tolerance_ratio": "-1"}, {"tolerance_usd": "much"}, {"as": "xml"}):
        assert admin.get(f"/api/v1/invoices/{number}", query).status_code == 400, query
    for address in ("/api/v1/invoices/99999999999999999999999", "/api/v1/invoices/0"):
        assert admin.get(address).status_code == 404
    for percent in ("much", "-1", "101", "NaN", "1e-999999999"):
        page = client_of("ada").get(f"/p/shop/costs/invoices/{number}", {"percent": percent})
        assert page.status_code == 400, percent
    assert (
        client_of("ada").get(f"/p/shop/costs/invoices/{number}", {"percent": "2.5", "show": "all"}).status_code == 200
    )


def test_a_table_for_spreadsheets_starts_no_formula(shop: Shop) -> None:
    made = post(api(shop.project, Scope.ADMIN), f"{HEAD}{DAY},=cmd|' /C calc'!A0,1,,\n").json()
    answer = api(shop.project).get(f"/api/v1/invoices/{made['id']}", {"as": "csv"})
    rows = list(csv.DictReader(io.StringIO(answer.content.decode())))
    assert "'=cmd|' /C calc'!A0" in {row["model"] for row in rows}
    for row in rows:
        assert sum(Decimal(row[name]) for name in PARTS) == Decimal(row["difference_usd"])


def test_an_upload_leads_to_the_comparison_and_strangers_text_is_not_run(shop: Shop) -> None:
    text = BILL + f'{DAY},"{BAD.replace(chr(34), chr(34) * 2).replace(",", " ")}",1,,\n'
    answer = upload(client_of("ada"), text, name=BAD)
    assert answer.status_code == 302
    for address in (answer["Location"], "/p/shop/costs/invoices"):
        page = client_of("ada").get(address).content.decode()
        assert "<script>alert" not in page
        assert "<img src=x" not in page
        assert "alert(&#x27;stanchion&#x27;)" in page
    again = upload(client_of("ada"), f"{HEAD}never,m,1,,\n")
    assert again.status_code == 400
    page = again.content.decode()
    assert "Line 2: the day &#x27;never&#x27;" in page
    assert 'value="November"' in page
    assert client_of("ada").post("/p/shop/costs/invoices", {"name": "x"}).status_code == 400
