"""A person sees that a card's agent is silent, looks at the card, and says what an hour of it costs."""

from __future__ import annotations

import os
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from kit import fleet, traffic
from kit.stored import deliver
from stanchion_server.costs import hours
from stanchion_server.costs.models import Deployment
from stanchion_server.kernel import clock

pytestmark = pytest.mark.django_db(transaction=True)


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


def a_served_hour(shop) -> None:  # type: ignore[no-untyped-def]
    start = hours.floor(clock.now()) - timedelta(hours=2)
    fleet.deployment(shop.project, start, usd_per_hour=Decimal("0.8"))
    requests = [fleet.hour_of_samples(start, card, busy=share) for card, share in (("GPU-a", 0.6), ("GPU-b", 0.1))]
    fleet.send(shop.project.pk, [one for each in requests for one in each])
    deliver(shop.project.pk, *(fleet.served(start + timedelta(minutes=5 * n), 900 + n) for n in range(9)))
    traffic.settle_all(clock.now())
    fleet.settle()


def test_a_silent_agent_is_seen_and_its_card_looked_at(signed_in, shop, scheme) -> None:  # type: ignore[no-untyped-def]
    a_served_hour(shop)
    page = signed_in.page
    page.emulate_media(color_scheme=scheme)
    page.goto(shop.page("gpus"))
    expect(page.get_by_role("alert")).to_contain_text("No word from the agent on gpu-1")
    expect(page.get_by_text("Several machines seem to send as gpu-1")).to_be_visible()
    expect(page.locator(".uplot").first).to_be_visible()
    assert complaints_of_axe(page) == []
    keep_picture(page, f"gpus-{scheme}")
    page.get_by_role("region", name="Cards").get_by_role("link", name="gpu-1 gpu0").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("gpu-1 gpu0")
    assert complaints_of_axe(page) == []
    keep_picture(page, f"gpu-{scheme}")
    page.goto(shop.page("gpus"))
    page.get_by_role("button", name="It was taken out of service").click()
    expect(page.get_by_role("status")).to_contain_text("no longer waited for")
    expect(page.get_by_role("alert")).to_have_count(0)
    assert signed_in.complaints == []


def test_what_an_hour_costs_is_said_and_split(signed_in, shop, scheme) -> None:  # type: ignore[no-untyped-def]
    page = signed_in.page
    page.emulate_media(color_scheme=scheme)
    page.goto(shop.page("hosting"))
    expect(page.get_by_role("heading", name="No deployment yet")).to_be_visible()
    assert complaints_of_axe(page) == []
    page.get_by_label("Name").fill("embedder")
    page.get_by_label("$ per hour").fill("0.45")
    page.get_by_role("button", name="Add the version").click()
    expect(page.get_by_role("alert")).to_contain_text("Say which calls belong to it")
    expect(page.get_by_label("$ per hour")).to_have_value("0.45")
    page.get_by_label("Model", exact=True).fill("bge-m3")
    page.get_by_role("button", name="Add the version").click()
    expect(page.get_by_role("status")).to_contain_text("embedder")
    assert Deployment.objects.get(name="embedder").usd_per_hour == Decimal("0.45")

    a_served_hour(shop)
    page.goto(shop.page("hosting"))
    table = page.get_by_role("table", name="Cost and energy by feature")
    expect(table).to_contain_text("support-bot")
    expect(table).to_contain_text("Idle")
    assert complaints_of_axe(page) == []
    keep_picture(page, f"hosting-{scheme}")
    with page.expect_download() as download:
        page.get_by_role("link", name="Cost as CSV").click()
    assert download.value.suggested_filename == "stanchion-allocations.csv"
    refused = "the server responded with a status of 400"  # the form that could not be, above
    assert [one for one in signed_in.complaints if refused not in one] == []


@pytest.mark.parametrize("path", ["gpus", "hosting"])
def test_the_pages_fit_a_phone(signed_in, shop, path: str) -> None:  # type: ignore[no-untyped-def]
    a_served_hour(shop)
    page = signed_in.page
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(shop.page(path))
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert complaints_of_axe(page) == []
