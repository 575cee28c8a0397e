"""Alerts over REST and on pages: who may do what, whose it is, and what bad input is told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.test import Client

from kit import alerting
from stanchion_server.alerts import paths, services
from stanchion_server.alerts.measures import SOURCES
from stanchion_server.alerts.models import Incident, Notification, Rule, Silence
from stanchion_server.kernel import clock
from stanchion_server.tenants import access
from stanchion_server.tenants import services as tenants
from stanchion_server.tenants.models import Membership, Project, Role, Scope, User

pytestmark = pytest.mark.django_db

PLAIN: dict[str, Any] = {
    "name": "errors", "watch": {"source": "calls", "measure": "error_ratio", "by": ["feature"]},
    "when": {"above": 0.05},
}  # fmt: skip
BAD = "<b>\u202ex</b>"


@dataclass(frozen=True)
class Shop:
    """ada owns, vera looks, bob is a stranger."""

    project: Project
    rule: Rule
    incident: Incident


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    access.forget_everything()
    monkeypatch.setattr(clock, "now", lambda: alerting.AT)
    organisation = tenants.create_organisation("Acme")
    project = tenants.create_project(organisation, "Shop")
    tenants.create_owner(organisation, "ada", "x" * 12)
    vera = User.objects.create_user("vera", password="x" * 12)
    Membership.objects.create(user=vera, organisation=organisation, role=Role.VIEWER)
    elsewhere = tenants.create_organisation("Elsewhere")
    tenants.create_project(elsewhere, "Other")
    tenants.create_owner(elsewhere, "bob", "x" * 12)
    rule = services.save(project, PLAIN, "ada")
    members = [{"labels": [["feature", BAD]], "value": 0.2, "shown": "20 %"}]
    incident = alerting.incident(
        rule, "a", labels={"feature": BAD}, title=f"Errors of {BAD}", members=members,
        facts={"reason": BAD, "source": "calls"},
    )  # fmt: skip
    yield Shop(project, rule, incident)
    access.forget_everything()


def as_(name: str) -> Client:
    client = Client()
    assert client.login(username=name, password="x" * 12)
    return client


def bearer(project: Project, *scopes: Scope) -> dict[str, Any]:
    return {"headers": {"Authorization": f"Bearer {tenants.create_key(project, 'test', scopes)}"}}


def test_a_rule_over_rest_is_made_changed_and_archived(shop: Shop) -> None:
    key, client = bearer(shop.project, Scope.ADMIN), Client()
    made = client.post("/api/v1/rules", {**PLAIN, "name": "two"}, "application/json", **key)
    assert made.status_code == 201, made.content
    number = made.json()["id"]
    changed = client.put(f"/api/v1/rules/{number}", {**PLAIN, "name": "two", "for": "5m"}, "application/json", **key)
    assert changed.json()["version"] == 2 and changed.json()["rule"]["for"] == "5m"
    assert client.delete(f"/api/v1/rules/{number}", **key).status_code == 200
    assert client.get(f"/api/v1/rules/{number}", **key).status_code == 404


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"name": ""}, "name"),
        ({"when": {"above": "much"}}, "when.above"),
        ({"when": {"type": "burn_rate", "objective_ratio": 0.9}}, "can never fire"),
        ({"watch": {"source": "calls", "measure": "error_ratio", "by": ["user_id"]}}, "watch.by"),
        ({"watch": {"source": "weather", "measure": "rain"}}, "watch.source"),
        ({"for": "5 parsecs"}, "for"),
        ({"colour": "red"}, "colour"),
        ({"channels": ["nowhere"]}, "nowhere"),
        ({"name": "half \ud800 a character"}, "name"),
    ],
)
def test_a_wrong_rule_is_told_where_it_is_wrong(shop: Shop, wrong: dict[str, Any], word: str) -> None:
    key = bearer(shop.project, Scope.ADMIN)
    answer = Client().post("/api/v1/rules", {**PLAIN, "name": "two", **wrong}, "application/json", **key)
    assert answer.status_code == 400 and word in answer.json()["error"]["message"]


@pytest.mark.parametrize("body", [[], "text", None, 7, {"name": {"a": 1}, "watch": [], "when": "x"}])
def test_what_is_no_rule_at_all_is_refused(shop: Shop, body: Any) -> None:
    import json

    answer = Client().post("/api/v1/rules", json.dumps(body), "application/json", **bearer(shop.project, Scope.ADMIN))
    assert answer.status_code == 400


def test_people_act_on_an_incident_and_its_timeline_says_so(shop: Shop) -> None:
    key, client = bearer(shop.project, Scope.WRITE_SCORES, Scope.READ_METRICS), Client()
    alerting.channel(shop.project, is_default=True)
    address = f"/api/v1/alerts/{shop.incident.pk}"
    for action, body in (("acknowledge", {}), ("assign", {"person": "ann"}), ("note", {"text": "looking"})):
        assert client.post(f"{address}/{action}", body, "application/json", **key).status_code == 200
    over = client.post(f"{address}/resolve", {}, "application/json", **key).json()
    kinds = [event["kind"] for event in over["timeline"]]
    assert [kind for kind in kinds if kind != "notified"] == ["acknowledged", "assigned", "note", "resolved"]
    assert client.post(f"{address}/acknowledge", {}, "application/json", **key).status_code == 409
    states = set(Notification.objects.values_list("state", flat=True))
    assert states == {"superseded"}, "the trigger still waited, so that nobody heard of it"


def test_a_silence_shows_what_it_hides_before_it_is_made(shop: Shop) -> None:
    key, client = bearer(shop.project, Scope.ADMIN), Client()
    body = {"matchers": [{"label": "rule", "op": "=", "value": "errors"}], "ends_at": "2026-11-24T14:00:00Z",
            "reason": "moving"}  # fmt: skip
    looked = client.post("/api/v1/silences", {**body, "dry_run": True}, "application/json", **key)
    assert len(looked.json()["hides"]) == 1 and not Silence.objects.exists()
    made = client.post("/api/v1/silences", body, "application/json", **key)
    assert made.status_code == 201
    ended = client.delete(f"/api/v1/silences/{made.json()['silence']['id']}", **key)
    assert ended.json()["ends_at"] == "2026-11-24T12:00:00Z"
    too_long = {**body, "ends_at": "2027-11-24T14:00:00Z"}
    assert client.post("/api/v1/silences", too_long, "application/json", **key).status_code == 400


def test_strangers_find_nothing_and_viewers_change_nothing(shop: Shop) -> None:
    slug, number = shop.project.slug, shop.incident.pk
    pages = [f"/p/{slug}/alerts", f"/p/{slug}/alerts/rules", f"/p/{slug}/alerts/silences", f"/p/{slug}/alerts/{number}"]
    for page in pages:
        assert as_("bob").get(page).status_code == 404
        assert as_("vera").get(page).status_code == 200
    assert as_("vera").post(f"/p/{slug}/alerts/{number}/acknowledge").status_code == 403
    assert as_("vera").post(f"/p/{slug}/alerts/rules", {"yaml": "rules: []", "do": "apply"}).status_code == 403
    assert as_("bob").get(f"/api/v1/alerts/{number}").status_code == 404


def test_pages_show_hostile_names_as_text(shop: Shop) -> None:
    body = as_("ada").get(f"/p/{shop.project.slug}/alerts/{shop.incident.pk}").content.decode()
    assert BAD not in body and "&lt;b&gt;" in body
    text = as_("ada").get(f"/p/{shop.project.slug}/alerts/{shop.incident.pk}/post-mortem").content.decode()
    assert "<b>" not in text


def test_rules_are_changed_as_a_document_on_the_page(shop: Shop) -> None:
    page, client = f"/p/{shop.project.slug}/alerts/rules", as_("ada")
    text = services.export(shop.project.pk).replace("above: 0.05", "above: 0.07")
    assert "change errors" in client.post(page, {"yaml": text, "do": "check"}).content.decode()
    assert client.post(page, {"yaml": text, "do": "apply"}).status_code == 302
    shop.rule.refresh_from_db()
    assert shop.rule.definition["when"] == {"above": 0.07}
    assert client.post(page, {"yaml": "rules: [{name: x}]", "do": "apply"}).status_code == 400


def test_what_messages_link_to_is_there(shop: Shop) -> None:
    slug, client = shop.project.slug, as_("ada")
    links = [paths.incident(slug, shop.incident.pk), paths.silence(slug, shop.incident.pk), paths.force(slug, {})]
    links += [paths.view(slug, source, {}) for source in SOURCES]
    assert {link: client.get(link).status_code for link in links} == dict.fromkeys(links, 200)


@pytest.mark.parametrize("query", ["state=odd", "state=", "before=x", "before=99999999999999999999"])
def test_a_filter_of_incidents_that_cannot_be_read_is_a_400(shop: Shop, query: str) -> None:
    page = as_("ada").get(f"/p/{shop.project.slug}/alerts?{query}")
    answer = Client().get(f"/api/v1/alerts?{query}", **bearer(shop.project, Scope.READ_METRICS))
    assert (page.status_code, answer.status_code) == (400, 400)
    assert "must be" in page.content.decode() and "must be" in answer.json()["error"]["message"]
