"""A person asks what a feature cost yesterday, takes the table along, and goes from a row to its calls."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from playwright.sync_api import expect

from kit import fleet, looking, traffic
from kit.stored import deliver
from stanchion_server.costs import hours
from stanchion_server.kernel import clock

pytestmark = pytest.mark.django_db(transaction=True)


def a_served_hour(shop) -> None:  # type: ignore[no-untyped-def]
    start = hours.floor(clock.now()) - timedelta(hours=2)
    fleet.deployment(shop.project, start, usd_per_hour=Decimal("0.8"))
    fleet.send(shop.project.pk, fleet.hour_of_samples(start, busy=0.6))
    deliver(shop.project.pk, *(fleet.served(start + timedelta(minutes=5 * n), 900 + n) for n in range(9)))
    traffic.settle_all(clock.now())
    fleet.settle()


def test_cost_is_asked_by_feature_and_followed_to_the_calls(signed_in, shop, scheme) -> None:  # type: ignore[no-untyped-def]
    a_served_hour(shop)
    page = signed_in.page
    page.emulate_media(color_scheme=scheme)
    page.goto(shop.page("costs"))
    table = page.get_by_role("table", name="Cost by group")
    expect(table).to_contain_text("support-bot")
    expect(table).to_contain_text("Idle")
    expect(page.locator(".uplot").first).to_be_visible()
    assert looking.is_sound(page)
    looking.keep_picture(page, f"costs-{scheme}")
    page.get_by_label("And by").select_option(label="Model")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("heading", name="By feature and model")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="As CSV").click()
    assert download.value.suggested_filename == "stanchion-costs.csv"
    table.get_by_role("link", name="support-bot").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Calls")
    expect(page.get_by_text("Feature: support-bot")).to_be_visible()
    expect(page.get_by_text("Model: llama-3.1-8b")).to_be_visible()
    assert signed_in.complaints == []


def test_a_project_without_calls_is_told_what_to_do(signed_in, shop, scheme) -> None:  # type: ignore[no-untyped-def]
    page = signed_in.page
    page.emulate_media(color_scheme=scheme)
    page.goto(shop.page("costs", shop.empty.slug))
    expect(page.get_by_role("heading", name="Nothing cost anything here")).to_be_visible()
    assert looking.is_sound(page)
    looking.keep_picture(page, f"costs-empty-{scheme}")
    assert signed_in.complaints == []


def test_an_invoice_is_imported_and_its_difference_explained(signed_in, shop, scheme) -> None:  # type: ignore[no-untyped-def]
    page = signed_in.page
    page.emulate_media(color_scheme=scheme)
    page.goto(shop.page("costs/invoices"))
    expect(page.get_by_role("heading", name="No invoice yet")).to_be_visible()
    assert looking.is_sound(page)
    looking.keep_picture(page, f"invoices-empty-{scheme}")
    day = f"{shop.now - timedelta(hours=1):%Y-%m-%d}"
    text = f"day,model,usd,input_tokens,output_tokens\n{day},gpt-4o,40,900000,90000\n{day},whisper-1,2,,\n"
    page.get_by_label("Name").fill("OpenAI, November")
    page.get_by_label("Provider").fill("openai")
    page.get_by_label("CSV file").set_input_files({"name": "b.csv", "mimeType": "text/csv", "buffer": b"day,model\n"})
    page.get_by_role("button", name="Import").click()
    expect(page.get_by_role("alert")).to_contain_text("No column for usd")
    page.get_by_label("CSV file").set_input_files({"name": "b.csv", "mimeType": "text/csv", "buffer": text.encode()})
    page.get_by_role("button", name="Import").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("OpenAI, November")
    table = page.get_by_role("table", name="Differences by model and day")
    expect(table).to_contain_text("gpt-4o")
    expect(table).to_contain_text("none recorded")
    assert looking.is_sound(page)
    looking.keep_picture(page, f"invoice-{scheme}")
    assert looking.fits_a_phone(page, f"invoice-phone-{scheme}")
    with page.expect_download() as download:
        page.get_by_role("link", name="As CSV").click()
    assert download.value.suggested_filename.startswith("stanchion-invoice-")
    page.get_by_role("button", name="Delete this invoice").click()
    expect(page.get_by_role("status")).to_contain_text("was deleted")
    refused = "the server responded with a status of 400"  # the file that could not be, above
    assert [one for one in signed_in.complaints if refused not in one] == []


def test_the_explorer_fits_a_phone(signed_in, shop) -> None:  # type: ignore[no-untyped-def]
    a_served_hour(shop)
    page = signed_in.page
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto(shop.page("costs"))
    expect(page.locator(".uplot").first).to_be_visible()
    assert looking.is_sound(page)
    assert looking.fits_a_phone(page, "costs-phone")
