"""`stanchion_sdk.guard` and the bundle: pulled, kept on disk, exchanged, and there while the server is away."""

from __future__ import annotations

from pathlib import Path

import pytest

import stanchion_sdk
from kit.contract import Door
from kit.guarding import CANARY, document, policy_in_force
from stanchion_sdk.guarding import guards
from stanchion_sdk.guarding.pulling import Pulled
from stanchion_sdk.settings import Settings
from stanchion_server.policies import services
from stanchion_server.tenants import access
from stanchion_server.tenants import services as tenants
from stanchion_server.tenants.models import Project

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_policy_is_pulled_kept_on_disk_and_exchanged(live_door: Door, tmp_path: Path) -> None:
    access.forget_everything()
    project = Project.objects.get(pk=live_door.project_id)
    policy = policy_in_force(project, "chat", document(), document("other-word-77"))
    key = tenants.create_key(project, "app", ["guard"])
    settings = Settings(live_door.url, live_door.url + "/v1/traces", key, spool_dir=tmp_path)
    source = Pulled(settings, "chat")
    assert source.refresh() and source.refresh()
    guard = guards.AppGuard(guards.Local(source._entries or ()), "chat", "allow")
    assert guard.check(CANARY).action == "block"
    assert [oct(file.stat().st_mode & 0o777) for file in (tmp_path / "policies").iterdir()] == ["0o600"]
    away = Pulled(Settings("http://127.0.0.1:9", "", key, spool_dir=tmp_path / "away"), "chat")
    kept, moved = source._file(), away._file()
    assert kept is not None and moved is not None
    moved.parent.mkdir(parents=True)
    moved.write_bytes(kept.read_bytes())
    cached = guards.AppGuard(away, "chat", "allow")
    assert (cached.check(CANARY).action, cached.refresh()) == ("block", False)
    services.set_live(project.pk, policy.pk, 2, "tester")
    assert source.refresh()
    changed = guards.AppGuard(guards.Local(source._entries or ()), "chat", "allow")
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
