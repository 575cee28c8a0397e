"""Checks that the server makes: deadlines, a server that is away, late, odd or wrong, clients without the engine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import Any

import pytest

import stanchion_sdk as stanchion
from stanchion_sdk import startup
from stanchion_sdk.guarding.guards import AppGuard
from stanchion_sdk.guarding.remote import verdict_of
from stanchion_sdk.testing import recording

ROOT = Path(__file__).resolve().parents[3]
ANSWER = {
    "check_id": "c", "mode": "live", "policy": "chat", "policy_version": "3", "stage": "input", "action": "redact",
    "elapsed_us": 90, "rules": ["pii"], "labels": ["EMAIL"], "message": None, "texts": ["mail [EMAIL]"],
    "findings": [{"detector": "pii", "label": "EMAIL", "score": 1.0, "part": 0, "start": 5, "end": 10, "reason": "r",
                  "view": "raw", "a_field_of_tomorrow": 1}],
    "checks": [{"rule": "pii", "detector": "pii", "version": "1", "part": 0, "outcome": "ran", "characters": 10,
                "elapsed_us": 9, "score": 1.0, "triggered": True, "action": "redact", "reason": None, "spent": None}],
    "coverage": {"total_characters": 10, "guarded_characters": 10, "ran": 1, "not_run": [], "complete": True,
                 "limits": [["pii", "language de not covered"]], "uncovered": [[1, "no rule is for the stage output"]],
                 "uncovered_characters": 0},
}  # fmt: skip

Answer = Callable[[Any, bytes], None]


@contextmanager
def server(answer: Answer, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """A server that reads each request and then does what `answer` does with the connection. Gives what it was sent."""
    asked: list[dict[str, Any]] = []

    class Handler(BaseRequestHandler):
        def handle(self) -> None:
            while (request := _request(self.request)) is not None:
                asked.append(json.loads(request))
                answer(self.request, request)

    class Server(ThreadingTCPServer):
        daemon_threads, allow_reuse_address = True, True

    with Server(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        monkeypatch.setenv("STANCHION_ENDPOINT", f"http://127.0.0.1:{running.server_address[1]}")
        monkeypatch.setenv("STANCHION_API_KEY", "stn_k")
        yield asked
        running.shutdown()


def _request(connection: Any) -> bytes | None:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return None
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    size = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    while len(body) < size:
        body += connection.recv(65536)
    return body


def send(connection: Any, body: bytes, status: str = "200 OK") -> None:
    connection.sendall(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)


def good(connection: Any, request: bytes) -> None:
    parts = len(json.loads(request)["parts"])
    send(connection, json.dumps({**ANSWER, "texts": ["mail [EMAIL]"] * parts}).encode())


def test_the_servers_verdict_is_the_guards(monkeypatch: pytest.MonkeyPatch) -> None:
    with server(good, monkeypatch) as asked, recording() as recorded, monkeypatch.context() as inner:
        assert startup._running is not None
        address = replace(startup._running.settings, endpoint=os.environ["STANCHION_ENDPOINT"])
        inner.setattr(startup, "_running", replace(startup._running, settings=address))
        with stanchion.session("s-1"), stanchion.feature("search"):
            verdict = stanchion.guard("chat", remote="always").check("mail ann@x", query="who?")
    assert (verdict.action, verdict.texts[0], verdict.policy_version) == ("redact", "mail [EMAIL]", "3")
    assert (verdict.findings[0].label, verdict.checks[0].outcome, verdict.coverage.complete) == ("EMAIL", "ran", True)
    assert verdict.coverage.limits == (("pii", "language de not covered"),)
    assert verdict.coverage.uncovered == ((1, "no rule is for the stage output"),)
    [question] = asked
    assert (question["policy"], question["judged"], question["session_id"]) == ("chat", [0], "s-1")
    assert [part["stage"] for part in question["parts"]] == ["input", "input"]
    assert verdict.message is None
    assert recorded.spans == []  # the server has recorded it


def test_an_older_servers_coverage_has_no_limits() -> None:
    coverage = {name: value for name, value in ANSWER["coverage"].items() if name != "limits"}
    assert verdict_of({**ANSWER, "coverage": coverage}).coverage.limits == ()


def test_a_stream_is_held_back_and_judged_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    with server(good, monkeypatch) as asked:
        streamed = stanchion.guard("chat", remote="always").stream(["mail ", "ann@", "x"])
        assert list(streamed) == ["mail [EMAIL]"]
    assert streamed.hold_back_characters is None
    assert [part["text"] for part in asked[0]["parts"]] == ["mail ann@x"]


def never(_connection: Any, _request: bytes) -> None:
    threading.Event().wait(5)


def drip(connection: Any, _request: bytes) -> None:
    for _ in range(100):
        connection.sendall(b"H")
        threading.Event().wait(0.05)


CASES: dict[str, tuple[Answer, str]] = {
    "never": (never, "no verdict within 150 ms"),
    "drip": (drip, "no verdict within 150 ms"),
    "nonsense": (lambda connection, _: connection.sendall(b"what?\r\n\r\n"), "no verdict within"),
    "hangs up": (lambda connection, _: connection.close(), "no verdict within"),
    "unknown policy": (lambda connection, _: send(connection, b"{}", "404 Not Found"), "HTTP 404"),
    "too large": (lambda connection, _: send(connection, b"{}", "413 Too Large"), "HTTP 413"),
    "a web page": (lambda connection, _: send(connection, b"<html>"), "JSONDecodeError"),
    "an action of tomorrow": (
        lambda connection, _: send(connection, json.dumps({**ANSWER, "action": "quarantine"}).encode()),
        "none that this version understands",
    ),
    "texts of another check": (
        lambda connection, _: send(connection, json.dumps({**ANSWER, "texts": []}).encode()),
        "none that this version understands",
    ),
    "another shape": (lambda connection, _: send(connection, b"[]"), "TypeError"),
}


@pytest.mark.parametrize("name", CASES)
def test_without_a_verdict_the_coverage_says_why_and_the_choice_decides(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer, reason = CASES[name]
    deadline_ms = 150 if answer in (never, drip) else 10_000  # what is answered must not be late on a busy machine
    with server(answer, monkeypatch):
        for choice in ("allow", "block"):
            guard = stanchion.guard("chat", remote="always", when_unavailable=choice, deadline_ms=deadline_ms)
            began = time.monotonic()
            verdict = guard.check("hello")
            if answer in (never, drip):
                assert time.monotonic() - began < 4.0  # the deadline and a busy machine's grace; not 5 seconds
            assert (verdict.action, verdict.coverage.ran, verdict.coverage.complete) == (choice, 0, False)
            assert reason in verdict.coverage.not_run[0][1]


def test_a_server_that_is_away_is_told_of_by_a_span(monkeypatch: pytest.MonkeyPatch) -> None:
    with recording() as recorded:
        guard = stanchion.guard("chat", remote="always", when_unavailable="block", deadline_ms=300)
        assert guard.check("hello").action == "block"
    [span] = recorded.spans
    assert span.attributes["stanchion.guard.is_complete"] is False
    assert "no verdict" in span.attributes["stanchion.guard.detail"]


def test_checks_at_once_do_not_wait_for_each_other_and_connections_are_used_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    together = threading.Barrier(12, timeout=10)

    def answer(connection: Any, request: bytes) -> None:
        together.wait()
        good(connection, request)

    with server(answer, monkeypatch):
        guard = stanchion.guard("chat", remote="always", deadline_ms=10_000)
        actions: list[str] = []

        def check() -> None:
            actions.extend(guard.check("mail ann@x").action for _ in range(3))

        threads = [threading.Thread(target=check) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
    assert actions == ["redact"] * 36


SLIM = """
import json, sys
import stanchion_sdk as stanchion
try:
    stanchion.guard("chat")
