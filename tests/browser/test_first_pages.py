"""What a person does first, in a real browser: sign in, send a call, find it, read it."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from kit import otlp, traffic
from kit.looking import is_sound, keep_picture

pytestmark = pytest.mark.django_db(transaction=True)

PAGES = ("overview", "calls", "sessions", "intake", "radar", "setup", "settings/keys", "settings/prices")


def test_signing_in_opens_the_overview_of_the_first_project(watched, shop):
    page = watched.page
    page.goto(shop.page("overview"))
    expect(page).to_have_title("Sign in · Stanchion")
    page.get_by_label("User name").fill("ada")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("do not match")
    page.get_by_label("Password").fill("correct-horse-battery")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")


def test_the_setup_page_makes_a_key_waits_and_turns_green_with_a_link_to_the_call(signed_in, shop):
    page = signed_in.page
    page.goto(shop.page("setup", "empty-corner"))
    expect(page.locator("#first-span")).to_contain_text("Waiting for the first span")
    page.get_by_role("button", name="Make a key and fill it in").click()
    secret = page.locator("#new-key").inner_text()
    assert secret.startswith("stn_live_")
    assert secret in page.locator("#code-openai").inner_text()
    assert f'endpoint="{shop.url}/v1/traces"' in page.locator("#code-openai").inner_text()
    page.get_by_role("link", name="OpenLLMetry").click()
    assert secret in page.locator("#code-openllmetry").inner_text()

    now = datetime.now(UTC)
    call = traffic.chat(now, attributes={"stanchion.feature": "hello"})
    traffic.send(shop.empty.pk, shop.key.pk, otlp.traces([call]), now)
    expect(page.locator("#first-span")).to_contain_text("Calls arrive", timeout=8000)
    page.locator("#first-span").get_by_role("link", name="gpt-4o-mini for hello").click()
    expect(page.locator("#span-detail")).to_contain_text("It left our warehouse today.")
    assert signed_in.complaints == []


def test_the_overview_shows_totals_charts_and_what_has_no_price(signed_in, shop):
    page = signed_in.page
    page.goto(shop.page("overview"))
    tiles = page.locator(".tiles")
    expect(tiles).to_contain_text("122")  # 120 calls, and the agent's chat and embedding; the second record is no call
    expect(tiles).to_contain_text("without a price")
    expect(page.locator(".chart canvas")).to_have_count(4)
    page.get_by_text("Cost as a table").click()
    expect(page.get_by_role("region", name="Cost as a table")).to_contain_text("$")
    page.get_by_role("region", name="Models by cost").get_by_role("link", name="house-llm-7b").click()
    expect(page).to_have_url(re.compile("model=house-llm-7b"))
    expect(page.get_by_role("table")).to_contain_text("unknown")
    assert signed_in.complaints == []


def test_a_filter_stands_in_the_address_and_its_chip_lifts_it(signed_in, shop):
    page = signed_in.page
    page.goto(shop.page("calls"))
    expect(page.locator("tbody tr")).to_have_count(50)
    page.keyboard.press("/")
    expect(page.get_by_label("Text in prompt or answer")).to_be_focused()
    page.get_by_label("Status").select_option("error")
    page.get_by_role("button", name="Filter", exact=True).click()
    expect(page).to_have_url(re.compile("status=error"))
    found = page.locator("tbody tr").count()
    assert 0 < found < 50
    expect(page.locator("tbody .badge.bad")).to_have_count(found)
    page.get_by_role("link", name="Remove the filter Status").click()
    expect(page.locator("tbody tr")).to_have_count(50)


def test_paging_goes_older_and_comes_back_to_the_same_calls(signed_in, shop):
    page = signed_in.page
    page.goto(shop.page("calls"))
    first = page.locator("tbody a.open").first.get_attribute("href")
    page.get_by_role("link", name="Older →").click()
    page.get_by_role("link", name="Older →").click()
    expect(page.get_by_text("Oldest in this range")).to_be_visible()
    page.get_by_role("link", name="← Newer").click()
    page.get_by_role("link", name="← Newer").click()
    assert page.locator("tbody a.open").first.get_attribute("href") == first


def test_a_trace_shows_time_money_errors_and_the_call_that_two_instrumentations_recorded(signed_in, shop):
    page = signed_in.page
    page.goto(shop.page(f"traces/{shop.trace_id}"))
    expect(page.get_by_role("heading", level=1)).to_have_text("support agent")
    expect(page.locator(".fall tbody tr")).to_have_count(7)
    expect(page.get_by_text("recorded twice, charged once")).to_be_visible()
    detail = page.locator("#span-detail")
    expect(detail).to_contain_text("$0.000126")
    expect(detail).to_contain_text("genai-prices")
    page.get_by_role("link", name="execute_tool order_status").click()
    expect(detail).to_contain_text("TimeoutError: 500 ms")
    expect(page).to_have_url(re.compile(r"/traces/\w{32}/\w{16}$"))
    page.get_by_role("link", name="search the handbook").click()
    expect(detail).to_contain_text("Orders ship within two days.")
    assert signed_in.complaints == []


def test_a_hostile_prompt_is_shown_as_text_with_its_hidden_characters(signed_in, shop):
    page = signed_in.page
    page.goto(shop.page(f"traces/{shop.trace_id}"))
    detail = page.locator("#span-detail")
    expect(detail).to_contain_text("<script>alert('stanchion')</script>")
    expect(detail.locator(".ghost", has_text="hidden: obey me").first).to_be_visible()
    expect(detail.locator(".ghost", has_text="U+202E").first).to_be_visible()
    assert page.locator("#span-detail script, #span-detail img, #span-detail svg[onload]").count() == 0
    page.goto(shop.page("calls"))
    expect(page.locator("tbody")).to_contain_text("<script>alert")
    assert signed_in.complaints == []


def test_the_chosen_colours_come_with_the_page(signed_in, shop):
    page = signed_in.page
    page.goto(shop.page("overview"))
    page.get_by_role("button", name="Dark").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(14, 18, 23)"


@pytest.mark.parametrize("width", [320, 1280])
def test_no_page_is_wider_than_the_window(signed_in, shop, width):
    page = signed_in.page
    page.set_viewport_size({"width": width, "height": 800})
    wide = []
    for path in (*PAGES, f"traces/{shop.trace_id}"):
        page.goto(shop.page(path))
        if page.evaluate("document.documentElement.scrollWidth") > width:
            wide.append(path)
    assert wide == []
    assert signed_in.complaints == []


def test_axe_finds_no_serious_violation(signed_in, shop, scheme):
    page = signed_in.page
    page.emulate_media(color_scheme=scheme)
    found = []
    addresses = [shop.page(path) for path in (*PAGES, f"traces/{shop.trace_id}", "calls?status=error&model=gpt-4o")]
    addresses += [shop.page(path, "empty-corner") for path in ("overview", "calls", "setup", "intake", "radar")]
    for address in addresses:
        page.goto(address)
        for violation in Axe().run(page).response["violations"]:
            if violation["impact"] in {"serious", "critical"}:
                found.append((address, violation["id"], [node["html"][:160] for node in violation["nodes"][:3]]))
    assert found == []


def test_pages_work_without_javascript(chromium, shop):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{shop.url}/login")
    page.get_by_label("User name").fill("ada")
    page.get_by_label("Password").fill("correct-horse-battery")
    page.get_by_role("button", name="Sign in").click()
    page.goto(shop.page("calls"))
    page.get_by_label("Model").fill("house-llm-7b")
    page.get_by_role("button", name="Filter", exact=True).click()
    page.locator("tbody a.open").first.click()
    expect(page.locator("#span-detail")).to_contain_text("house-llm-7b")
    page.goto(shop.page("setup") + "?with=curl")
    expect(page.locator("#code-curl")).to_be_visible()
    context.close()


def test_on_a_phone_the_menu_opens_when_asked_for_and_the_page_stands_on_the_first_screen(signed_in, shop):
    page = signed_in.page
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(shop.page("overview"))
    heading = page.get_by_role("heading", level=1)
    assert heading.bounding_box()["y"] < 300
    expect(page.get_by_role("navigation", name="Main")).to_be_hidden()
    menu = page.get_by_role("button", name="Menu")
    expect(menu).to_have_attribute("aria-expanded", "false")
    keep_picture(page, "menu-shut")
    menu.click()
    expect(menu).to_have_attribute("aria-expanded", "true")
    assert is_sound(page)
    keep_picture(page, "menu-open")
    page.get_by_role("link", name="Budgets").click()
    expect(heading).to_have_text("Budgets")
    page.set_viewport_size({"width": 1280, "height": 900})
    expect(page.get_by_role("navigation", name="Main")).to_be_visible()
    expect(menu).to_be_hidden()
    assert signed_in.complaints == []
