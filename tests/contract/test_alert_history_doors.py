"""Who changed what: each deed leaves one row that nobody changes, no secret is in it, and no stranger sees it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, transaction
from django.test import Client

from kit import alerting
from stanchion_server.alerts import acting, channel_services, history, owners, quiet_services, services, windows
from stanchion_server.alerts.channel_services import Wanted
from stanchion_server.alerts.models import Change
from stanchion_server.kernel import clock
from stanchion_server.kernel.errors import SenderError
from stanchion_server.tenants import access
from stanchion_server.tenants import services as tenants
from stanchion_server.tenants.models import Project, Scope, User

pytestmark = pytest.mark.django_db

PLAIN: dict[str, Any] = {
    "name": "errors", "watch": {"source": "calls", "measure": "error_ratio"}, "when": {"above": 0.05},
}  # fmt: skip
NIGHT: dict[str, Any] = {"name": "night", "weekdays": [1], "starts": "11:30", "length_min": 60}
URL = "https://hooks.slack.com/services/T0/B0/planted-canary-of-a-secret"
HOSTILE = "<script>alert(1)</script>"


@dataclass(frozen=True)
class Shop:
    project: Project
    other: Project

    def api(self, project: Project | None = None, *scopes: Scope) -> Client:
        key = tenants.create_key(project or self.project, "robot", scopes or (Scope.ADMIN,))
        return Client(headers={"authorization": f"Bearer {key}"})


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    access.forget_everything()
    monkeypatch.setattr(clock, "now", lambda: alerting.AT)
    organisation = tenants.create_organisation("Acme")
    project = tenants.create_project(organisation, "Shop")
    tenants.create_owner(organisation, "ada", "x" * 12)
    elsewhere = tenants.create_organisation("Elsewhere")
    other = tenants.create_project(elsewhere, "Other")
    tenants.create_owner(elsewhere, "bob", "x" * 12)
    yield Shop(project, other)
    access.forget_everything()


def person(name: str) -> Client:
    client = Client()
    client.force_login(User.objects.get(username=name))
    return client


def told(kind: str) -> list[tuple[str, str, dict[str, Any]]]:
    rows = Change.objects.filter(kind=kind).order_by("pk")
    return [(row.actor, row.action, row.detail) for row in rows]


def test_a_rules_life_is_written_down_with_what_was_changed(shop: Shop) -> None:
    rule = services.save(shop.project, PLAIN, "ada")
    services.save(shop.project, {**PLAIN, "when": {"above": 0.1}, "for": "5m"}, "ben", rule.pk)
    services.pause(shop.project.pk, rule.pk, "ann", is_paused=True)
    services.pause(shop.project.pk, rule.pk, "ann", is_paused=True)
    services.pause(shop.project.pk, rule.pk, "ann", is_paused=False)
    text = services.export(shop.project.pk).replace("name: errors", "name: others")
    services.apply(shop.project, text, "eve", is_dry_run=True, is_pruning=True)
    services.apply(shop.project, text, "eve", is_dry_run=False, is_pruning=True)
    assert told("rule") == [
        ("ada", "created", {}),
        ("ben", "changed", {"for": [None, "5m"], "when": [{"above": 0.05}, {"above": 0.1}]}),
        ("ann", "paused", {}),
        ("ann", "watched again", {}),
        ("eve", "created", {}),
        ("eve", "archived", {}),
    ]


def test_a_channels_life_is_written_down_without_its_secrets(shop: Shop) -> None:
    slack = channel_services.create(shop.project, Wanted("on call", "slack", {"url": URL}), "ada").channel
    channel_services.change(shop.project.pk, slack.pk, {"name": "pager", "values": {"url": URL + "-2"}}, "ben")
    channel_services.enable(shop.project.pk, slack.pk, "ann")
    hook = channel_services.create(shop.project, Wanted("hook", "webhook", {"url": "https://example.org/"}), "ada")
    channel_services.rotate_secret(shop.project.pk, hook.channel.pk, "eve")
    channel_services.archive(shop.project.pk, slack.pk, "eve")
    assert [(actor, action) for actor, action, _detail in told("channel")] == [
        ("ada", "created"), ("ben", "changed"), ("ann", "enabled again"), ("ada", "created"),
        ("eve", "signing secret renewed"), ("eve", "archived"),
    ]  # fmt: skip
    assert told("channel")[1][2] == {"name": ["on call", "pager"], "secrets": [None, "url"]}
    everything = json.dumps(list(Change.objects.values("name", "detail")))
    assert "planted-canary" not in everything and "whsec_" not in everything and hook.shown_once not in everything


def test_silences_windows_owners_and_incidents_too(shop: Shop) -> None:
    silence = quiet_services.silence(
        shop.project, [{"label": "rule", "op": "=", "value": "errors"}], None, alerting.AT + timedelta(hours=1),
        "moving", "ada",
    )  # fmt: skip
    quiet_services.end_silence(shop.project.pk, silence.pk, "ben")
    quiet_services.end_silence(shop.project.pk, silence.pk, "late")
    window = windows.add(shop.project, NIGHT, "ada")
    windows.change(shop.project.pk, window.pk, {"length_min": 90}, "ben")
    windows.end(shop.project.pk, window.pk, "ann")
    windows.delete(shop.project.pk, window.pk, "eve")
    owner = owners.add(shop.project, {"person": "ann"}, "ada")
    owners.change(shop.project.pk, owner.pk, {"person": "ben"}, "ben")
    owners.delete(shop.project.pk, owner.pk, "eve")
    incident = alerting.incident(alerting.rule(shop.project))
    acting.acknowledge(shop.project.pk, incident.pk, "ada")
    acting.acknowledge(shop.project.pk, incident.pk, "late")
    acting.resolve(shop.project.pk, incident.pk, "ben")
    assert told("silence") == [
        ("ada", "created", {"until": [None, "2026-11-24 13:00 UTC"], "reason": [None, "moving"]}),
        ("ben", "ended", {}),
    ]
    assert told("window") == [
        ("ada", "created", {}), ("ben", "changed", {"length_min": [60, 90]}), ("ann", "ended for now", {}),
        ("eve", "deleted", {}),
    ]  # fmt: skip
    assert told("owner") == [
        ("ada", "created", {"person": [None, "ann"], "topic": [None, "any"]}),
        ("ben", "changed", {"person": ["ann", "ben"]}), ("eve", "deleted", {}),
    ]  # fmt: skip
    assert told("incident") == [("ada", "acknowledged", {}), ("ben", "resolved", {})]


def test_what_is_refused_leaves_no_row(shop: Shop) -> None:
    with pytest.raises(SenderError):
        windows.add(shop.project, {**NIGHT, "starts": "25:00"}, "ada")
    channel_services.create(shop.project, Wanted("on call", "slack", {"url": URL}), "ada")
    with pytest.raises(SenderError):
        channel_services.create(shop.project, Wanted("on call", "slack", {"url": URL}), "ada")
    assert Change.objects.count() == 1


def test_rows_are_added_never_changed(shop: Shop) -> None:
    windows.add(shop.project, NIGHT, "ada")
    with pytest.raises(DatabaseError, match="added, never changed"), transaction.atomic():
        Change.objects.update(actor="somebody else")
    assert Change.objects.get().actor == "ada"
    shop.project.delete()
    assert not Change.objects.exists(), "they end with their project"


def test_rest_tells_them_newest_first_by_thing_and_page_by_page_with_who_asked(shop: Shop) -> None:
    robot, ada = shop.api(), person("ada")
    number = robot.post("/api/v1/owners", {"person": "ann"}, "application/json").json()["id"]
    ada.patch(f"/api/v1/owners/{number}?project=shop", {"person": "ben"}, "application/json")
    windows.add(shop.project, NIGHT, "eve")
    items = robot.get("/api/v1/alert-changes").json()["items"]
    assert [(one["kind"], one["action"], one["actor"]) for one in items] == [
        ("window", "created", "eve"), ("owner", "changed", "ada"), ("owner", "created", "API key robot"),
    ]  # fmt: skip
    one = robot.get(f"/api/v1/alert-changes?kind=owner&number={number}&limit=1").json()["items"]
    assert one == [items[1]] and one[0]["detail"] == {"person": ["ann", "ben"]}
    older = robot.get(f"/api/v1/alert-changes?kind=owner&number={number}&before={one[0]['id']}").json()["items"]
    assert older == [items[2]]
    assert shop.api(shop.other).get("/api/v1/alert-changes").json()["items"] == []
    assert shop.api(shop.project, Scope.INGEST).get("/api/v1/alert-changes").status_code == 403


@pytest.mark.parametrize("query", ["kind=odd", "number=7", "kind=rule&number=x", "before=-1", "before=9" + "9" * 30])
def test_a_question_that_cannot_be_read_is_a_400_on_both_doors(shop: Shop, query: str) -> None:
    assert person("ada").get(f"/p/shop/alerts/history?{query}").status_code == 400
    assert shop.api().get(f"/api/v1/alert-changes?{query}").status_code == 400


def test_pages_show_it_for_everything_and_for_one_thing_and_escape_names(shop: Shop) -> None:
    window = windows.add(shop.project, {**NIGHT, "name": HOSTILE}, HOSTILE)
    windows.change(shop.project.pk, window.pk, {"starts": "11:45"}, "ben")
    rule = services.save(shop.project, PLAIN, "ada")
    for address in ("history", f"history?kind=window&number={window.pk}", f"maintenance/{window.pk}"):
        page = person("ada").get(f"/p/shop/alerts/{address}").content.decode()
        assert HOSTILE not in page and "starts: 11:30 → 11:45" in page, address
        assert person("bob").get(f"/p/shop/alerts/{address}").status_code == 404
    page = person("ada").get(f"/p/shop/alerts/history?kind=rule&number={rule.pk}").content.decode()
    assert "errors" in page and "starts:" not in page
    own = person("ada").get(f"/p/shop/alerts/rules/{rule.pk}").content.decode()
    assert "Who changed what" in own and "created" in own


def test_what_is_gone_is_named_without_a_link(shop: Shop) -> None:
    window, kept = windows.add(shop.project, NIGHT, "ada"), windows.add(shop.project, {**NIGHT, "name": "kept"}, "ada")
    windows.delete(shop.project.pk, window.pk, "ada")
    page = person("ada").get("/p/shop/alerts/history").content.decode()
    assert f'/alerts/maintenance/{kept.pk}"' in page and f'/alerts/maintenance/{window.pk}"' not in page


def test_a_long_history_goes_on_on_another_page(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MOST_LISTED", 2)
    for number in range(3):
        history.note(shop.project.pk, Change.Kind.OWNER, number + 1, f"owner-{number}", "deleted", "ada")
    first = person("ada").get("/p/shop/alerts/history?kind=owner").content.decode()
    assert "owner-2" in first and "owner-1" in first and "owner-0" not in first
    before = Change.objects.get(name="owner-1").pk
    assert f"before={before}" in first and "kind=owner" in first
    assert "owner-0" in person("ada").get(f"/p/shop/alerts/history?kind=owner&before={before}").content.decode()
