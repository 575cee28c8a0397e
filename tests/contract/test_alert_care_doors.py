"""Maintenance windows and owners over REST and on pages: who may do what, and what bad input is told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from kit import alerting
from stanchion_server.alerts import outbox, owners, windows
from stanchion_server.alerts.models import Channel, Incident, MaintenanceWindow, Notification, Owner
from stanchion_server.kernel import clock
from stanchion_server.tenants import access
from stanchion_server.tenants import services as tenants
from stanchion_server.tenants.models import Membership, Project, Role, Scope, User

pytestmark = pytest.mark.django_db

NIGHT: dict[str, Any] = {"name": "night", "weekdays": [1], "starts": "11:30", "length_min": 60}
HOSTILE = "<script>alert(1)</script>"


class Now:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.at = alerting.AT

    def __call__(self) -> datetime:
        return self.at


@dataclass(frozen=True)
class Shop:
    """ada owns, vera looks, bob is a stranger. It is a Tuesday at noon."""

    project: Project
    other: Project
    channel: Channel
    now: Now


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    access.forget_everything()
    now = Now()
    monkeypatch.setattr(clock, "now", now)
    organisation = tenants.create_organisation("Acme")
    project = tenants.create_project(organisation, "Shop")
    tenants.create_owner(organisation, "ada", "x" * 12)
    vera = User.objects.create_user("vera", password="x" * 12)
    Membership.objects.create(user=vera, organisation=organisation, role=Role.VIEWER)
    elsewhere = tenants.create_organisation("Elsewhere")
    other = tenants.create_project(elsewhere, "Other")
    tenants.create_owner(elsewhere, "bob", "x" * 12)
    yield Shop(project, other, alerting.channel(project, is_default=True), now)
    access.forget_everything()


class Api:
    def __init__(self, project: Project, *scopes: Scope) -> None:
        self._client = Client(headers={"authorization": f"Bearer {tenants.create_key(project, 'k', scopes)}"})

    def __call__(self, method: str, path: str, body: Any = None) -> Any:
        address = f"/api/v1/{path}"
        if method == "get":
            return self._client.get(address)
        return getattr(self._client, method)(address, {} if body is None else body, content_type="application/json")


def person(name: str) -> Client:
    client = Client()
    client.force_login(User.objects.get(username=name))
    return client


def opened(project: Project) -> Incident:
    incident = alerting.incident(alerting.rule(project), labels={"feature": "refunds"}, facts={"source": "calls"})
    outbox.settle(project.pk, clock.now())
    return incident


def states() -> list[str]:
    return list(Notification.objects.order_by("pk").values_list("state", flat=True))


def test_a_window_is_made_read_changed_ended_and_deleted_over_rest(shop: Shop) -> None:
    admin = Api(shop.project, Scope.ADMIN)
    made = admin("post", "maintenance-windows", NIGHT)
    assert made.status_code == 201, made.content
    body, one = made.json(), f"maintenance-windows/{made.json()['id']}"
    assert body["running"] == {"starts_at": "2026-11-24T11:30:00Z", "ends_at": "2026-11-24T12:30:00Z"}
    assert [item["starts_at"] for item in body["upcoming"]] == [
        "2026-12-01T11:30:00Z", "2026-12-08T11:30:00Z", "2026-12-15T11:30:00Z",
    ]  # fmt: skip
    assert admin("get", "maintenance-windows").json()["items"] == [body]
    ended = admin("post", f"{one}/end").json()
    assert ended["running"] is None and ended["upcoming"] == body["upcoming"]
    assert admin("post", f"{one}/end").json()["error"]["code"] == "not_on"
    changed = admin("patch", one, {"time_zone": "Europe/Berlin", "starts": "12:30"}).json()
    assert (changed["starts"], changed["time_zone"], changed["weekdays"]) == ("12:30", "Europe/Berlin", [1])
    assert changed["running"], "another schedule is another window: what was ended before does not end it"
    assert admin("delete", one).status_code == 200
    assert admin("get", one).status_code == admin("delete", one).status_code == 404
    assert admin("post", "maintenance-windows", NIGHT).status_code == 201, "the name is free again"


def test_a_window_holds_messages_back_and_ending_it_lets_them_go(shop: Shop) -> None:
    made = windows.add(
        shop.project, {**NIGHT, "matchers": [{"label": "feature", "op": "=", "value": "refunds"}]}, "ada"
    )
    incident = opened(shop.project)
    assert states() == []
    incident.refresh_from_db()
    assert incident.muted_by == "maintenance window night"
    windows.end(shop.project.pk, made.pk, "ada")
    assert states() == ["waiting"]


def test_a_window_that_is_made_or_deleted_counts_at_once(shop: Shop) -> None:
    opened(shop.project)
    assert states() == ["waiting"]
    made = windows.add(shop.project, NIGHT, "ada")
    assert states() == ["superseded"]
    windows.delete(shop.project.pk, made.pk, "ada")
    assert states() == ["superseded", "waiting"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"starts": "25:00"}, "starts is '25:00': it must be a time of day such as 02:30"),
        ({"starts": "02:30+02:00"}, "02:30+02:00"),
        ({"starts": ""}, "starts"),
        ({"length_min": 0}, "length_min is 0"),
        ({"length_min": 1441}, "length_min is 1441"),
        ({"length_min": "long"}, "length_min"),
        ({"weekdays": []}, "weekdays is []"),
        ({"weekdays": [7]}, "weekdays is [7]"),
        ({"weekdays": [10**30]}, "weekdays"),
        ({"weekdays": "Monday"}, "weekdays"),
        ({"weekdays": [0, "x"]}, "weekdays: A valid integer is required."),
        ({"matchers": [{"label": "a", "op": "=", "value": "b"}, {"label": None}]}, "matchers"),
        ({"time_zone": "Europe/Dubln"}, "such as Europe/Dublin"),
        ({"time_zone": "../../etc/passwd"}, "time_zone is '../../etc/passwd'"),
        ({"time_zone": "Europe"}, "time_zone is 'Europe'"),
        ({"name": "  "}, "name"),
        ({"name": "a\u202eb"}, "printable"),
        ({"name": "n" * 81}, "name"),
        ({"matchers": [{"label": "feature", "op": "like", "value": "x"}]}, "=, !=, ~"),
        ({"matchers": [{"label": "a", "op": "=", "value": "x"}] * 11}, "At most 10"),
        ({"matchers": [{"label": "half \ud800", "op": "=", "value": "x"}]}, "matchers"),
    ],
)
def test_a_wrong_window_is_told_the_value_and_what_to_write_instead(
    shop: Shop, wrong: dict[str, Any], said: str
) -> None:
    admin = Api(shop.project, Scope.ADMIN)
    answer = admin("post", "maintenance-windows", {**NIGHT, **wrong})
    assert answer.status_code == 400 and said in answer.json()["error"]["message"], answer.content
    kept = windows.add(shop.project, NIGHT, "ada")
    assert admin("patch", f"maintenance-windows/{kept.pk}", wrong).status_code == 400
    assert MaintenanceWindow.objects.count() == 1


def test_a_name_is_taken_once_and_a_project_has_so_many_windows(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    admin = Api(shop.project, Scope.ADMIN)
    assert admin("post", "maintenance-windows", NIGHT).status_code == 201
    assert admin("post", "maintenance-windows", NIGHT).json()["error"]["code"] == "name_taken"
    two = admin("post", "maintenance-windows", {**NIGHT, "name": "two"}).json()["id"]
    assert admin("patch", f"maintenance-windows/{two}", {"name": "night"}).status_code == 409
    monkeypatch.setattr(windows, "MOST_WINDOWS", 2)
    assert (
        admin("post", "maintenance-windows", {**NIGHT, "name": "three"}).json()["error"]["code"] == "too_many_windows"
    )


def test_owners_are_made_changed_and_deleted_over_rest_and_messages_go_to_them(shop: Shop) -> None:
    admin, pager = Api(shop.project, Scope.ADMIN), alerting.channel(shop.project, "pager")
    made = admin("post", "owners", {"person": "refund team", "feature": "refunds", "channel": pager.pk})
    assert made.status_code == 201, made.content
    assert made.json() == {
        "id": made.json()["id"], "feature": "refunds", "topic": "any", "person": "refund team", "channel": pager.pk,
    }  # fmt: skip
    opened(shop.project)
    row = Notification.objects.get()
    assert (row.channel_id, row.body["owner"]) == (pager.pk, "refund team")
    one = f"owners/{made.json()['id']}"
    assert admin("patch", one, {"topic": "cost", "channel": None}).json()["topic"] == "cost"
    assert admin("get", one).json()["channel"] is None
    assert admin("delete", one).json()["person"] == "refund team"
    assert admin("get", one).status_code == admin("patch", one, {"topic": "any"}).status_code == 404
    assert admin("get", "owners").json() == {"items": []}


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"person": " "}, "bad_field"),
        ({"person": "a\u202eb"}, "bad_person"),
        ({"topic": "weather"}, "bad_topic"),
        ({"feature": "f" * 201}, "bad_field"),
        ({"feature": "a\nb"}, "bad_feature"),
        ({"channel": 2**60}, "bad_channel"),
        ({"channel": "pager"}, "bad_field"),
    ],
)
def test_a_wrong_owner_is_refused_with_a_reason(shop: Shop, wrong: dict[str, Any], code: str) -> None:
    answer = Api(shop.project, Scope.ADMIN)("post", "owners", {"person": "ann", **wrong})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code), answer.content
    assert not Owner.objects.exists()


def test_an_owner_is_one_per_feature_and_topic_and_takes_no_foreign_channel(shop: Shop) -> None:
    admin, foreign = Api(shop.project, Scope.ADMIN), alerting.channel(shop.other, "theirs")
    assert admin("post", "owners", {"person": "ann"}).status_code == 201
    again = admin("post", "owners", {"person": "ben"})
    assert again.status_code == 409 and "The whole project" in again.json()["error"]["message"]
    refused = admin("post", "owners", {"person": "ben", "feature": "chat", "channel": foreign.pk})
    assert refused.json()["error"]["code"] == "bad_channel"


def test_strangers_find_nothing_and_readers_change_nothing(shop: Shop) -> None:
    window, owner = windows.add(shop.project, NIGHT, "ada"), owners.add(shop.project, {"person": "ann"}, "ada")
    reader, stranger = Api(shop.project, Scope.READ_METRICS), Api(shop.other, Scope.ADMIN)
    for name, number in (("maintenance-windows", window.pk), ("owners", owner.pk)):
        assert len(reader("get", name).json()["items"]) == 1 and stranger("get", name).json()["items"] == []
        assert (reader("get", f"{name}/{number}").status_code, stranger("get", f"{name}/{number}").status_code) == (
            200, 404,
        )  # fmt: skip
        for method in ("patch", "delete"):
            assert reader(method, f"{name}/{number}").status_code == 403
            assert stranger(method, f"{name}/{number}").status_code == 404
        assert reader("post", name, {}).status_code == 403
    for place, number in (("maintenance", window.pk), ("owners", owner.pk)):
        for page in (f"/p/shop/alerts/{place}", f"/p/shop/alerts/{place}/{number}"):
            assert [person(name).get(page).status_code for name in ("ada", "vera", "bob")] == [200, 200, 404], page
            assert [person(name).post(page, {}).status_code for name in ("ada", "vera", "bob")] == [400, 403, 404], page
    for address in (f"maintenance/{window.pk}/end", f"maintenance/{window.pk}/delete", f"owners/{owner.pk}/delete"):
        assert [person(name).post(f"/p/shop/alerts/{address}").status_code for name in ("vera", "bob")] == [403, 404]
        assert person("ada").get(f"/p/shop/alerts/{address}").status_code == 405
    assert MaintenanceWindow.objects.filter(archived_at=None).count() == Owner.objects.count() == 1


def test_pages_make_change_and_delete_and_show_hostile_names_as_text(shop: Shop) -> None:
    ada, said = person("ada"), {**NIGHT, "name": HOSTILE, "time_zone": "Europe/Berlin", "matchers": f"rule = {HOSTILE}"}
    page = ada.post("/p/shop/alerts/maintenance", said, follow=True).content.decode()
    assert HOSTILE not in page and "Tue 2026-12-01 11:30 to 12:30 CET" in page
    row = MaintenanceWindow.objects.get()
    again = ada.get(f"/p/shop/alerts/maintenance/{row.pk}").content.decode()
    assert HOSTILE not in again and 'value="11:30"' in again
    assert ada.post(f"/p/shop/alerts/maintenance/{row.pk}", {**said, "length_min": "90"}).status_code == 302
    row.refresh_from_db()
    assert (row.length_min, row.matchers) == (90, [{"label": "rule", "op": "=", "value": HOSTILE}])
    wrong = ada.post(f"/p/shop/alerts/maintenance/{row.pk}", {**said, "length_min": "1e9", "weekdays": ["x", "3"]})
    assert wrong.status_code == 400 and "length_min is &#x27;1e9&#x27;" in wrong.content.decode()
    shop.now.at = datetime(2026, 12, 1, 11, 0, tzinfo=UTC)
    assert ada.post(f"/p/shop/alerts/maintenance/{row.pk}/end").status_code == 302
    shop.now.at += timedelta(minutes=1)
    assert ada.post(f"/p/shop/alerts/maintenance/{row.pk}/end").status_code == 409
    assert ada.post(f"/p/shop/alerts/maintenance/{row.pk}/delete").status_code == 302
    page = ada.post("/p/shop/alerts/owners", {"person": HOSTILE, "topic": "cost", "channel": str(shop.channel.pk)},
                    follow=True).content.decode()  # fmt: skip
    assert HOSTILE not in page and "the whole project" in page
    owner = Owner.objects.get()
    assert ada.post(f"/p/shop/alerts/owners/{owner.pk}", {"person": "ann", "topic": "any"}).status_code == 302
    assert (
        ada.post(f"/p/shop/alerts/owners/{owner.pk}", {"person": "ann", "topic": "any", "channel": "x"}).status_code
        == 400
    )
    owner.refresh_from_db()
    assert (owner.person, owner.channel) == ("ann", None)
    assert ada.post(f"/p/shop/alerts/owners/{owner.pk}/delete").status_code == 302 and not Owner.objects.exists()
