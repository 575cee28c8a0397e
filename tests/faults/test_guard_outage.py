"""An application whose guard's server goes away: it judges on, in new processes too, and nothing it decided is lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from kit.guarding import CANARY, document
from kit.product import ROOT, Product, free_port, running
from kit.sending import wait_until

pytestmark = [pytest.mark.faults, pytest.mark.slow]
PICKUP_LIMIT_S = 60.0

APP = """
import json, sys
import stanchion_sdk as stanchion

assert stanchion.init(interval_s=0.1)
guard = stanchion.guard("chat", when_unavailable="block")
for line in sys.stdin:
    task = json.loads(line)
    if "refresh" in task:
        told = guard.refresh()
    else:
        verdict = guard.check(task["text"])
        told = [verdict.action, verdict.policy_version, verdict.coverage.complete]
    print(json.dumps(told), flush=True)
"""


class App:
    """A process that asks its guard what it is told to ask. `checks` counts what it has decided."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process, self.checks = process, 0

    def _do(self, task: Mapping[str, Any]) -> Any:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(task) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def check(self, text: str) -> list[Any]:
        self.checks += 1
        return list(self._do({"text": text}))

    def refresh(self) -> bool:
        return bool(self._do({"refresh": True}))


@contextmanager
def app(port: int, key: str, folder: Path) -> Iterator[App]:
    variables = {
        **os.environ,
        "PYTHONPATH": f"{ROOT / 'collectors' / 'src'}:{ROOT / 'guardrails' / 'src'}",
        "STANCHION_ENDPOINT": f"http://127.0.0.1:{port}",
        "STANCHION_API_KEY": key,
        "STANCHION_SPOOL_DIR": str(folder),
    }
    process = subprocess.Popen(
        [sys.executable, "-c", APP], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=variables
    )
    try:
        yield App(process)
    finally:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.close()
        process.wait(30)
        process.stdout.close()


def administer(product: Product, method: str, path: str, body: Any) -> Any:
    request = urllib.request.Request(
        f"{product.target.url}/api/v1/{path}",
        json.dumps(body).encode(),
        {"Authorization": f"Bearer {product.target.api_key}", "Content-Type": "application/json"},
        method=method,
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def publish(product: Product, text: str, number: int) -> None:
    administer(product, "PUT", "policies/chat/draft", {"document": text})
    administer(product, "POST", "policies/chat/versions", {})
    administer(product, "POST", "policies/chat/rollout", {"live": number})


def decided(product: Product) -> list[tuple[Any, ...]]:
    return product.ask("SELECT check_id, policy_version, source FROM guard_decisions")


def test_an_application_judges_on_without_its_server_and_loses_no_decision(tmp_path: Path) -> None:
    port, folder, spool = free_port(), tmp_path / "product", tmp_path / "spool"
    with ExitStack() as life:
        with running(folder, port=port) as product:
            with product.connect() as connection:
                connection.execute("""UPDATE tenants_apikey SET scopes = scopes || '["admin"]'""")
            administer(product, "POST", "policies", {"name": "chat", "document": document()})
            publish(product, document(), 1)
            key = product.target.api_key
            first = life.enter_context(app(port, key, spool))
            assert first.check(CANARY) == ["block", "1", True]
        assert first.refresh() is False
        assert first.check(CANARY) == ["block", "1", True]
        with app(port, key, spool) as second:  # a new process knows the policy from the disk alone
            assert second.check(CANARY) == ["block", "1", True]
            assert second.check("good morning") == ["allow", "1", True]
        with running(folder, port=port) as product:
            publish(product, document("other-word-77"), 2)
            wait_until(lambda: first.check("good morning")[1] == "2", PICKUP_LIMIT_S, "picking up the new version")
            assert (first.check(CANARY)[0], first.check("other-word-77")[0]) == ("allow", "block")
            administer(product, "POST", "policies/chat/rollout", {"switch": "block_all", "reason": "incident"})
            wait_until(lambda: first.check("good morning")[0] == "block", PICKUP_LIMIT_S, "obeying the switch")
            assert first.check("good morning")[2] is False
            made = first.checks + second.checks
            wait_until(lambda: len(decided(product)) >= made, PICKUP_LIMIT_S, "the arrival of every decision")
            life.close()
            found = decided(product)
    assert len(found) == len({row[0] for row in found}) == made
    assert {row[2] for row in found} == {"sdk"}
    assert {row[1] for row in found} == {"1", "2", ""}  # the switch has no version
