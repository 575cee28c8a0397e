"""What people at the shop do over the REST API: publish the guard's versions, put them in force, review decisions,
back-test, say what may be spent and what providers allow, import a bill, and ask what could be saved."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from datetime import datetime, timedelta
from random import Random
from typing import Any
from urllib.parse import urlencode

from stanchion_demo import books, cards, catalogue
from stanchion_demo.guard_policies import NAME, VERSIONS
from stanchion_demo.guards import ERAS
from stanchion_demo.storyline import Story

TIMEOUT_S = 30
DEPLOYMENT = {
    "name": cards.DEPLOYMENT, "match_model": cards.MODEL, "match_server": "llama.birchwood.example:8000",
    "hosts": list(cards.HOSTS), "basis": "gpu_hour", "usd_per_hour": "0.38", "count": len(cards.CARDS),
    "storage_gib": "200", "storage_usd_per_gib_month": "0.08", "usd_per_kwh": "0.26", "pue": "1.4",
    "grid_g_per_kwh": "340", "engine": "vllm", "engine_version": cards.ENGINE_VERSION, "batching": "paged",
    "note": "Three cards bought for three years, in our own machine room",
}  # fmt: skip
REVIEWED_ACTIONS = (("block", 40), ("fallback", 30), ("redact", 25), ("flag", 15))
"""How many decisions of each action people look at."""
BACK_TESTED = timedelta(days=3)


class Office:
    """Talks to the server with a key that may administer the demo's project."""

    def __init__(self, url: str, admin_key: str) -> None:
        self._url, self._key = url, admin_key

    def publish_policy(self) -> bool:
        """All versions, the last era's ones in force; False, and nothing done, where the policy is there already."""
        if not self._add("/api/v1/policies", {"name": NAME, "description": "What the support bot reads and says"}):
            return False
        for note, document in VERSIONS.values():
            self._ask("PUT", f"/api/v1/policies/{NAME}/draft", {"document": document})
            self._ask("POST", f"/api/v1/policies/{NAME}/versions", {"note": note})
        now = ERAS[-1]
        self._ask("POST", f"/api/v1/policies/{NAME}/rollout", {"live": now.live, "shadow": now.shadow})
        return True

    def price_deployment(self, effective_from: datetime) -> bool:
        """What the shop's own model costs: made-up rates of a small company's machine room. False where it is known."""
        return self._add("/api/v1/deployments", {**DEPLOYMENT, "effective_from": effective_from.isoformat()})

    def keep_books(self, story: Story) -> None:
        """Budgets, rate limits and a bill, as far as they are not there already."""
        for budget in books.budgets(story):
            self._add("/api/v1/budgets", budget)
        for limit in books.LIMITS:
            self._add("/api/v1/rate-limits", limit)
        named = urlencode({"name": f"OpenAI, week from {books.first_billed_day(story)}", "provider": "openai"})
        self._add(f"/api/v1/invoices?{named}", books.bill(story))

    def review(self, is_bad: Mapping[str, bool], seed: str) -> int:
        """Says of a sample of decisions whether the text was really to be caught; `is_bad` knows it by trace."""
        count = 0
        for action, wanted in REVIEWED_ACTIONS:
            asked = urlencode({"action": action, "policy": NAME, "from": "now-15d", "limit": 500})
            rows = self._ask("GET", f"/api/v1/decisions?{asked}")["items"]
            found = [row for row in rows if row["trace_id"] in is_bad and row["mode"] != "shadow"]
            for row in Random(f"{seed}/{action}").sample(found, min(wanted, len(found))):
                said = {"is_violation": is_bad[row["trace_id"]]}
                self._ask("PUT", f"/api/v1/decisions/{row['check_id']}/review", said)
                count += 1
        return count

    def back_test(self, until: datetime) -> None:
        """Asks for what the version in shadow would have done with the calls before `until`, against the live one."""
        now = ERAS[-1]
        wanted = {
            "number": now.shadow, "baseline": now.live, "features": [catalogue.SUPPORT.feature],
            "window_start": (until - BACK_TESTED).isoformat(), "window_end": until.isoformat(),
        }  # fmt: skip
        self._ask("POST", f"/api/v1/policies/{NAME}/backtests", wanted)

    def look_for_savings(self) -> None:
        """Once the history is in: the nightly look of a fresh server may be a day away."""
        self._ask("POST", "/api/v1/savings")

    def _add(self, path: str, body: object) -> bool:
        """False where it is there already."""
        try:
            self._ask("POST", path, body)
        except urllib.error.HTTPError as error:
            if error.code == 409:
                return False
            raise
        return True

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        """A text is sent as CSV, anything else as JSON."""
        is_csv = isinstance(body, str)
        request = urllib.request.Request(  # noqa: S310 - the address of the server that started us
            self._url + path,
            method=method,
            data=None if body is None else (body if isinstance(body, str) else json.dumps(body)).encode(),
            headers={
                "Authorization": f"Bearer {self._key}",
                "Content-Type": "text/csv" if is_csv else "application/json",
            },
        )
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
            return json.loads(answer.read())
