"""Channels and deliveries over REST and on pages: who may do what, whose they are, and that secrets stay in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.test import Client

from kit import alerting
from stanchion_server.alerts import channel_secrets, channel_services
from stanchion_server.alerts.channel_services import Wanted
from stanchion_server.alerts.channels import KINDS
from stanchion_server.alerts.models import Attempt, Channel, Notification
from stanchion_server.tenants import access
from stanchion_server.tenants import services as tenants
from stanchion_server.tenants.models import Membership, Project, Role, Scope, User

pytestmark = pytest.mark.django_db

URL = "https://hooks.slack.com/services/T0/B0/planted-canary-of-a-secret"
HOSTILE = "<script>alert(1)</script>\u202e&{{x}}"


@dataclass(frozen=True)
class Shop:
    """ada owns, vera looks, bob is a stranger. One channel with one failed message."""

    project: Project
    other: Project
    channel: Channel
    row: Notification


@pytest.fixture
def shop() -> Iterator[Shop]:
    access.forget_everything()
    organisation = tenants.create_organisation("Acme")
    project = tenants.create_project(organisation, "Shop")
    tenants.create_owner(organisation, "ada", "x" * 12)
    Membership.objects.create(
        user=User.objects.create_user("vera", password="x" * 12), organisation=organisation, role=Role.VIEWER
    )
    elsewhere = tenants.create_organisation("Elsewhere")
    other = tenants.create_project(elsewhere, "Other")
    tenants.create_owner(elsewhere, "bob", "x" * 12)
    channel = channel_services.create(project, Wanted("on call", "slack", {"url": URL}), "ada").channel
    Channel.objects.filter(pk=channel.pk).update(broken_at=alerting.AT, broken_reason=HOSTILE)
    incident = alerting.incident(alerting.rule(project), title=HOSTILE)
    row = Notification.objects.create(
        project=project, incident=incident, channel=channel, seq=1, kind="trigger", body=alerting.facts(),
        state="failed", outcome=HOSTILE, next_attempt_at=alerting.AT, created_at=alerting.AT, attempts=1,
    )  # fmt: skip
    Attempt.objects.create(project=project, notification=row, at=alerting.AT, outcome="broken", answer=HOSTILE)
    yield Shop(project, other, channel, row)
    access.forget_everything()


class Api:
    def __init__(self, project: Project, *scopes: Scope) -> None:
        self._headers = {"authorization": f"Bearer {tenants.create_key(project, 'k', scopes)}"}

    def __call__(self, method: str, path: str, body: Any = None) -> Any:
        call = getattr(Client(headers=self._headers), method)
        return (
            call(f"/api/v1/{path}", body or {}, content_type="application/json")
            if method != "get"
            else call(f"/api/v1/{path}")
        )


def person(name: str) -> Client:
    client = Client()
    client.force_login(User.objects.get(username=name))
    return client


def pages(shop: Shop) -> list[str]:
    return [
        "/p/shop/alerts/channels", f"/p/shop/alerts/channels/{shop.channel.pk}", "/p/shop/alerts/deliveries",
        f"/p/shop/alerts/deliveries/{shop.row.pk}", "/p/shop/alerts/deliveries?state=failed",
    ]  # fmt: skip


def posts(shop: Shop) -> list[str]:
    base = f"/p/shop/alerts/channels/{shop.channel.pk}"
    doings = [f"{base}/{what}" for what in ("test", "enable", "rotate", "archive")]
    return [base, *doings, f"/p/shop/alerts/deliveries/{shop.row.pk}/resend", "/p/shop/alerts/channels/new/slack"]


def test_members_read_strangers_find_nothing_and_no_page_holds_a_secret_or_live_markup(shop: Shop) -> None:
    for address in pages(shop):
        for name, status in (("ada", 200), ("vera", 200), ("bob", 404)):
            answer = person(name).get(address)
            assert answer.status_code == status, (address, name)
            text = answer.content.decode()
            assert "planted-canary" not in text and "<script>alert" not in text and "\u202e" not in text


def test_only_admins_write_and_a_get_changes_nothing(shop: Shop) -> None:
    for address in posts(shop):
        assert person("vera").post(address).status_code == 403, address
        assert person("bob").post(address).status_code == 404, address
        assert person("ada").get(address).status_code in (200, 405), address
    shop.channel.refresh_from_db()
    assert shop.channel.broken_at is not None and Notification.objects.count() == 1


def test_reading_takes_read_metrics_and_writing_admin(shop: Shop) -> None:
    reader, admin, stranger = (
        Api(shop.project, Scope.READ_METRICS), Api(shop.project, Scope.ADMIN), Api(shop.other, Scope.ADMIN),
    )  # fmt: skip
    one, sent = f"channels/{shop.channel.pk}", f"deliveries/{shop.row.pk}"
    for path in ("channels", one, "deliveries", sent, f"deliveries?channel={shop.channel.pk}&state=failed"):
        answer = reader("get", path)
        assert answer.status_code == 200, path
        assert "planted-canary" not in answer.content.decode()
    for method, path in (
        ("post", f"{one}/test"), ("post", f"{one}/enable"), ("post", f"{one}/rotate"), ("patch", one), ("delete", one),
        ("post", f"{sent}/resend"),
    ):  # fmt: skip
        assert reader(method, path).status_code == 403, path
        assert stranger(method, path).status_code == 404, path
    assert stranger("get", "deliveries").json()["items"] == []
    assert admin("post", f"{sent}/resend").status_code == 409
    assert admin("post", f"{one}/test").status_code == 409
    assert admin("post", f"{one}/enable").json()["broken_at"] is None
    assert admin("post", f"{sent}/resend").json()["state"] == "waiting"
    assert admin("post", f"{one}/test").status_code == 201
    assert admin("get", sent).json()["tries"][0]["outcome"] == "broken"
    assert admin("delete", one).json()["archived_at"]
    assert admin("get", one).status_code == 404


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"name": "a", "kind": "carrier pigeon", "values": {}}, "bad_field"),
        ({"name": "a", "kind": "slack", "values": {}}, "setting_missing"),
        ({"name": "a", "kind": "slack", "values": {"url": "ftp://x"}}, "bad_setting"),
        ({"name": "a", "kind": "slack", "values": {"url": "http://169.254.169.254/"}}, "bad_address"),
        ({"name": "a", "kind": "slack", "values": {"url": "https://user:pw@example.org/"}}, "bad_address"),
        ({"name": "a", "kind": "slack", "values": {"url": "https://example.org:22/"}}, "bad_address"),
        ({"name": "a", "kind": "slack", "values": {"url": URL, "x": "y"}}, "bad_setting"),
        ({"name": "on call", "kind": "slack", "values": {"url": URL}}, "name_taken"),
        ({"name": " \n", "kind": "slack", "values": {"url": URL}}, "bad_field"),
        ({"name": "a", "kind": "slack", "values": {"url": URL}, "fallback": 2**60}, "bad_fallback"),
        ({"name": "a", "kind": "pagerduty", "values": {"routing_key": "short"}}, "bad_setting"),
        ({"name": "a", "kind": "pagerduty", "values": {"routing_key": "k" * 32, "region": "mars"}}, "bad_setting"),
        ({"name": "a", "kind": "webhook", "values": {"url": URL, "secret": "whsec_short"}}, "bad_setting"),
        ({"name": "a", "kind": "email", "values": {"to": "nobody"}}, "bad_setting"),
        ({"name": "a", "kind": "slack_bot", "values": {"token": "xoxb-1", "channel": "a b"}}, "bad_setting"),
        ({"name": "a", "kind": "slack", "values": {"url": "https://[::1"}}, "bad_address"),
        ([], "bad_field"),
    ],
)
def test_what_cannot_be_is_refused_with_a_reason(shop: Shop, body: Any, code: str) -> None:
    answer = Client(headers={"authorization": f"Bearer {tenants.create_key(shop.project, 'k', (Scope.ADMIN,))}"}).post(
        "/api/v1/channels", body, content_type="application/json"
    )
    assert (answer.json()["error"]["code"], 400 <= answer.status_code < 500) == (code, True), answer.content


def test_a_signing_secret_is_made_and_shown_once(shop: Shop) -> None:
    admin = Api(shop.project, Scope.ADMIN)
    made = admin("post", "channels", {"name": "hook", "kind": "webhook", "values": {"url": "https://example.org/"}})
    secret, number = made.json()["signing_secret"], made.json()["channel"]["id"]
    assert secret.startswith("whsec_")
    for answer in (admin("get", f"channels/{number}"), admin("patch", f"channels/{number}", {"name": "hook 2"})):
        assert secret not in answer.content.decode()
    turned = admin("post", f"channels/{number}/rotate").json()["signing_secret"]
    held = channel_secrets.required(Channel.objects.get(pk=number))
    assert (held["secret"], held["previous"]) == (turned, secret) and turned != secret
    changed = admin("patch", f"channels/{number}", {"values": {"format": "alertmanager"}})
    assert changed.json()["settings"] == {"format": "alertmanager"}
    assert channel_secrets.required(Channel.objects.get(pk=number)) == held


@pytest.mark.parametrize("kind", list(KINDS))
def test_each_kind_can_be_made_on_its_page(shop: Shop, kind: str) -> None:
    address = f"/p/shop/alerts/channels/new/{kind}"
    assert person("ada").get(address).status_code == 200
    said = {"url": "https://example.org/planted-canary", "routing_key": "k" * 32, "region": "eu", "token": "xoxb-12345",
            "channel": "C01", "to": "a@example.org", "format": "standard"}  # fmt: skip
    names = [one.name for one in KINDS[kind].settings]
    answer = person("ada").post(
        address, {"name": kind, **{name: said[name] for name in names if name in said}}, follow=True
    )
    assert answer.status_code == 200
    made = Channel.objects.get(name=kind)
    assert made.kind == kind and "planted-canary" not in answer.content.decode()
    again = person("ada").post(
        f"/p/shop/alerts/channels/{made.pk}", {"name": f"{kind} 2", "is_default": "1"}, follow=True
    )
    assert again.status_code == 200
    changed = Channel.objects.get(pk=made.pk)
    assert (changed.name, changed.is_default) == (f"{kind} 2", True)
    assert channel_secrets.required(changed) == channel_secrets.required(made)


def test_a_refused_form_says_why_and_sends_no_secret_back(shop: Shop) -> None:
    answer = person("ada").post(
        "/p/shop/alerts/channels/new/slack", {"name": "x", "url": "http://10.0.0.1/planted-canary"}
    )
    assert answer.status_code == 400
    assert "not public" in answer.content.decode() and "planted-canary" not in answer.content.decode()


@pytest.mark.parametrize("query", ["state=odd", "channel=x", "cursor=x", "channel=99999999999999999999"])
def test_a_filter_that_cannot_be_read_is_a_400(shop: Shop, query: str) -> None:
    assert person("ada").get(f"/p/shop/alerts/deliveries?{query}").status_code == 400
    assert Api(shop.project, Scope.ADMIN)("get", f"deliveries?{query}").status_code == 400


def test_a_long_log_is_paged_both_ways(shop: Shop) -> None:
    for seq in range(2, 105):
        Notification.objects.create(
            project=shop.project, incident=shop.row.incident, channel=shop.channel, seq=seq, kind="update",
            body=alerting.facts(), state="delivered", next_attempt_at=alerting.AT, created_at=alerting.AT,
        )  # fmt: skip
    seen: list[int] = []
    cursor = ""
    while cursor is not None:
        answer = Api(shop.project, Scope.READ_METRICS)(
            "get", f"deliveries?limit=50{cursor and '&cursor=' + cursor}"
        ).json()
        seen += [one["id"] for one in answer["items"]]
        cursor = answer["next_cursor"]
    assert len(seen) == len(set(seen)) == 104 and seen == sorted(seen, reverse=True)
    first = person("ada").get("/p/shop/alerts/deliveries").content.decode()
    assert "Older →" in first and "← Newer" not in first
