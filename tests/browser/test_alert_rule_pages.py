"""A person writes a rule, sees how often it would have fired, corrects it, saves it, and reads an incident's chart."""

from __future__ import annotations

from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect

from kit import alerting, traffic
from kit.calls import NOON, call, trace
from kit.looking import fits_a_phone, is_sound, keep_picture
from kit.stored import deliver
from stanchion_server.alerts import services
from stanchion_server.alerts.models import Incident, Rule
from stanchion_server.ingest.records import Status

pytestmark = pytest.mark.django_db(transaction=True)
MINUTE = timedelta(minutes=1)


def refunds_fail(shop) -> None:  # type: ignore[no-untyped-def]
    """From ten hours ago on for half an hour, and again from five hours ago on; a call each minute around it."""
    began = shop.now.replace(second=0, microsecond=0) - 10 * 60 * MINUTE
    deliver(shop.project.pk, *(
        call(
            trace_id=trace(70_000 + minute), after_s=(began - NOON).total_seconds() + 60 * minute, feature="refunds",
            status=Status.ERROR if minute % 300 < 30 else Status.OK,
        )
        for minute in range(600)
    ))  # fmt: skip
    traffic.settle_all(shop.now)


def test_a_rule_is_written_previewed_corrected_and_saved(signed_in, shop, scheme) -> None:  # type: ignore[no-untyped-def]
    refunds_fail(shop)
    alerting.channel(shop.project, "on call")
    page: Page = signed_in.page
    page.emulate_media(color_scheme=scheme)
    page.goto(shop.page("alerts/rules"))
    page.get_by_role("link", name="New rule").click()
    expect(page.get_by_role("heading", name="What it would have done")).to_be_visible()
    keep_picture(page, f"rule-new-{scheme}")
    assert is_sound(page) and fits_a_phone(page, "rule-new")
    page.get_by_label("Name", exact=True).fill("refunds fail")
    page.get_by_label("Limit", exact=True).fill("much")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("alert")).to_contain_text("when.above is 'much': it must be a number")
    expect(page.get_by_label("Limit", exact=True)).to_have_value("much")
    keep_picture(page, f"rule-wrong-{scheme}")
    assert is_sound(page) and fits_a_phone(page, "rule-wrong")
    page.get_by_label("Limit", exact=True).fill("0.5")
    page.get_by_label("Fewest samples").fill("5")
    page.get_by_label("Only where").fill("feature = refunds")
    page.get_by_label("on call").check()
    page.get_by_label("Over", exact=True).select_option("7")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("heading", name="Would have fired 2 times")).to_be_visible()
    expect(page.locator("#said")).to_contain_text("Would have fired 2 times")
    expect(page.get_by_role("button", name="Preview")).to_be_focused()
    expect(page.get_by_role("table", name="Episodes, the newest first").locator("tbody tr")).to_have_count(2)
    expect(page.locator(".chart .u-legend")).to_contain_text("Limit")
    expect(page.get_by_text("Nothing is recorded before")).to_be_visible()
    keep_picture(page, f"rule-preview-{scheme}")
    assert is_sound(page) and fits_a_phone(page, "rule-preview")
    assert not Rule.objects.filter(name="refunds fail").exists()
    page.get_by_role("button", name="As YAML").click()
    expect(page.get_by_label("The rule in YAML")).to_have_value(
        "name: refunds fail\nseverity: warning\nwatch:\n  source: calls\n  measure: error_ratio\n  where:\n"
        "    feature: refunds\n  by:\n  - feature\n  window: 15m\n  min_samples: 5\nwhen:\n  above: 0.5\nfor: 5m\n"
        "channels:\n- on call\n"
    )
    keep_picture(page, f"rule-yaml-{scheme}")
    assert is_sound(page) and fits_a_phone(page, "rule-yaml")
    page.get_by_role("button", name="As fields").click()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("refunds fail")
    expect(page.get_by_role("heading", name="Would have fired 2 times")).to_be_visible()
    keep_picture(page, f"rule-{scheme}")
    assert is_sound(page) and fits_a_phone(page, "rule")
    rule = Rule.objects.get(name="refunds fail")
    assert rule.definition["when"] == {"above": 0.5} and [one.name for one in rule.channels.all()] == ["on call"]
    assert signed_in.complaints == []


def test_an_incident_shows_its_reading_with_the_limit_and_when_it_fired(signed_in, shop, scheme) -> None:  # type: ignore[no-untyped-def]
    refunds_fail(shop)
    rule = services.save(
        shop.project,
        {"name": "errors", "when": {"above": 0.5}, "watch": {"source": "calls", "measure": "error_ratio", "by":
         ["feature"], "window": "15m", "min_samples": 5}}, "ada",
    )  # fmt: skip
    began = shop.now.replace(second=0, microsecond=0) - 290 * MINUTE
    incident = alerting.incident(
        rule, "a", title="Errors of refunds", labels={"feature": "refunds"}, started_at=began, peak=1.0, value=0.9,
        resolved_at=began + 30 * MINUTE, facts={"unit": "ratio", "threshold": 0.5, "reason": "much"},
        members=[{"labels": [["feature", "refunds"]], "value": 0.9, "shown": "90 %"}],
    )  # fmt: skip
    page: Page = signed_in.page
    page.emulate_media(color_scheme=scheme)
    page.goto(shop.page(f"alerts/{incident.pk}"))
    expect(page.locator(".chart .u-legend")).to_contain_text("feature refunds")
    expect(page.locator(".chart .u-legend")).to_contain_text("Limit")
    expect(page.get_by_text("the incident", exact=True)).to_be_visible()
    keep_picture(page, f"incident-chart-{scheme}")
    assert is_sound(page) and fits_a_phone(page, "incident-chart")
    page.get_by_role("link", name="errors, version 1").click()
    expect(page.get_by_role("heading", name="Would have fired 2 times")).to_be_visible()
    Incident.objects.update(members=[{"labels": [["feature", "gone"]]}])
    page.goto(shop.page(f"alerts/{incident.pk}"))
    expect(page.get_by_text("No reading of this time is recorded")).to_be_visible()
    assert signed_in.complaints == []
