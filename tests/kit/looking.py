"""What a page must be besides right: sound for assistive technology, and no wider than a phone."""

from __future__ import annotations

import os
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page


def keep_picture(page: Page, name: str) -> None:
    """For whoever changes the pages: with STANCHION_SCREENSHOTS=<folder> each step leaves a picture there."""
    if folder := os.environ.get("STANCHION_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def is_sound(page: Page) -> bool:
    found = [
        (violation["id"], [node["html"][:160] for node in violation["nodes"][:3]])
        for violation in Axe().run(page).response["violations"]
        if violation["impact"] in {"serious", "critical"}
    ]
    assert found == [], page.url
    return True


_WIDTH_AT_REST = """most => new Promise(done => {
    const until = Date.now() + 10000
    const look = () => {
        const width = document.documentElement.scrollWidth
        if (width <= most || Date.now() > until) done(width)
        else requestAnimationFrame(look)
    }
    look()
})"""
"""Charts are drawn anew some frames after a window has changed its size: so long the page may still be wide."""


def fits_a_phone(page: Page, name: str = "phone") -> bool:
    page.set_viewport_size({"width": 390, "height": 800})
    wide = page.evaluate(_WIDTH_AT_REST, 390)
    keep_picture(page, name)
    page.set_viewport_size({"width": 1280, "height": 900})
    return int(wide) <= 390
