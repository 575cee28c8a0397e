"""A person makes a budget that stops what is spent, sees that it stops, raises it, and sees that it does not."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from kit import calls, stored, traffic
from stanchion_server.costs import stops
from stanchion_server.kernel import clock
from stanchion_server.routes import spending

pytestmark = pytest.mark.django_db(transaction=True)

MEGA = 1_000_000
"""Input tokens that cost 15 cents with gpt-4o-mini ($0.15 per million)."""
NOW = calls.NOON


@pytest.fixture
def at_noon(shop, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    """The twentieth of a month, with three weeks of spending by one feature."""
    monkeypatch.setattr(clock, "now", lambda: NOW)
    stops.forget()
    days = [(day, 2 if (NOW - timedelta(days=day)).weekday() < 5 else 1) for day in range(1, 22)]
    stored.deliver(shop.project.pk, *(
        calls.call(feature="bot", after_s=-day * 86_400, input_tokens=dimes * MEGA, output_tokens=0)
        for day, dimes in days
    ))  # fmt: skip
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


def make_a_stop(page: Page) -> None:
    page.get_by_label("Name", exact=True).fill("bot a month")
    page.get_by_label("For", exact=True).select_option("feature")
    page.get_by_label("Which one").fill("bot")
    page.get_by_label("Amount, $").fill("2")
    page.get_by_label("Stop guard checks when spent").check()
    page.get_by_role("button", name="Make the budget").click()


def test_a_budget_stops_what_is_spent_until_it_is_raised(signed_in, shop, at_noon, scheme) -> None:  # type: ignore[no-untyped-def]
    page = signed_in.page
    page.emulate_media(color_scheme=scheme)
    page.goto(shop.page("budgets"))
    expect(page.get_by_role("heading", name="No budget yet")).to_be_visible()
    assert complaints_of_axe(page) == []
    keep_picture(page, f"budgets-empty-{scheme}")
    make_a_stop(page)
    expect(page.get_by_role("alert")).to_contain_text("tick the box that says you are sure")
    expect(page.get_by_label("Which one")).to_have_value("bot")
    assert complaints_of_axe(page) == []
    keep_picture(page, f"budgets-refused-{scheme}")
    page.get_by_label("I am sure").check()
    page.get_by_role("button", name="Make the budget").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("bot a month")

    spending.stop_spent()
    page.reload()
    expect(page.get_by_text("Spent: checks are stopped.")).to_be_visible()
    expect(page.locator(".uplot").first).to_be_visible()
    assert complaints_of_axe(page) == []
    keep_picture(page, f"budget-stopped-{scheme}")
    page.get_by_label("Amount, $").fill("9")
    page.get_by_role("button", name="Change the budget").click()
    expect(page.get_by_text("Nothing is stopped now")).to_be_visible()
    keep_picture(page, f"budget-{scheme}")

    page.get_by_role("link", name="Budgets", exact=True).last.click()
    expect(page.get_by_role("table", name="Budgets of this project")).to_contain_text("on course")
    assert complaints_of_axe(page) == []
    keep_picture(page, f"budgets-{scheme}")
    with page.expect_download() as download:
        page.get_by_role("link", name="As CSV").click()
    assert download.value.suggested_filename == "stanchion-budgets.csv"
    page.get_by_role("link", name="bot a month").click()
    page.get_by_text("Delete", exact=True).click()
    page.get_by_role("button", name="Delete the budget").click()
    expect(page.get_by_role("heading", name="No budget yet")).to_be_visible()
    refused = "the server responded with a status of 400"  # the stop without a second word, above
    assert [one for one in signed_in.complaints if refused not in one] == []


def test_the_pages_fit_a_phone(signed_in, shop, at_noon) -> None:  # type: ignore[no-untyped-def]
    page = signed_in.page
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(shop.page("budgets"))
    page.get_by_label("I am sure").check()
    make_a_stop(page)
    spending.stop_spent()
    page.reload()
    expect(page.get_by_text("Spent: checks are stopped.")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert complaints_of_axe(page) == []
    keep_picture(page, "budget-phone")
    page.goto(shop.page("budgets"))
    expect(page.get_by_role("table", name="Budgets of this project")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert complaints_of_axe(page) == []
    keep_picture(page, "budgets-phone")
