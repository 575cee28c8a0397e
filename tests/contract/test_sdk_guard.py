"""`stanchion_sdk.guard` and the bundle: pulled, kept on disk, exchanged, and there while the server is away."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import stanchion_sdk
from kit.client_envs import ROOT, run_app
from kit.contract import Door
from kit.guarding import CANARY, document, policy_in_force
from stanchion_sdk.guarding import guards, sources
from stanchion_sdk.guarding.pulling import Pulled
from stanchion_sdk.settings import Settings
from stanchion_server.commands.fake_llm.server import FakeLlm
from stanchion_server.policies import services
from stanchion_server.policies.recording import recorder
from stanchion_server.tenants import access
from stanchion_server.tenants import services as tenants
from stanchion_server.tenants.models import Project
from stanchion_server.traces.models import GuardDecision

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_policy_is_pulled_kept_on_disk_and_exchanged(live_door: Door, tmp_path: Path) -> None:
    access.forget_everything()
    project = Project.objects.get(pk=live_door.project_id)
    policy = policy_in_force(project, "chat", document(), document("other-word-77"))
    key = tenants.create_key(project, "app", ["guard"])
    settings = Settings(live_door.url, live_door.url + "/v1/traces", key, spool_dir=tmp_path)
    source = Pulled(settings, "chat")
    assert source.refresh() and source.refresh()
    guard = guards.AppGuard(sources.Local(source._entries or ()), "chat", "allow")
    assert guard.check(CANARY).action == "block"
    assert [oct(file.stat().st_mode & 0o777) for file in (tmp_path / "policies").iterdir()] == ["0o600"]
    away = Pulled(Settings("http://127.0.0.1:9", "", key, spool_dir=tmp_path / "away"), "chat")
    kept, moved = source._file(), away._file()
    assert kept is not None and moved is not None
    moved.parent.mkdir(parents=True)
    moved.write_bytes(kept.read_bytes())
    cached = guards.AppGuard(sources.Local(away.entries() or ()), "chat", "allow")
    assert (cached.check(CANARY).action, away.refresh()) == ("block", False)
    services.set_live(project.pk, policy.pk, 2, "tester")
    assert source.refresh()
    changed = guards.AppGuard(sources.Local(source._entries or ()), "chat", "allow")
    assert (changed.check(CANARY).action, changed.check("other-word-77").policy_version) == ("allow", "2")


def test_without_server_and_cache_the_verdict_says_that_nothing_ran(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STANCHION_ENDPOINT", raising=False)
    verdict = stanchion_sdk.guard("chat", when_unavailable="block").check("hello")
    assert (verdict.action, verdict.coverage.complete, verdict.coverage.ran) == ("block", False, 0)
    assert stanchion_sdk.guard("chat").check("hello").action == "allow"


def test_a_policy_of_the_applications_own_needs_no_server(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(document())
    assert stanchion_sdk.guard(policy=file).check(f"say {CANARY}", stage="output").action == "block"


def test_the_server_judges_for_a_remote_guard_and_records_it(live_door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    access.forget_everything()
    project = Project.objects.get(pk=live_door.project_id)
    policy_in_force(project, "chat", document(action="redact"))
    monkeypatch.setenv("STANCHION_ENDPOINT", live_door.url)
    monkeypatch.setenv("STANCHION_API_KEY", tenants.create_key(project, "app", ["guard"]))
    guard = stanchion_sdk.guard("chat", remote="always", deadline_ms=10_000)
    with stanchion_sdk.session("s-1"), stanchion_sdk.feature("search"):
        verdict = guard.check(f"say {CANARY}", "output", query=CANARY)
    assert (verdict.action, verdict.texts[0]) == ("redact", "say [CANARY]")
    assert verdict.coverage.complete and verdict.coverage.total_characters == len(f"say {CANARY}")
    assert "".join(guard.stream(["say ", CANARY[:4], CANARY[4:]])) == "say [CANARY]"
    assert recorder.flush()
    recorded = list(GuardDecision.objects.filter(project_id=project.pk).order_by("start_time"))
    assert [(row.policy_version, row.session_id) for row in recorded] == [("1", "s-1"), ("1", "")]
    access.forget_everything()
    missing = stanchion_sdk.guard("not-there", remote="always", deadline_ms=10_000).check("hello")
    assert "HTTP 404" in missing.coverage.not_run[0][1]


SHOP = """policy: chat
version: 1
defaults: {when_late: block, when_failed: block}
message: This cannot be said here.
rules:
  - {id: pii, stages: [input, output, tool_call], detector: pii, action: redact}
  - {id: words, stages: [input], detector: words, parameters: {words: [open sesame]}, action: block}
"""


@pytest.mark.clients
@pytest.mark.slow
def test_an_older_client_without_the_engine_is_guarded_by_the_server(live_door: Door) -> None:
    access.forget_everything()
    project = Project.objects.get(pk=live_door.project_id)
    policy_in_force(project, "chat", SHOP)
    key = tenants.create_key(project, "app", ["guard", "ingest"])
    with FakeLlm(latency_ms=1, chunk_ms=1) as fake:
        variables = {
            "PYTHONPATH": str(ROOT / "collectors" / "src"),
            "STANCHION_ENDPOINT": live_door.url,
            "STANCHION_API_KEY": key,
            "STANCHION_SPOOL_DIR": "off",
            "OPENAI_BASE_URL": fake.url + "/v1",
            "OPENAI_API_KEY": "x",
        }
        output = run_app("openai-v2", str(ROOT / "tests/contract/sdk/guard_sdk_app.py"), variables=variables)
        served = len(fake.calls)
    seen = json.loads(next(line for line in reversed(output.splitlines()) if line.startswith("{")))
    masked = "You asked: I am [EMAIL]"
    assert seen == {
        "version": "2", "engine": False, "plain": masked, "stream": masked, "tools": '{"to": "[EMAIL]"}', "raw": masked,
        "response": masked, "blocked": ["This cannot be said here.", "input"],
        "answered": "This cannot be said here.", "answered_stream": "This cannot be said here.",
        "async": masked, "async_stream": masked,
    }  # fmt: skip
    assert served == 7
    assert recorder.flush()
    assert GuardDecision.objects.filter(project_id=project.pk).count() == 2 * served + 3
