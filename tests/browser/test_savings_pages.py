"""A person asks for savings, reads what they rest on, and goes on to the calls behind one."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from playwright.sync_api import expect

from kit import drifting
from kit.drifting import Traffic
from kit.looking import fits_a_phone, is_sound, keep_picture
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
    page.get_by_role("button", name="Look again").click()
    expect(page.get_by_text("A worker takes this up within seconds")).to_be_visible()
    expect(page.get_by_role("button", name="Look again")).to_be_disabled()
    look_for_savings()
    expect(page.get_by_role("heading", name="Ways to spend less")).to_be_visible(timeout=60_000)
    expect(page.get_by_role("button", name="Look again")).to_be_enabled()
    expect(page.get_by_role("heading", name="Ask a cheaper model: search")).to_be_visible()
    expect(page.get_by_text("Quality is not known").first).to_be_visible()
    keep_picture(page, f"savings-{scheme}")
    assert is_sound(page) and fits_a_phone(page, f"savings-phone-{scheme}")
    page.get_by_role("link", name=re.compile("^Calls behind it.*Ask a cheaper model search")).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Calls")
    expect(page.locator("tbody tr").first).to_contain_text("gpt-4o")
    assert signed_in.complaints == []
