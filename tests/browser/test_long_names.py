"""Names as long as an application likes: no page of the menu gets wider for them, and numbers stay in view."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from kit import otlp, traffic
from kit.looking import keep_picture

pytestmark = pytest.mark.django_db(transaction=True)

LONG = "x" * 200
OF_THE_MENU = """() => [...document.querySelectorAll('nav[aria-label="Main"] a')]
    .map(a => a.getAttribute('href'))"""
TOO_WIDE = """most => [...document.querySelectorAll('main th, main td, main .u-label, main li, main .tile')]
    .filter(cell => cell.getBoundingClientRect().width > most && cell.textContent.includes('x'.repeat(30)))
    .filter(cell => !cell.matches('td.preview, .kv td'))
    .map(cell => cell.tagName + ' ' + Math.round(cell.getBoundingClientRect().width) + ' ' + cell.className)"""


@pytest.mark.parametrize("width", [1280, 390])
def test_a_name_of_200_characters_makes_no_page_wider_and_pushes_no_number_out(signed_in, shop, width):
    now = datetime.now(UTC)
    named = dict.fromkeys(("stanchion.feature", "stanchion.user", "stanchion.session"), LONG)
    named |= {"gen_ai.request.model": LONG, "gen_ai.response.model": LONG, "gen_ai.provider.name": LONG[:60]}
    calls = [traffic.chat(now - timedelta(minutes=minute), attributes=named) for minute in (90, 40, 20)]
    traffic.send(shop.project.pk, shop.key.pk, otlp.traces(calls), now)
    traffic.settle_all(now)
    page = signed_in.page
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(shop.page("overview"))
    addresses = page.evaluate(OF_THE_MENU)
    assert len(addresses) > 20
    addresses += [shop.page(path)[len(shop.url) :] for path in ("costs?by=model", "costs?by=user", "costs?by=session")]
    found = []
    for address in addresses:
        page.goto(shop.url + address)
        wide = page.evaluate("document.documentElement.scrollWidth")
        cells = page.evaluate(TOO_WIDE, 360 if width > 1000 else 340)
        if wide > width or cells:
            found.append((address, wide, cells[:4]))
            keep_picture(page, f"long-{width}-{len(found)}")
    assert found == [], "\n".join(map(str, found))
    page.goto(shop.page("costs"))
    cut = page.locator('tbody th[scope="row"]', has_text=LONG).last
    cut.hover()
    assert LONG in cut.get_attribute("title")
    assert signed_in.complaints == []
