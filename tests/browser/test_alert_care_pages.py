"""A person makes a maintenance window, sees when it comes, ends it, deletes it; and says who owns what."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from playwright.sync_api import Page, expect

from kit import alerting
from kit.looking import fits_a_phone, is_sound, keep_picture
from stanchion_server.alerts import channel_secrets, channel_services
from stanchion_server.alerts.channel_services import Wanted
from stanchion_server.alerts.models import Channel, MaintenanceWindow, Owner
from stanchion_server.kernel import clock

pytestmark = pytest.mark.django_db(transaction=True)

TUESDAY = datetime(2026, 11, 24, 3, 20, tzinfo=UTC)


@pytest.fixture(autouse=True)
def tuesday_morning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: TUESDAY)


def looked_at(page: Page, name: str) -> None:
    keep_picture(page, name)
    assert is_sound(page) and fits_a_phone(page, f"{name}-phone")


def test_a_window_is_made_ended_changed_and_deleted(signed_in, shop, scheme) -> None:  # type: ignore[no-untyped-def]
    page: Page = signed_in.page
    page.emulate_media(color_scheme=scheme)
    page.goto(shop.page("alerts/silences"))
    page.get_by_role("link", name="Maintenance windows").click()
    expect(page.get_by_role("heading", name="No maintenance window yet")).to_be_visible()
    looked_at(page, f"windows-empty-{scheme}")
    page.get_by_label("Name").fill("nightly")
    page.get_by_label("Starts").fill("03:00")
    page.get_by_label("Time zone").fill("Europe/Dubln")
    page.get_by_label("Tuesday").check()
    page.get_by_label("Sunday").check()
    page.get_by_label("Only what matches").fill("feature = refunds")
    page.get_by_role("button", name="Make the window").click()
    expect(page.get_by_role("alert")).to_contain_text("such as Europe/Dublin")
    assert page.get_by_label("Sunday").is_checked(), "what was typed is still there"
    looked_at(page, f"windows-refused-{scheme}")
    page.get_by_label("Time zone").fill("Europe/Dublin")
    page.get_by_role("button", name="Make the window").click()
    rows = page.get_by_role("table")
    expect(rows).to_contain_text("until 04:00 GMT")
    expect(rows.get_by_role("listitem")).to_have_count(3)
    expect(rows.get_by_role("listitem").first).to_contain_text("Sun 2026-11-29 03:00 to 04:00 GMT")
    looked_at(page, f"windows-{scheme}")
    page.get_by_role("button", name="End nightly for now").click()
    expect(page.get_by_text("is over for now")).to_be_visible()
    expect(page.get_by_role("button", name="End nightly for now")).to_have_count(0)
    page.get_by_role("link", name="nightly").click()
    looked_at(page, f"window-{scheme}")
    page.get_by_label("Minutes").fill("90")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("The window is changed.")).to_be_visible()
    assert MaintenanceWindow.objects.get().length_min == 90
    expect(page.get_by_role("table")).to_contain_text("length_min: 60 → 90")
    looked_at(page, f"window-history-{scheme}")
    page.get_by_text("Delete", exact=True).click()
    page.get_by_role("button", name="Delete the window").click()
    expect(page.get_by_role("heading", name="No maintenance window yet")).to_be_visible()
    assert [text for text in signed_in.complaints if "400 (Bad Request)" not in text] == []


def test_an_owner_is_said_changed_and_taken_back(signed_in, shop, scheme) -> None:  # type: ignore[no-untyped-def]
    page: Page = signed_in.page
    page.emulate_media(color_scheme=scheme)
    alerting.channel(shop.project, "pager")
    page.goto(shop.page("alerts/channels"))
    page.get_by_role("link", name="Owners").click()
    expect(page.get_by_role("heading", name="No owner yet")).to_be_visible()
    looked_at(page, f"owners-empty-{scheme}")
    page.get_by_role("textbox", name="Who").fill("refund team")
    page.get_by_label("Feature").fill("refunds")
    page.get_by_label("For").select_option("Cost")
    page.get_by_label("Told through").select_option("pager")
    page.get_by_role("button", name="Add the owner").click()
    expect(page.get_by_role("table")).to_contain_text("refund team")
    looked_at(page, f"owners-{scheme}")
    page.get_by_role("link", name="Change refund team, refunds").click()
    looked_at(page, f"owner-{scheme}")
    page.get_by_role("textbox", name="Who").fill("payments")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("table")).to_contain_text("payments")
    page.get_by_role("link", name="Change payments, refunds").click()
    page.get_by_text("Delete", exact=True).click()
    page.get_by_role("button", name="Delete the owner").click()
    expect(page.get_by_role("heading", name="No owner yet")).to_be_visible()
    page.goto(shop.page("alerts"))
    page.get_by_role("link", name="History", exact=True).click()
    expect(page.get_by_role("table")).to_contain_text("deleted")
    looked_at(page, f"history-{scheme}")
    page.get_by_role("link", name="Maintenance window", exact=True).click()
    expect(page.get_by_role("heading", name="Nothing yet")).to_be_visible()
    looked_at(page, f"history-empty-{scheme}")
    assert not Owner.objects.exists() and signed_in.complaints == []


def test_a_channel_whose_secrets_cannot_be_read_asks_for_them(signed_in, shop, scheme) -> None:  # type: ignore[no-untyped-def]
    page: Page = signed_in.page
    page.emulate_media(color_scheme=scheme)
    url = "https://hooks.slack.com/services/T0/B0/secretpart"
    channel = channel_services.create(shop.project, Wanted("on call", "slack", {"url": url}), "ada").channel
    Channel.objects.update(secrets={"sealed": "of another key"})
    page.goto(shop.page("alerts/channels"))
    expect(page.get_by_role("alert")).to_contain_text("The secrets of on call cannot be read")
    looked_at(page, f"channels-unreadable-{scheme}")
    page.get_by_role("link", name="Enter them again").click()
    expect(page.get_by_role("button", name="Send a test")).to_have_count(0)
    expect(page.get_by_text("cannot be read, enter it again")).to_be_visible()
    looked_at(page, f"channel-unreadable-{scheme}")
    page.get_by_label("Webhook address").fill(url)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("button", name="Send a test")).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)
    channel.refresh_from_db()
    assert channel_secrets.required(channel) == {"url": url} and signed_in.complaints == []
