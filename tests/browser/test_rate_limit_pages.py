"""A person says what a provider allows and sees how near the calls came to it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from kit import calls, stored, traffic
from stanchion_server.ingest.records import Status
from stanchion_server.kernel import clock

pytestmark = pytest.mark.django_db(transaction=True)

NOW = calls.NOON
DAY_S = 86_400


@pytest.fixture
def at_noon(shop, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    """Five days of one more call a minute each day, and a refused one."""
    monkeypatch.setattr(clock, "now", lambda: NOW)
    grown = [
        calls.call(provider="acme", after_s=-days * DAY_S + place) for days in range(1, 6) for place in range(8 - days)
    ]
    refused = calls.call(provider="acme", after_s=-60, status=Status.ERROR, error_type="RateLimitError")
    stored.deliver(shop.project.pk, *grown, refused)
    traffic.settle_all(NOW)


def keep_picture(page: Page, name: str) -> None:
    """For whoever changes the pages: with STANCHION_SCREENSHOTS=<folder> each step leaves a picture there."""
    if folder := os.environ.get("STANCHION_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def complaints_of_axe(page: Page) -> list[tuple[str, list[str]]]:
    return [
        (violation["id"], [node["html"][:160] for node in violation["nodes"][:3]])
        for violation in Axe().run(page).response["violations"]
        if violation["impact"] in {"serious", "critical"}
    ]


def test_limits_are_said_and_held_against_the_calls(signed_in, shop, at_noon, scheme) -> None:  # type: ignore[no-untyped-def]
    page = signed_in.page
    page.emulate_media(color_scheme=scheme)
    page.goto(shop.page("rate-limits"))
    expect(page.get_by_role("heading", name="No rate limit yet")).to_be_visible()
    assert complaints_of_axe(page) == []
    keep_picture(page, f"rate-limits-empty-{scheme}")
    page.get_by_label("Provider").fill("acme")
    page.get_by_label("Requests a minute").fill("10")
    page.get_by_label("Requests at a time").fill("40")
    page.get_by_role("button", name="Add the limits").click()
    expect(page.get_by_text("are being counted, newest first")).to_be_visible()
    assert complaints_of_axe(page) == []
    keep_picture(page, f"rate-limits-counting-{scheme}")
    traffic.count_peaks(NOW)
    page.reload()
    table = page.get_by_role("table", name="Limits of acme")
    expect(table.get_by_role("row", name="Requests a minute")).to_contain_text("about 2026-11-22")
    expect(table.get_by_role("row", name="Requests at a time")).to_contain_text("not predictable")
    expect(page.get_by_text("1 recorded call was refused for the rate")).to_be_visible()
    assert complaints_of_axe(page) == []
    keep_picture(page, f"rate-limits-{scheme}")
    with page.expect_download() as download:
        page.get_by_role("link", name="As CSV").click()
    assert download.value.suggested_filename == "stanchion-rate-limits.csv"
    page.get_by_role("link", name="Change acme all models").click()
    page.get_by_label("Requests a minute").fill("7")
    page.get_by_role("button", name="Change the limits").click()
    expect(table.get_by_role("row", name="Requests a minute")).to_contain_text("reached")
    page.set_viewport_size({"width": 390, "height": 844})
    expect(table).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert complaints_of_axe(page) == []
    keep_picture(page, f"rate-limits-phone-{scheme}")
    assert signed_in.complaints == []
