"""What scorers say, in a real browser: find the worst answer, read why, change what is scored."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from kit import scored
from kit.scorers import Fake, panel_of
from stanchion_server.kernel import clock
from stanchion_server.quality import rollups
from stanchion_server.quality.records import Evidence, Example, Result

pytestmark = pytest.mark.django_db(transaction=True)

PAGES = ("quality", "quality/queue", "quality/scorers/toxicity_response", "settings/scorers")


def rude(example: Example) -> Result:
    start = example.response.find("rude")
    if start < 0:
        return Result(0.1, is_flagged=False)
    return Result(0.9, "insult", True, "one insult", (Evidence("response", start, start + 4, "insult", 0.9, "listed"),))


@pytest.fixture
def answers(shop):
    project_id = shop.project.pk
    scored.deliver(
        project_id, *(scored.asked(text, feature="support") for text in ("a rude answer", "a kind one", "another"))
    )
    scored.score(panel_of(Fake("toxicity_response", rude)), project_id)
    rollups.run(clock.now(), project_id)


def test_from_the_overview_two_clicks_lead_to_the_marked_word(signed_in, shop, answers):
    page = signed_in.page
    page.goto(shop.page("overview"))
    page.get_by_role("link", name="Quality").click()
    expect(page.locator(".tiles")).to_contain_text("Calls scored")
    page.get_by_role("link", name="Toxicity of the answer").click()
    expect(page.locator(".chart canvas")).to_have_count(3)
    page.get_by_role("region", name="The worst scores").get_by_role("link").first.click()
    expect(page.locator("mark")).to_have_text("rude")
    page.get_by_role("link", name="Open its trace").click()
    expect(page.get_by_label("Scores")).to_contain_text("toxicity_response 0.90")
    assert signed_in.complaints == []


def test_a_share_is_changed_where_it_stands(signed_in, shop):
    page = signed_in.page
    page.goto(shop.page("settings/scorers"))
    row = page.get_by_role("row").filter(has=page.get_by_label("Change Toxicity of the answer", exact=True))
    row.get_by_text("Change", exact=True).click()
    row.get_by_label("Share of calls, %").fill("25")
    row.get_by_role("button", name="Keep").click()
    expect(page.get_by_role("status")).to_contain_text("toxicity_response: kept")
    expect(row).to_contain_text("25 %")
    assert signed_in.complaints == []


def test_no_serious_accessibility_fault_full_or_empty_light_or_dark(signed_in, shop, answers, scheme):
    page = signed_in.page
    page.emulate_media(color_scheme=scheme)
    found = []
    for address in (shop.page(path, project) for path in PAGES for project in ("shop", "empty-corner")):
        page.goto(address)
        for violation in Axe().run(page).response["violations"]:
            if violation["impact"] in {"serious", "critical"}:
                found.append((address, violation["id"], [node["html"][:160] for node in violation["nodes"][:3]]))
    assert found == []
