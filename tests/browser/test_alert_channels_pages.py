"""A person makes a channel, tests it, sees it break, repairs it and sends the message again."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from kit import alerting
from kit.looking import fits_a_phone, is_sound, keep_picture
from kit.receivers import receiving
from stanchion_server.alerts.models import Channel, Notification
from stanchion_server.kernel import clock
from stanchion_server.routes import watch_delivery

pytestmark = pytest.mark.django_db(transaction=True)


def work() -> None:
    while watch_delivery.deliver_one():
        pass


def test_a_channel_is_made_tested_broken_and_repaired(signed_in, shop, settings, scheme) -> None:  # type: ignore[no-untyped-def]
    page: Page = signed_in.page
    page.emulate_media(color_scheme=scheme)
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]
    page.goto(shop.page("alerts/channels"))
    expect(page.get_by_role("heading", name="No channel yet")).to_be_visible()
    keep_picture(page, f"channels-empty-{scheme}")
    assert is_sound(page) and fits_a_phone(page)
    page.get_by_role("link", name="Slack (incoming webhook)").click()
    assert is_sound(page) and fits_a_phone(page)
    with receiving() as receiver:
        page.get_by_label("Name", exact=True).fill("on call")
        page.get_by_label("Webhook address").fill(f"{receiver.url}/services/T0/B0/secretpart")
        page.get_by_label("Default").check()
        keep_picture(page, f"channel-new-{scheme}")
        page.get_by_role("button", name="Make the channel").click()
        page.get_by_role("button", name="Send a test").click()
        expect(page.get_by_text("A test message is on its way")).to_be_visible()
        work()
        page.reload()
        expect(page.get_by_role("region", name="Deliveries").get_by_text("delivered")).to_be_visible()
        channel = Channel.objects.get()
        incident = alerting.incident(alerting.rule(shop.project), title="Blocked responses high")
        receiver.answers = [(404, "no_service", {})]
        Notification.objects.create(
            project=shop.project, incident=incident, channel=channel, seq=1, kind="trigger", body=alerting.facts(),
            next_attempt_at=clock.now(), created_at=clock.now(),
        )  # fmt: skip
        work()
        page.goto(shop.page("alerts/channels"))
        expect(page.get_by_role("alert")).to_contain_text("on call is broken")
        keep_picture(page, f"channels-{scheme}")
        assert is_sound(page) and fits_a_phone(page)
        page.get_by_role("link", name="Repair it").click()
        keep_picture(page, f"channel-{scheme}")
        assert is_sound(page) and fits_a_phone(page)
        page.get_by_role("button", name="Enable again").click()
        page.goto(shop.page("alerts/deliveries?state=failed"))
        keep_picture(page, f"deliveries-{scheme}")
        assert is_sound(page) and fits_a_phone(page)
        page.get_by_role("link", name="trigger").click()
        page.get_by_role("button", name="Send again").click()
        work()
        page.reload()
        keep_picture(page, f"delivery-{scheme}")
        assert is_sound(page) and fits_a_phone(page)
        expect(page.get_by_role("region", name="Attempts").get_by_text("delivered")).to_be_visible()
        expect(page.get_by_text("HTTP 404").or_(page.get_by_text("no_service")).first).to_be_visible()
        assert "secretpart" not in page.content()
    assert signed_in.complaints == []
