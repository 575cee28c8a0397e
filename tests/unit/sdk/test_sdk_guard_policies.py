"""What the policies of a bundle say together, and what is said where the engine breaks."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

import stanchion_sdk as stanchion
from kit.guarding import CANARY, document
from stanchion_guard import Guard, load
from stanchion_sdk.guarding import bundles, guards, sources
from stanchion_sdk.guarding.pulling import Pulled
from stanchion_sdk.guarding.shapes import Part, Subject
from stanchion_sdk.settings import Settings
from stanchion_sdk.testing import MemoryExporter, recording

KEY = bytes(32)


def row(name: str, *documents: str, **state: Any) -> dict[str, Any]:
    """A policy of a bundle as the server writes it, its first version live."""
    known = {
        "id": len(name), "name": name, "live": 1, "shadow": None, "shadow_until": None, "canary": None,
        "canary_percent": 0, "canary_until": None, "switch": "on", "switch_reason": "",
        "documents": {str(number): text for number, text in enumerate(documents, 1)},
    }  # fmt: skip
    return {**known, **state}


def app_guard(*rows: dict[str, Any]) -> guards.AppGuard:
    entries = bundles.read(json.dumps({"policies": rows}).encode(), KEY)
    return guards.AppGuard(sources.Local(entries), "chat", "allow")


@pytest.mark.parametrize("state", [{"switch": "half"}, {"live": 2}, {"canary": 3, "canary_percent": 10}])
def test_a_bundle_that_this_version_does_not_understand_is_refused_whole(state: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="in force"):
        app_guard(row("chat", document(), **state))


def test_what_a_newer_server_adds_to_a_bundle_is_not_read() -> None:
    assert app_guard(row("chat", document(), colour="blue")).check(CANARY).action == "block"


class Redirecting(BaseHTTPRequestHandler):
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_response(302)
        self.send_header("Location", "/elsewhere")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


def test_the_key_follows_no_redirect() -> None:
    Redirecting.asked.clear()
    with HTTPServer(("127.0.0.1", 0), Redirecting) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        source = Pulled(Settings(f"http://127.0.0.1:{server.server_port}", "", "key"), "chat")
        assert not source.refresh()
        server.shutdown()
        thread.join()
    assert Redirecting.asked == ["/api/v1/policies/chat/bundle"]
    assert source.reason == "the policy could not be fetched (302)"


def test_a_folder_in_which_others_may_write_keeps_no_policy(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    source = Pulled(Settings("http://127.0.0.1:9", "", "key", spool_dir=tmp_path), "chat")
    source._keep(b'{"policies": []}')
    assert not any((tmp_path / "policies").iterdir())
    tmp_path.chmod(0o700)
    source._keep(b'{"policies": []}')
    assert len(list((tmp_path / "policies").iterdir())) == 1
    tmp_path.chmod(0o777)
    source._load()
    assert source._entries is None


def test_arguments_that_would_leave_a_text_unseen_are_refused() -> None:
    guard = app_guard(row("chat", document()))
    with pytest.raises(ValueError, match="'outputs' is none of"):
        guard.check(CANARY, stage="outputs")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'outputs' is none of"):
        guard.stream([CANARY], stage="outputs")  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="no part 1"):
        guard.judge(Subject((Part("input", CANARY),)), judged=(1,))
    with pytest.raises(TypeError, match="list of texts"):
        guard.check("yes", stage="output", context="one document")


def test_the_masks_of_the_named_and_of_the_enforced_policy_are_both_put_on() -> None:
    guard = app_guard(row("chat", document("word-one", "redact")), row("house", document(action="redact")))
    verdict = guard.check(f"{CANARY} and word-one")
    assert (verdict.action, verdict.texts) == ("redact", ("[CANARY] and [CANARY]",))
    assert verdict.coverage.complete


def test_a_block_of_one_policy_keeps_the_masks_of_the_other() -> None:
    guard = app_guard(row("chat", document("word-one", "redact")), row("house", document()))
    verdict = guard.check(f"{CANARY} and word-one")
    assert (verdict.action, verdict.policy) == ("block", "house")
    assert verdict.texts == (f"{CANARY} and [CANARY]",)


@pytest.mark.parametrize("action", ["flag", "block"])
def test_where_the_engine_breaks_the_policys_own_when_failed_decides(action: str) -> None:
    def broken_clock() -> int:
        raise RuntimeError("no time")

    policy = load(document().replace("when_failed: block", f"when_failed: {action}"))
    entry = bundles.Entry(None, {0: Guard(policy, clock=broken_clock)})
    verdict = guards.AppGuard(sources.Local((entry,)), "chat", "allow").check("good morning")
    assert verdict.action == action
    assert verdict.coverage.not_run == (("canary", "failed: the engine raised RuntimeError"),)


def decisions(memory: MemoryExporter) -> list[tuple[Any, ...]]:
    prefix = "stanchion.guard."
    rows = [span.attributes for span in memory.spans if span.scope == "stanchion.guard"]
    return [tuple(each[prefix + name] for name in ("mode", "policy_version", "action", "is_complete")) for each in rows]


def test_a_canary_judges_its_share_and_a_session_stays_on_its_side() -> None:
    guard = app_guard(row("chat", document(), document("word-two"), canary=2, canary_percent=30))
    sides = []
    for number in range(400):
        with stanchion.session(f"s-{number}"):
            told = {guard.check("word-two").policy_version for _ in range(3)}
            assert len(told) == 1
            sides += told
            streamed = guard.stream(["word", "-two"])
            assert "".join(streamed) == ("" if told == {"2"} else "word-two")
    assert 0.2 < sides.count("2") / len(sides) < 0.4


def test_a_shadow_is_told_of_and_has_no_effect() -> None:
    guard = app_guard(row("chat", document(), document("word-two"), shadow=2))
    with recording() as recorded:
        assert guard.check("word-two").action == "allow"
        streamed = guard.stream(["word", "-two"])
        assert "".join(streamed) == "word-two"
    expected = [("live", "1", "allow", True), ("shadow", "2", "block", True)]
    assert decisions(recorded) == expected * 2
    assert streamed.verdict is not None and streamed.verdict.action == "allow"


@pytest.mark.parametrize(("switch", "action"), [("off", "allow"), ("block_all", "block")])
def test_a_thrown_switch_is_obeyed_and_the_coverage_says_that_nothing_ran(switch: str, action: str) -> None:
    guard = app_guard(row("chat", document(), switch=switch, switch_reason="incident 7"))
    with recording() as recorded:
        verdict = guard.check(CANARY)
        streamed = guard.stream(["good ", "morning"])
        shown = "".join(streamed)
    assert (verdict.action, verdict.coverage.ran, verdict.coverage.complete) == (action, 0, False)
    assert "incident 7" in verdict.coverage.not_run[0][1]
    assert verdict.message == ("This assistant cannot answer at the moment." if action == "block" else None)
    assert shown == ("good morning" if action == "allow" else "")
    assert decisions(recorded) == [("live", "", action, False)] * 2


def test_a_switched_off_policy_leaves_the_enforced_one_in_force() -> None:
    guard = app_guard(row("chat", document("word-one"), switch="off"), row("house", document()))
    assert guard.check(CANARY).action == "block"
    verdict = guard.check("good morning")
    assert (verdict.action, verdict.coverage.complete, verdict.coverage.guarded_characters) == ("allow", False, 0)
