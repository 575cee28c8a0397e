"""A real browser on a live server with a day of a small shop's traffic. Without Chromium these tests skip."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from kit import traffic
from stanchion_server.costs import selectors as prices
from stanchion_server.tenants import services
from stanchion_server.tenants.models import ApiKey, Project, User
from stanchion_server.traces import partitions

# Playwright keeps an event loop in this thread; Django then refuses its synchronous database calls unless told.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"

# How long a state may take to come on a machine that does much else; tests wait for states, never for time.
expect.set_options(timeout=20_000)

PASSWORD = "correct-horse-battery"
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/browser" in str(item.path):
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    path = os.environ.get("STANCHION_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no Chromium found: install chromium or set STANCHION_CHROMIUM to its path")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@dataclass(frozen=True)
class Shop:
    """Where the pages are, and what was seeded."""

    url: str
    project: Project
    empty: Project
    key: ApiKey
    trace_id: str
    now: datetime

    def page(self, path: str, project: str = "shop") -> str:
        return f"{self.url}/p/{project}/{path}"


@pytest.fixture
def shop(live_server) -> Shop:  # type: ignore[no-untyped-def]
    partitions.forget()
    prices.forget()
    organisation = services.create_organisation("Acme")
    project = services.create_project(organisation, "Shop")
    empty = services.create_project(organisation, "Empty corner")
    user = services.create_owner(organisation, "ada", PASSWORD)
    services.create_key(project, "checkout service", ["ingest"])
    key = ApiKey.objects.get(project=project)
    now = datetime.now(UTC)
    trace_id = traffic.a_day(project.pk, key.pk, now, calls=120)
    assert User.objects.get(username="ada") == user
    return Shop(live_server.url, project, empty, key, trace_id, now)


class Watched:
    """A page that remembers what a clean one must not say: errors, policy violations, dialogs, foreign requests."""

    def __init__(self, page: Page, origin: str) -> None:
        self.page = page
        self.complaints: list[str] = []
        page.on("console", lambda message: self._console(message.type, message.text))
        page.on("pageerror", lambda error: self.complaints.append(f"page error: {error}"))
        page.on("dialog", lambda dialog: (self.complaints.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: self._request(request.url, origin))
        page.add_init_script(
            "document.addEventListener('securitypolicyviolation', e =>"
            " console.error('CSP ' + e.violatedDirective + ' ' + e.blockedURI))"
        )

    def _console(self, kind: str, text: str) -> None:
        if kind in {"error", "warning"}:
            self.complaints.append(f"console {kind}: {text}")

    def _request(self, url: str, origin: str) -> None:
        if not url.startswith((origin, "data:")):
            self.complaints.append(f"foreign request: {url}")


@pytest.fixture(params=["light", "dark"])
def scheme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    yield context
    context.close()


@pytest.fixture
def watched(context: BrowserContext, shop: Shop) -> Watched:
    return Watched(context.new_page(), shop.url)


@pytest.fixture
def signed_in(watched: Watched, shop: Shop) -> Watched:
    sign_in(watched.page, shop)
    return watched


def sign_in(page: Page, shop: Shop) -> None:
    page.goto(f"{shop.url}/login")
    page.get_by_label("User name").fill("ada")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
