"""A person asks for savings, reads what they rest on, and goes on to the calls behind one."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from playwright.sync_api import expect

from kit import drifting, traffic
from kit.drifting import Traffic
from kit.looking import fits_a_phone, is_sound, keep_picture
from stanchion_server.costs import savings
from stanchion_server.reports import savings_read
from stanchion_server.routes.savings import look_for_savings

pytestmark = pytest.mark.django_db(transaction=True)


def test_savings_are_asked_for_and_lead_to_their_calls(signed_in, shop, scheme):
    page = signed_in.page
    page.emulate_media(color_scheme=scheme)
    like = Traffic(models=("gpt-4o",), feature="search", error_ratio=0.3)
    drifting.store(shop.project.pk, drifting.calls(shop.now - timedelta(days=3), shop.now, 120, 1, like))
    page.goto(shop.page("savings"))
    expect(page.get_by_role("heading", name="Nobody has looked yet")).to_be_visible()
    assert is_sound(page) and fits_a_phone(page, f"savings-empty-{scheme}")
    page.get_by_role("button", name="Look now").click()
    expect(page.get_by_text("A worker takes this up within seconds")).to_be_visible()
    expect(page.get_by_role("button", name="Look now")).to_be_disabled()
    look_for_savings()
    expect(page.get_by_role("heading", name="Ways to spend less")).to_be_visible(timeout=60_000)
    expect(page.get_by_role("button", name="Look now")).to_be_enabled()
    expect(page.get_by_role("heading", name="Ask a cheaper model: search")).to_be_visible()
    expect(page.get_by_text("Quality is not known").first).to_be_visible()
    keep_picture(page, f"savings-{scheme}")
    assert is_sound(page) and fits_a_phone(page, f"savings-phone-{scheme}")
    page.get_by_role("link", name=re.compile("^Calls behind it.*Ask a cheaper model search")).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Calls")
    expect(page.locator("tbody tr").first).to_contain_text("gpt-4o")
    assert signed_in.complaints == []


def test_a_pair_is_judged_and_the_table_tells_how_many_would_be_wrong(signed_in, shop, scheme):
    page = signed_in.page
    page.emulate_media(color_scheme=scheme)
    like = Traffic(models=("gpt-4o",), feature="search", error_ratio=0)
    drifting.store(shop.project.pk, drifting.calls(shop.now - timedelta(days=3), shop.now, 60, 1, like))
    savings.request(shop.project.pk, "ada")
    look_for_savings()
    page.goto(shop.page("savings"))
    page.get_by_role("combobox", name="Feature").select_option("search")
    page.get_by_role("button", name="Show").click()
    pairs = page.get_by_role("region", name="Would these answers have been right?")
    expect(pairs.get_by_text("The answer it would have got").first).to_be_visible()
    caches = page.get_by_role("table", name="What each setting of a cache would have served and saved")
    expect(caches.get_by_role("columnheader", name="Wrong ones")).to_have_count(0)
    assert is_sound(page) and fits_a_phone(page, f"savings-pairs-phone-{scheme}")
    pairs.get_by_role("button", name="Would have been wrong").first.click()
    expect(page.get_by_text("Your verdict is kept")).to_be_visible()
    expect(caches.get_by_role("columnheader", name="Wrong ones")).to_be_visible()
    expect(caches.get_by_text("100 %").first).to_be_visible()
    pairs.get_by_text("What was judged").click()
    expect(pairs.get_by_role("row", name="would have been wrong")).to_be_visible()
    keep_picture(page, f"savings-pairs-{scheme}")
    assert is_sound(page) and fits_a_phone(page, f"savings-judged-phone-{scheme}")
    pairs.get_by_role("link", name="judge again").click()
    expect(pairs.get_by_text("now: wrong")).to_be_visible()
    pairs.get_by_role("button", name="Same answer would do").first.click()
    expect(page.get_by_text("Your verdict is kept")).to_be_visible()
    assert signed_in.complaints == []


def test_a_person_goes_from_a_features_cost_to_what_would_halve_it(signed_in, shop, scheme):
    page = signed_in.page
    page.emulate_media(color_scheme=scheme)
    like = Traffic(models=("gpt-4o",), feature="search", error_ratio=0.0)
    drifting.store(shop.project.pk, drifting.calls(shop.now - timedelta(days=3), shop.now, 60, 1, like))
    traffic.settle_all(shop.now)
    savings.request(shop.project.pk, "ada")
    look_for_savings()
    page.goto(shop.page("costs") + "?from=now-7d&to=now")
    page.get_by_role("link", name=re.compile("^Savings *:.*search")).click()
    expect(page.get_by_role("heading", name="What would halve the cost of search")).to_be_visible()
    expect(page.get_by_text(re.compile("takes? .* a month to "))).to_be_visible()
    keep_picture(page, f"halving-{scheme}")
    assert is_sound(page) and fits_a_phone(page, f"halving-phone-{scheme}")
    page.get_by_role("region", name="What its calls cost").get_by_role("link").first.click()
    expect(page).to_have_url(re.compile("#way-"))
    page.get_by_role("link", name="All features").click()
    expect(page.get_by_role("heading", name="What would halve the cost of a feature")).to_be_visible()
    assert is_sound(page) and fits_a_phone(page, f"halving-all-phone-{scheme}")
    assert signed_in.complaints == []


def test_of_too_many_calls_the_page_says_what_share_was_read(signed_in, shop, scheme, monkeypatch):
    page = signed_in.page
    page.emulate_media(color_scheme=scheme)
    like = Traffic(models=("gpt-4o",), feature="search", error_ratio=0.0)
    drifting.store(shop.project.pk, drifting.calls(shop.now - timedelta(days=3), shop.now, 120, 1, like))
    traffic.settle_all(shop.now)
    monkeypatch.setattr(savings_read, "MOST_CALLS", 120)
    savings.request(shop.project.pk, "ada")
    look_for_savings()
    page.goto(shop.page("savings"))
    expect(page.get_by_text(re.compile(r"stretches of time, of [0-9]{3}"))).to_be_visible()
    expect(page.get_by_text(re.compile(r"[0-9.]+ % of the \$.* of all"))).to_be_visible()
    expect(page.get_by_text(re.compile("^Scaled to a month by what was looked at")).first).to_be_visible()
    keep_picture(page, f"savings-sampled-{scheme}")
    assert is_sound(page) and fits_a_phone(page, f"savings-sampled-phone-{scheme}")
    assert signed_in.complaints == []
