"""A person looks at incidents, handles one from acknowledgement to post-mortem, pauses a rule and makes a silence."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from playwright.sync_api import Page, expect

from kit import alerting
from kit.looking import fits_a_phone, is_sound, keep_picture
from stanchion_server.alerts import outbox, services
from stanchion_server.alerts.models import Incident, Rule, Silence
from stanchion_server.kernel import clock
from stanchion_server.tenants.models import Project

pytestmark = pytest.mark.django_db(transaction=True)

PLAIN: dict[str, Any] = {
    "name": "errors", "description": "A share of answers that fail.", "severity": "critical",
    "watch": {"source": "calls", "measure": "error_ratio", "by": ["feature"]}, "when": {"above": 0.05},
    "runbook": "https://wiki.example/errors",
}  # fmt: skip
FACTS = {"reason": "20 % > 5 % for 5 min", "source": "calls", "unit": "ratio", "threshold": 0.05, "window_s": 900}


@pytest.fixture(autouse=True)
def noon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: alerting.AT)


def looked_at(page: Page, name: str) -> None:
    keep_picture(page, name)
    assert is_sound(page) and fits_a_phone(page, f"{name}-phone")


def opened(rule: Rule, group: str, *inside: str, **more: Any) -> Incident:
    began = alerting.AT - timedelta(minutes=20)
    members = [{"labels": [["feature", name]], "value": 0.2, "shown": "20 %"} for name in (group, *inside)]
    told = {"labels": {"feature": group}, "title": f"Errors of {group}", "members": members, "facts": FACTS,
            "value": 0.2, "peak": 0.31, "samples": 1_840, "changes": ["11:52 UTC release 2026.11.2 of refunds began"],
            "started_at": began, "changed_at": began}  # fmt: skip
    return alerting.incident(rule, group[:64], **{**told, **more})


def several(project: Project) -> Incident:
    """One of each look; the plain one is handed back."""
    rule = services.save(project, PLAIN, "ada")
    opened(rule, "chat", "chat-eu", is_flapping=True, acknowledged_at=alerting.AT, acknowledged_by="ann")
    opened(rule, "search", is_no_data=True, muted_by="silence 3: moving", value=None, peak=None, samples=None)
    opened(rule, "long-" + "name-" * 30, resolved_at=alerting.AT, resolved_by="ann", is_settled=True)
    return opened(rule, "refunds")


def test_the_inbox_empty_full_and_asked_wrongly(signed_in, shop, scheme) -> None:  # type: ignore[no-untyped-def]
    page: Page = signed_in.page
    page.emulate_media(color_scheme=scheme)
    page.goto(shop.page("alerts"))
    expect(page.get_by_role("heading", name="No incident yet")).to_be_visible()
    looked_at(page, f"incidents-empty-{scheme}")
    several(shop.project)
    page.reload()
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(4)
    looked_at(page, f"incidents-{scheme}")
    page.get_by_role("link", name="resolved", exact=True).click()
    expect(rows).to_have_count(1)
    page.get_by_role("link", name="open", exact=True).click()
    expect(rows).to_have_count(3)
    assert signed_in.complaints == []
    page.goto(shop.page("alerts?state=odd"))
    expect(page.get_by_text("state is 'odd': it must be one of open, resolved, all.")).to_be_visible()
    looked_at(page, f"incidents-odd-{scheme}")
    page.get_by_role("link", name="This page without range and filters").click()
    expect(rows).to_have_count(4)


def test_an_incident_is_handled_to_its_end(signed_in, shop, scheme) -> None:  # type: ignore[no-untyped-def]
    page: Page = signed_in.page
    page.emulate_media(color_scheme=scheme)
    alerting.channel(shop.project, is_default=True)
    incident = several(shop.project)
    with transaction.atomic():
        outbox.settle(shop.project.pk, alerting.AT)
    page.goto(shop.page("alerts"))
    page.get_by_role("link", name="Errors of refunds").click()
    timeline = page.get_by_role("table").filter(has_text="What happened")
    expect(timeline).to_contain_text("trigger to on call")
    looked_at(page, f"incident-{scheme}")
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.get_by_role("button", name="Acknowledge")).to_have_count(0)
    expect(page.get_by_text("Acknowledged by")).to_be_visible()
    page.get_by_label("Assign to").fill("grace")
    page.get_by_role("button", name="Assign").click()
    expect(page.get_by_text("Assigned to")).to_be_visible()
    page.get_by_label("No repeats for").select_option("4 hours")
    page.get_by_role("button", name="Snooze").click()
    expect(timeline).to_contain_text("until 2026-11-24 16:00 UTC")
    expect(page.get_by_text("No repeats until")).to_be_visible()
    page.get_by_label("Note").fill("the provider <b>answers</b> 500")
    page.get_by_role("button", name="Add note").click()
    expect(timeline).to_contain_text("the provider <b>answers</b> 500")
    page.get_by_role("link", name="Silence", exact=True).click()
    expect(page.get_by_label("What matches all of these")).to_have_value("rule = errors\nfeature = refunds")
    page.get_by_label("Why").fill("we know")
    page.get_by_role("button", name="Silence", exact=True).click()
    expect(page.get_by_text("The silence is on")).to_be_visible()
    page.goto(shop.page(f"alerts/{incident.pk}"))
    expect(page.get_by_text("Quiet because of")).to_be_visible()
    page.get_by_role("button", name="Resolve").click()
    expect(page.get_by_role("button", name="Resolve")).to_have_count(0)
    looked_at(page, f"incident-over-{scheme}")
    with page.expect_download() as handed:
        page.get_by_role("link", name="Post-mortem").click()
    text = handed.value.path().read_text(encoding="utf-8")
    assert handed.value.suggested_filename == f"INC-{incident.pk}.md" and "the provider \\<b\\>answers" in text
    assert signed_in.complaints == []


def test_a_rule_is_paused_and_watched_again(signed_in, shop, scheme) -> None:  # type: ignore[no-untyped-def]
    page: Page = signed_in.page
    page.emulate_media(color_scheme=scheme)
    page.goto(shop.page("alerts/rules"))
    expect(page.get_by_text("The server makes a first set of rules")).to_be_visible()
    looked_at(page, f"rules-empty-{scheme}")
    incident = several(shop.project)
    page.reload()
    looked_at(page, f"rules-{scheme}")
    page.get_by_role("button", name="Pause errors").click()
    expect(page.get_by_role("table").get_by_text("paused")).to_be_visible()
    incident.refresh_from_db()
    assert incident.resolved_at == alerting.AT, "a paused rule's incidents end"
    page.get_by_role("button", name="Watch errors").click()
    expect(page.get_by_role("button", name="Pause errors")).to_be_visible()
    assert not Rule.objects.get().is_paused
    assert signed_in.complaints == []


def test_a_silence_is_tried_made_and_ended(signed_in, shop, scheme) -> None:  # type: ignore[no-untyped-def]
    page: Page = signed_in.page
    page.emulate_media(color_scheme=scheme)
    several(shop.project)
    page.goto(shop.page("alerts/silences"))
    expect(page.get_by_text("None. An incident's page has a link")).to_be_visible()
    looked_at(page, f"silences-empty-{scheme}")
    page.get_by_label("What matches all of these").fill("feature like refunds")
    page.get_by_role("button", name="What would it hide?").click()
    expect(page.get_by_role("alert")).to_contain_text("=, !=, ~")
    looked_at(page, f"silences-refused-{scheme}")
    page.get_by_label("What matches all of these").fill("feature ~ ref*")
    page.get_by_role("button", name="What would it hide?").click()
    expect(page.get_by_role("link", name="Errors of refunds")).to_be_visible()
    looked_at(page, f"silences-tried-{scheme}")
    page.get_by_label("Why").fill("moving")
    page.get_by_role("button", name="Silence", exact=True).click()
    expect(page.get_by_role("table")).to_contain_text("feature ~ ref*")
    looked_at(page, f"silences-{scheme}")
    page.get_by_role("button", name="End silence").click()
    expect(page.get_by_role("button", name="End silence")).to_have_count(0)
    assert Silence.objects.get().ended_by == "ada"
    assert [text for text in signed_in.complaints if "400 (Bad Request)" not in text] == []
