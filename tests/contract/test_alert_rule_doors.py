"""The pages of a rule and an incident's chart: who may look and who may change, and what wrong input is told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from kit import alerting
from kit.calls import NOON, call, trace
from kit.stored import deliver, settled
from stanchion_server.alerts import services
from stanchion_server.alerts.models import Incident, Rule
from stanchion_server.ingest.records import Status
from stanchion_server.kernel import clock
from stanchion_server.tenants import access
from stanchion_server.tenants import services as tenants
from stanchion_server.tenants.models import Membership, Project, Role, User

pytestmark = pytest.mark.django_db

BAD = "<b>\u202ex</b>"
PLAIN: dict[str, Any] = {
    "name": "errors", "when": {"above": 0.4}, "keep_firing": "0s", "title": BAD,
    "watch": {"source": "calls", "measure": "error_ratio", "by": ["feature"], "window": "5m", "min_samples": 2},
}  # fmt: skip
FIELDS = {"name": "two", "watched": "calls error_ratio", "window": "5m", "by_1": "feature", "min_samples": "2",
          "type": "threshold", "side": "above", "limit": "0.4", "days": "14"}  # fmt: skip
HTMX = {"HX-Request": "true"}


@dataclass(frozen=True)
class Shop:
    """ada owns, vera looks, bob is a stranger. A feature with a bad name fails from noon to 12:05, four days ago."""

    project: Project
    rule: Rule

    def page(self, path: str) -> str:
        return f"/p/{self.project.slug}/alerts/{path}"


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
    Project.objects.update(created_at=NOON)
    deliver(project.pk, *(
        call(
            trace_id=trace(80_000 + place), after_s=15 * place, feature=BAD,
            status=Status.ERROR if place < 20 else Status.OK,
        )
        for place in range(80)
    ))  # fmt: skip
    settled(project.pk)
    yield Shop(Project.objects.get(pk=project.pk), services.save(project, PLAIN, "ada"))
    access.forget_everything()


def as_(name: str) -> Client:
    client = Client()
    client.force_login(User.objects.get(username=name))
    return client


def test_strangers_find_nothing_and_viewers_look_without_a_form(shop: Shop) -> None:
    incident = alerting.incident(shop.rule)
    number = shop.rule.pk
    for path in (f"rules/{number}", f"rules/{number}/preview", f"{incident.pk}/chart"):
        assert as_("bob").get(shop.page(path)).status_code == 404
        assert as_("vera").get(shop.page(path)).status_code == 200
    assert as_("bob").get(shop.page("rules/new")).status_code == 404
    assert as_("vera").get(shop.page("rules/new")).status_code == 403
    assert as_("vera").post(shop.page(f"rules/{number}"), {**FIELDS, "do": "preview"}).status_code == 403
    assert b"<button" not in as_("vera").get(shop.page(f"rules/{number}")).content.split(b'id="rule"')[1]
    assert as_("ada").get(shop.page("rules/99999999")).status_code == 404
    assert as_("ada").get(shop.page("99999999/chart")).status_code == 404


def test_a_preview_on_the_page_says_how_often_and_saves_nothing(shop: Shop) -> None:
    body = as_("ada").post(shop.page("rules/new"), {**FIELDS, "do": "preview"}).content.decode()
    assert "Would have fired once in " in body and BAD not in body and "&lt;b&gt;" in body
    assert list(Rule.objects.values_list("name", flat=True)) == ["errors"]
    stored = as_("ada").get(shop.page(f"rules/{shop.rule.pk}/preview")).content.decode()
    assert "Would have fired once in " in stored and BAD not in stored


def test_wrong_fields_are_told_and_kept_whatever_is_asked(shop: Shop) -> None:
    wrong = {**FIELDS, "limit": "much", "where": "feature = refunds\ncolour = red"}
    for deed in ("preview", "save"):
        answer = as_("ada").post(shop.page("rules/new"), {**wrong, "do": deed})
        body = answer.content.decode()
        assert answer.status_code == 400 and 'value="much"' in body and "colour = red" in body
        assert "it must be a number" in body and 'href="#f-limit"' in body and 'href="#f-where"' in body
    assert as_("ada").post(shop.page("rules/new"), {**wrong, "do": "preview"}, headers=HTMX).status_code == 200
    taken = as_("ada").post(shop.page("rules/new"), {**FIELDS, "name": "errors", "do": "save"})
    assert taken.status_code == 400 and 'href="#f-name"' in taken.content.decode()
    gone = as_("ada").post(shop.page("rules/new"), {**FIELDS, "channels": ["gone"], "do": "save"})
    assert gone.status_code == 400 and "does not have" in gone.content.decode()
    assert Rule.objects.count() == 1


def test_the_form_says_the_least_window_of_cards_and_refuses_less_at_its_field(shop: Shop) -> None:
    assert "GPU cards at least 5m" in as_("ada").get(shop.page("rules/new")).content.decode()
    short = {**FIELDS, "watched": "gpu_cards temperature_c", "by_1": "card", "where": "", "window": "1m", "do": "save"}
    answer = as_("ada").post(shop.page("rules/new"), short)
    body = answer.content.decode()
    assert answer.status_code == 400 and 'href="#f-window"' in body and "It must be at least 5m." in body


@pytest.mark.parametrize(
    "body", [{}, {"do": "preview"}, {"do": "save"}, {"do": "yaml"}, {"do": "fields"}, {"do": "dance", **FIELDS},
             {"do": "preview", "yaml": "a: [", "days": "x"}, {"do": "save", "yaml": "rules: []"},
             {"do": "preview", **FIELDS, "name": "\0", "days": "9" * 400}, {"do": "fields", "yaml": "\0"}]
)  # fmt: skip
def test_half_a_form_is_answered_and_changes_nothing(shop: Shop, body: dict[str, str]) -> None:
    assert as_("ada").post(shop.page("rules/new"), body).status_code in (200, 400)
    assert Rule.objects.count() == 1


def test_a_rule_is_saved_from_fields_and_from_text_and_keeps_what_the_fields_do_not_say(shop: Shop) -> None:
    page = shop.page(f"rules/{shop.rule.pk}")
    services.save(shop.project, {**PLAIN, "topic": "cost", "paused": True}, "ada", shop.rule.pk)
    assert "Kept as it is, and changed as YAML: topic, paused." in as_("ada").get(page).content.decode()
    rest = '{"topic": "cost", "paused": true}'
    answer = as_("ada").post(page, {**FIELDS, "name": "errors", "limit": "0.6", "rest": rest, "do": "save"})
    assert answer.status_code == 302 and answer["Location"] == page
    shop.rule.refresh_from_db()
    assert (shop.rule.definition["when"], shop.rule.definition["topic"]) == ({"above": 0.6}, "cost")
    assert shop.rule.is_paused and shop.rule.version == 3
    text = as_("ada").post(page, {**FIELDS, "rest": rest, "do": "yaml"}).content.decode()
    assert "topic: cost" in text and "above: 0.4" in text
    written = "name: errors\nwatch: {source: calls, measure: errors}\nwhen: {above: 7}\n"
    assert as_("ada").post(page, {"yaml": written, "do": "save"}).status_code == 302
    shop.rule.refresh_from_db()
    assert shop.rule.definition["when"] == {"above": 7} and not shop.rule.is_paused
    broken = as_("ada").post(page, {"yaml": written.replace("7", "seven"), "do": "save"})
    assert broken.status_code == 400 and "Line 3: when.above" in broken.content.decode()


def test_a_text_that_fields_cannot_say_stays_a_text(shop: Shop) -> None:
    written = 'name: errors\nwatch: {source: calls, measure: errors, where: {feature: "a\\nb"}}\nwhen: {above: 7}\n'
    answer = as_("ada").post(shop.page("rules/new"), {"yaml": written, "do": "fields"}).content.decode()
    assert "The fields cannot say all of this rule" in answer and "<textarea" in answer
    watch = {**PLAIN["watch"], "where": {"model": "a\nb"}}
    rule = services.save(shop.project, {**PLAIN, "name": "two", "watch": watch}, "ada")
    assert "The rule in YAML" in as_("ada").get(shop.page(f"rules/{rule.pk}")).content.decode()


def test_what_is_not_recorded_over_time_is_not_drawn_and_says_so(shop: Shop) -> None:
    silent = {"name": "silent", "watch": {"source": "gpu", "measure": "silent_s"}, "when": {"above": 90}}
    rule = services.save(shop.project, silent, "ada")
    incident = alerting.incident(rule, members=[{"labels": []}])
    told = as_("ada").get(shop.page(f"rules/{rule.pk}/preview")).content.decode()
    assert "is not known" in told and "only known as of now" in told and "data-chart" not in told
    drawn = as_("ada").get(shop.page(f"{incident.pk}/chart")).content.decode()
    assert "only known as of now" in drawn and "data-chart" not in drawn


def test_a_limit_that_moves_is_drawn_for_each_group(shop: Shop) -> None:
    surge = {"type": "surge", "surge_times": "2", "surge_least": "1", "surge_lookback": "1h", "min_samples": "0"}
    asked = {**FIELDS, **surge, "watched": "calls errors", "do": "preview"}
    body = as_("ada").post(shop.page("rules/new"), asked).content.decode()
    assert "Would have fired once in " in body and "&quot;Limit of feature " in body and BAD not in body


def test_a_stored_rule_that_is_not_understood_any_more_has_a_page_that_says_so(shop: Shop) -> None:
    Rule.objects.update(definition={"watch": {"source": "gone", "by": 7}, "when": [], "channels": 3}, version=7)
    body = as_("ada").get(shop.page(f"rules/{shop.rule.pk}")).content.decode()
    assert "The rule in YAML" in body and "source: gone" in body
    told = as_("ada").get(shop.page(f"rules/{shop.rule.pk}/preview")).content.decode()
    assert "cannot be judged any more" in told


def test_an_incidents_chart_marks_the_incident_and_survives_a_rule_that_is_gone_or_changed(shop: Shop) -> None:
    incident = alerting.incident(
        shop.rule, started_at=NOON + timedelta(minutes=3), resolved_at=NOON + timedelta(minutes=8),
        members=[{"labels": [["feature", BAD]], "value": 1.0, "shown": "100 %"}],
    )  # fmt: skip
    page = shop.page(f"{incident.pk}/chart")
    drawn = as_("ada").get(page).content.decode()
    assert "&quot;Limit&quot;" in drawn and BAD not in drawn and "was changed since" not in drawn
    assert f"[{int(incident.started_at.timestamp())}, " in drawn
    services.save(shop.project, {**PLAIN, "when": {"above": 0.9}}, "ada", shop.rule.pk)
    assert "The rule was changed since" in as_("ada").get(page).content.decode()
    services.archive(shop.project.pk, shop.rule.pk, "ada")
    assert "data-chart" in as_("ada").get(page).content.decode()
    Rule.objects.update(definition={"watch": {"source": "gone"}}, version=9)
    assert as_("ada").get(page).status_code == 200
    Incident.objects.update(members=[])
    assert as_("ada").get(page).status_code == 200
    assert as_("ada").get(shop.page(str(incident.pk))).status_code == 200
