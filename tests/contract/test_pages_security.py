"""What the pages promise about other people's projects, about roles, and about strangers' text."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from django.db import connection
from django.test import Client

from kit import traffic
from stanchion_server.costs import selectors as prices
from stanchion_server.tenants import access, services
from stanchion_server.tenants.models import ApiKey, Membership, Role, User
from stanchion_server.traces import partitions
from stanchion_server.web.pages import login

pytestmark = pytest.mark.django_db

PAGES = (
    "overview", "calls", "sessions", "intake", "radar", "setup", "setup/first-span", "settings/keys", "settings/prices",
)  # fmt: skip


@pytest.fixture
def shop():
    """A project with an agent trace; ada owns it, vera may look, and bob belongs elsewhere."""
    partitions.forget()
    prices.forget()
    access.forget_everything()
    organisation = services.create_organisation("Acme")
    project = services.create_project(organisation, "Shop")
    services.create_owner(organisation, "ada", "x" * 12)
    Membership.objects.create(
        user=User.objects.create_user("vera", password="x" * 12), organisation=organisation, role=Role.VIEWER
    )
    elsewhere = services.create_organisation("Elsewhere")
    services.create_project(elsewhere, "Other")
    services.create_owner(elsewhere, "bob", "x" * 12)
    services.create_key(project, "first", ["ingest"])
    project.trace_id = traffic.a_day(project.pk, project.api_keys.get().pk, datetime.now(UTC), calls=5)
    return project


def client_of(name: str) -> Client:
    client = Client()
    client.force_login(User.objects.get(username=name))
    return client


def test_without_signing_in_every_page_leads_to_the_login(shop):
    for path in PAGES:
        answer = Client().get(f"/p/{shop.slug}/{path}")
        assert (answer.status_code, answer["Location"].partition("?")[0]) == (302, "/login")


@pytest.mark.parametrize("path", [*PAGES, "traces/TRACE", "settings/keys/KEY/revoke"])
def test_a_stranger_gets_404_as_if_the_project_did_not_exist(shop, path):
    key = ApiKey.objects.get()
    path = path.replace("TRACE", shop.trace_id).replace("KEY", key.key_id)
    bob = client_of("bob")
    method = bob.post if path.endswith("revoke") else bob.get
    theirs, missing = method(f"/p/{shop.slug}/{path}"), method(f"/p/no-such-project/{path}")
    assert theirs.status_code == missing.status_code == 404
    key.refresh_from_db()
    assert key.revoked_at is None


def test_a_trace_of_another_project_is_not_found_through_ones_own(shop):
    bob = client_of("bob")
    assert bob.get("/p/other/overview").status_code == 200
    assert bob.get(f"/p/other/traces/{shop.trace_id}").status_code == 404


def test_a_viewer_sees_numbers_but_neither_texts_nor_raw_attributes(shop):
    vera = client_of("vera")
    trace = vera.get(f"/p/shop/traces/{shop.trace_id}").content.decode()
    calls = vera.get("/p/shop/calls").content.decode()
    assert "$0.000126" in trace
    for secret in ("alert(", "You help a shop.", "x.custom"):
        assert secret not in trace
        assert secret not in calls
    assert vera.get("/p/shop/calls?q=shoes").status_code == 403


@pytest.mark.parametrize("path", ["settings/keys", "settings/prices", "setup"])
def test_a_viewer_may_change_nothing(shop, path):
    before = ApiKey.objects.count()
    assert client_of("vera").post(f"/p/shop/{path}", {"name": "mine", "scopes": "admin"}).status_code == 403
    assert ApiKey.objects.count() == before


def test_a_key_is_shown_once_and_stops_working_when_revoked(shop):
    ada = client_of("ada")
    made = ada.post("/p/shop/settings/keys", {"name": "ci", "scopes": ["ingest"]})
    secret = re.search(r'id="new-key">(stn_live_\w+)<', made.content.decode())[1]
    assert made["Cache-Control"].startswith("max-age=0")
    assert secret not in ada.get("/p/shop/settings/keys").content.decode()
    principal = access.authenticate({"x-api-key": secret}, "127.0.0.1")
    assert principal.project_id == shop.pk
    key = ApiKey.objects.get(name="ci")
    assert ada.post(f"/p/shop/settings/keys/{key.key_id}/revoke").status_code == 302
    with pytest.raises(Exception, match="not valid"):
        access.authenticate({"x-api-key": secret}, "127.0.0.1")


def test_forms_without_their_token_are_refused(shop):
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.get(username="ada"))
    assert client.post("/p/shop/settings/keys", {"name": "x", "scopes": "ingest"}).status_code == 403
    assert client.post("/theme", {"theme": "dark"}).status_code == 403


def test_the_policy_allows_nothing_inline_and_nothing_from_elsewhere(shop):
    ada = client_of("ada")
    for path in (*PAGES, f"traces/{shop.trace_id}", "calls?status=nonsense", "traces/zzz"):
        answer = ada.get(f"/p/shop/{path}")
        policy, body = answer["Content-Security-Policy"], answer.content.decode()
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert not re.search(r"<[a-z][^>]*\s(style|on[a-z]+)=", body), path
        assert not re.search(r"<script(?![^>]*(\bsrc=|application/json))", body), path
        assert "<img" not in body


def test_after_signing_in_nobody_is_sent_to_another_site(shop):
    User.objects.get(username="ada")
    answer = Client().post("/login?next=https://evil.example/", {
        "username": "ada", "password": "x" * 12, "next": "https://evil.example/"})  # fmt: skip
    assert answer["Location"] == "/"
    answer = client_of("ada").post("/theme", {"theme": "dark", "next": "//evil.example/"})
    assert answer["Location"] == "/"


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("status=broken", "error, ok, unset"),
        ("min_cost=cheap", "write a number like 0.05"),
        ("min_ms=-1", "write a number"),
        ("min_cost=NaN", "write a number"),
        ("trace=12", "32 hex digits"),
        ("attribute=novalue", "key=value"),
        ("from=banana", "now-6h"),
        ("from=now&to=now-1h", "the end must be later"),
        ("from=now-9999d", "at most"),
        ("cursor=nonsense", "Start again without it"),
        ("feature=" + "x" * 2000, "at most 1000"),
    ],
)
def test_what_the_address_asks_wrongly_is_a_400_that_says_what_to_write(shop, query, said):
    answer = client_of("ada").get(f"/p/shop/calls?{query}")
    assert answer.status_code == 400
    assert said in answer.content.decode()


def test_a_price_is_added_once_per_date_and_never_negative(shop):
    ada = client_of("ada")
    price = {"provider": "acme", "model": "house-llm-7b", "effective_from": "2026-01-01 00:00",
             "input_usd_per_mtok": "0.5", "output_usd_per_mtok": "1.5", "request_usd": "0"}  # fmt: skip
    assert ada.post("/p/shop/settings/prices", price).status_code == 302
    again = ada.post("/p/shop/settings/prices", price)
    assert (again.status_code, "already has a price" in again.content.decode()) == (400, True)
    negative = ada.post("/p/shop/settings/prices", {**price, "model": "m2", "input_usd_per_mtok": "-1"})
    assert (negative.status_code, "cannot be negative" in negative.content.decode()) == (400, True)
    assert shop.price_overrides.count() == 1


def test_ingest_health_counts_what_was_refused_with_its_remedy(shop):
    body = client_of("ada").get("/p/shop/intake").content.decode()
    assert "invalid_trace_id" in body
    assert "Let the OpenTelemetry SDK make them" in body
    assert "home-made/0.1" in body


def test_a_viewer_learns_no_text_by_filter_parameter_or_error(shop):
    vera, ada = client_of("vera"), client_of("ada")
    assert vera.get(f"/p/{shop.slug}/calls?attribute=gen_ai.prompt=yes").status_code == 403
    assert ada.get(f"/p/{shop.slug}/calls?attribute=gen_ai.prompt=yes").status_code == 200
    with connection.cursor() as cursor:
        cursor.execute("UPDATE spans SET status = 2, status_message = 'refused: my salary is'")
    page = f"/p/{shop.slug}/traces/{shop.trace_id}"
    assert "my salary is" in ada.get(page).content.decode()
    assert "my salary is" not in vera.get(page).content.decode()


def test_too_many_wrong_passwords_are_asked_to_wait_and_nobody_else_is(shop):
    login.forget_failures()
    wrong = {"username": "ada", "password": "wrong"}
    statuses = [Client().post("/login", wrong).status_code for _ in range(11)]
    assert (statuses[0], statuses[-1]) == (200, 429)
    assert Client().post("/login", {"username": "ada", "password": "x" * 12}).status_code == 429
    assert Client().post("/login", {"username": "bob", "password": "x" * 12}).status_code == 302
    login.forget_failures()


def test_a_form_larger_than_any_form_is_refused_unread(shop):
    body = b"username=" + b"a" * (3 << 20)
    answer = Client().post("/login", body, content_type="application/x-www-form-urlencoded")
    assert answer.status_code in (400, 413)


def test_a_nul_in_address_or_cookie_is_no_failure_of_ours(shop):
    ada = client_of("ada")
    assert ada.post(f"/p/{shop.slug}/settings/keys/%00/revoke").status_code == 404
    ada.cookies["project"] = "\0"
    assert ada.get("/").status_code == 302