except ImportError as error:
    refused = str(error)
guard = stanchion.guard("chat", remote="without-engine")
verdict = guard.check("mail ann@x")
away = stanchion.guard("chat", remote="always", deadline_ms=1)
@guard.guarded
def answer(text):
    return text
import os
masked = answer("mail ann@x")
os.environ["STANCHION_ENDPOINT"] = "http://127.0.0.1:9"
with stanchion.session("s"):
    gap = guard.check("hello")
print(json.dumps([refused, verdict.action, type(verdict).__module__, masked, gap.coverage.not_run[0][1],
    "stanchion_guard" in sys.modules]))
"""


def test_a_client_without_the_engine_lets_the_server_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    with server(good, monkeypatch):
        variables = {**os.environ, "PYTHONPATH": str(ROOT / "collectors" / "src")}
        done = subprocess.run([sys.executable, "-c", SLIM], capture_output=True, text=True, env=variables, check=True)
    refused, action, module, masked, gap, has_engine = json.loads(done.stdout)
    assert "without-engine" in refused
    assert (action, module, masked, has_engine) == ("redact", "stanchion_sdk.guarding.slim", "mail [EMAIL]", False)
    assert "no verdict" in gap


@pytest.mark.parametrize(
    ("wrong", "named"),
    [({"remote": "maybe"}, "remote"), ({"deadline_ms": 0}, "deadline_ms"), ({"when_unavailable": "hope"}, "allow")],
)
def test_arguments_that_mean_nothing_are_refused(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        stanchion.guard("chat", **wrong)


def test_a_remote_guard_takes_no_policy_of_the_applications_own() -> None:
    with pytest.raises(ValueError, match="own policies"):
        stanchion.guard(policy={}, remote="always")
    assert isinstance(stanchion.guard("chat", remote="always"), AppGuard)
