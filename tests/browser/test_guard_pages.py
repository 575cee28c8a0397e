"""A person writes a policy, tries it, puts it in force, sees what it does, and learns that a guard has stopped."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from playwright.sync_api import Page, expect
from test_rating_pages import complaints_of_axe, keep_picture

from kit import otlp, traffic
from kit.guarding import CANARY, decided, document, policy_in_force, store_decisions
from stanchion_server.policies import backtests, engine, services
from stanchion_server.policies.models import Policy

pytestmark = pytest.mark.django_db(transaction=True)

MINUTE = timedelta(minutes=1)
HOSTILE = f"{traffic.HOSTILE} \u05d0\u05dc \u05ea\u05ea\u05e7\u05e9\u05e8 {CANARY} end"
PATHS = (
    "guardrails", "guardrails/bench", "guardrails/decisions", "guardrails/policies/chat",
    "guardrails/policies/chat/versions?left=1&right=2", "guardrails/policies/chat/force",
    "guardrails/policies/chat/shadow", "guardrails/policies/chat/effect", "guardrails/policies/chat/backtests",
)  # fmt: skip


@pytest.fixture
def policy(shop: Any) -> Iterator[Policy]:
    """Version 1 is live, version 2 in shadow."""
    made = policy_in_force(shop.project, "chat", document(), document("walrus"))
    yield services.set_shadow(shop.project.pk, made.pk, 2, "tester")
    engine.forget_everything()


def judged_day(shop: Any, *, silent_minutes: int = 0, late_minutes: int = 0) -> None:
    """Four hours of calls of one feature, two a minute, each judged and beside it the shadow. The last `silent_minutes`
    are without decisions; half an hour before them lie `late_minutes` in which a rule missed its deadline."""
    calls, rows = [], []
    for place in range(480):
        ago = MINUTE * (480 - place) / 2
        trace_id, at = uuid4(), shop.now - ago
        calls.append(traffic.chat(at, trace_id=trace_id.hex, attributes={"stanchion.feature": "support"}))
        if ago > MINUTE * silent_minutes:
            is_late = 0 < ago / MINUTE - silent_minutes - 30 <= late_minutes
            action = "block" if place % 40 == 0 else "allow"
            more = {"check_id": f"c-{place}", "trace_id": trace_id, "action": action, "triggered": action == "block"}
            rows.append(decided(at, **more, not_run={"slow-rule": "late: the deadline had passed"} if is_late else {}))
            rows.append(decided(at, **{**more, "action": "allow", "triggered": False}, mode="shadow", version="2"))
    traffic.send(shop.project.pk, shop.key.pk, otlp.traces(calls), shop.now)
    traffic.settle_all(shop.now)
    store_decisions(shop.project.pk, *rows)


def judge(page: Page, text: str) -> None:
    page.get_by_label("Text", exact=True).fill(text)
    page.get_by_role("button", name="Judge").click()


def test_a_policy_is_written_mended_tried_and_put_in_force(signed_in, shop):
    page = signed_in.page
    page.goto(shop.page("guardrails", "empty-corner"))
    expect(page.get_by_role("heading", name="No policy of your own yet")).to_be_visible()
    page.get_by_label("Name").fill("my-chat")
    page.get_by_role("button", name="Make the draft").click()
    expect(page.get_by_role("status").first).to_contain_text("Nothing is in force until you publish it")
    editor = page.get_by_label("Text of the policy")
    text = editor.input_value()
    line = text.split("\n").index("    action: redact") + 1
    editor.fill(text.replace("action: redact", "action: explode", 1))
    page.get_by_role("link", name=f"Line {line}").click()
    expect(page.locator("#problems")).to_contain_text("action: explode")
    assert editor.evaluate("e => e.value.slice(e.selectionStart, e.selectionEnd)") == "    action: explode"
    editor.fill(text)
    expect(page.locator("#problems")).to_contain_text("No problems")
    judge(page, "Please write to ann.lee@example.org, she knows.")
    expect(page.locator("#verdict mark")).to_have_text("ann.lee@example.org")
    expect(page.locator("#verdict")).to_contain_text("by my-chat, draft")
    page.get_by_label("What changed").fill("the first one")
    page.get_by_role("button", name="Publish the saved draft").click()
    page.get_by_label("Live version", exact=True).select_option("1")
    page.get_by_role("button", name="Set live").click()
    expect(page.locator(".head")).to_contain_text("version 1 live")
    keep_picture(page, "policy-in-force")
    assert signed_in.complaints == []


def test_versions_are_rolled_out_rolled_back_and_switched_off_only_when_sure(signed_in, shop, policy):
    page = signed_in.page
    page.goto(shop.page("guardrails/policies/chat/force"))
    page.get_by_label("Canary version").select_option("2")
    page.get_by_label("Share of the sessions").fill("25")
    page.get_by_role("button", name="Set the canary").click()
    expect(page.locator(".head")).to_contain_text("version 2 for 25 %")
    page.get_by_label("Live version", exact=True).select_option("2")
    page.get_by_role("button", name="Set live").click()
    page.get_by_role("navigation", name="Policy").get_by_role("link", name="Versions").click()
    page.get_by_role("button", name="Roll back to 1").click()
    expect(page.locator(".head")).to_contain_text("version 1 live")
    page.get_by_label("Nothing is judged").check()
    page.get_by_label("Reason").fill("a bad release")
    page.get_by_role("button", name="Throw the switch").click()
    expect(page.get_by_role("alert")).to_contain_text("tick the box that says you are sure")
    expect(page.get_by_label("Nothing is judged")).to_be_checked()
    expect(page.get_by_label("Reason")).to_have_value("a bad release")
    page.get_by_label("I am sure").check()
    page.get_by_role("button", name="Throw the switch").click()
    expect(page.locator(".head")).to_contain_text("switched off")
    page.goto(shop.page("guardrails"))
    expect(page.get_by_role("table").first).to_contain_text("a bad release")
    assert [one for one in signed_in.complaints if "400" not in one] == []


def test_a_hostile_text_is_marked_as_text_and_one_that_is_too_long_is_refused(signed_in, shop, policy):
    page = signed_in.page
    page.goto(shop.page("guardrails/bench"))
    page.get_by_label("Judged by").select_option("chat:1")
    judge(page, HOSTILE)
    expect(page.locator("#verdict mark")).to_have_text(CANARY)
    expect(page.locator("#verdict .marked").first).to_contain_text("<script>alert('stanchion')</script>")
    expect(page.locator("#verdict .ghost", has_text="U+202E").first).to_be_visible()
    assert page.locator("#verdict script, #verdict img").count() == 0
    keep_picture(page, "bench-hostile")
    judge(page, f"{'long ' * 19_900}{CANARY}")
    expect(page.locator("#verdict mark")).to_have_text(CANARY, timeout=15_000)
    page.get_by_label("Text", exact=True).evaluate("e => e.removeAttribute('maxlength')")
    judge(page, "x" * 100_001)
    expect(page.locator("#verdict")).to_contain_text("at most 100000 characters", timeout=15_000)
    assert signed_in.complaints == []


def test_a_back_test_is_started_and_watched_until_it_is_done(signed_in, shop, policy):
    page = signed_in.page
    page.goto(shop.page("guardrails/policies/chat/backtests"))
    page.get_by_label("Text to test").select_option("2")
    page.get_by_label("Compared with").select_option("1")
    page.get_by_role("button", name="Start the back-test").click()
    expect(page.get_by_role("progressbar", name="Calls replayed")).to_be_visible()
    expect(page.locator("#backtest")).to_contain_text("queued")
    while backtests.step():
        pass
    expect(page.locator("#backtest")).to_contain_text("done", timeout=8_000)
    expect(page.get_by_role("progressbar", name="Calls replayed")).to_have_count(0)
    expect(page.locator(".tiles")).to_contain_text("Newly stopped")
    keep_picture(page, "backtest-done")
    assert complaints_of_axe(page) == []
    assert signed_in.complaints == []


def test_a_review_of_a_decision_makes_a_false_alarm_of_its_rule(signed_in, shop, policy):
    judged_day(shop)
    page = signed_in.page
    page.goto(shop.page("guardrails/decisions?action=block"))
    expect(page.locator("tbody tr")).to_have_count(12)
    page.locator("tbody a.open").first.click()
    page.get_by_label("Harmless").check()
    page.get_by_label("Note").fill("<script>alert(1)</script>")
    page.get_by_role("button", name="Keep the review").click()
    expect(page.get_by_role("region", name="Review")).to_contain_text("<script>alert(1)</script>")
    page.get_by_role("link", name="Open its trace").click()
    expect(page.locator(".fall tr[aria-current]")).to_contain_text("block")
    expect(page.locator("#span-detail")).to_contain_text("A decision keeps no text")
    page.goto(shop.page("guardrails/policies/chat/effect"))
    row = page.get_by_role("region", name="Rules").get_by_role("row", name="canary")
    expect(row).to_contain_text("100 % of 1")
    expect(page.locator(".chart canvas")).to_have_count(4)
    page.get_by_text("Decisions as a table").click()
    expect(page.get_by_role("region", name="Decisions as a table")).to_contain_text(re.compile(r"\d"))
    keep_picture(page, "effect")
    page.goto(shop.page("guardrails/policies/chat/shadow"))
    expect(page.locator(".tiles")).to_contain_text("Shadow milder")
    expect(page.get_by_role("region", name="Where they differ").first).to_contain_text("canary")
    assert signed_in.complaints == []


def test_a_guard_that_stopped_is_the_first_thing_on_the_page_with_the_calls_nobody_judged(signed_in, shop, policy):
    judged_day(shop, silent_minutes=60, late_minutes=30)
    page = signed_in.page
    page.goto(shop.page("guardrails?from=now-6h&to=now"))
    alert = page.get_by_role("alert")
    expect(alert).to_have_count(1)
    expect(alert).to_contain_text("Policy chat does not judge the calls of support")
    page.get_by_text("1 gap in guarding, over by now").click()
    expect(page.locator(".past")).to_contain_text("Rule slow-rule of chat did not run")
    expect(page.locator(".past")).to_contain_text("the deadline had passed")
    keep_picture(page, "guardrails-gap")
    assert complaints_of_axe(page) == []
    alert.get_by_role("link", name="Calls that nobody judged").click()
    expect(page).to_have_url(re.compile(r"/calls\?from=.*&feature=support"))
    expect(page.locator("tbody tr").first).to_be_visible()
    assert signed_in.complaints == []


def test_guard_pages_are_accessible_and_fit_a_phone_full_and_empty(signed_in, shop, policy, scheme):
    judged_day(shop, silent_minutes=60, late_minutes=30)
    row = decided(shop.now - MINUTE, trace_id=UUID(hex=shop.trace_id), action="redact", triggered=True,
                  limits={"canary": "language de not covered", "x" * 190: "y" * 190})  # fmt: skip
    store_decisions(shop.project.pk, row)
    one = f"guardrails/decisions/{shop.trace_id}/{row.decision.span_id:016x}"
    page = signed_in.page
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": 390, "height": 844})
    addresses = [shop.page(path) for path in (*PATHS, one)]
    addresses += [shop.page("guardrails/decisions?limited=yes")]
    addresses += [shop.page(path, "empty-corner") for path in ("guardrails", "guardrails/decisions")]
    addresses += [shop.page("guardrails/policies/default/effect", "empty-corner")]
    found, wide = [], []
    for address in addresses:
        page.goto(address)
        found += [(address, *complaint) for complaint in complaints_of_axe(page)]
        if page.evaluate("document.documentElement.scrollWidth") > 390:
            wide.append(address)
    assert (found, wide) == ([], [])
    assert signed_in.complaints == []


def test_a_text_is_judged_without_javascript(chromium, shop, policy):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{shop.url}/login")
    page.get_by_label("User name").fill("ada")
    page.get_by_label("Password").fill("correct-horse-battery")
    page.get_by_role("button", name="Sign in").click()
    page.goto(shop.page("guardrails/bench"))
    page.get_by_label("Judged by").select_option("chat:1")
    judge(page, f"say {CANARY} now")
    expect(page.locator("#verdict mark")).to_have_text(CANARY)
    expect(page.get_by_label("Text", exact=True)).to_have_value(f"say {CANARY} now")
    context.close()
