"""A person asks what a model costs and whether it fits, and sees where each number comes from."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from kit import fleet, traffic
from stanchion_server.costs import hours
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


def test_a_price_is_computed_from_the_projects_own_traffic_and_then_from_other_values(  # type: ignore[no-untyped-def]
    signed_in, shop, scheme
) -> None:
    traffic.settle_all(clock.now())
    page = signed_in.page
    page.emulate_media(color_scheme=scheme)
    page.goto(shop.page("calculators"))
    assert complaints_of_axe(page) == []
    keep_picture(page, f"calculators-{scheme}")
    page.get_by_role("link", name="API cost").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("API cost")
    expect(page.get_by_text("Filled in from your project")).to_be_visible()
    assert complaints_of_axe(page) == []
    keep_picture(page, f"calculator-{scheme}")
    for label, value in (("Input, $ per million tokens", "60"), ("Output, $ per million tokens", "120"),
                         ("Input tokens per request", "100"), ("Output tokens per request", "100")):  # fmt: skip
        page.get_by_label(label).fill(value)
    page.get_by_label("Limit: requests per minute").fill("3500")
    page.get_by_role("button", name="Calculate").click()
    answer = page.get_by_role("region", name="Answer")
    expect(answer.get_by_role("row", name="A request costs")).to_contain_text("$0.018")
    expect(answer.get_by_role("row", name="An hour costs")).to_contain_text("$180.00")
    expect(answer.get_by_role("row", name="Over the request limit")).to_contain_text("no")
    expect(page.get_by_role("table", name="What is printed beside")).to_contain_text("differs")
    page.get_by_label("Sessions at the same time").fill("-3")
    page.get_by_role("button", name="Calculate").click()
    expect(page.get_by_role("alert")).to_contain_text("sessions='-3' is not readable: it must be a whole number from 0")
    expect(page.get_by_label("Input, $ per million tokens")).to_have_value("60")
    refused = "the server responded with a status of 400"
    assert [one for one in signed_in.complaints if refused not in one] == []


def test_a_text_is_counted_and_stands_in_no_address(signed_in, shop, scheme) -> None:  # type: ignore[no-untyped-def]
    page = signed_in.page
    page.emulate_media(color_scheme=scheme)
    page.goto(shop.page("calculators/text-tokens"))
    page.get_by_label("Text", exact=True).fill("a very private sentence")
    with page.expect_navigation():
        page.get_by_role("button", name="Calculate").click()
    expect(page.get_by_label("Text", exact=True)).to_have_value("a very private sentence")
    expect(page.get_by_role("table", name="Each number with its formula")).to_be_visible()
    assert "private" not in page.url and "?" not in page.url
    assert complaints_of_axe(page) == []
    keep_picture(page, f"calculator-text-{scheme}")
    assert signed_in.complaints == []


def test_a_model_is_tried_on_the_cards_there_are(signed_in, shop, scheme) -> None:  # type: ignore[no-untyped-def]
    page = signed_in.page
    page.emulate_media(color_scheme=scheme)
    page.goto(shop.page("capacity"))
    expect(page.get_by_text("No card is known yet")).to_be_visible()
    assert complaints_of_axe(page) == []
    start = hours.floor(clock.now()) - timedelta(hours=1)
    fleet.send(
        shop.project.pk, [one for card in ("GPU-a", "GPU-b") for one in fleet.hour_of_samples(start, card, busy=0.5)]
    )
    fleet.settle()
    page.get_by_role("combobox", name="Model", exact=True).select_option("meta-llama/Llama-3.1-70B")
    page.get_by_role("button", name="Estimate").click()
    expect(page.get_by_role("table", name="Kinds of cards")).to_contain_text("out of memory")
    expect(page.get_by_role("table", name="Types of cards").get_by_role("row", name="H200")).to_contain_text("2 cards")
    assert complaints_of_axe(page) == []
    keep_picture(page, f"capacity-{scheme}")
    page.get_by_label("Type of its numbers").select_option("int4")
    page.get_by_role("button", name="Estimate").click()
    expect(page.get_by_role("table", name="Types of cards").get_by_role("row", name="L40S")).to_contain_text(
        "fits on one"
    )
    assert signed_in.complaints == []


@pytest.mark.parametrize(
    "path",
    ["calculators", "capacity", "calculators/memory?plain=1", "calculators/serving-properties", "calculators/headroom"],
)
def test_the_pages_fit_a_phone(signed_in, shop, path: str) -> None:  # type: ignore[no-untyped-def]
    page = signed_in.page
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(shop.page(path))
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert complaints_of_axe(page) == []
    keep_picture(page, "phone-" + path.partition("?")[0].replace("/", "-"))
