"""A person reads what was said of a call, rates it by hand, and finds it again by that rating."""

from __future__ import annotations

import json
import os
from pathlib import Path
from uuid import UUID

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from kit import traffic
from stanchion_server.feedback import services
from stanchion_server.feedback.ratings import Rating, Source
from stanchion_server.traces.models import LlmCall

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


def said(shop, **values) -> None:
    given = {
        "id": "r", "name": "helpful", "score": 1.0, "label": "", "comment": "", "correction": "", "span_id": None,
        "trace_id": UUID(hex=shop.trace_id), "session_id": "", "user": "3f9a1c", "source": Source.SDK,
        "rated_at": shop.now,
    }  # fmt: skip
    services.keep(shop.project.pk, [Rating(**{**given, **values})])


def test_a_rating_by_hand_is_read_changed_and_found(signed_in, shop):
    page = signed_in.page
    page.goto(shop.page("calls?rating=negative"))
    expect(page.get_by_role("heading", name="No call matches")).to_be_visible()
    keep_picture(page, "calls-empty")
    page.goto(shop.page(f"traces/{shop.trace_id}"))
    expect(page.get_by_role("region", name="Ratings")).to_contain_text("No ratings yet")
    keep_picture(page, "trace-empty")
    detail = page.locator("#span-detail")
    expect(detail.get_by_role("heading", level=2)).to_have_text("chat gpt-4o-mini")
    detail.get_by_text("Rate this span").click()
    detail.get_by_label("Bad").check()
    detail.get_by_label("Comment").fill("Vague about the <b>date</b>.")
    detail.get_by_label("What the answer should have been").fill("It arrives on Friday.")
    keep_picture(page, "trace-form")
    detail.get_by_role("button", name="Keep the rating").click()
    expect(page.get_by_role("status")).to_contain_text("Your rating is kept")
    ratings = page.get_by_role("region", name="Ratings")
    expect(ratings).to_contain_text("Vague about the <b>date</b>.")
    assert ratings.locator(".prose").last.text_content().rstrip("\n") == "It arrives on Friday."
    expect(page.locator("#span-detail")).to_contain_text("Change your rating of this span")
    page.goto(shop.page("calls"))
    page.get_by_label("Rating", exact=True).select_option("negative")
    page.get_by_role("button", name="Filter", exact=True).click()
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator("tbody tr")).to_contain_text("1 negative")
    assert complaints_of_axe(page) == []
    keep_picture(page, "calls-rated")
    with page.expect_download() as started:
        page.get_by_role("link", name="prompt and completion").click()
    [line] = started.value.path().read_text("utf-8").splitlines()
    assert json.loads(line)["completion"] == "It arrives on Friday."
    assert signed_in.complaints == []


def test_pages_with_ratings_are_accessible_and_hostile_ones_harmless(signed_in, shop, scheme):
    page = signed_in.page
    page.emulate_media(color_scheme=scheme)
    chat = LlmCall.objects.get(trace_id=UUID(hex=shop.trace_id), operation="chat", charge=0)
    said(shop, id="a", span_id=chat.span_id, score=0.0, comment="Too vague.", correction="It arrives on Friday.")
    said(shop, id="b", score=None, label="thumbs_up")
    said(shop, id="c", score=0.5, name=traffic.HOSTILE[:100], comment=traffic.HOSTILE, correction=traffic.HOSTILE)
    said(shop, id="d", trace_id=None, session_id="session-4", score=None, comment="The whole talk was fine.")
    said(shop, id="e", span_id=4711, score=1.0, source=Source.API, user="")
    for path, name in (
        (f"traces/{shop.trace_id}", "trace"), ("calls?rating=any", "calls"), ("sessions", "sessions"),
    ):  # fmt: skip
        page.goto(shop.page(path))
        keep_picture(page, f"{name}-{scheme}")
        assert complaints_of_axe(page) == [], path
    page.set_viewport_size({"width": 420, "height": 900})
    page.goto(shop.page(f"traces/{shop.trace_id}"))
    keep_picture(page, f"trace-narrow-{scheme}")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert signed_in.complaints == []
