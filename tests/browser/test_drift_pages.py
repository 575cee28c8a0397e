"""A person makes a monitor, runs it, reads what drifted and why, and opens the report without lending it anything."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest
import zstandard
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from kit import drifting, traffic
from kit.drifting import Traffic
from stanchion_server.drift import runs, services
from stanchion_server.drift.models import DriftMonitor, DriftReport, DriftRun
from stanchion_server.kernel import clock

pytestmark = pytest.mark.django_db(transaction=True)

REPORT = b"""<!doctype html><title>report</title><p id="said">nothing</p><script>
let cookie, answer;
try { cookie = document.cookie; } catch (error) { cookie = "no cookie"; }
document.getElementById("said").textContent = cookie;
</script>"""


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


def a_drifted_run(shop) -> DriftRun:  # type: ignore[no-untyped-def]
    now = clock.now()
    drifting.store(shop.project.pk, drifting.calls(now - timedelta(hours=95), now - timedelta(hours=24), 300, 1))
    drifting.store(shop.project.pk, drifting.calls(now - timedelta(hours=95), now, 120, 3, Traffic(feature="search")))
    shifted = Traffic(
        topics=(*drifting.GERMAN, *drifting.POEMS), models=("gpt-5-mini", "gpt-4o"), latency_ratio=2, feature="search"
    )
    drifting.store(shop.project.pk, drifting.calls(now - timedelta(hours=24), now, 200, 2, shifted))
    traffic.settle_all(now)
    monitor = services.create(shop.project, services.Wanted("week", reference_hours=72), "ada")
    run = services.run_now(shop.project.pk, monitor.pk, "ada")
    while runs.step():
        pass
    return DriftRun.objects.get(pk=run.pk)


def with_report(run: DriftRun) -> None:
    DriftReport.objects.filter(run=run).update(
        state="ready", reason="", html=zstandard.compress(REPORT), html_bytes=len(REPORT)
    )


def test_a_monitor_is_made_and_run_by_hand(signed_in, shop):
    page = signed_in.page
    page.goto(shop.page("drift"))
    expect(page.get_by_role("heading", name="No monitor yet")).to_be_visible()
    keep_picture(page, "drift-empty")
    page.get_by_role("link", name="New monitor").click()
    page.get_by_label("Name").fill("support week")
    page.get_by_role("button", name="Make the monitor").click()
    expect(page.get_by_role("alert")).to_contain_text("letters, digits, dots")
    page.get_by_label("Name").fill("support-week")
    page.get_by_text("Only certain columns").click()
    page.get_by_label("Latency").check()
    keep_picture(page, "drift-new")
    assert complaints_of_axe(page) == []
    page.get_by_role("button", name="Make the monitor").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("support-week")
    assert DriftMonitor.objects.get(project=shop.project).columns == ["latency_ms"]
    page.get_by_role("button", name="Run now").click()
    expect(page.locator("#drift-run")).to_contain_text("queued")
    while runs.step():
        pass
    expect(page.locator("#drift-run")).to_contain_text("not enough data", timeout=10_000)
    expect(page.locator("#drift-run")).to_contain_text("That is not the same as")
    assert [text for text in signed_in.complaints if "400" not in text] == []


def test_what_drifted_is_read_with_its_reasons_in_both_schemes(signed_in, shop, scheme):
    run = a_drifted_run(shop)
    with_report(run)
    page = signed_in.page
    page.emulate_media(color_scheme=scheme)
    page.goto(shop.page("drift"))
    expect(page.get_by_role("row", name="week").first).to_contain_text("drift")
    page.locator("summary", has_text="All readings").click()
    keep_picture(page, f"drift-{scheme}")
    page.goto(shop.page(f"drift/runs/{run.pk}"))
    table = page.get_by_role("table", name="What was compared")
    expect(table.locator("tbody tr").first).to_contain_text("drift")
    expect(page.get_by_role("region", name="Latency").first).to_contain_text("Which calls carry it")
    expect(page.get_by_role("region", name="Prompt text").first).to_contain_text("More often now")
    expect(table).to_contain_text("gpt-5-mini")
    keep_picture(page, f"drift-run-{scheme}")
    assert complaints_of_axe(page) == []
    page.get_by_role("region", name="Latency").first.locator("a code").first.click()
    expect(page.locator("#span-detail")).to_be_visible()
    page.go_back()
    page.get_by_role("link", name="week", exact=True).click()
    keep_picture(page, f"drift-monitor-{scheme}")
    assert complaints_of_axe(page) == []
    assert signed_in.complaints == []


def test_evidentlys_page_runs_without_our_origin(signed_in, shop):
    run = a_drifted_run(shop)
    with_report(run)
    page = signed_in.page
    page.goto(shop.page(f"drift/runs/{run.pk}/report"))
    expect(page.locator("#said")).to_have_text("no cookie")
